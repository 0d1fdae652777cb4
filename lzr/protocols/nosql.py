"""Databases and caches without SQL: Redis, memcached, MongoDB, Cassandra and others."""

from __future__ import annotations

import struct

from lzr.protocols._bytes import be16, be32, is_text, le32
from lzr.protocols._framing import FULL_SEGMENT, fits, leads, printable
from lzr.protocols._protocol import Protocol
from lzr.protocols.mail import is_redis_error

# --- MongoDB: length, request, response to, operation (all 32 bits, little-endian) ---------------------


def _mongodb(data: bytes) -> bool:
    """A message of the wire protocol, or the page by which the server says that this is no port for HTTP."""
    if data[:4] == b"HTTP":
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


def _cassandra(data: bytes) -> bool:
    """A response frame: version with its top bit, flags, stream, opcode, length (CQL v3-v5 §2)."""
    if len(data) < 9:
        return False
    wide = data[0] & 0x7F >= 3
    warns = wide and data[1] & 8  # a list of warnings comes first (v4 §2.2)
    opcode, size = (data[4], be32(data, 5) + 9) if wide else (data[3], be32(data, 4) + 8)
    body = data[9:] if wide else data[8:]
    if not leads(data, size) or data[1] > 0x1F:
        return False
    if opcode == 6:
        return b"CQL_VERSION" in body or b"COMPRESSION" in body
    if warns:
        at = 2
        for _ in range(min(be16(body, 0), 64)):
            at += 2 + be16(body, at)
        body = body[at:]
    said = body[6 : 6 + be16(body, 4)]
    return opcode == 0 and be32(body, 0) < 0x2600 and 0 < be16(body, 4) == len(said) and is_text(said)


def _bolt(data: bytes) -> bool:
    """The version chosen: two zeros (a range is for clients), minor, major."""
    return len(data) == 4 and data[2] < _BOLT_MINORS.get(data[3], 0)


_BOLT_MINORS = {3: 1, 4: 5, 5: 33}
"""Major version -> how many minors there are, or may be."""


def _couchbase(data: bytes) -> bool:
    """A HELLO answer of memcached's binary protocol: status 0 and a list of two-byte features."""
    size = be32(data, 8)
    return (
        fits(data, size + 24)
        and data[2:8] == b"\0\0\0\0\0\0"
        and size % 2 == 0
        and 0 < size < 200
        and all(data[at] == 0 for at in range(24, min(24 + size, len(data)), 2))
    )


def _rethinkdb(data: bytes) -> bool:
    if data.startswith(b"ERROR: Received an unsupported protocol version"):
        return True
    head = data[:300]
    return b'"server_version"' in head and b'"max_protocol_version"' in head


def _tarantool(data: bytes) -> bool:
    return len(data) >= 128 and data[63:64] == b"\n" and data[127:128] == b"\n" and printable(data[:63])


def _aerospike(data: bytes) -> bool:
    """Version 2, type 1 (info), six bytes of length, then name TAB value lines."""
    size = int.from_bytes(data[2:8], "big")
    name, tab, _ = data[8:60].partition(b"\t")
    return leads(data, size + 8) and bool(tab) and name.replace(b"_", b"").replace(b"-", b"").isalnum()


def _riak(data: bytes) -> bool:
    """length, message 8, then node (field 1) and version (field 2) as strings."""
    node = data[6] if len(data) > 6 else 255
    return (
        fits(data, be32(data, 0) + 4)
        and printable(data[7 : 7 + node])
        and data[7 + node : 8 + node] == b"\x12"
    )


def _elastic(data: bytes) -> bool:
    if data[:2] == b"ES":
        # "ES", length, request, status with its response bit, version.
        return len(data) >= 19 and leads(data, be32(data, 2) + 6) and data[14] & 1 == 1
    return data in {b"This is not a HTTP port", b"This is not an HTTP port"}


