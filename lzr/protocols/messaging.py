"""Message brokers, queues and buses, and services by which programs on several hosts coordinate."""

from __future__ import annotations

from lzr.protocols._bytes import be16, be32, le32
from lzr.protocols._framing import first_line, fits, leads, printable, varint
from lzr.protocols._protocol import Protocol


def _mqtt(data: bytes) -> bool:
    """CONNACK of 3.1.1 (MQTT 3.1.1 §3.2: flags, code 0-5) or 5 (§3.2: flags, reason, properties)."""
    if len(data) < 4:
        return False
    size, at = data[1], 2
    if size & 0x80:
        size, at = (size & 0x7F) | data[2] << 7, 3
    if data[at] > 1 or len(data) < at + 2:
        return False
    reason = data[at + 1]
    if size == 2:
        return reason <= 5 or 0x80 <= reason <= 0x9F
    if size < 3 or len(data) < at + 3 or len(data) > at + size + 64:
        return False
    return (reason == 0 or 0x80 <= reason <= 0x9F) and (data[at + 2] & 0x80 != 0 or data[at + 2] == size - 3)


def _amqp(data: bytes) -> bool:
    """A protocol header (AMQP 0-9-1 §4.2.2, 1.0 §2.2), or a method frame with Connection.Start or .Close."""
    if data[:4] == b"AMQP":
        return len(data) >= 8 and data[4] <= 3 and data[5] <= 9 and data[6] <= 9 and data[7] <= 99
    if len(data) < 12 or data[1:3] != b"\0\0" or be32(data, 3) > 1 << 17:
        return False
    return be16(data, 7) == 10 and be16(data, 9) in (10, 50)


def _nats(data: bytes) -> bool:
    if data[:1] == b"-":
        return first_line(data)[6:-1].lower().startswith(_NATS_ERRORS) and data[-3:] == b"'\r\n"
    return b'"max_payload"' in data or (b'"server_id"' in data and b'"version"' in data)


_NATS_ERRORS = (
    *(b"maximum ", b"unknown protocol", b"attempted to connect to ", b"authorization ", b"authentication "),
    *(b"invalid client protocol", b"parser error", b"secure connection", b"stale connection"),
    *(b"slow consumer", b"server shutdown", b"permissions violation"),
)
"""How its errors begin; who comes when it is full gets one in place of INFO."""


def _stomp(data: bytes) -> bool:
    """A command, then headers "name:value", then an empty line (STOMP 1.2, Augmented BNF)."""
    rest = data.partition(b"\n")[2]
    for number, line in enumerate(rest[:2000].split(b"\n")):
        text = line.rstrip(b"\r")
        if not text:
            return number > 0
        name, colon, _ = text.partition(b":")
        if not colon or not name or b" " in name or not printable(name):
            return False
    return False


def _kafka(data: bytes) -> bool:
    """An ApiVersions answer, version 0: size, correlation, error, array of (key, least, most)."""
    count = be32(data, 10)
    if not fits(data, be32(data, 0) + 4) or not 0 < count < 200 or be16(data, 8) not in {0, 35}:
        return False
    if len(data) < 20 or be32(data, 0) != 10 + 6 * count:
        return False
    entries = range(14, min(14 + 6 * count, len(data) - 5), 6)
    return all(be16(data, at + 2) <= be16(data, at + 4) < 64 for at in entries)


def _zookeeper(data: bytes) -> bool:
    return (
        data.startswith((b"Zookeeper version: ", b"This ZooKeeper instance is not currently serving"))
        or data[4:] == b" is not executed because it is not in the whitelist.\n"
        or data == b"imok"
    )


def _pulsar(data: bytes) -> bool:
    """Sizes of frame and command, then a BaseCommand of type CONNECTED or ERROR."""
    size, command = be32(data, 0), be32(data, 4)
    if len(data) < 12 or size != command + 4 or not leads(data, size + 4) or data[8:9] != b"\x08":
        return False
    kind = data[9]
    field, at = varint(data, 10)
    length, start = varint(data, at)
    return field == (kind << 3) | 2 and start + length == 8 + command


