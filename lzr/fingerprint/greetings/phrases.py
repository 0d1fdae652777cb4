"""What servers call themselves by the words around it, where nothing else names them (--enrich).

Devices say what they are in a few phrases: "Model name : X", "X Telnet Server", "Welcome to the X command
line interface", the model in a prompt, the maker behind a copyright sign. File and mail servers put the
name of the program in front of the protocol's: "CoolProxy FTP server". A host's name and the words that
every greeting holds are no product: what stands there counts only if it is spelled as names of programs or
models are.
"""

from __future__ import annotations

import re

from lzr.fingerprint.greetings import freetext
from lzr.fingerprint.greetings.lookup import NOTHING, Stated, greeting_lines, named

_REACH = 1024  # bytes of a terminal's screen that are read; a screen is 24 lines of 80
_LINES = 24

_ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?]{0,12}[A-Za-z]|[()][0-9A-B]|[<>=c78])|[\x00\x07\x08\x0e\x0f]")
"""Control sequences of terminals (ECMA-48 §5.4), and single control characters."""
_NEGOTIATION = re.compile(rb"\xff(?:[\xfb-\xfe].|\xfa[^\xff]{0,64}\xff\xf0|[\xf0-\xf9])", re.DOTALL)
_PLACED = re.compile(rb"\x1b\[[0-9;]{0,8}[Hf]")
"""Moves the cursor: what follows stands elsewhere on the screen."""

_VERSION = r"(?:\W{1,3}(?:[Vv]er(?:sion|\.)? ?|[Vv]\.? ?)?(?P<v>\d{1,4}(?:\.\w{1,12}){1,5}))?"

_FIELD = re.compile(
    r"^\W{0,6}(?:Server )?(?:Device )?(?:Product|Model)(?: ?(?:[Nn]ame|[Nn]umber|[Tt]ype|Description))?"
    r"\s{0,16}[:=]\s{0,16}(?P<p>[A-Za-z][\w +/.-]{1,40})",
    re.MULTILINE,
)
_WELCOME = re.compile(
    r"^\W{0,8}(?:This is|Welcome to|[Ww]elcome in)(?: the)? (?P<p>[\w+&/. -]{2,40}?)[- ]"
    r"(?:telnet|command|cli\b|shell|console|management|configuration|diagnostic|debug|terminal|router|"
    r"switch|gateway|server|utility|setup|main menu|system login)",
    re.MULTILINE | re.IGNORECASE,
)
_TITLED = re.compile(
    r"^\W{0,8}(?P<p>[A-Z][\w+&/.' -]{1,40}?)[- ]"
    r"(?:[Tt][Ee][Ll][Nn][Ee][Tt](?:d|[ -]?[Ss]erver|[ -][Dd]aemon|[ -][Cc]onsole|[ -][Ss]ession|[ -]Util"
    r"|[ -][Ss]ervice|[ -][Ll]ogin|\b)|(?:[Cc]ommand|CLI)[- ](?:[Ss]hell|[Ll]ine|[Ii]nterface)"
    r"|[Ss]hell [Vv]er"
    r"|(?:Configuration|Setup|Management|Maintenance|Administration) "
    r"(?:Utility|Menu|Manager|Program|Console|System|Shell|Module|Port|Interface)"
    r"|Local Management|Main Menu|Login Menu|Switch Manager|Remote Shell|Network Control\b|Debug Terminal"
    r"|Configuration\s{0,4}$|[Rr]outer\b|[Ss]witch\b|[Cc]able ?[Mm]odem|[Ff]irewall\b|[Gg]ateway\b)"
    + _VERSION,
    re.MULTILINE,
)
_COPYRIGHT = re.compile(
    r"(?:\([Cc]\)|©|[Cc]opyright)[\d ,;:.()Cc-]{0,30}(?:[Cc]opyright )?(?:by )?"
    r"(?P<p>[A-Z][\w&.-]{1,20}(?: [A-Z&][\w&.-]{0,20}){0,3}?)"
    r"(?= (?:Networks?|Systems?|Technolog(?:y|ies)|Electronics|Communications?|Micronics|Instruments"
    r"|Semiconductors?|Devices|Telecom|Automation)\b)"
    r"(?P<q> \w{1,16})"
)
_CAMEL = r"[A-Za-z]{1,20}[a-z][A-Z][A-Za-z]{1,20}[\w+!.-]{0,8}|[a-z]{1,3}[A-Z][a-z]{2,20}[\w+!-]{0,8}"
"""Spelled with a capital inside: programs are, hosts are not."""
_NUMBERED_NAME = r"[A-Z]{1,6}[-+]?\d[\w+/-]{1,12}|[A-Z]{2,8}-[A-Z]{0,3}\d[\w+/-]{0,12}"
_FILES = re.compile(
    rf"(?:^|[ \"(])(?:{_CAMEL})(?: [A-Z][\w+-]{{1,16}}){{0,2}}"
    r"(?=[ -](?:[Ff][Tt][Pp]|FTP/|[Ss]erver\b|[Ss]ervice\b|[Pp]roxy|[Gg]ateway|ready))"
)
_DEVICE_FILES = re.compile(
    rf"^(?:[Ww]elcome to )?(?:the )?(?P<p>(?:[A-Z][\w.-]{{1,16}}[ ,]{{1,2}}){{0,3}}(?:{_NUMBERED_NAME})"
    r"(?: [A-Z][\w-]{1,16}){0,2}) (?:[Ff][Tt][Pp]|Print)"
)
_MAIL = re.compile(
    rf"(?:^|[ \[(])(?P<p>{_CAMEL})"
    r"(?:[- /](?:ESMTP|SMTP|POP3?|IMAP4?(?:rev1)?|LMTP|[Ss]erver|[Ss]ervice|[Pp]roxy|[Gg]ateway|[Mm]ail)\b"
    r"|[- ]v?(?P<v>\d{1,4}(?:\.\w{1,12}){1,5}))"
)
_WORDY = re.compile(r"[A-Za-z]")
_HOST = re.compile(
    r"[\w-]{1,63}(?:\.[\w-]{1,63}){2,}|\d{1,3}(?:\.\d{1,3}){3}|[\w-]{1,63}\.(?:com|net|org|local)"
)