PROTOCOLS: tuple[Protocol, ...] = (
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
        name="cassandra",
        spec="Apache Cassandra, CQL native protocol v4 §2, §4.1.3 OPTIONS",
        match=_cassandra,
        probe=bytes.fromhex("04000001 05 00000000"),
        starts=tuple(
            bytes((0x80 | version, flags))
            for version in (*range(1, 7), 0x41, 0x42)  # DataStax Enterprise's own, 65 and 66
            for flags in (0, 8, 0x10)
        ),
        examples=(
            bytes.fromhex("84000001 06 00000018 0001 000b") + b"CQL_VERSION\0\1\0\0053.4.4",
            bytes.fromhex("84000001 00 0000000e 0000000a 0008") + b"too old!",
            bytes.fromhex("c2000001 00 0000000e 0000000a 0008") + b"too old!",
            bytes.fromhex("8400ffff 00 0000000e 0000000a 0008") + "zu früh".encode(),
            bytes.fromhex("84080001 00 00000014 0001 0004")
            + b"beta"
            + bytes.fromhex("0000000a 0006")
            + b"wrong!",
        ),
        rejects=(
            bytes.fromhex("84000001 06"),
            bytes.fromhex("84000001 06 00000018 0001 000b"),
            bytes.fromhex("84000001 06 00000000"),
            bytes.fromhex("84000001 00 00000006 ffffffff 0000"),
            bytes.fromhex("84000001 00 0000000e 0000000a 0009") + b"too old!",
            bytes.fromhex("84000001 00 0000000e 0000000a 0008") + b"too\0old!",
            bytes.fromhex("84080001 00 00000014 0000 0004") + b"beta" + bytes(12),
            bytes.fromhex("84080001 00 00000006 0001 0001") + b"ab",
        ),
        ports=(9042,),
    ),
    Protocol(
        name="bolt",
        spec="Neo4j Bolt protocol, Bolt Protocol handshake",
        match=_bolt,
        probe=bytes.fromhex("6060b017 00080805 00020404 00000104 00000003"),
        starts=(b"\0\0",),
        solicited=tuple(bytes((0, 0, 0, major)) for major in range(3, 6)),
        examples=(b"\0\0\4\5", b"\0\0\4\4", b"\0\0\0\3"),
        rejects=(bytes(4), b"\0\0\1\2", b"\0\0\4\5\0"),
        ports=(7687,),
    ),
    Protocol(
        name="couchbase",
        spec="Couchbase kv_engine, BinaryProtocol: HELO (0x1f)",
        match=_couchbase,
        probe=bytes.fromhex("801f0003 00000000 00000005 4c5a5231 00000000 00000000") + b"lzr\0\x06",
        starts=(b"\x81\x1f",),
        examples=(bytes.fromhex("811f0000 00000000 00000002 4c5a5231 00000000 00000000 0006"),),
        rejects=(bytes.fromhex("811f0000 00000081 00000000 4c5a5231 00000000 00000000"),),
        ports=(11210,),
    ),
    Protocol(
        name="rethinkdb",
        spec="RethinkDB documentation, Writing RethinkDB drivers: the V1_0 handshake",
        match=_rethinkdb,
        probe=bytes.fromhex("c3bdc234"),
        starts=(b"{", b"ERROR: Received"),
        examples=(
            b'{"max_protocol_version":0,"min_protocol_version":0,"server_version":"2.4.3","success":true}\0',
            b"ERROR: Received an unsupported protocol version. This port is for RethinkDB queries.\n\0",
        ),
        rejects=(b'{"server_version":"2.4.3"}\n',),
        ports=(28015,),
    ),
    Protocol(
        name="tarantool",
        spec="Tarantool documentation, Binary protocol: Greeting message",
        match=_tarantool,
        starts=(b"Tarantool ",),
        examples=(b"Tarantool 2.11.1 (Binary) 0a1b".ljust(63) + b"\n" + b"c2FsdA==".ljust(63) + b"\n",),
        rejects=(b"Tarantool 2.11.1 (Binary)\n",),
        ports=(3301,),
    ),
    Protocol(
        name="aerospike",
        spec="Aerospike documentation, wire protocol: info messages",
        match=_aerospike,
        probe=b"\2\1\0\0\0\0\0\6build\n",
        starts=(b"\2\1\0\0\0\0",),
        examples=(b"\2\1\0\0\0\0\0\x0fbuild\t6.3.0.10\n",),
        rejects=(b"\2\1\0\0\0\0\0\x0fbuild 6.3.0.10\n", bytes.fromhex("0201000000000000")),
        ports=(3000,),
    ),
    Protocol(
        name="riak",
        spec="Riak KV documentation, Protocol Buffers API: Server Info",
        match=_riak,
        probe=b"\0\0\0\1\7",
        at=((4, b"\x08\x0a"),),
        examples=(b"\0\0\0\x10\x08\x0a\4r@h1\x12\x07" + b"3.0.123",),
        rejects=(b"\0\0\0\x11\x08\x0a\4r@h1\x12\x07" + b"3.0.123",),
        ports=(8087,),
    ),
    Protocol(
        name="elasticsearch-transport",
        spec="Elasticsearch, org.elasticsearch.transport: TcpHeader, TcpTransport",
        match=_elastic,
        probe=b"GET / HTTP/1.0\r\n\r\n",
        starts=(b"This is not a", b"ES\0\0"),
        examples=(b"This is not an HTTP port", b"ES\0\0\0\x11\0\0\0\0\0\0\0\1\x09\0\x6d\xdf\xb3\0\0\0\0"),
        rejects=(b"This is not an HTTP port, really", b"ES\0\0\0\x11"),
        ports=(9300,),
    ),
)
