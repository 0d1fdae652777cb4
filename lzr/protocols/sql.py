"""Relational databases: MySQL, PostgreSQL, Oracle, Db2, Firebird, MonetDB, ClickHouse, H2."""

from __future__ import annotations

import struct

from lzr.protocols._bytes import be16, be32, is_ascii_text, is_text, le16, le24, le32
from lzr.protocols._framing import fits, leads, printable
from lzr.protocols._protocol import Protocol

# --- MySQL: a packet is length (3, little-endian), sequence, payload ---------------------------------


def _mysql(data: bytes) -> bool:
    """Handshake V10 or V9, or an error sent in its place (Host is not allowed, Too many connections)."""
    size = le24(data, 0)
    kind = data[4] if len(data) > 4 else 0
    if kind == 0xFF:
        message = data[13:] if data[7:8] == b"#" else data[7:]
        if size + 4 != len(data) or data[3] > 3 or len(message) < 4 or not is_text(message):
            return False
        return 1000 <= le16(data, 5) < 16000  # proxies and kin have numbers of their own above 5,000
    if kind not in (9, 10) or data[3] != 0 or not 20 <= size <= 512 or size + 4 > len(data) + 256:
        return False
    end = data.find(b"\0", 5, 128)
    if end < 8 or not is_ascii_text(data[5:end]):
        return False
    if not data[5:6].isdigit():  # proxies may be told to say anything: then the fixed fields have to be right
        later = data[end + 14 : end + 28]
        numbered = data[5:6].isalpha() and any(digit in data[5:end] for digit in b"0123456789")
        salt = data[end + 5 : end + 14]
        return (
            kind == 10 and numbered and len(later) == 14 and salt.find(b"\0") == 8 and later[8:] == bytes(6)
        )
    return kind == 9 or data[end + 13 : end + 14] in (b"\0", b"")


# --- PostgreSQL ---------------------------------------------------------------------------------------

_SEVERITIES = (b"SFATAL\0", b"SERROR\0", b"SPANIC\0", b"SFEHLER\0")


def _postgres(data: bytes) -> bool:
    """N or S alone (to SSLRequest), ErrorResponse, or an authentication request."""
    if data[:1] in (b"N", b"S"):
        return len(data) == 1
    if data[:1] == b"E":
        if data.startswith((b"EFATAL:  ", b"EERROR:  ", b"EFATAL 1:  ")):  # protocol 2.0
            return data[-1:] in b"\0\n"
        size = be32(data, 1)
        if not 10 <= size <= 4096 or len(data) > size + 64:
            return False
        return data.startswith(_SEVERITIES, 5) or (data[5:6] == b"S" and b"\0C" in data and b"\0M" in data)
    return data[:1] == b"R" and 8 <= be32(data, 1) <= 512 and 0 <= be32(data, 5) <= 12


# --- Oracle: TNS --------------------------------------------------------------------------------------------


def _oracle(data: bytes) -> bool:
    """Length, checksum 0, type (accept, refuse, redirect, resend…), flags, header checksum 0."""
    size = be16(data, 0)
    if len(data) < 8 or size > len(data) or data[6:8] != b"\0\0":
        return False
    if size < len(data):  # behind a redirect a packet of data says where to
        behind = be16(data, size) == len(data) - size and data[size + 2 : size + 5] == b"\0\0\6"
        return size == 10 and data[4] == 5 and behind and b"(ADDRESS=" in data
    kind = data[4]
    if kind == 2:  # accept: version, options, SDU, TDU
        return len(data) >= 24 and 300 <= be16(data, 8) <= 330
    if kind == 4:  # refuse: two reasons, length of the text, text
        return len(data) >= 12 and be16(data, 10) == len(data) - 12
    if kind == 5:  # redirect
        return b"(ADDRESS=" in data or (len(data) == 10 and be16(data, 8) > 0)
    return kind == 11 and len(data) == 8  # resend


_CONNECT_DATA = b"(DESCRIPTION=(CONNECT_DATA=(COMMAND=ping)(CID=(PROGRAM=)(HOST=localhost)(USER=))))"

_TNS_CONNECT = (
    struct.pack(">HHBBH", 58 + len(_CONNECT_DATA), 0, 1, 0, 0)
    # version, compatible down to, options, SDU, TDU, characteristics, turnaround, one, length and offset of
    # the connect data, longest answer, flags
    + struct.pack(">10HI2B", 314, 300, 0, 8192, 32767, 0x7F08, 0, 1, len(_CONNECT_DATA), 58, 0, 0, 0)
    + bytes(24)
    + _CONNECT_DATA
)


def _tns(kind: int, body: bytes) -> bytes:
    return struct.pack(">HHBBH", 8 + len(body), 0, kind, 0, 0) + body


