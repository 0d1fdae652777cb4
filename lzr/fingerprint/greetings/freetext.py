"""What greetings in free words say of the program or the device that sends them, told by their form.

`greetings.programs` lists programs that are known; this reads those that are not: words that begin with
capitals in front of a version number ("Example FTP Server 0.8.3"), and a maker's name with the model behind
it ("Grandstream GXW-1"). A host's name is no program, nor are the words that every greeting holds; what is
left in doubt has no product.
"""

from __future__ import annotations

import re

from lzr.fingerprint.greetings.lookup import NOTHING, Stated, greeting_lines, named

REACH = 400  # bytes of a greeting that are read
_WORDS = 6  # of a name, at most

_NUMBER = r"\d{1,4}(?:\.\w{1,12}){1,5}"
_VERSION = re.compile(rf"[(\[]?(?:[Vv](?:er(?:sion)?)?\.?)?({_NUMBER}(?:-\w{{1,8}})?)[)\],;:.!]{{0,2}}")
_JOINED = re.compile(
    rf"[(\[]?([A-Za-z][A-Za-z+]{{2,30}}(?:-[A-Za-z]{{2,20}})?)[/_-]v?({_NUMBER})[)\],;:.]{{0,2}}"
)
_NUMBERED = re.compile(rb"(?!\[\d{1,3}(?:\.\d{1,3}){3}\])[ (\[/_-][vV]?(?:er(?:sion)?\.?)?\d{1,4}\.\w")
"""What holds a version number holds this; most greetings do not, and are read no further."""
_QUAD = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_NAME = re.compile(r"[(\[]?[A-Z](?:[\w+'&/-]{0,30}[\w+])?")
_TRADE_MARKS = re.compile(r"\((?:TM|tm|R|r|C|c)\)|[®™©]")
_NEGOTIATION = re.compile(rb"\xff(?:[\xfb-\xfe].|\xfa[^\xff]{0,64}\xff\xf0|[\xf0-\xf9])", re.DOTALL)

_PROTOCOL_WORDS = """
ftp sftp ftps smtp esmtp lmtp pop pop2 pop3 imap imap4 imap4rev1 nntp telnet ssl tls http tcp
"""
_PROTOCOLS = frozenset(_PROTOCOL_WORDS.split())

_GENERIC_WORDS = """
server service services daemon ready version ver release build level rev revision software firmware
system kernel edition receiver agent mail the this is to at on in of and with for from by running
welcome hello here unregistered copyright inc ltd corporation corp co company gmbh mon tue wed thu
fri sat sun jan feb mar apr may jun jul aug sep oct nov dec gmt utc est pst cet local localhost user
users you your i a an no not only ok connected connection host hostname ip address port protocol id
warning error internet network login printer gateway router console terminal shell command switch
device box mozilla applewebkit gecko chrome safari ftpd smtpd telnetd utility session password
username account press type enter line sw fw hw boot loader app rom bios nntp-service servicio servizio
home page web configuration config setup settings admin administration management interface portal
print standard edition professional enterprise vik cli bbs sse serviço
"""
GENERIC = _PROTOCOLS | frozenset(_GENERIC_WORDS.split())
"""Words that greetings hold whatever runs there; alone they name nothing."""

_MARKS = frozenset(("version", "ver", "release", "rev", "revision", "build", "v"))
"""Words that announce a version number."""


def greeting(data: bytes) -> Stated:
    """The product and version in a greeting of lines with a code or a sign in front (FTP, mail, news).

    What comes behind the greeting is an answer to what was sent, and may quote it.
    """
    said = greeting_lines(data)
    found = NOTHING
    if is_numbered(said):
        lines = said.decode("latin-1").split("\n")[:4]
        found = _versioned("\n".join(line.lstrip("+*0123456789- ").removeprefix("OK ") for line in lines))
    if found is NOTHING:
        daemon = _DAEMON.search(said, 4) or _IN_BRACKETS.search(said, 4)
        if daemon is not None:
            version = daemon["v"] if daemon.re is _DAEMON else b""
            found = daemon["p"].decode("ascii"), (version or b"").decode("ascii")
    return found


def is_numbered(said: bytes) -> bool:
    """Whether a greeting may hold a version number."""
    return _NUMBERED.search(said, 3) is not None


