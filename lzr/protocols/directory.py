"""Directory services: LDAP, Kerberos, port mappers, name services, users, dictionaries."""

from __future__ import annotations

import re

from lzr.protocols._bytes import be32
from lzr.protocols._framing import der, der_length, first_line, leads, printable
from lzr.protocols._protocol import Protocol

_LDAP_RESPONSES = frozenset(
    (0x61, 0x64, 0x65, 0x67, 0x69, 0x6B, 0x6D, 0x6F, 0x73, 0x78, 0x79)
)  # RFC 4511 appendix B


def _ldap(data: bytes) -> bool:
    """SEQUENCE { INTEGER message-id, response } whose lengths agree (RFC 4511 §4.1.1)."""
    size, at = der_length(data, 1)
    if size < 7 or not leads(data, at + size) or data[at : at + 1] != b"\x02":
        return False
    width, number = der_length(data, at + 1)
    if not 1 <= width <= 4 or number + width >= len(data):
        return False
    operation, inner = der_length(data, number + width + 1)
    return (
        data[number + width] in _LDAP_RESPONSES and 0 <= operation <= size and inner + operation <= at + size
    )


def _kerberos(data: bytes) -> bool:
    """Length, then KRB-ERROR, AS-REP or TGS-REP: its SEQUENCE opens with pvno 5 and its own type."""
    total = be32(data, 0) + 4
    size, at = der_length(data, 5)
    if len(data) < 16 or not leads(data, total) or at + size != total or data[at : at + 1] != b"\x30":
        return False
    start = der_length(data, at + 1)[1]
    kind = data[4] & 0x1F
    first, second = (b"\xa0", b"\xa1")
    return data[start : start + 10] == (
        first + b"\x03\x02\x01\x05" + second + b"\x03\x02\x01" + bytes((kind,))
    )


def _rpc(data: bytes) -> bool:
    """Record mark, transaction, REPLY, and a status whose fields are in range (RFC 5531 §9, §11)."""
    size = be32(data, 0) & 0x7FFFFFFF
    if len(data) < 24 or not leads(data, size + 4) or be32(data, 8) != 1:
        return False
    if be32(data, 12) == 1:
        return size == (24, 20)[be32(data, 16)] if be32(data, 16) <= 1 else False
    verifier = be32(data, 20)
    if be32(data, 12) != 0 or verifier > 400 or 8 < be32(data, 16) < 300000:
        return False
    return 20 + verifier <= size and be32(data, 24 + verifier) <= 5


def _rpcbind(data: bytes) -> bool:
    """The answer to DUMP: a list of (program, version, protocol, port) with the port mapper itself in it."""
    if not _rpc(data) or be32(data, 12) or be32(data, 20) or be32(data, 24):
        return False
    return be32(data, 28) == 1 and be32(data, 40) in {6, 17} and be32(data, 44) < 65536


_FINGERS = (
    *(b" finger server", b" finger server.", b"finger service...", b" finger service"),
    *(b" is not known at this site.", b" does not want to be fingered."),
)
"""How sentences end in which a server says what it is, or that it tells nothing."""

_FINGER_ASKS = frozenset(
    (b"must provide username", b"please supply a username", b"you must supply a username")
)

_OTHERS = (
    *(
        b"User",
        b"This is ",
        b"Must provide username",
        b"Please supply a username",
        b"You must supply a username",
    ),
    *(b"OpenLDAP Finger", b"GET ", b"That user does not want"),
    b"Finger online ",
    b"?Sorry, could not find ",
    b"\r\nWelcome to Linux version ",
    b"\r\nIntegrated port",
    b"\r\nUSB port",
    b"\r\nPrinter Type: ",
    b"Printer Type: ",
)
"""How some begin that tell no users, or have none."""