_COMMON_WORDS = """
telnet remote access network ethernet fast gigabit wireless broadband adsl dsl cable voip port terminal
managed unmanaged stackable intelligent layer embedded secure unauthorized authorized only private restricted
linux unix windows nt server1 our my your company corp internal backup storage file files data print new old
public anonymous official central global local main test demo lab production development online free
authentication user-name verification smart web webserver base basic simple advanced multi this these
phone camera webcam cloud sip nat internet raid rack media plasma pvr dvr nvr nas ups point appliance
power bridge firewall modem dome mini adsl2+ vdsl router integrator controller printserver winsock version
number model name control
"""
_COMMON = freetext.GENERIC | frozenset(_COMMON_WORDS.split())
_SENTENCE_WORDS = """
sorry another using start no maximum restricted login connection connected already please enter press type bye
goodbye error failed busy cannot notice attention important warning session all any if for from only use your
you there bot copy more too it end
"""
_SENTENCE = frozenset(_SENTENCE_WORDS.split())
"""Words with which a sentence begins, and no name."""
_NOT_PROGRAMS = frozenset(
    (
        "esmtp",
        "imap4rev1",
        "mailserver",
        "webmail",
        "starttls",
        "localhost",
        "nospam",
        "powerpc",
        "javascript",
    )
)
_PLACES = re.compile(
    r"(?:srv|web|dev|prod|test|admin|intranet|zone|host|server|site|area|node|db|mail|vpn|box|demo|user)[\d_-]*",
    re.IGNORECASE,
)
"""What people call hosts, and number."""


def stated(label: str, data: bytes) -> Stated:
    """(product, version) that a reply with this label states in one of these phrases; ("", "") where none
    is there."""
    if label == "telnet":
        return _terminal(data)
    if label in ("ftp", "smtp-ftp"):
        return _files(_spoken(data))
    if label in ("smtp", "pop3", "imap", "nntp", "lmtp"):
        return _mail(_spoken(data))
    return NOTHING


def screen(data: bytes) -> str:
    """What a terminal shows: without negotiation (RFC 854) and control sequences, a line a line."""
    text = _NEGOTIATION.sub(b"", data[: 2 * _REACH])
    text = _ESCAPES.sub(b"", _PLACED.sub(b"\n", text))[:_REACH]
    for mark in freetext.QUOTED:
        at = text.find(mark)
        if at >= 0:
            text = text[:at]
    rows = text.replace(b"\r", b"\n").decode("latin-1").split("\n")
    return "\n".join(
        [row.strip(" \t*|#=+-<>~.") if len(row) > 2 else row for row in rows if row.strip()][:_LINES]
    )


def _terminal(data: bytes) -> Stated:
    text = screen(data)
    if not text:
        return NOTHING
    found = _FIELD.search(text)
    if found is not None and _is_name(found["p"]):
        return _clean(found["p"]), ""
    shown = named("t", text.encode("latin-1"))
    if shown[0]:
        return shown
    for pattern in (_WELCOME, _TITLED):
        for found in list(pattern.finditer(text))[:4]:
            name = _clean(found["p"])
            if _is_name(name):
                return name, (found.groupdict().get("v") or "")
    device = freetext.appliance(text)
    if device[0]:
        return device
    found = _COPYRIGHT.search(text)
    if found is not None and _is_name(found["p"]):
        return _clean(found["p"] + found["q"]), ""
    return NOTHING