def may_show(said: bytes) -> bool:
    """Whether a greeting without a version number may show a name by its form."""
    low = said.lower()
    return any(mark in low for mark in _SHOWN)


_SHOWN = (b"ftpd", b"smtpd", b"popd", b"pop3d", b"imapd", b"nntpd", b"server (", b"service (", b"proxy (")

_DAEMON = re.compile(
    rb"(?<![\w.@/-])(?P<p>(?!in\.|[st]ftpd)[a-z][\w+-]{0,20}?(?:ftp|smtp|pop3?|imap|nntp)d)(?![\w.@-])"
    rb"(?:[ /_(]{1,2}v?(?P<v>\d{1,4}(?:\.\w{1,12}){1,5}))?",
    re.IGNORECASE,
)
"""Servers are called by their protocol and a d: what has more in front of it is the name of a program."""

_IN_BRACKETS = re.compile(
    rb"(?i:server|service|proxy) "
    rb"\((?P<p>(?=[\w /-]{0,30}[a-z][A-Z])[A-Z][\w-]{2,20}(?: [A-Z][\w-]{1,20}){0,2})\)"
)
"""Behind the word server a program stands in brackets, if it is spelled with capitals inside its words."""


QUOTED = (
    *(b"GET ", b"OPTIONS ", b"EHLO ", b"HELP ", b"PING ", b"CONNECT ", b"HTTP/1", b"User-Agent", b"SSH-2"),
    b"\x16\x03",
)
"""How what we send begins, which terminals give back as it is typed."""


def terminal(data: bytes) -> Stated:
    """The system, the device or the program that a terminal's first lines name (RFC 854)."""
    if data[:1] == b"\xff":
        data = _NEGOTIATION.sub(b"", data[: 2 * REACH])
    data = data[:REACH]
    for mark in QUOTED:
        at = data.find(mark)
        if at >= 0:
            data = data[:at]
    words = set(data.lower().translate(_PARTED).split())
    system, maker = not words.isdisjoint(SYSTEMS), not words.isdisjoint(MAKERS)
    numbered = _NUMBERED.search(data) is not None
    if not (system or maker or numbered):
        return _known(data)
    text = data.decode("latin-1")
    found = _system(text) if system else NOTHING
    if found is NOTHING and numbered:
        found = _versioned(text)
        if found[1].startswith("802.") or b"Network Management Card AOS" in data:
            found = NOTHING  # a standard of IEEE's; columns of a table side by side
    if found is NOTHING and maker:
        found = _made(text, _ORDINARY)
    return _known(data) if found is NOTHING else found


def _known(data: bytes) -> Stated:
    """A name of the list; the number of a standard of IEEE's ("802.11a/b/g") is no version."""
    name, version = named("t", data)
    return name, "" if version.startswith("802.") else version


def may_name(said: bytes) -> bool:
    """Whether `terminal` may name more than `named` does: of what is said behind the negotiation."""
    text = said[:REACH]
    words = set(text.lower().translate(_PARTED).split())
    if not (words.isdisjoint(SYSTEMS) and words.isdisjoint(MAKERS)):
        return True
    return _NUMBERED.search(text) is not None or any(mark in text for mark in QUOTED)


def device(data: bytes) -> Stated:
    """The maker and model that a file server's greeting names. Companies that have servers of their own, and
    names that people may have too, need a model behind them."""
    first = data[4:REACH].split(b"\n", 1)[0]
    if not names_maker(data):
        return NOTHING
    return _made(first.decode("latin-1"), _DOUBTFUL)


_MODELS_OF = (
    ("D-Link", r"(?:DIR|DSL|DI|DWR|DCS|DAP|DGS|DES|DVA|DNS|DVG|DHP|DSR|DWL|DPR|DFL)-\w?\d[\w+/-]{1,12}"),
    ("TRENDnet", r"TEW-\d[\w+/-]{1,12}|TV-IP\d[\w+/-]{1,12}"),
    ("TP-LINK", r"TL-[A-Z]{1,4}\d[\w+/-]{1,12}"),
    ("Linksys", r"(?:WRT|WAG|WAP|SRW|BEFSR|BEFW|SPA)\d[\w+/-]{1,12}"),
    ("NETGEAR", r"(?:WNR|WNDR|WGR|WGT|WNDAP|DGN|FVS|ProSafe )\d[\w+/-]{1,12}|DG834\w{0,4}|R[78]\d00"),
    ("DrayTek", r"Vigor ?\d[\w+/-]{1,10}"),
    ("ZyXEL", r"(?:ZyWALL|Prestige|NBG|VMG|NWA)[ -]?\d[\w+/-]{1,12}"),
)
_MODEL_OF = tuple((maker, re.compile(rf"(?<![\w-])(?:{models})(?![\w-])")) for maker, models in _MODELS_OF)
"""Models that are called alike, and who makes them."""


