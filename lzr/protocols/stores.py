"""Less common databases: each has its own greeting, or answers a question without a login."""

from __future__ import annotations

from lzr.protocols._bytes import be16, be32, le16, le32
from lzr.protocols._framing import fits, leads, printable
from lzr.protocols._protocol import Protocol


def _mysqlx(data: bytes) -> bool:
    """The server's hello notice, or an error message (severity, code, SQL state: Mysqlx.Error)."""
    size = le32(data, 0)
    if len(data) < 9 or not leads(data, size + 4):
        return False
    if data[4] == 11:
        return data[5:9] == b"\x08\x05\x1a\0" or data.startswith(b"\x08\x05\x10", 5)
    return data[4] == 1 and data[5:6] == b"\x08" and data[6] <= 1 and b"\x22\x05" in data[8:200]


def _cassandra(data: bytes) -> bool:
    """A response frame: version with its top bit, flags, stream, opcode, length (CQL v3-v5 §2)."""
    if len(data) < 9:
        return False
    wide = data[0] & 0x7F >= 3
    opcode, size = (data[4], be32(data, 5) + 9) if wide else (data[3], be32(data, 4) + 8)
    body = data[9:] if wide else data[8:]
    if not leads(data, size) or data[1] > 0x1F:
        return False
    if opcode == 6:
        return b"CQL_VERSION" in body or b"COMPRESSION" in body
    return opcode == 0 and be32(body, 0) < 0x2600 and be16(body, 4) + 6 <= len(body) and printable(body[6:40])


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


def _tarantool(data: bytes) -> bool:
    return len(data) >= 128 and data[63:64] == b"\n" and data[127:128] == b"\n" and printable(data[:63])


def _aerospike(data: bytes) -> bool:
    """Version 2, type 1 (info), six bytes of length, then name TAB value lines."""
    size = int.from_bytes(data[2:8], "big")
    name, tab, _ = data[8:60].partition(b"\t")
    return leads(data, size + 8) and bool(tab) and name.replace(b"_", b"").replace(b"-", b"").isalnum()


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


PROTOCOLS: tuple[Protocol, ...] = (
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
        name="cassandra",
        spec="Apache Cassandra, CQL native protocol v4 §2, §4.1.3 OPTIONS",
        match=_cassandra,
        probe=bytes.fromhex("04000001 05 00000000"),
        starts=tuple(bytes((0x80 | version, flags)) for version in range(1, 7) for flags in (0, 8, 0x10)),
        examples=(
            bytes.fromhex("84000001 06 00000018 0001 000b") + b"CQL_VERSION\0\1\0\0053.4.4",
            bytes.fromhex("84000001 00 0000000e 0000000a 0008") + b"too old!",
        ),
        rejects=(
            bytes.fromhex("84000001 06"),
            bytes.fromhex("84000001 06 00000018 0001 000b"),
            bytes.fromhex("84000001 06 00000000"),
            bytes.fromhex("84000001 00 00000006 ffffffff 0000"),
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