_REFUSAL = b"(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR=12514)(ERROR_STACK=(ERROR=(CODE=12514)(EMFI=4))))"

_GREETING = b"\x0a8.4.0\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15" + bytes(10) + b"ijklmnopqrst\0"

_DENIED = b"\xff\x6a\x04Host '192.0.2.9' is not allowed to connect to this MySQL server"


def _mysqlx(data: bytes) -> bool:
    """The server's hello notice, or an error message (severity, code, SQL state: Mysqlx.Error)."""
    size = le32(data, 0)
    if len(data) < 9 or not leads(data, size + 4):
        return False
    if data[4] == 11:
        return data[5:9] == b"\x08\x05\x1a\0" or data.startswith(b"\x08\x05\x10", 5)
    return data[4] == 1 and data[5:6] == b"\x08" and data[6] <= 1 and b"\x22\x05" in data[8:200]


def _drda(data: bytes) -> bool:
    """A reply or object DSS: length, 0xD0, type 2 or 3, correlation; an object's length and code point."""
    size, inner, point = be16(data, 0), be16(data, 6), be16(data, 8)
    return (
        len(data) >= 10
        and leads(data, size)
        and data[3] & 0x0F in (2, 3)
        and 4 <= inner <= size - 6
        and point in _DRDA_REPLIES
    )


_DRDA_REPLIES = {0x1443, 0x1210, 0x1232, 0x1245, 0x124B, 0x124C, 0x1250, 0x1254, 0x14AC}


def _firebird(data: bytes) -> bool:
    """op_accept and its kin: version, architecture, type; or op_cont_auth: four strings."""
    if data[3:4] == b"\x09":  # op_response with an error of the engine's (isc_arg_gds) and nothing else
        return len(data) >= 28 and data[26] + data[27] >= 1 and data[25] <= 0x1F
    if data[3:4] == b"\x5c":
        at = 4
        for _ in range(4):
            size = be32(data, at)
            if not 0 <= size <= len(data):
                return False
            at += 4 + size + -size % 4
        return at == len(data)
    version = be32(data, 4)
    plain = 3 <= version <= 10
    later = version & 0xFFFFFF00 == 0xFFFF8000 and 11 <= version & 0xFF < 64
    return (plain or later) and be32(data, 8) < 64 and be32(data, 12) & 0xFF <= 5 and be32(data, 12) < 0x200


def _clickhouse(data: bytes) -> bool:
    """An exception: packet 2, code, name of its class; or the page by which the server says that this is no
    port for HTTP."""
    if data[:1] == b"H":
        return data.find(b" is for clickhouse-client program", 28, 80) > 0
    size = data[5] if len(data) > 5 else 0
    return le32(data, 1) < 2000 and printable(data[6 : 6 + size]) and 6 + size < len(data)


def _monetdb(data: bytes) -> bool:
    """A block header (size, last flag), then salt:kind:version:hashes:byte order:…

    A salt has 8 to 11 characters; that of the daemon before the engines (merovingian) may have 31.
    """
    size = le16(data, 0) >> 1
    fields = data[2 : 2 + size].split(b":")
    return fits(data, size + 2) and len(fields) >= 6 and fields[1] in {b"mserver", b"merovingian"}


def _ddm(point: int, *contents: bytes) -> bytes:
    body = b"".join(contents)
    return (len(body) + 4).to_bytes(2, "big") + point.to_bytes(2, "big") + body


def _ebcdic(text: str) -> bytes:
    return text.encode("cp500")


_EXCSAT = _ddm(
    0x1041,
    _ddm(0x115E, _ebcdic("lzr")),
    _ddm(0x116D, _ebcdic("lzr")),
    _ddm(0x115A, _ebcdic("1")),
    _ddm(0x1404, bytes.fromhex("1403 0003 2407 0003 240f 0003")),
    _ddm(0x1147, _ebcdic("lzr")),
)