def appliance(text: str) -> Stated:
    """The device that a realm or a title names: maker and model, or a model that only one makes."""
    found = _made(text, _DOUBTFUL)
    if found is not NOTHING and " " in found[0]:
        return found
    for maker, model in _MODEL_OF:
        shown = model.search(text)
        if shown is not None:
            return f"{maker} {shown[0]}", ""
    return found


def names_maker(data: bytes) -> bool:
    """Whether the first line names somebody who makes devices."""
    first = data[4:REACH].split(b"\n", 1)[0]
    return not MAKERS.isdisjoint(first.lower().translate(_PARTED).split())


_SYSTEM_NAMES = (
    r"Debian GNU/Linux|Ubuntu|CentOS(?: Linux| Stream)?|Fedora(?: Core| Linux)?|Rocky Linux|AlmaLinux"
    r"|Red Hat Enterprise Linux(?: [ASEW]{2}\b| Server)?|Red Hat Linux|openSUSE(?: Leap)?"
    r"|SUSE Linux Enterprise Server|Amazon Linux(?: AMI)?|Oracle Linux(?: Server)?|Raspbian GNU/Linux"
    r"|Slackware|Gentoo|Alpine Linux|Arch Linux|OpenWrt|LEDE|DD-WRT|BusyBox|MikroTik|KeeneticOS|NDMS|VyOS"
    r"|pfSense|FreeBSD|NetBSD|OpenBSD|DragonFly BSD|SunOS|(?:Oracle )?Solaris|HP-UX|AIX|IRIX|Digital UNIX"
    r"|(?:Compaq )?Tru64 UNIX|OpenVMS|QNX|VxWorks|Windows CE Telnet Service|Microsoft Telnet Se\w{4,5}"
)
_SYSTEMS = re.compile(
    rf"\b(?P<p>{_SYSTEM_NAMES})(?:/\w{{1,8}}|\(TM\))?"
    r"(?:,? (?:[Vv]ersion|[Rr]elease) | [vV]?|[ (]{0,2}[vV])?(?P<v>\d{1,4}(?:\.\w{1,12}){0,4}(?!\w))?"
)
"""Systems that a login is asked for by name, many with a version of one number."""


_FULLER = {"MikroTik": "MikroTik RouterOS"}

_TITLED = re.compile(
    r"(?:^|\n)\s{0,8}Model(?: [Nn]ame)?\s{0,16}: {0,16}(?P<p>[A-Za-z][\w +/-]{1,30}\d[\w+/-]{0,12})"
)


def _system(text: str) -> Stated:
    titled = _TITLED.search(text)
    if titled is not None:
        return titled["p"], ""
    found = _SYSTEMS.search(text)
    if found is None:
        return NOTHING
    return _FULLER.get(found["p"], found["p"]), found["v"] or ""


def _versioned(text: str) -> Stated:
    """The words with capitals in front of the first version number that has such."""
    for line in _TRADE_MARKS.sub("", text).split("\n"):
        words = line.split()[:40]
        for at, word in enumerate(words):
            if "." not in word:
                continue
            joined = _JOINED.fullmatch(word)
            if joined and joined[1].lower() not in GENERIC and not _QUAD.fullmatch(joined[2]):
                return joined[1], joined[2]
            found = _VERSION.fullmatch(word)
            if found is None or not at:
                continue
            marked = word.lstrip("([")[0] in "Vv" or words[at - 1].strip("(:,").lower() in _MARKS
            if _QUAD.fullmatch(found[1]) and not marked:
                continue
            name = _name_before(words, at)
            if name:
                return name, found[1]
    return NOTHING