def _nsq(data: bytes) -> bool:
    """A frame: size, type, data; an error's data begins with its code."""
    size, kind = be32(data, 0), be32(data, 4)
    if size < 6 or not leads(data, size + 4):
        return False
    text = data[8 : size + 4]
    return (kind == 1 and text.startswith(b"E_") and printable(text)) or (
        kind == 0 and text in {b"OK", b"_heartbeat_", b"CLOSE_WAIT"}
    )


def _beanstalkd(data: bytes) -> bool:
    if data.startswith((b"UNKNOWN_COMMAND\r\n", b"BAD_FORMAT\r\n")):
        return True
    return data[3:].partition(b"\r\n---\n")[0].isdigit() and b"\r\n---\n" in data[:20]


def _gearman(data: bytes) -> bool:
    if data[:1] == b"\0":
        return be32(data, 4) <= 42 and leads(data, 12 + be32(data, 8)) and len(data) >= 12
    return data[:42].lower() == b"err unknown_command unknown+server+command"


def _stream(data: bytes) -> bool:
    """size, key with its top bit set, version 1, correlation, response code."""
    return fits(data, be32(data, 0) + 4) and len(data) >= 14 and be16(data, 6) == 1 and be16(data, 12) < 64


def _openwire(data: bytes) -> bool:
    return leads(data, be32(data, 0) + 4) and 0 < be32(data, 13) < 64


def _zmtp(data: bytes) -> bool:
    """The signature, alone or with version and mechanism (ZMTP 3.1 §3.3; 2.0 has a shorter greeting)."""
    return len(data) >= 10 and data[9] == 0x7F and (len(data) == 10 or 1 <= data[10] <= 3)


def _nanomsg(data: bytes) -> bool:
    """The protocol's number between zeros; who pushes sends a message at once, behind its length."""
    whole = len(data) == 8 or (len(data) >= 16 and data[8:12] == bytes(4))
    return whole and data[6:8] == b"\0\0" and 0 < be16(data, 4) < 256


def _ignite(data: bytes) -> bool:
    """A refusal: size (little-endian), no success, the server's version, a string that says why."""
    version = data[5:11]
    return (
        fits(data, le32(data, 0) + 4)
        and version[1::2] == b"\0\0\0"
        and max(version, default=99) < 64
        and data[11:12] == b"\x09"
        and 17 <= 16 + le32(data, 12) <= le32(data, 0) + 4
    )


_CONNECT = b"\x0a\x03lzr\x20\x06"

_VERSIONS = b"".join(bytes(part) for part in ((0, 0, 0, 0, 0, 9), (0, 18, 0, 0, 0, 3)))


def _dbus(data: bytes) -> bool:
    words = first_line(data).split(b" ")
    return len(words) > 1 and all(word in _MECHANISMS for word in words[1:])


_MECHANISMS = frozenset((b"EXTERNAL", b"DBUS_COOKIE_SHA1", b"ANONYMOUS", b"KERBEROS_V4", b"SKEY"))


def _thrift(data: bytes) -> bool:
    """A reply or an exception of the strict binary protocol, framed or not: name, sequence, a struct."""
    at = 0
    if data[:2] != b"\x80\1":
        if not leads(data, be32(data, 0) + 4):
            return False
        at = 4
    name = be32(data, at + 4)
    end = at + 8 + name
    return name <= 64 and printable(data[at + 8 : end]) and end + 5 <= len(data) and data[end + 4] <= 15


