"""Old Unix services and printers: remote login and commands, print queues, backup agents."""

from __future__ import annotations

import re
from functools import partial

from lzr.protocols._bytes import is_text
from lzr.protocols._framing import first_line, printable
from lzr.protocols._protocol import Protocol

_LPD = re.compile(
    rb"(?:[\w.-]{1,64}(?:: |/))?(?:/usr/\w*/?lib/)?lpd(?: \[@[\w.-]{1,64}\])?: [\w\"'<(]"
    rb"|[\w.-]{1,64}: (?:(?:lpd|lpsched): )?(?:your host does not have|host ?name for your address"
    rb"|address for your hostname|malformed from address)"
    rb"|\x01?no connect permissions\n?$"
    rb"|0781-20\d (?:your host does not have line printer access|ill-formed from address)"
    rb"|Invalid protocol request \(\d{1,3}\): "
    rb"|[\w.-]{1,64}: (?:lpsched: )?unknown printer\n?$"
    rb"|An lpd test connection was completed"
    rb"|Unable to get printer (?:list|[\w.-]{0,64}): [A-Z]",
    re.IGNORECASE,
)
_INET = re.compile(rb"(?:[\w ]{1,40} )?Data Protector [\w. ]{1,30}: INET, internal build ")


def _refusal(data: bytes) -> bool:
    """After an octet of one: one line of text (rlogind(8), rshd(8), rexecd(8)); some end it with a NUL."""
    line = data[1:].rstrip(b"\0").rstrip(b"\r\n")
    return is_text(line) and b"\n" not in line and data.rstrip(b"\0")[-1:] == b"\n"


_PROMPT = re.compile(rb"(?:\b(?:login|user ?name|password|account)\s?[:>]|[\w.-]> )\s{0,4}\Z", re.IGNORECASE)


def _login(data: bytes) -> bool:
    """A refusal; or an octet of zero, with which the server agrees, and its prompt (RFC 1282)."""
    if data[:1] == b"\0":
        return is_text(data[1:]) and _PROMPT.search(data, max(len(data) - 40, 1)) is not None
    return _refusal(data) and b"erberos" not in data[:80]


def _kerberos(data: bytes) -> bool:
    return _refusal(data) and b"erberos" in data[:80]


def _pjl(data: bytes) -> bool:
    """The command echoed, then its answer a line each (PJL Technical Reference, Status Readback)."""
    line = first_line(data)
    return printable(line) and line[5:].split(b" ", 1)[0] in _PJL_ANSWERS


_PJL_ANSWERS = frozenset((b"INFO", b"USTATUS", b"INQUIRE", b"DINQUIRE", b"ECHO", b"FSQUERY", b"FSDIRLIST"))


def _data_protector(data: bytes) -> bool:
    text = data[2:400:2] if data[:2] == b"\xff\xfe" else data[:200]
    return _INET.match(text) is not None


_refuses = partial(Protocol, match=_refusal)
"""A service of those whose first octet says that what follows is an error."""