def _name_before(words: list[str], at: int) -> str:
    """The name that ends before the word number `at`; "" where there is none."""
    end = at
    while end and words[end - 1].strip("(:,").lower() in _MARKS:
        end -= 1
        # In "box FTP server (Version 6.00)" the name in front is the host's.
        if words[end].startswith("(") and end and words[end - 1].lower() in ("server", "service"):
            return ""
    first = end
    while first and end - first < _WORDS:
        word = words[first - 1]
        if first == end:
            word = word.rstrip(",")
        model = first == end and first > 1 and bool(_NUMBERED_MODEL.fullmatch(word))
        if not (
            _NAME.fullmatch(word) or (word.isdigit() and first > 1) or model or word.lower() in _TRAILING
        ):
            # Small letters in brackets that begin with a name: "(GNU inetutils 2.4)".
            if first == end and first > 1 and word.isalnum() and _BRACKETED.fullmatch(words[first - 2]):
                first -= 2
            break
        first -= 1
        if word[0] in "([":
            break
    if first and words[first - 1].lower() in _BEFORE_PLATFORMS:
        return ""
    name = [word.lstrip("([").rstrip(",") for word in words[first:end]]
    while name and (name[0].lower() in GENERIC or name[0].isdigit()):
        name.pop(0)
    while name and name[-1].lower() in _PROTOCOLS | {"ready"}:
        name.pop()
    return " ".join(name) if any(len(word) > 1 and word.lower() not in GENERIC for word in name) else ""


_NUMBERED_MODEL = re.compile(r"\d{2,5}[A-Za-z]{1,3}")
"""A model that begins with its number, behind its maker's name."""
_BRACKETED = re.compile(r"\([A-Z]\w{1,30}")
_TRAILING = frozenset(("server", "service", "daemon"))
_BEFORE_PLATFORMS = frozenset(("for", "on", "under", "using", "at", "from"))
"""Words behind which a platform or a place comes, and no program."""

_MAKER_NAMES = """
ConnectUPS 3Com Actiontec ADTRAN Aastra Acer Advantech Airlink Aironet Alcatel Alcatel-Lucent Allied Alteon
Apple Arris Aruba Asus Asustor AudioCodes Avaya Avocent AVTECH AXIS Barix Beckhoff Belkin Billion
Biamp BlueCoat Bosch Brocade Brother Buffalo CalAmp Cambium Canon Carel Cisco Ciena CyberPower
D-Link DASAN Dahua Datalogic Dell Digi Digium DrayTek EFI Eaton Edgecore EdgeSwitch EdgeRouter
Edimax Eltex Emerson EMC Epson Ericsson Exabyte Extreme ExtremeXOS FiberHome Fortinet FortiGate
Foundry FRITZ!Box Fujitsu GeoVision Gestetner Grandstream Grundfos Hikvision Hirschmann Hitachi
Honeywell HUAWEI HP Hewlett-Packard Infoblox Infortrend Intermec IQinVision Iomega JetDirect Juniper
Kathrein KeyWave Kyocera Konica LaCie Lanier LANCOM Lantronix LaserJet Lexmark LG-Ericsson Liebert
Linksys Lutron LevelOne Maipu MikroTik Milesight Mitel Mobotix MOXA Motorola Netgear NetApp
NetScaler NetVanta Nokia Nortel NRG Oki OkiLAN OfficeJet OptiPlex Oce Panasonic Patton Pelco Perle
Phaser Planet Polycom PowerConnect ProCurve ProLiant QLogic QNAP Quantum Raritan Raisecom ReadyNAS
RICOH Riverbed Riverstone Rockwell Ruckus Ruijie RuggedCom SAVIN Sagemcom SAGEM Samsung SATO
Schneider Seagate Sercomm Sharp Siemens Sierra SIMATIC SMC SMCWBR Sofrel SonicWALL Sony SpeedStream
SpeedTouch SpeedPort StorEdge StorageTek Supermicro SYNOLOGY TANDBERG Tektronix Telindus Tellabs
Teltonika Tenda Thecus Thomson TOSHIBA TP-LINK Trendnet Tripp TVIP Ubiquiti UniFi UTStarcom Uniden
Verifone Vivotek Vigor WAGO Watchguard WDMyCloud Westermo Xerox Xirrus Yamaha Yealink Zebra Zhone
ZTE ZXHN ZXDSL ZyXEL TASKalfa ECOSYS bizhub imageRUNNER imagePROGRAF Xyratex silex Comau Datamax
Printronix TallyGenicom Bixolon Intermec EasyCoder IFT Drobo Freecom Snom Gigaset innovaphone Allworx ShoreTel
LifeSize VBrick Haivision Teradek Evertz Comrex GatesAir FANUC KUKA Yaskawa OMRON KEYENCE Cognex HIOKI
Yokogawa Keysight Agilent LeCroy Anritsu EXFO Viavi JDSU Loxone Tridium Danfoss Vaisala SIXNET Robustel
Peplink Pepwave Cradlepoint Technicolor Arcadyan Netopia Westell USRobotics Comtrend Iskratel Pirelli
Telsey OmniAccess OmniSwitch OmniStack WorkCentre DocuCentre DocuPrint ColorWave Aficio Infoprint
VersaLink AltaLink PIXMA Stylus SureColor Dynalink ROTAL NetComm Optibase Precidia
Trango Minolta Imagistics Cabletron FlowPoint picotux ELSTER bintec Funkwerk Gigalink ForeRunner AliceBox
Teldat OneAccess Inteno SmartAX DASAN ZTE MobileIron PageWriter ScanStation iRMC iDRAC PowerVault EqualLogic
"""
_MAKERS = frozenset(_MAKER_NAMES.lower().split())
"""Makers, and names of models that stand for them."""

