"""Network infrastructure: DNS over TCP, BGP, IPMI, BEEP, whois; newlines and wait without a protocol."""

from __future__ import annotations

import struct

from lzr.protocols._bytes import be16, be32
from lzr.protocols._framing import first_line
from lzr.protocols._protocol import Protocol, Random

# --- DNS -------------------------------------------------------------------------------------------------

OPCODES = (0, 4, 5)
"""Query, notify, update."""

ANSWER_FLAGS = tuple(bytes([flags]) for flags in range(0x80, 0x100))
"""QR is set; the operation is the question's, which may be none that is known."""


def _dns(data: bytes) -> bool:
    """RFC 1035 §4.1, §4.2.2: length, and a message that answers: QR set, counts and first name sane."""
    size = be16(data, 0)
    if size < 12 or len(data) < 14 or len(data) > 2 * size + 1024:
        return False
    if len(data) < size + 2 and len(data) < 256:  # cut short only by a segment's end
        return False
    if data[4] >> 3 & 15 not in OPCODES:
        return len(data) == 14 and data[6:] == bytes(8) and data[5] & 15 in (1, 4, 5)
    questions, answers, authorities, more = struct.unpack_from(">4H", data, 6)
    if data[5] & 0x40 or questions > 1 or authorities > 64 or more > 64 or answers > 512:
        return False
    if questions == 0:
        if answers + authorities + more == 0:
            return size == 12 and len(data) == 14 and data[5] & 15 != 0
        return _name(data, 14) > 0
    end = _name(data, 14)
    if end < 0:
        return False
    kind, group = be16(data, end), be16(data, end + 2)
    return 0 < kind <= 0x8001 and group in (1, 3, 4, 254, 255)


def _name(data: bytes, at: int) -> int:
    """Where the name at `at` ends, -1 if it is none."""
    for _ in range(64):
        size = data[at] if at < len(data) else 255
        if size == 0:
            return at + 1
        if size >= 0xC0:
            return at + 2 if size < 0xC1 else -1
        if size > 63:
            return -1
        at += size + 1
    return -1


# --- BGP -------------------------------------------------------------------------------------------------

MARKER = b"\xff" * 16


def _bgp(data: bytes) -> bool:
    """RFC 4271 §4.1: marker, length, type."""
    size = be16(data, 16)
    if len(data) < 19 or not 19 <= size <= 4096 or not 1 <= data[18] <= 5:
        return False
    if data[18] == 1:
        return size >= 29 and data[19:20] in (b"\x04", b"\x03", b"")
    return data[18] != 4 or size == 19


# --- IPMI ------------------------------------------------------------------------------------------------


def _ipmi(data: bytes) -> bool:
    """RMCP (ASF 2.0 §3.2.2): version 6; a presence pong of class ASF, or an IPMI session header."""
    if len(data) < 12 or data[1] != 0:
        return False
    if data[3] & 0x1F == 6:
        return be32(data, 4) == 4542 and data[8] == 0x40
    return data[3] & 0x1F == 7 and data[4] in (0, 1, 2, 4, 5, 6) and len(data) >= 14


_PING = b"\x06\x00\xff\x06" + struct.pack(">I", 4542) + b"\x80\x00\x00\x00"

_ROOT_NS = b"\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01"


def _beep(data: bytes) -> bool:
    """The greeting, or an error, on channel 0: number, whether more follows, offset, size."""
    line = first_line(data)
    words = line.split(b" ")
    if len(words) != 6 or words[3] not in (b".", b"*") or not all(words[i].isdigit() for i in (1, 2, 4, 5)):
        return False
    size = int(words[5][:10])
    whole = len(line) + 2 + size
    zero = words[1] == words[2] == words[4] == b"0"
    return zero and (len(data) <= whole or data.startswith(b"END\r\n", whole))


def _frame(kind: bytes, body: bytes) -> bytes:
    return kind + b" 0 0 . 0 %d\r\n" % len(body) + body + b"END\r\n"


_BEEP = b"Content-Type: application/beep+xml\r\n\r\n"


def _openflow(data: bytes) -> bool:
    """HELLO: version, type 0, length; from 1.3 on perhaps with a bitmap of versions (§7.5.1). What may
    follow at once asks for features or configuration (types 5 to 10)."""
    size = be16(data, 2)
    more = data[size:]
    if more and not (more[0] == data[0] and more[1:2] in _ASKED and be16(more, 2) >= 8):
        return False
    return len(data) >= size and (size == 8 or data[8:12] == b"\0\1\0\x08")


_ASKED = frozenset(bytes((kind,)) for kind in range(5, 11))