def _finger(data: bytes) -> bool:
    """What fingerd prints: a table of users, one user's entry, or that there is none."""
    line = first_line(data.lstrip(b"\r\n \t"))
    if line.startswith(b"Login: "):
        return b"Name: " in line
    if line.startswith(b"Login name: "):
        return b"In real life: " in line
    if line.startswith(b"Login "):
        return b"Name" in line and (b"Tty" in line or b"TTY" in line)
    low = line.lower()
    if low.startswith((b"user", b"username ")) and b"name" in low and b"idle" in low and b"tty" in low:
        return True
    if low.endswith(_FINGERS) or low in _FINGER_ASKS:
        return True
    if line.startswith(b"?Sorry"):  # VMS
        return line[-1:] == b'"' and line.count(b'"') == 2
    if line.startswith((b"No one logged on", b"finger: ", b"Finger ")):
        return len(line) < 120
    if line.startswith(b"Welcome to Linux version "):
        return b"\nfinger: " in data[:1500] or b"\nNo one logged on" in data[:1500]
    if data.find(b"Printer Type: ", 0, 60) >= 0:  # a printer tells of itself
        return line.startswith((b"Printer Type: ", b"Integrated port", b"USB port"))
    return line.startswith(b"Line ") and b"User" in line and b"Host(s)" in line


def _ident(data: bytes) -> bool:
    """port , port : USERID or ERROR : … (RFC 1413 §6)."""
    line = first_line(data.lstrip(b"\r\n") + (b"\n" if len(data) < 100 else b""))  # some send no end
    if line[:1] not in _DIGITS:  # what was asked was no pair of ports, and comes back as it was or not at all
        return printable(line) and _NO_PORTS.search(line) is not None
    ports, colon, rest = line.partition(b":")
    if not colon or not all(port.strip().isdigit() for port in ports.split(b",", 1)) or b"," not in ports:
        return False
    return rest.partition(b":")[0].strip() in {b"USERID", b"ERROR"} and b":" in rest


_DIGITS = tuple(b"%d" % digit for digit in range(10))

_NO_PORTS = re.compile(
    rb"^[^:]{0,80}: ?(?:ERROR ?: ?(?:INVALID-PORT|NO-USER|HIDDEN-USER|UNKNOWN-ERROR|X[\w-]+)$"
    rb"|USERID ?: ?(?:UNIX|OTHER)\b[^:]{0,40}:)"
)


def _epmd(data: bytes) -> bool:
    """epmd's own port, then a line for each node."""
    lines = data[4:]
    if not lines:
        return data == b"\0\0\x11\x11"
    words = first_line(lines).split(b" ")
    return len(words) == 5 and words[0] == b"name" and words[2:4] == [b"at", b"port"] and words[4].isdigit()


_LDAP_SEARCH = der(
    0x63,
    der(4),
    b"\x0a\x01\0\x0a\x01\0\x02\x01\0\x02\x01\0\x01\x01\0",
    der(0x87, b"objectClass"),
    der(0x30, der(4, b"supportedLDAPVersion")),
)

_REALM = b"LZR.INVALID"

_AS_REQ = der(
    0x6A,
    der(
        0x30,
        b"\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a",
        der(
            0xA4,
            der(
                0x30,
                b"\xa0\x07\x03\x05\0\0\0\0\0",
                der(0xA2, der(0x1B, _REALM)),
                der(
                    0xA3,
                    der(
                        0x30,
                        b"\xa0\x03\x02\x01\x02",
                        der(0xA1, der(0x30, der(0x1B, b"krbtgt"), der(0x1B, _REALM))),
                    ),
                ),
                der(0xA5, der(0x18, b"20370913024805Z")),
                b"\xa7\x06\x02\x04\x4c\x5a\x52\x31",
                der(0xA8, der(0x30, b"\x02\x01\x12\x02\x01\x11\x02\x01\x17")),
            ),
        ),
    ),
)

_KRB_ERROR = der(
    0x7E,
    der(
        0x30,
        b"\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x1e",
        der(0xA4, der(0x18, b"20240101000000Z")),
        b"\xa5\x03\x02\x01\0\xa6\x03\x02\x01\x06",
        der(0xA9, der(0x1B, _REALM)),
    ),
)