_ORDINARY_NAMES = """
allied brother quantum extreme planet sharp apple axis digi eaton foundry billion phaser oki sierra
zebra vigor honeywell acer emerson bosch dell patton oce hitachi canon nokia sony tripp
"""
_ORDINARY = frozenset(_ORDINARY_NAMES.split())
"""Those that may be somebody's name too."""

_COMPANIES_NAMES = """
alcatel alcatel-lucent cisco emc epson ericsson fujitsu hewlett-packard hp huawei juniper motorola
netapp nortel panasonic rockwell samsung schneider seagate siemens toshiba xerox yamaha
"""
_COMPANIES = frozenset(_COMPANIES_NAMES.split())
"""Those with servers of their own."""

_MODEL = re.compile(r"(?=[\w+/.-]*\d)[A-Za-z0-9][\w+/.-]{1,24}")
_LETTERED = re.compile(r"[A-Z][\w+/-]{1,20}")


def _made(text: str, doubtful: frozenset[str]) -> Stated:
    """A maker's name, written as names are, and the words behind it in its line that may be of the model."""
    for line in text.split("\n")[:8]:
        words = line.split()[:40]
        for at, word in enumerate(words):
            bare = word.strip("([,;:.)]*=-|\"'")
            if bare.lower() not in _MAKERS or not (bare[:1].isupper() or bare[:1].isdigit()):
                continue
            phrase = [bare, *_models(words[at + 1 : at + 5])] if word[-1] not in ",;:.)]" else [bare]
            if bare.lower() not in doubtful or any(map(_MODEL.fullmatch, phrase[1:])):
                return " ".join(phrase), ""
    return NOTHING


def _models(words: list[str]) -> list[str]:
    """The first of these words, as long as they may be a model's name."""
    found = []
    for word in words:
        clean = word.rstrip(",;:.)]")
        if clean == "Printer":
            continue
        if (
            clean.lower() in GENERIC
            or clean.startswith("802.")
            or not (_MODEL.fullmatch(clean) or _LETTERED.fullmatch(clean))
        ):
            break
        found.append(clean)
        if clean != word:
            break
    return found[:3]


_DOUBTFUL = _ORDINARY | _COMPANIES
_PARTED = bytes.maketrans(b"([,;:.)]*=|\"'/", b" " * 14)
_SYSTEM_WORDS = """
debian ubuntu centos fedora rocky almalinux red opensuse suse amazon oracle raspbian slackware gentoo alpine
arch openwrt lede dd-wrt busybox mikrotik keeneticos ndms vyos pfsense freebsd netbsd openbsd dragonfly sunos
solaris hp-ux aix irix digital compaq tru64 openvms qnx vxworks windows microsoft model
"""
SYSTEMS = frozenset(word.encode("ascii") for word in _SYSTEM_WORDS.split())
MAKERS = frozenset(word.encode("ascii") for word in _MAKERS)
"""Words of which one is in what `_system` or `_made` find, in small letters: a look whether to ask them."""