def _tacacs(data: bytes) -> bool:
    """Version 12, kind of packet, an even sequence number, flags, session, length (RFC 8907 §4.1)."""
    return len(data) == 12 + be32(data, 8) and data[3] & 0xFA == 0 and 5 <= be32(data, 8) < 0x10000


def _whois(data: bytes) -> bool:
    """Remarks first, which name the service or say that nothing was found; or a registration."""
    head = data[:800].lower()
    if head.lstrip().startswith((b"domain name:", b"domain: ")):
        return b"registrar" in head or b"registry domain id: " in head or b"\nstatus: " in head
    if head.startswith(b"query may"):
        return True
    return b"whois" in head or b"database query service" in head or b"no entries found" in head


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="dns",
        spec="RFC 1035 §4.1, §4.2.2; RFC 7766",
        match=_dns,
        probe=(b"\x00\x11", Random(2), _ROOT_NS),
        at=tuple((4, flags) for flags in ANSWER_FLAGS),
        examples=(
            b"\0\x0c\x47\x45\xb0\4" + bytes(8),
            b"\0\x17\xab\xcd\x84\0\0\0\0\1\0\0\0\0" + b"\0\0\1\0\1\0\0\0\0\0\0",
            b"\x00\x11\xab\xcd\x81\x05" + _ROOT_NS[2:],
            b"\x00\x0c\xab\xcd\x80\x01" + bytes(8),
            b"\x00\x2d\x12\x34\x81\x80\0\1\0\1\0\0\0\0\x07example\x03org\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x05\0\4\xc0\0\2\1",
        ),
        rejects=(
            b"\0\x0b\xab\xcd\x81\5" + bytes(8),
            b"\1\0\xab\xcd\x81\x80\0\1\0\0\0\0\0\0\0\0\1\0\1",
            b"\0\x14\xab\xcd\x81\x80\0\1\0\0\0\0\0\0\xc1\x0c\0\1\0\1\0\0",
            b"\0\x14\xab\xcd\x81\x80\0\1\0\0\0\0\0\0\x40" + bytes(7),
            b"\0\x9c\xab\xcd\x81\x80\0\1\0\0\0\0\0\0" + b"\1a" * 72,
            b"\x00\x11\xab\xcd" + _ROOT_NS,
            b"\x80" * 40,
            b"\x00\x11\xab\xcd\x81\x05\x00\x07" + bytes(20),
            b"\x00\x0c\xab\xcd\x80\x00" + bytes(8),
        ),
        ports=(53,),
    ),
    Protocol(
        name="bgp",
        spec="RFC 4271 §4.1",
        match=_bgp,
        probe=b"\r\n\r\n",
        starts=(MARKER,),
        examples=(
            MARKER + b"\x00\x1d\x01\x04\xfd\xe8\x00\xb4\xc0\x00\x02\x01\x00",
            MARKER + b"\x00\x15\x03\x06\x05",
        ),
        rejects=(MARKER * 4, MARKER + b"\x00\x13\x09", MARKER),
        ports=(179,),
    ),
    Protocol(
        name="ipmi",
        spec="IPMI v2.0 §13.1, ASF 2.0 §3.2",
        match=_ipmi,
        probe=_PING,
        starts=(b"\x06\x00",),
        examples=(
            b"\x06\x00\xff\x06\x00\x00\x11\xbe\x40\x00\x00\x10" + bytes(16),
            b"\x06\x00\xff\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10",
        ),
        rejects=(_PING, b"\x06\x00\x06\x00" * 6, b"\x06\x00\xff\x07"),
        ports=(623,),
    ),
    Protocol(
        name="newlines",
        spec="two empty lines, which many servers complain about",
        match=None,
        probe=b"\r\n\r\n",
    ),
    Protocol(name="newlines50", spec="fifty empty lines", match=None, probe=b"\r\n" * 50),
    Protocol(name="wait", spec="nothing is sent: the server may speak first", match=None),
    Protocol(
        name="beep",
        spec="RFC 3080 §2.2.1, §2.3.1.1",
        match=_beep,
        starts=(b"RPY 0 0 ", b"ERR 0 0 "),
        examples=(
            _frame(b"RPY", _BEEP + b"<greeting />\r\n"),
            _frame(b"ERR", _BEEP + b"<error code='421'>service not available</error>\r\n"),
            _frame(b"RPY", _BEEP + b"<greeting />\r\n") + b"SEQ 0 0 4096\r\n",
        ),
        rejects=(
            b"RPY 0 0 is not a frame\r\n",
            b"RPY 0 0 . 0 52\r\n" + _BEEP + b"<greeting />\r\nEND of story, and more of it follows here\r\n",
            b"RPY 0 0 . 7 9\r\n\r\n",
        ),
        ports=(602, 10288),
    ),
    Protocol(
        name="openflow",
        spec="OpenFlow Switch Specification 1.3.1 §7.5.1, A.5.1 (HELLO)",
        match=_openflow,
        starts=tuple(bytes((version, 0, 0, size)) for version in range(1, 7) for size in (8, 16)),
        examples=(
            b"\1\0\0\x08\0\0\0\1",
            b"\4\0\0\x10\0\0\0\x0b\0\1\0\x08\0\0\0\x12",
            b"\6\0\0\x10\xff\xff\xff\xff\0\1\0\x08\0\0\0\x72" + b"\6\5\0\x08\xff\xff\xff\xfe",
        ),
        rejects=(
            b"\1\0\0\x08\0\0\0\1\0",
            b"\1\0\0\x08\0\0\0\1" + b"\1\x0d\0\x08\0\0\0\2",
            b"\4\0\0\x10\0\0\0\x0b" + bytes(8),
        ),
        ports=(6653, 6633),
    ),
    Protocol(
        name="tacacs",
        spec="RFC 8907 §4.1",
        match=_tacacs,
        starts=tuple(bytes((version, kind, 2)) for version in (0xC0, 0xC1) for kind in (1, 2, 3)),
        examples=(bytes.fromhex("c0010200 12345678 00000006") + b"\2\0\0\0\0\0",),
        rejects=(bytes.fromhex("c0010200 12345678 00000007") + b"\2\0\0\0\0\0",),
        ports=(49,),
    ),
    Protocol(
        name="whois",
        last_resort=True,
        spec="RFC 3912 §2",
        match=_whois,
        starts=(
            *(b"% ", b"%% ", b"%\n", b"%\r\n", b"No match for ", b"%rwhois V-", b"WHOIS LIMIT "),
            *(b"Domain Name: ", b"   Domain Name: ", b"\n#\n# ", b"#\n# "),
            *(
                b"Domain: ",
                b"\r\nDomain name:",
                b"\n    Domain name:",
                b"Malformed request",
                b"NOT FOUND\r\n>>>",
            ),
            *(b"No Data Found", b"Domain not found.\r\n>>>", b"The queried object does not exist"),
            *(b"Process query: '", b"Query may not be an empty string", b"\n\r\nJava Whois Server "),
        ),
        examples=(
            b"%rwhois V-1.5:003eff:00 rwhois.example.com (by Example, V-1.5.9)\n",
            b"WHOIS LIMIT EXCEEDED - SEE WWW.EXAMPLE.COM/WHOIS FOR DETAILS\n",
            b'No match for "GET".\r\n>>> Last update of whois database: 2026-11-28T10:00:00Z <<<\r\n',
            b"% This is the example Whois server.\n%\n% No entries found\n",
            b"%\n% Example database query service\n",
            b"Query may not be an empty string\n",
            b"Process query: ''\nQuery recognized as IPv4.\nQuerying whois.example.net with whois.\n",
            b"   Domain Name: EXAMPLE.COM\r\n   Registry Domain ID: 2336799_DOMAIN_COM-VRSN\r\n",
            b"Domain: example.de\nStatus: connect\n",
            b"\r\nDomain name:\r\n        example.co.uk\r\n\r\n    Registrar:\r\n        Example\r\n",
            b"Malformed request.\r\n>>> Last update of WHOIS database: 2026-11-28T10:22:37Z <<<\r\n",
            b"\n#\n# EXAMPLE WHOIS data and services are subject to the Terms of Use\n",
        ),
        rejects=(
            b"% cat\n",
            b"%% 12\n",
            b"No match for it\n",
            b"Domain Name: \r\n",
            b"Domain: x\r\n",
            b"#\n# readme\n",
        ),
        ports=(43,),
    ),
    Protocol(
        name="fw1-topology",
        spec="Check Point FireWall-1, SecuRemote topology request, as published in protocol studies",
        match=lambda data: len(data) == 4,
        # The first of two requests; the second would ask for names.
        probe=b"\x51\0\0\0\0\0\0\x21",
        starts=(b"Y\0\0\0", b"Q\0\0\0"),
        solicited=(b"Y\0\0\0", b"Q\0\0\0"),
        examples=(b"Y\0\0\0", b"Q\0\0\0"),
        rejects=(b"Y\0\0\0\0", b"Q\0\0\0\0\0\0\x21"),
        ports=(264,),
    ),
)
