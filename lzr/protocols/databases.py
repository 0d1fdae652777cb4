"""Databases and caches: MySQL, PostgreSQL, MongoDB, Redis, memcached, SQL Server, Oracle."""

from __future__ import annotations

import struct

from lzr.protocols._bytes import be16, be32, is_ascii_text, is_text, le16, le24, le32
from lzr.protocols._framing import FULL_SEGMENT
from lzr.protocols._protocol import Protocol
from lzr.protocols.mail import is_redis_error

# --- MySQL: a packet is length (3, little-endian), sequence, payload ---------------------------------


def _mysql(data: bytes) -> bool:
    """Handshake V10 or V9, or an error sent in its place (Host is not allowed, Too many connections)."""
    size = le24(data, 0)
    kind = data[4] if len(data) > 4 else 0
    if kind == 0xFF:
        message = data[13:] if data[7:8] == b"#" else data[7:]
        if size + 4 != len(data) or data[3] > 3 or len(message) < 4 or not is_text(message):
            return False
        return 1000 <= le16(data, 5) < 5000
    if kind not in (9, 10) or data[3] != 0 or not 20 <= size <= 512 or size + 4 > len(data) + 256:
        return False
    end = data.find(b"\0", 5, 128)
    if end < 8 or not is_ascii_text(data[5:end]) or not data[5:6].isdigit():
        return False
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


# --- MongoDB: length, request, response to, operation (all 32 bits, little-endian) ---------------------


def _mongodb(data: bytes) -> bool:
    """A message of the wire protocol, or the page by which the server says that this is no port for HTTP."""
    if data[:1] == b"H":
        return data.find(b"trying to access MongoDB ", 80, 200) > 0
    size = le32(data, 0)
    if not 26 <= size <= 48_000_000 or len(data) < 26 or len(data) > size:
        return False
    if data[12] == 1:  # OP_REPLY: flags, cursor, from, returned
        return le32(data, 16) < 16 and le32(data, 32) <= 1000
    return le32(data, 16) < 0x20000 and data[20] in (0, 1)  # OP_MSG: flags, section


_IS_MASTER = (
    struct.pack("<i", 0)
    + b"admin.$cmd\0"
    + struct.pack("<ii", 0, -1)
    + b"\x13\0\0\0\x10isMaster\0\x01\0\0\0\0"
)
_OP_QUERY = struct.pack("<iiii", 16 + len(_IS_MASTER), 1, 0, 2004) + _IS_MASTER

# --- Redis: RESP ---------------------------------------------------------------------------------------


_PING = b"*1\r\n$4\r\nPING\r\n"
_PROTECTED = b"-DENIED Redis is running in protected mode because "


def _redis(data: bytes) -> bool:
    """A RESP value: +PONG, an error of redis' own, or a typed value with consistent lengths."""
    kind = data[:1]
    end = data.find(b"\r\n", 0, 8192)
    if end < 1 or _PING.startswith(data):
        return data.startswith(_PROTECTED) and len(data) >= FULL_SEGMENT  # a line longer than a segment
    text = data[1:end]
    if kind == b"+":
        return text in (b"PONG", b"OK")
    if kind == b"-":
        word, _, rest = text.partition(b" ")
        if word == b"ERR":
            return is_redis_error(rest)  # which quotes what it was asked, control characters and all
        return len(word) > 3 and word.isalpha() and word.isupper() and is_text(text)
    number = text[1:] if text[:1] == b"-" else text
    if not number.isdigit() or len(number) > 10:
        return False
    if kind == b":":
        return len(data) == end + 2 or data[end + 2 : end + 3] in b":$*+-"
    count = int(text)
    if kind == b"$":
        return (
            count == -1 or data[end + 2 + count : end + 4 + count] == b"\r\n" or len(data) < end + 4 + count
        )
    return count >= -1 and (len(data) == end + 2 or data[end + 2 : end + 3] in b"$*:+-%~_,#=(")


# --- memcached -------------------------------------------------------------------------------------------

_MEMCACHED_LINES = (b"STAT ", b"VERSION ", b"CLIENT_ERROR ", b"SERVER_ERROR ")