def _mq(data: bytes) -> bool:
    """Transmission segment header: length, byte order, type, flags (IBM MQ, channel protocol)."""
    return len(data) >= 28 and 28 <= be32(data, 4) == len(data) and data[8] in (1, 2) and 1 <= data[9] <= 0xA0


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="mqtt",
        spec="MQTT 3.1.1 §3.2, MQTT 5.0 §3.2",
        match=_mqtt,
        probe=b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
        starts=(b"\x20",),
        examples=(
            b"\x20\xcb\1\0\0\xc8\1" + b"\x26" * 200,
            b"\x20\x02\x00\x00",
            b"\x20\x02\x00\x05",
            b"\x20\x03\x00\x84\x00",
            b"\x20\x06\x00\x00\x03\x22\x00\x0a",
        ),
        rejects=(b"\x20\1\0\0\0", b"    ", b"\x20\x02\x20\x02", b" \x02", b"\x20\x02\x00\x77", b"  login: "),
        ports=(1883, 8883),
        zgrab="mqtt",
    ),
    Protocol(
        name="amqp",
        spec="AMQP 0-9-1 §4.2.2, §4.2.3; AMQP 1.0 §2.2",
        match=_amqp,
        probe=b"AMQP\x00\x00\x09\x01",
        starts=(b"AMQP", b"\x01\0\0"),
        examples=(
            b"AMQP\x00\x01\x00\x00",
            b"AMQP\x03\x01\x00\x00",
            b"\x01\0\0\0\0\x01\xff\0\x0a\0\x0a\0\x09\0\0\x01\xdb\x0ccapabilitiesF",
        ),
        rejects=(b"\1\0\0\0\0\1", b"AMQP", b"AMQP is a protocol", b"\x01\0\0\0\0\0\x10" + bytes(10)),
        ports=(5672, 5671),
        zgrab="amqp091",
    ),
    Protocol(
        name="nats",
        spec="NATS documentation, Client Protocol: INFO",
        match=_nats,
        starts=(b"INFO {", b"-ERR '"),
        examples=(
            b'INFO {"server_id":"NA","version":"2.10.7","max_payload":1048576}\r\n',
            b"-ERR 'maximum connections exceeded'\r\n",
            b"-ERR 'Unknown Protocol Operation'\r\n",
        ),
        rejects=(
            b'INFO {"message":"hello"}\r\n',
            b"-ERR 'GET' is no command\r\n",
            b"-ERR 'maximum connections exceeded\r\n",
        ),
        ports=(4222,),
    ),
    Protocol(
        name="stomp",
        spec="STOMP Protocol Specification 1.2",
        match=_stomp,
        probe=b"HELP\n\n\0",
        starts=(b"ERROR\n", b"ERROR\r\n", b"CONNECTED\n", b"CONNECTED\r\n"),
        examples=(
            b'ERROR\nmessage:Bad command\ncontent-type:text/plain\n\nThe command is "HELP"\n\0',
            b"CONNECTED\nserver:RabbitMQ/3.10.8\nversion:1.2\n\n\0",
        ),
        rejects=(b"ERROR\nmessage:x", b"ERROR\r\n", b"ERROR\r\nERROR\r\n", b"CONNECTED\nto the world\n\n"),
        ports=(61613,),
    ),
    Protocol(
        name="kafka",
        spec="Apache Kafka protocol guide, ApiVersions",
        match=_kafka,
        probe=bytes.fromhex("0000000a 0012 0000 4c5a5231 ffff"),
        at=((8, b"\0\0\0\0"), (8, b"\0\x23\0\0")),
        examples=(bytes.fromhex("00000016 4c5a5231 0000 00000002") + _VERSIONS,),
        rejects=(bytes.fromhex("00000016 4c5a5231 0000 00000003") + _VERSIONS, bytes(26)),
        ports=(9092,),
    ),
    Protocol(
        name="zookeeper",
        spec="ZooKeeper Administrator's Guide, The Four Letter Words",
        match=_zookeeper,
        probe=b"srvr",
        starts=(
            *(b"Zookeeper version: ", b"This ZooKeeper ", b"imok"),
            *(
                word + b" is not "
                for word in b"srvr ruok stat mntr conf envi cons dump isro dirs wchs".split()
            ),
        ),
        examples=(
            b"Zookeeper version: 3.8.0--1, built on 2023-01-01 00:00 UTC\nLatency min/avg/max: 0/0.0/0\n",
            b"srvr is not executed because it is not in the whitelist.\n",
        ),
        rejects=(b"imok thanks\n", b"srvr is not here\n"),
        ports=(2181,),
    ),
    Protocol(
        name="pulsar",
        spec="Apache Pulsar, Binary protocol: Framing, Connection establishment; PulsarApi.proto",
        match=_pulsar,
        probe=(len(_CONNECT) + 8).to_bytes(4, "big")
        + (len(_CONNECT) + 4).to_bytes(4, "big")
        + bytes((0x08, 2, 0x12, len(_CONNECT)))
        + _CONNECT,
        at=((8, b"\x08\x03"), (8, b"\x08\x0e")),
        examples=(bytes.fromhex("00000018 00000014 0803 1a10") + b"\x0a\x0c2.11.0-build\x10\x13",),
        rejects=(bytes.fromhex("00000018 00000013 0803 1a10") + bytes(16),),
        ports=(6650,),
    ),
    Protocol(
        name="nsq",
        spec="NSQ documentation, TCP Protocol Spec: Data Format",
        match=_nsq,
        probe=b"  V0",
        at=((4, b"\0\0\0\1E_"), (4, b"\0\0\0\0OK"), (4, b"\0\0\0\0_h")),
        examples=(b"\0\0\0\x12\0\0\0\1E_BAD_PROTOCOL", b"\0\0\0\6\0\0\0\0OK"),
        rejects=(b"\0\0\0\x13\0\0\0\1E_BAD_PROTOCOL", b"\0\0\0\x12\0\0\0\1E_BAD\0PROTOCOL"),
        ports=(4150,),
    ),
    Protocol(
        name="beanstalkd",
        spec="beanstalkd, doc/protocol.txt",
        match=_beanstalkd,
        probe=b"stats\r\n",
        starts=(b"UNKNOWN_COMMAND\r\n", b"BAD_FORMAT\r\n", b"OK "),
        examples=(b"UNKNOWN_COMMAND\r\n", b"OK 919\r\n---\ncurrent-jobs-urgent: 0\n"),
        rejects=(b"OK 919\r\n", b"OK done\r\n---\n"),
        ports=(11300,),
    ),
    Protocol(
        name="gearman",
        spec="Gearman protocol (PROTOCOL in gearmand): ECHO_REQ",
        match=_gearman,
        probe=b"\0REQ\0\0\0\x10\0\0\0\x03lzr",
        starts=(b"\0RES", b"ERR unknown_command ", b"ERR UNKNOWN_COMMAND "),
        examples=(b"\0RES\0\0\0\x11\0\0\0\x03lzr", b"ERR unknown_command Unknown+server+command\n"),
        rejects=(b"\0RES\0\0\0\xff\0\0\0\x03lzr", b"\0RES", b"ERR unknown_command x\n"),
        ports=(4730,),
    ),
    Protocol(
        name="rabbitmq-stream",
        spec="RabbitMQ Stream Protocol, PROTOCOL.adoc: PeerProperties",
        match=_stream,
        probe=bytes.fromhex("0000000c 0011 0001 4c5a5231 00000000"),
        at=((4, b"\x80\x11\0\1"),),
        examples=(bytes.fromhex("0000001a 8011 0001 4c5a5231 0001 00000001 0004") + b"node\0\4a@bc",),
        rejects=(bytes.fromhex("0000000e 8011 0001 4c5a5231 0001"),),
        ports=(5552,),
    ),
    Protocol(
        name="openwire",
        spec="Apache ActiveMQ, OpenWire Version 2 Specification: WireFormatInfo",
        match=_openwire,
        at=((4, b"\1ActiveMQ"),),
        examples=(b"\0\0\0\x18\1ActiveMQ\0\0\0\x0c\1\0\0\0\7\0\0\0\1\0\1",),
        rejects=(b"\0\0\0\x2a\1ActiveMQ\0\0\0\x0c", b"hey \1ActiveMQ is down"),
        ports=(61616,),
    ),
    Protocol(
        name="zmtp",
        spec="ZMTP 3.1 (ZeroMQ RFC 37) §3.3 greeting",
        match=_zmtp,
        starts=(b"\xff\0\0\0\0\0\0\0",),
        examples=(b"\xff\0\0\0\0\0\0\0\1\x7f", b"\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL" + bytes(48)),
        rejects=(b"\xff\0\0\0\0\0\0\0\0\0", b"\xff\0\0\0\0\0\0\0\1\x7f\xff"),
    ),
    Protocol(
        name="nanomsg",
        spec="nanomsg RFC sp-tcp-mapping-01 §3",
        match=_nanomsg,
        starts=(b"\0SP\0",),
        examples=(b"\0SP\0\0\x31\0\0", b"\0SP\0\0\x50\0\0" + b"\0\0\0\0\0\0\0\2hi"),
        rejects=(b"\0SP\0\0\0\0\0", b"\0SP\0\0\x31\0\0\0"),
    ),
    Protocol(
        name="fluentd",
        spec="Fluentd Forward Protocol Specification v1 §HELO",
        match=lambda data: 0x80 <= int.from_bytes(data[6:7], "big") <= 0x8F and b"\xa5nonce" in data,
        starts=(b"\x92\xa4HELO",),
        examples=(b"\x92\xa4HELO\x83\xa5nonce\xc4\x02ab\xa4auth\xa0\xa9keepalive\xc3",),
        rejects=(b"\x92\xa4HELO there",),
        ports=(24224,),
    ),
    Protocol(
        name="ignite",
        spec="Apache Ignite, Binary Client Protocol: Connection Handshake",
        match=_ignite,
        # A protocol version that does not exist: the server answers which one it speaks.
        probe=bytes.fromhex("08000000 01 6300 0000 0000 02"),
        at=((4, b"\0\1\0"),),
        examples=(bytes.fromhex("13000000 00 0100 0700 0000 09 07000000") + b"refused",),
        rejects=(bytes(23),),
        ports=(10800,),
    ),
    Protocol(
        name="dbus",
        spec="D-Bus Specification, Authentication Protocol: AUTH without a mechanism lists them",
        match=_dbus,
        probe=b"\0AUTH\r\n",
        starts=(b"REJECTED ",),
        examples=(b"REJECTED EXTERNAL DBUS_COOKIE_SHA1 ANONYMOUS\r\n",),
        rejects=(b"REJECTED by policy\r\n",),
    ),
    Protocol(
        name="thrift",
        spec="Apache Thrift, Binary protocol encoding: Message, Strict",
        match=_thrift,
        starts=(b"\x80\1\0\2", b"\x80\1\0\3"),
        at=((4, b"\x80\1\0\2"), (4, b"\x80\1\0\3")),
        examples=(
            b"\x80\1\0\3\0\0\0\4ping\0\0\0\1\x0b\0\1\0\0\0\2no\x08\0\2\0\0\0\1\0",
            b"\0\0\0\x11\x80\1\0\2\0\0\0\4ping\0\0\0\1\0",
        ),
        rejects=(b"\x80\1\0\3\0\0\xff\4ping\0\0\0\1\0", b"\0\0\0\x12\x80\1\0\2\0\0\0\4ping\0\0\0\1\0"),
        ports=(9090,),
    ),
    Protocol(
        name="ibm-mq",
        spec="IBM MQ, transmission segment header (TSH)",
        match=_mq,
        starts=(b"TSH ",),
        examples=(b"TSH \0\0\0\x24\2\5\0\0" + bytes(8) + b"\0\0\1\x11\x03\x33\0\0" + b"\0\0\0\2\0\0\0\0",),
        rejects=(b"TSH \0\0\0\x25\2\5\0\0" + bytes(24), b"TSH is a header\r\n"),
        ports=(1414,),
    ),
)
