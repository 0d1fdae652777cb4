"""Remote calls of Java and similar systems: RMI, debuggers, application servers, CORBA."""

from __future__ import annotations

from lzr.protocols._bytes import be16, be32, le32
from lzr.protocols._framing import first_line, fits, leads, printable
from lzr.protocols._protocol import Protocol


def _rmi(data: bytes) -> bool:
    """ProtocolAck, then the client's host as the server sees it, and its port."""
    size = be16(data, 1)
    return (
        0 < size < 256
        and len(data) == size + 7
        and printable(data[3 : 3 + size])
        and be32(data, 3 + size) < 65536
    )


def _jdwp(data: bytes) -> bool:
    """The handshake, alone or before a reply packet, or an event of a machine that waited for a debugger; not
    our own handshake and command come back."""
    kinds = (b"\x80", b"\0\x40\x64")  # flags; behind those of a command its set and number: Event, Composite
    return len(data) == 14 or (
        len(data) >= 25 and data.startswith(kinds, 22) and leads(data, 14 + be32(data, 14))
    )


def _serialization(data: bytes) -> bool:
    return len(data) == 4 or (len(data) > 4 and 0x70 <= data[4] <= 0x7E)


def _t3(data: bytes) -> bool:
    version = first_line(data)[5:]
    return version[:1].isdigit() and (b"\nAS:" in data[:100] or version.endswith((b".false", b".true")))


def _giop(data: bytes) -> bool:
    """Header: version, flags, a message type that servers send, size in the flagged byte order."""
    if len(data) < 12 or data[4] != 1 or data[5] > 3 or data[6] > 3 or data[7] not in {1, 4, 5, 6}:
        return False
    return leads(data, 12 + (le32(data, 8) if data[6] & 1 else be32(data, 8)))


def _ajp(data: bytes) -> bool:
    """ "AB", length, and a message type that containers send (AJPv13 reference, Packet Headers)."""
    size = be16(data, 2)
    return (
        size > 0
        and leads(data, size + 4)
        and (data[4:] == b"\x09" or (data[4:5] in b"\3\4\5\6" and size > 1))
    )


def _hadoop(data: bytes) -> bool:
    """length, a delimited RpcResponseHeaderProto with a call, a status, and the server's IPC version; or the
    page by which it says that this is no port for HTTP."""
    if data.startswith(_NO_WEB):
        return True
    return fits(data, be32(data, 0) + 4) and b"org.apache.hadoop." in data[:64]


_VERSION_MISMATCH = b"\x08\0\x10\2\x18\x09\x22\x29org.apache.hadoop.ipc.RPC$VersionMismatch\x2a\5wrong"

_NO_WEB = (
    b"HTTP/1.1 404 Not Found\r\nContent-type: text/plain\r\n\r\n"
    b"It looks like you are making an HTTP request to a Hadoop IPC port."
)


def _remoting(data: bytes) -> bool:
    """A greeting: its length, type 0, then fields with a byte each for key and length; one is a name."""
    size = be32(data, 0)
    if size + 4 != len(data) or not 5 <= size <= 512:
        return False
    at, named = 5, False
    while at + 2 <= len(data):
        key, text = data[at], data[at + 2 : at + 2 + data[at + 1]]
        if key > 7 or len(text) != data[at + 1]:
            return False
        named = named or (key in (0, 1, 2) and len(text) > 2 and printable(text))
        at += 2 + data[at + 1]
    return named and at == len(data)