def _memcached_ascii(data: bytes) -> bool:
    """protocol.txt: an answer line, or nothing but ERROR lines."""
    end = data.find(b"\r\n")
    if end < 0 or not is_text(data[: min(end, 200)]):
        return False
    if data[:5] == b"ERROR":
        if data[5:6] == b" ":
            return data[6:end] == b"Too many open connections"
        whole = b"ERROR\r\n" * (len(data) // 7 + 1)
        return whole.startswith(data) or data[:7] == b"ERROR\r\n" == data[7:14]
    if data[:7] == b"VERSION":
        rest = data[end + 2 :]
        return data[8:9].isdigit() and (
            not rest or rest.startswith((*_MEMCACHED_LINES, b"ERROR\r", b"END\r"))
        )
    if data[:4] == b"STAT":
        return len(data[5:end].split(b" ")) >= 2
    return True


def _memcached_binary(data: bytes) -> bool:
    """Magic 0x81, opcode, key length, extras length, data type 0, status, body length, opaque, CAS."""
    if len(data) < 24 or data[1] > 0x4D or data[5] != 0:
        return False
    key, extras, body = be16(data, 2), data[4], be32(data, 8)
    if key > 250 or extras > 24 or key + extras > body or body > 1 << 20:
        return False
    status = be16(data, 6)
    return (status < 0x90) and (len(data) == 24 + body or (len(data) > 24 + body and data[24 + body] == 0x81))


# --- SQL Server: MS-TDS §2.2.3 ----------------------------------------------------------------------------


def _mssql(data: bytes) -> bool:
    size = be16(data, 2)
    if len(data) < 9 or not 9 <= size <= 4096 or data[7] > 1 or len(data) > size:
        return False
    if data[8] in (
        0xAA,
        0xAB,
    ):  # ERROR, INFO: number, state, class, a text of 16-bit characters
        return 0 <= 2 * le16(data, 17) <= le16(data, 9) - 8
    # PRELOGIN option tokens: type, offset, length; the first is VERSION, whose data follow the list
    return data[8] == 0 and 6 <= be16(data, 9) <= 80 and be16(data, 11) == 6


_PRELOGIN_OPTIONS = (  # VERSION, ENCRYPTION, INSTOPT, THREADID, MARS: token, offset, length
    b"\x00\x00\x1a\x00\x06\x01\x00\x20\x00\x01\x02\x00\x21\x00\x01\x03\x00\x22\x00\x04\x04\x00\x26\x00\x01\xff"
    b"\x11\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)
_PRELOGIN = b"\x12\x01" + struct.pack(">H", 8 + len(_PRELOGIN_OPTIONS)) + b"\0\0\0\0" + _PRELOGIN_OPTIONS

# --- Oracle: TNS --------------------------------------------------------------------------------------------


def _oracle(data: bytes) -> bool:
    """Length, checksum 0, type (accept, refuse, redirect, resend…), flags, header checksum 0."""
    if len(data) < 8 or be16(data, 0) != len(data) or data[6:8] != b"\0\0":
        return False
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
        ),
        rejects=(b"J\0\0\0\x0a\xff\xff\xff\xff\0" + bytes(80), b"Mail\nbox\n", b"\x05\0\0\0\xff\0\0ab"),
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
        name="mongodb",
        spec="MongoDB wire protocol: OP_REPLY, OP_MSG",
        match=_mongodb,
        probe=_OP_QUERY,
        starts=(b"HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ",),
        at=((12, b"\x01\0\0\0"), (12, b"\xdd\x07\0\0")),
        examples=(
            b"HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 85\r\n\r\n"
            b"It looks like you are trying to access MongoDB over HTTP on the native driver port.\r\n",
            struct.pack("<iiiiiqii", 41, 7, 1, 1, 8, 0, 0, 1) + b"\x05\0\0\0\0",
            struct.pack("<iiiiiB", 26, 7, 1, 2013, 0, 0) + b"\x05\0\0\0\0",
        ),
        rejects=(
            bytes(40),
            b"\xff" * 12 + b"\x01\0\0\0" + bytes(20),
            b"HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 85\r\n\r\n",
        ),
        ports=(27017, 27018, 27019),
        zgrab="mongodb",
    ),
    Protocol(
        name="redis",
        spec="Redis serialization protocol (RESP2, RESP3)",
        match=_redis,
        probe=_PING,
        starts=(b"+PONG\r", b"+OK\r", b"-", b"$", b":", b"*", b"%", b"~"),
        solicited=(b"+OK\r\n",),
        examples=(
            b"+PONG\r\n",
            b"-NOAUTH Authentication required.\r\n",
            b"-ERR unknown command 'GET', with args beginning with: '/' 'HTTP/1.1' \r\n",
            b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n",
            _PROTECTED + b"nothing is bound. " * 60 + b"\r\n",
            _PROTECTED + b"nothing is bound. " * 30,
            b"-READONLY You can't write against a read only replica.\r\n",
            b"%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n",
            b":1\r\n:2\r\n",
            b"$-1\r\n",
            b"$5\r\nhello\r\n",
            b":42\r\n",
            b"*2\r\n$3\r\nfoo\r\n$3\r\nbar\r\n",
            b"+OK\r\n+OK\r\n",
        ),
        rejects=(
            b"-ERR no such user\r\n",
            b"$5\r\nhello there\r\n",
            b"* OK ready\r\n",
            b"*1\r\n<",
            b"-a\r\n",
            b"$5x\r\nhello\r\n",
            b"$12345678901\r\n",
            b"*-2\r\n",
            _PROTECTED,
        ),
        ports=(6379,),
        zgrab="redis",
    ),
    Protocol(
        name="memcached_ascii",
        spec="memcached protocol.txt",
        match=_memcached_ascii,
        probe=b"version\r\n",
        starts=(b"ERROR\r", b"ERROR Too many ", *_MEMCACHED_LINES),
        examples=(
            b"ERROR\r\n",
            b"ERROR\r\nERROR\r\nERROR\r\n",
            b"ERROR Too many open connections\r\n",
            b"VERSION 1.6.31\r\n",
            b"STAT pid 7\r\nSTAT uptime 3\r\n",
            b"CLIENT_ERROR bad command line format\r\n",
        ),
        rejects=(
            b"ERROR :Closing Link\r\n",
            b"ERROR Too many cooks\r\n",
            b"VERSION 2.1.1\r\nJOIN 0\r\n",
            b"STAT us\x01\r\n",
            b"STAT",
            b"VERSION of the truth\r\n",
            b"ERROR\r\nsomething else\r\n",
        ),
        ports=(11211,),
        zgrab="memcached",
    ),
    Protocol(
        name="memcached_binary",
        spec="memcached BinaryProtocolRevamped",
        match=_memcached_binary,
        probe=b"\x80\x0b" + bytes(22),
        starts=(b"\x81",),
        examples=(
            b"\x81\x0b" + bytes(6) + b"\0\0\0\x06" + bytes(12) + b"1.6.31",
            b"\x81\x10\0\x03" + bytes(4) + b"\0\0\0\x04" + bytes(12) + b"pid7\x81\x10" + bytes(22),
        ),
        rejects=(b"\x81\x0b\xff\xff" + bytes(20), b"\x80\x0b" + bytes(22), b"\x81" * 24, b"\x81\x00"),
        ports=(11211,),
        zgrab="memcached",
    ),
    Protocol(
        name="mssql",
        spec="MS-TDS §2.2.3.1, §2.2.6.5",
        match=_mssql,
        probe=_PRELOGIN,
        starts=(b"\x04\x01",),
        examples=(
            b"\x04\x01\0\x25\0\0\1\0\xaa\x1a\0\x18\x48\0\0\1\x0e\5\0L\0o\0g\0i\0n\0" + bytes(8),
            b"\x04\x01\0\x20\0\0\x01\0\0\0\x10\0\x06\x01\0\x16\0\x01\x02\0\x17\0\x01\xff\x10\0\x07\xd0\0\0\x02\0",
        ),
        rejects=(b"\x04\x01\x04\x01\x04\x01\x04\x01\x04\x01\x04", b"\x04\x01\x00\x08\0\0\0\0", _PRELOGIN),
        ports=(1433,),
        zgrab="mssql",
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
        rejects=(_TNS_CONNECT, bytes(8), b"\0\x08\0\0\x0b\0\0\0\0", _tns(6, b"abcd")),
        ports=(1521,),
        zgrab="oracle",
    ),
)