def _dict(data: bytes) -> bool:
    """220 text <capability.capability> <message-id> (RFC 2229 §3.1)."""
    if b"> <" not in data:
        return False
    line = first_line(data)
    if not line.endswith(b">"):
        return False
    head, _, message_id = line[:-1].rpartition(b" <")
    capabilities = head.rpartition(b" <")[2]
    return (
        head.endswith(b">")
        and b"@" in message_id
        and capabilities[:-1].replace(b".", b"").replace(b"_", b"").replace(b"-", b"").isalnum()
        and (b"dict" in line.lower() or b"auth" in capabilities or b"mime" in capabilities)
    )


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="ldap",
        spec="RFC 4511 §4.1.1, appendix B; RFC 4512 §5.1 (root DSE)",
        match=_ldap,
        probe=der(0x30, b"\x02\x01\x01", _LDAP_SEARCH),
        starts=(b"\x30",),
        examples=(
            bytes.fromhex("300c 020101 6107 0a0100 0400 0400"),
            bytes.fromhex("3084 00000010 020101 6584 00000007 0a0120 0400 0400"),
        ),
        rejects=(
            bytes.fromhex("300c 02050000000001 6105 0a0100"),
            b"\x30",
            bytes.fromhex("3010 02050000000001 6107 0a0100 0400 0400"),
            bytes.fromhex("3080 020101 6107 0a0100 0400 0400"),
            bytes.fromhex("300c 020101 0407 0a0100 0400 0400"),
            bytes.fromhex("300d 020101 6107 0a0100 0400 0400"),
        ),
        ports=(389, 3268),
    ),
    Protocol(
        name="kerberos",
        spec="RFC 4120 §5.4.1, §5.9.1, §7.2.2",
        match=_kerberos,
        # Asks a realm that cannot exist for a ticket for nobody: no account is tried.
        probe=len(_AS_REQ).to_bytes(4, "big") + _AS_REQ,
        at=((4, b"\x7e"), (4, b"\x6b"), (4, b"\x6d")),
        examples=(len(_KRB_ERROR).to_bytes(4, "big") + _KRB_ERROR,),
        rejects=((len(_KRB_ERROR) + 1).to_bytes(4, "big") + _KRB_ERROR, b"\0\0\0\x04\x7e\x02\x30\x00"),
        ports=(88, 464),
    ),
    Protocol(
        name="rpc",
        spec="RFC 5531 §9, §11; RFC 1833 §3 (NULL call to the port mapper)",
        match=_rpc,
        probe=bytes.fromhex("80000028 4c5a5231 00000000 00000002 000186a0 00000002") + bytes(20),
        starts=(b"\x80\0",),
        examples=(
            bytes.fromhex("80000018 4c5a5231 00000001 00000000 00000000 00000000 00000000"),
            bytes.fromhex("80000014 4c5a5231 00000001 00000001 00000001 00000001"),
            bytes.fromhex("80000018 4c5a5231 00000001 00000001 00000000 00000002 00000002"),
        ),
        rejects=(
            bytes.fromhex("80000018 4c5a5231 00000001 00000001 00000002 00000002 00000002"),
            bytes.fromhex("80000014 4c5a5231 00000001 00000001 00000000 00000002"),
            bytes.fromhex("80000018 4c5a5231 00000001 00000003 00000000 00000000 00000000"),
            bytes.fromhex("80000018 4c5a5231 00000000 00000000 00000000 00000000 00000000"),
            bytes.fromhex("80000018 4c5a5231 00000001 00000000 00000000 00000000 00000009"),
        ),
        ports=(111, 2049),
    ),
    Protocol(
        name="rpcbind",
        spec="RFC 1833 §3.2 (DUMP)",
        match=_rpcbind,
        probe=bytes.fromhex("80000028 4c5a5231 00000000 00000002 000186a0 00000002 00000004") + bytes(16),
        starts=(b"\x80\0",),
        examples=(
            bytes.fromhex("80000030 4c5a5231 00000001 00000000 00000000 00000000 00000000")
            + bytes.fromhex("00000001 000186a0 00000002 00000006 0000006f 00000000"),
        ),
        rejects=(
            bytes.fromhex("80000018 4c5a5231 00000002 00000000 00000000 00000000 00000000"),
            bytes.fromhex("80000018 4c5a5231 00000001 00000000 00000000 00000000 00000000"),
        ),
        ports=(111,),
    ),
    Protocol(
        name="finger",
        spec="RFC 1288 §2.5",
        match=_finger,
        probe=b"\r\n",
        starts=(
            b"Login",
            b"No one logged",
            b"finger: ",
            b"\r\nLogin",
            b"\r\n  ",
            b"\n  ",
            b"  ",
            b"Line ",
            *_OTHERS,
        ),
        examples=(
            b"Login     Name       Tty      Idle  Login Time   Office     Office Phone\r\n",
            b"No one logged on.\r\n",
            b"Finger online user list request denied.\r\n",
            b"\r\nIntegrated port\r\nPrinter Type: Lexmark T640\r\nPrint Job Status: No Job\r\n",
            b"Login: root           \t\t\tName: root\r\nDirectory: /root\r\n",
            b"Login name: GET       \t\t\tIn real life: ???\r\n",
            b"\r\n    Line       User       Host(s)              Idle       Location\r\n",
            b"       Line      User      Host(s)      Idle Location\n",
            b"Username Real name                      Idletime TTY Remote console location\n",
            b"This is example.com finger server.\r\n\r\nPlease use username@domain format.\r\n",
            b"Must provide username\n",
            b'?Sorry, could not find "GET"\r\n',
            b"GET / HTTP/1.1 is not known at this site.\r\n",
            b"\r\nWelcome to Linux version 2.6.9 at box !\r\n\r\n 12:34pm  up 3 days\r\n\r\n"
            b"finger: GET: no such user.\r\n",
        ),
        rejects=(
            b"Login: ",
            b"Login incorrect\r\n",
            b"  Line of users\r\n",
            b"Login name: \r\n",
            b"User is idle\r\n",
            b"?Sorry, could not find it\r\n",
            b"This is it\r\n",
            b"\r\nWelcome to Linux version 2.6.9 at box !\r\nlogin: ",
        ),
        ports=(79,),
    ),
    Protocol(
        name="ident",
        last_resort=True,
        spec="RFC 1413 §6",
        match=_ident,
        probe=b"0,0\r\n",
        starts=(*_DIGITS, b" ", b":", b",", b"\r\n:", b"GET", b"EHLO", b"HELP", b"OPTIONS"),
        examples=(
            b"0,0:ERROR:INVALID-PORT\r\n",
            b"6193, 23 : USERID : UNIX : stjohns\r\n",
            b"GET/HTTP/1.0 : ERROR : INVALID-PORT\r\n",
            b" : USERID : UNIX : x\r\n",
            b",  : USERID : UNIX : nobody\r\n",
            b"\r\n: ERROR : HIDDEN-USER\r\n",
        ),
        rejects=(b"0,0\r\n", b"12:30, noon : ERROR\r\n", b"GET / : ERROR : no\r\n", b" : USERID : me\r\n"),
        ports=(113,),
    ),
    Protocol(
        name="epmd",
        spec="Erlang/OTP, Erlang Distribution Protocol: NAMES_REQ",
        match=_epmd,
        probe=b"\0\1n",
        starts=(b"\0\0\x11\x11",),
        at=((4, b"name "),),
        examples=(b"\0\0\x11\x11name rabbit at port 25672\n", b"\0\0\x11\x11"),
        rejects=(b"\0\0\x11\x12", b"\0\0\x11\x11name rabbit\n"),
        ports=(4369,),
    ),
    Protocol(
        name="dict",
        spec="RFC 2229 §3.1",
        match=_dict,
        starts=(b"220 ",),
        examples=(b"220 host dictd 1.13.1/rf on Linux 6.1.0 <auth.mime> <27.2214.1700000000@host>\r\n",),
        rejects=(
            b"220 host <a.mime> <1@host> and more\r\n",
            b"220 mail.example.org ESMTP <27.2214@mail>\r\n",
            b"220 host ready <id> <27.2214@host>\r\n",
        ),
        ports=(2628,),
    ),
)