PROTOCOLS: tuple[Protocol, ...] = (
    _refuses(
        name="login",
        spec="RFC 1282; rlogind(8)",
        match=_login,
        starts=(
            *(b"\1rlogind: ", b"\1in.rlogind: ", b"\1UX:in.rlogind: ", b"\1logind: ", b"\1login: "),
            *(b"\0\r\n", b"\0\n\r", b"\0Password", b"\0login:"),
        ),
        examples=(
            b"\1rlogind: Permission denied.\r\n",
            b"\1UX:in.rlogind: Permission denied.\r\n",
            "\1rlogind: Accès refusé.\r\n".encode("latin-1"),
            b"\0\r\n\nExample EX-100 Version V3.6/4(000201)\n\r\nType HELP for assistance.\n\r\n\nUsername> ",
            b"\0Password: ",
        ),
        rejects=(b"\1rlogind: Permission", b"\1rlogind: \1\n", b"\0\r\nhello\r\n", b"\0\r\n\1Password: "),
        ports=(513,),
    ),
    _refuses(
        name="shell",
        spec="rshd(8), Diagnostics",
        starts=(
            b"\1rshd: ",
            b"\1remshd: ",
            b"\1Permission denied",
            b"\1permission denied.",
            b"\1Locuser too long",
            b"\1Remuser too long",
            *(b"\1locuser too long", b"\1remuser too long", b"\1ruser too long", b"\1luser too long"),
            *(b"\1Can't fork; try again.", b"\1Can't make pipe", b"\1Can't get stderr port"),
            *(b"\1in.rshd: ", b"\1UX:in.rshd: ", b"\1Winsock RSHD/NT: "),
        ),
        examples=(
            b"\1Permission denied.\n",
            b"\1Permission denied : Error 1\r\n",
            b"\1permission denied.\n",
            b"\1rshd: Login incorrect.\n",
            b"\1Can't fork; try again.\n",
            b"\1in.rshd: Permission denied.\n",
            b"\1Winsock RSHD/NT: Protocol negotiation error.\n\0",
        ),
        rejects=(b"\1rshd: ", b"\1rshd: \1\n"),
        ports=(514,),
    ),
    _refuses(
        name="exec",
        spec="rexecd(8), Diagnostics",
        starts=(
            b"\1rexecd: ",
            b"\1Where are you?",
            b"\1Login incorrect.",
            b"\1Username too long",
            b"\1Password inc",
            b"\1No remote directory.",
            *(b"\1password too long", b"\1username too long", b"\1command too long"),
            b"\1Try again.",
            b"\1Password too long",
            b"\1Command too long",
            b"\1execd: ",
            b"\1in.rexecd: ",
        ),
        examples=(
            b"\1No remote directory.\n",
            b"\1username too long\n",
            b"\1Where are you?\n",
            b"\1rexecd: Login incorrect.\n",
            b"\1Try again.\n",
            b"\1Password incorrect.\n",
            b"\1execd: No remote directory.\n",
        ),
        rejects=(
            b"\1Where are you?",
            b"\1rexecd: \1\n",
            b"\1Try again.",
            b"\1Try again.\nAnd again.\n",
            b"Try again.\n",
            b"\1Try something else.\n",
        ),
        ports=(512,),
    ),
    _refuses(
        name="klogin",
        spec="klogind(8): Kerberos rlogin",
        match=lambda data: _kerberos(data) or (_refusal(data) and not data.startswith(b"\1r")),
        starts=(
            *(b"\1klogind: ", b"\1eklogin: ", b"\1eklogind: ", b"\1krlogind: "),
            *(b"\1rlogind: ", b"\1Kerberos authentication failed"),
        ),
        examples=(
            b"\1rlogind: Kerberos authentication failed, exiting.\r\n",
            b"\1krlogind: Kerberos Authentication Failed.\r\n\0",
            b"\1klogind: Permission denied.\r\n",
            b"\1klogind: All authentication systems disabled\r\n",
        ),
        rejects=(b"\1klogind: ",),
        ports=(543,),
    ),
    _refuses(
        name="kshell",
        spec="kshd(8): Kerberos rsh",
        starts=(b"\1kshd: ", b"\1krshd: "),
        examples=(b"\1kshd: Authentication failed.\n",),
        rejects=(b"\1kshd: ",),
        ports=(544,),
    ),
    Protocol(
        name="lpd",
        last_resort=True,
        spec="RFC 1179; lpd(8), Diagnostics",
        match=lambda data: _LPD.match(data) is not None and is_text(data[1:200]),
        starts=(
            *(b"\1no connect", b"0781-20"),
            *(bytes((letter,)) for letter in (*range(65, 91), *range(97, 123), 47)),
        ),
        examples=(
            b"lpd: Malformed from address\n",
            b"no connect permissions\n",
            b"\1no connect permissions\n",
            b"print: lpsched: Malformed from address\n",
            b"print.example.com: lpd: address for your hostname (print) not matched\n",
            b"print.example.com: lpd: Illegal service request\n",
            b"print: Your host does not have line printer access\n",
            b"lpd [@print.example.com]: unknown printer\n",
            b"0781-202 your host does not have line printer access.\n",
            b"Invalid protocol request (71): GGET / HTTP/1.1\r\n\n",
            b"Unable to get printer : No destinations added.",
            b"default: unknown printer\n",
            b"An lpd test connection was completed successfully\r\n",
        ),
        rejects=(
            b"lpd is not here\n",
            b"printer: ready\n",
            b"Invalid protocol request\n",
            b"0781-200 no\n",
            b"Unable to get printer status\n",
            b"error: unknown printer model\n",
        ),
        ports=(515,),
    ),
    Protocol(
        name="pjl",
        # Nothing is sent: what is no command would be printed.
        spec="HP Printer Job Language Technical Reference, Status Readback",
        match=_pjl,
        starts=(b"@PJL ",),
        examples=(
            b'@PJL INFO ID\r\n"EXAMPLE LaserJet 4"\r\n\x0c',
            b"@PJL USTATUS DEVICE\r\nCODE=10001\r\n\x0c",
        ),
        rejects=(b"@PJL is a language\r\n", b"@PJL INFO ID"),
        ports=(9100,),
    ),
    Protocol(
        name="data-protector",
        spec="Data Protector, INET service: what it says of itself",
        match=_data_protector,
        starts=(b"HP", b"\xff\xfeH\0P\0", b"Micro Focus Data Pro", b"Data Protector "),
        examples=(
            b"HP OpenView Storage Data Protector A.06.00: INET, internal build 331, built on Tuesday\n",
            "\ufeffHPE Data Protector A.09.05: INET, internal build 105, built on Monday".encode("utf-16-le"),
        ),
        rejects=(b"HP Data Protector is great\n", b"HP LaserJet\r\n"),
        ports=(5555,),
    ),
)