def _xdr(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text + bytes(-len(text) % 4)


_OP_CONNECT = (
    bytes.fromhex("00000001 00000013 00000002 00000001")
    + _xdr(b"lzr")
    + bytes.fromhex("00000004")
    + _xdr(b"")
    + b"".join(
        version + bytes.fromhex("00000001 00000000 00000005") + weight.to_bytes(4, "big")
        for weight, version in enumerate(
            (b"\0\0\0\x0a", b"\xff\xff\x80\x0b", b"\xff\xff\x80\x0c", b"\xff\xff\x80\x0d"), start=2
        )
    )
)


def _challenge(salt: bytes, kind: bytes) -> bytes:
    text = salt + b":" + kind + b":9:RIPEMD160,SHA512,SHA384:LIT:SHA512:"
    return (2 * len(text) + 1).to_bytes(2, "little") + text


# --- H2 -----------------------------------------------------------------------------------------------------


def _h2(data: bytes) -> bool:
    """Status 0 (error), the state of SQL and a message, each behind its length in characters of two bytes."""
    state = data[8:18]
    size = be32(data, 18)
    return (
        state[::2] == bytes(5)
        and state[1::2].isalnum()
        and 0 < size < 4096
        and leads(data, 22 + 2 * size)
        and data[22:62:2].count(0) >= min(size, 20) // 2
    )


def _wide(text: str) -> bytes:
    return len(text).to_bytes(4, "big") + text.encode("utf-16-be")


_MISMATCH = 'Version mismatch, driver version is "0" but server version is "20"'


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="mysql",
        spec="MySQL client/server protocol: Protocol::Handshake, ERR_Packet",
        match=_mysql,
        at=((3, b"\0\x0a"), (3, b"\0\x09"), (3, b"\0\xff"), (3, b"\1\xff"), (3, b"\2\xff")),
        examples=(
            struct.pack("<I", len(_GREETING)) + _GREETING,
            struct.pack("<I", len(_DENIED)) + _DENIED,
            b"\x17\0\0\0\xff\x10\x04Too many connections",
            b"\x1d\0\0\0\xff\x10\x04#08004Too many connections",
            b"\x24\0\0\1\xff\x29\x23#HY000Max connect timeout reached",
            struct.pack("<I", len(_GREETING) + 6) + _GREETING.replace(b"8.4.0", b"Sampler 8.4"),
        ),
        rejects=(
            struct.pack("<I", len(_GREETING) + 2) + _GREETING.replace(b"8.4.0", b"Sampler"),
            struct.pack("<I", len(_GREETING) + 6)
            + _GREETING.replace(b"8.4.0", b"Sampler 8.4").replace(bytes(9), b"123456789"),
            b"J\0\0\0\x0a\xff\xff\xff\xff\0" + bytes(80),
            b"Mail\nbox\n",
            b"\x05\0\0\0\xff\0\0ab",
        ),
        ports=(3306,),
        zgrab="mysql",
    ),
    Protocol(
        name="postgres",
        spec="PostgreSQL message formats: SSLRequest, ErrorResponse, Authentication*",
        match=_postgres,
        probe=b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
        starts=(b"N", b"S", b"E\0\0", b"EFATAL:  ", b"EERROR:  ", b"EFATAL 1:  ", b"R\0\0"),
        solicited=(b"N", b"S"),
        examples=(
            b"N",
            b"S",
            b"E\0\0\0\x2eSFATAL\0VFATAL\0C0A000\0Mno such protocol\0\0",
            b"EFATAL:  unsupported frontend protocol\n\0",
            b"EFATAL 1:  invalid length of startup packet\n\0",
            b"R\0\0\0\x08\0\0\0\x03",
        ),
        rejects=(b"SSH", b"NO", b"E\0\0\0\xff" + b"x" * 250, b"ERROR\r\n"),
        ports=(5432,),
        zgrab="postgres",
    ),
    Protocol(
        name="oracle",
        spec="Oracle Net (TNS): connect, accept, refuse, redirect, resend",
        match=_oracle,
        probe=_TNS_CONNECT,
        at=tuple((2, bytes((0, 0, kind))) for kind in (2, 4, 5, 11)),
        examples=(
            _tns(5, b"\0\x0b(ADDRESS=x)"),
            _tns(5, b"\0\x40"),  # where to is said in the next packet
            _tns(4, b"\x22\0" + struct.pack(">H", len(_REFUSAL)) + _REFUSAL),
            _tns(11, b""),
            _tns(2, struct.pack(">8H", 314, 0, 8192, 32767, 1, 0, 32, 0x0101)),
        ),
        rejects=(bytes(8), b"\0\x09\0\0\x0b\0\0\0", b"\0\x08\0\0\x0b\0\0\0\0", _tns(6, b"abcd")),
        ports=(1521,),
        zgrab="oracle",
    ),
    Protocol(
        name="mysqlx",
        spec="MySQL Server internals, X Protocol: Message Structure, Notices",
        match=_mysqlx,
        at=((1, b"\0\0\0\x0b\x08\x05"), (1, b"\0\0\0\1\x08")),
        examples=(
            b"\5\0\0\0\x0b\x08\5\x1a\0",
            b"\x1e\0\0\0\1\x08\1\x10\x88\x27\x1a\x0fInvalid message\x22\5HY000",
        ),
        rejects=(b"\6\0\0\0\x0b\x08\5\x1a\0", b"\5\0\0\0\1\x08\1\x1a\0"),
        ports=(33060,),
    ),
    Protocol(
        name="drda",
        spec="DRDA Version 5, Volume 3 (DDM): EXCSAT, EXCSATRD, DSS",
        match=_drda,
        probe=(len(_EXCSAT) + 6).to_bytes(2, "big") + b"\xd0\1\0\1" + _EXCSAT,
        # Chained, continued on error, the same correlation: the upper bits, in any combination.
        at=tuple((2, bytes((0xD0, flags << 4 | kind))) for kind in (2, 3) for flags in range(8)),
        examples=(
            bytes.fromhex("0013 d002 0001 000d 1443 0009 115e 8593a999 a2"),
            bytes.fromhex("0013 d043 0001 000d 1443 0009 115e 8593a999 a2") + bytes.fromhex("0010 d003 0001"),
        ),
        rejects=(bytes.fromhex("0013 d002 0001 000d 2443 0009 115e 8593a999 a2"),),
        ports=(50000, 1527, 446),
        zgrab="drda",
    ),
    Protocol(
        name="firebird",
        spec="Firebird wire protocol: op_connect, op_accept (remote/protocol.h)",
        match=_firebird,
        probe=_OP_CONNECT,
        starts=(
            b"\0\0\0\x03\xff\xff\x80",
            b"\0\0\0\x03\0\0\0",
            b"\0\0\0\x5e\xff\xff",
            b"\0\0\0\x62\xff\xff",
            b"\0\0\0\x5c\0\0",
            b"\0\0\0\x09" + bytes(19) + b"\1\x14",
        ),
        examples=(
            bytes.fromhex("00000003 0000000a 00000001 00000003"),
            bytes.fromhex("0000005e ffff800d 00000001 00000003 00000000"),
            bytes.fromhex("0000005c") + bytes(16),
            bytes.fromhex("00000009") + bytes(16) + bytes.fromhex("00000001 14000007 00000000"),
        ),
        rejects=(
            bytes.fromhex("0000005c 0000ffff") + bytes(12),
            bytes.fromhex("00000003 0000000a"),
            bytes.fromhex("00000003 ffff0000 00000001 00000003"),
        ),
        ports=(3050,),
    ),
    Protocol(
        name="clickhouse",
        spec="ClickHouse documentation, native protocol: Server packets, Exception",
        match=_clickhouse,
        # A ping before the greeting: the server says that it expected a greeting.
        probe=b"\x04",
        starts=(b"HTTP/1.0 400 Bad Request\r\n\r\nPort ",),
        at=((6, b"DB::"),),
        examples=(
            b"\2\x65\0\0\0\x10DB::NetException\x0eDB::Unexpected\0",
            b"HTTP/1.0 400 Bad Request\r\n\r\nPort 9000 is for clickhouse-client program\r\n"
            b"You must use port 8123 for HTTP.\r\n",
        ),
        rejects=(
            b"hello DB::world",
            b"\2\xff\xff\xff\xff\x04DB::x",
            b"HTTP/1.0 400 Bad Request\r\n\r\nPort 9000 is closed\r\n",
        ),
        ports=(9000,),
    ),
    Protocol(
        name="monetdb",
        spec="MonetDB documentation, MAPI: the challenge",
        match=_monetdb,
        at=(
            *((at, b":mserver:") for at in (10, 11, 12, 13)),
            *((at, b":merovingian:") for at in (10, 11, 12, 13, 33)),
        ),
        examples=(
            _challenge(b"a1B2c3D4", b"mserver"),
            _challenge(b"a1B2c3D4e5f", b"mserver"),
            _challenge(b"a1B2c3D4", b"merovingian"),
            _challenge(b"a1B2c3D4e5f", b"merovingian"),
            _challenge(b"a1B2c3D4e5f6a1B2c3D4e5f6a1B2c3D", b"merovingian"),
        ),
        rejects=(b"ab" + _challenge(b"a1B2c3D4", b"mserver"), b"xxab:mserver:9", b"xxa1B2c3D4:mserver:9"),
        ports=(50000,),
    ),
    Protocol(
        name="h2-database",
        spec="H2 database, org.h2.server.TcpServerThread: sendError; org.h2.value.Transfer",
        match=_h2,
        # A client of version 0: it is refused before any database is named.
        probe=bytes(8),
        starts=(b"\0\0\0\0\0\0\0\5\0",),
        examples=(
            bytes(4) + _wide("90047") + _wide(_MISMATCH) + b"\xff" * 4 + b"\0\1\x5f\xbf" + _wide("org.h2"),
        ),
        rejects=(
            bytes(4) + _wide("9 0 7") + _wide(_MISMATCH),
            bytes(4) + _wide("90047") + b"\0\0\0\x50short",
            bytes(4) + _wide("90047") + b"\0\0\0\4" + b"abcdefgh",
        ),
        ports=(9092,),  # its console on 8082 is a page
    ),
)