def _greeting(*fields: bytes) -> bytes:
    body = b"\0" + b"".join(fields)
    return len(body).to_bytes(4, "big") + body


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="rmi",
        spec="Java RMI Specification §10.2 RMI Transport Protocol",
        match=_rmi,
        probe=b"JRMI\0\2K",
        starts=(b"N\0",),
        examples=(b"N\0\x09127.0.0.1\0\0\x9c\x40",),
        rejects=(b"N\0\x09127.0.0.1\0\0\x9c\x40\0", b"N\0\0\0\0\0\0", b"N\0\x03a\0b\0\0\0\1"),
        ports=(1099,),
    ),
    Protocol(
        name="jdwp",
        spec="Java Debug Wire Protocol: Handshake, VirtualMachine.Version",
        match=_jdwp,
        # The handshake alone would look like an echo's answer; the command behind it tells them apart.
        probe=b"JDWP-Handshake\0\0\0\x0b\0\0\0\1\0\1\1",
        starts=(b"JDWP-Handshake",),
        examples=(
            b"JDWP-Handshake",
            b"JDWP-Handshake\0\0\0\x0b\0\0\0\1\x80\0\0",
            b"JDWP-Handshake\0\0\0\x1d\0\0\0\0\0\x40\x64\2\0\0\0\1\x5a" + bytes(11) + b"\1",  # VM_START
        ),
        rejects=(b"JDWP-Handshake\0\0\0\x0b\0\0\0\1\0\1\1", b"JDWP-Handshake failed"),
        ports=(5005, 8000),
    ),
    Protocol(
        name="java-serialization",
        spec="Java Object Serialization Specification §6.4 (stream magic, version, type codes)",
        match=_serialization,
        starts=(b"\xac\xed\0\5",),
        examples=(b"\xac\xed\0\5", b"\xac\xed\0\5sr\0\x10java.lang.String"),
        rejects=(b"\xac\xed\0\5\0\0\0\0",),
    ),
    Protocol(
        name="t3",
        spec="Oracle WebLogic Server, T3 bootstrap header",
        match=_t3,
        probe=b"t3 12.2.1\nAS:255\nHL:19\nMS:10000000\n\n",
        starts=(b"HELO:",),
        examples=(b"HELO:12.2.1.4.0.false\nAS:2048\nHL:19\n\n",),
        rejects=(b"HELO:there\n",),
        ports=(7001,),
    ),
    Protocol(
        name="giop",
        spec="OMG CORBA 3.3 part 2 §9.4 GIOP Message Formats",
        match=_giop,
        # LocateRequest for an object that does not exist.
        probe=b"GIOP\1\0\0\3\0\0\0\x0b\0\0\0\1\0\0\0\3lzr",
        starts=(b"GIOP\1",),
        examples=(b"GIOP\1\0\0\4\0\0\0\x08\0\0\0\1\0\0\0\0", b"GIOP\1\2\1\6\0\0\0\0"),
        rejects=(b"GIOP\1\0\0\4\0\0\0\x09\0\0\0\1\0\0\0\0", b"GIOP\1\0\0\3\0\0\0\0"),
        ports=(683, 1050, 2809),
    ),
    Protocol(
        name="ajp13",
        spec="Apache Tomcat Connectors, AJPv13 reference: CPing, Response Packet Structure",
        match=_ajp,
        probe=b"\x12\x34\0\1\x0a",
        starts=(b"AB\0", b"AB\x1f"),
        examples=(b"AB\0\1\x09", b"AB\0\x0a\4\0\xc8\0\2OK\0\0\0"),
        rejects=(b"AB\0\2\x09", b"AB\0\1\x03"),
        ports=(8009,),
    ),
    Protocol(
        name="hadoop-ipc",
        spec="Apache Hadoop, RpcHeader.proto: RpcResponseHeaderProto; Server.java version check",
        match=_hadoop,
        # A version of the protocol that does not exist: the server says which one it speaks.
        probe=b"hrpc\x0a\0\0",
        starts=(_NO_WEB,),
        at=((5, b"\x08"),),
        examples=(
            _NO_WEB + b" This is not the correct port for the web interface on this daemon.\r\n",
            (len(_VERSION_MISMATCH) + 1).to_bytes(4, "big")
            + bytes((len(_VERSION_MISMATCH),))
            + _VERSION_MISMATCH,
        ),
        rejects=(
            _NO_WEB[:-6],
            bytes(4) + _VERSION_MISMATCH,
            (len(_VERSION_MISMATCH)).to_bytes(4, "big") + bytes(61),
            b"H\1\2\3\4\x08" + bytes(20),
        ),
        ports=(8020, 9000),
    ),
    Protocol(
        name="jboss-remoting",
        spec="JBoss Remoting 3 wire protocol: greeting",
        match=_remoting,
        starts=(b"\0\0\0", b"\0\0\1"),
        examples=(
            _greeting(b"\0\x0cexample-host"),
            _greeting(b"\0\1\0", b"\3\4\0\0\0\3", b"\1\6GSSAPI", b"\2\x0cexample-host"),
        ),
        rejects=(
            _greeting(b"\0\x0dexample-host"),
            _greeting(b"\0\x0cexample\0host"),
            _greeting(b"\x09\x0cexample-host"),
            _greeting(b"\0\x0cexample-host") + b"\0",
            _greeting(b"\0\x0cexample-host", b"\0"),
        ),
        ports=(4447, 4446, 9999),
    ),
)