def _spoken(data: bytes) -> str:
    """A greeting's lines without their codes."""
    rows = greeting_lines(data).decode("latin-1").split("\n")[:6]
    return "\n".join(row.rstrip("\r").lstrip("+*0123456789- ").removeprefix("OK ") for row in rows)


_BEHIND_HOST = re.compile(r"\([\w ]{0,20}[Vv]ersion")


def _files(text: str) -> Stated:
    for line in text.split("\n"):
        found = _DEVICE_FILES.match(line)
        if found is not None:
            name = _clean(found["p"])
            # "BOX12 FTP server (Version 6.00) ready." has the name of the host in front.
            if not _BEHIND_HOST.search(line, found.end()) and _is_name(name):
                return name, ""
        camel = _FILES.search(line)
        if camel is not None:
            name = _clean(camel[0])
            if _is_name(name) and not _BEHIND_HOST.search(line, camel.end()):
                return name, ""
    return NOTHING


def _mail(text: str) -> Stated:
    for line in text.split("\n"):
        found = _MAIL.search(line)
        if found is not None and _is_name(found["p"]) and found["p"].lower() not in _NOT_PROGRAMS:
            return _clean(found["p"]), found["v"] or ""
    return NOTHING


def _clean(name: str) -> str:
    words = name.strip(' "(),:;-./').split()
    while words and words[0].lower() in ("the", "a", "to", "welcome", "this", "is", "of"):
        words.pop(0)
    while words and words[-1].lower() in ("telnet", "ftp", "is", "the", "of", "-", "for"):
        words.pop()
    return " ".join(words)


def _is_name(text: str) -> bool:
    """Whether a word of it is a name: no host's, and not one that every greeting holds."""
    name = _clean(text)
    words = [word.strip("().,:;-'") for word in name.split()]
    if not words or len(words) > 5 or len(name) < 3 or words[0].lower() in _SENTENCE or _HOST.search(name):
        return False
    if any(word.isalpha() and word.islower() and word not in _COMMON for word in words[1:]):
        return False
    telling = [
        word for word in words if len(word) > 1 and _WORDY.search(word) and word.lower() not in _COMMON
    ]
    return any(not word.islower() and not _PLACES.fullmatch(word) for word in telling)


_MANAGED = re.compile(
    r"^(?:Welcome to )?(?P<p>[A-Za-z][\w+&/.' -]{1,40}?)(?: v?(?P<v>\d{1,4}(?:\.\w{1,12}){1,5}))?[ :|-]{1,3}"
    r"(?:Web[ -]?(?:Based )?(?:Config\w*|Manage\w*|Console|Admin\w*|Interface|Control\w*|G?UI|Setup"
    r"|Serv\w*)"
    r"|HTTP Server|HTTP Daemon|webserver|Configuration (?:Utility|Pages?|Manager|Menu)|Remote UI"
    r"|Management (?:Console|Interface|Page|Utility|System|Card)"
    r"|Administration (?:Console|Interface|Page|Tool)"
    r"|Setup (?:Page|Utility)|Device Manager|Print Server|Network Camera|IP Camera"
    r"|Control Panel|Main Page)\b",
    re.IGNORECASE,
)
_THING = re.compile(
    r"^(?P<p>(?:[A-Z][\w+/.-]{1,20} ){1,4}(?:Router|Camera|WebCam|Phone|Printer|Switch|Modem|Gateway"
    r"|DVR|NVR|NAS|Bridge|Access Point|Print ?[Ss]erver|Integrator|UPS|PDU|Firewall|Controller"
    r"|Console|Appliance))$"
)
_MODELLED = re.compile(
    r"^(?![A-Z]{2,4}[-_]?[0-9A-F]{6,12}$)"  # a name made of an address
    r"(?P<p>(?:[A-Z][\w+&.-]{1,16} ){0,3}(?=[A-Z0-9+/_-]{0,16}\d)(?=[A-Z0-9+/_-]{0,16}[A-Z][A-Z0-9+/_-]{0,8}"
    r"[A-Z])[A-Z0-9][A-Z0-9+/_-]{3,16}\w{0,3}(?: [\w+/-]{1,12}){0,2})$"
)


def managed(text: str, *, asks: bool) -> Stated:
    """The device or program whose page has this title, or asks for a password by this name.

    asks: the latter.
    """
    text = " ".join(text.split())[:80]
    found = _MANAGED.match(text)
    if found is None and asks:
        found = _THING.match(text) or _MODELLED.match(text)
    if found is None or not _is_name(found["p"]):
        return NOTHING
    return _clean(found["p"]), found.groupdict().get("v") or ""
