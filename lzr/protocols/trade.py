"""Trade, health and telecommunication: orders, records, images, charging, short messages, business."""

from __future__ import annotations

from lzr.protocols._bytes import be16, be24, be32
from lzr.protocols._framing import leads
from lzr.protocols._protocol import Protocol


def _fix(data: bytes) -> bool:
    """8=FIX…, 9=length, 35=type, …, 10=checksum (FIX 4.4 vol. 1, Message Format)."""
    fields = data[:200].split(b"\1", 3)
    return (
        len(fields) == 4
        and fields[0][2:].startswith((b"FIX.", b"FIXT."))
        and fields[1].startswith(b"9=")
        and fields[1][2:].isdigit()
        and fields[2].startswith(b"35=")
    )


def _hl7(data: bytes) -> bool:
    """MLLP around an acknowledgement: MSH, then MSA (HL7 v2.5.1 §2.9)."""
    mark = data[4:5]
    return not mark.isalnum() and b"\rMSA" + mark in data[:700] and mark != b""


def _dicom(data: bytes) -> bool:
    """A-ASSOCIATE-AC, -RJ or A-ABORT: length and reserved fields (PS3.8 §9.3.3, §9.3.4, §9.3.8)."""
    size = be32(data, 2)
    if data[:1] == b"\2":
        return size >= 68 and leads(data, size + 6) and be16(data, 6) == 1 and data[74:75] in {b"", b"\x10"}
    if size != 4 or len(data) < 10 or len(data) % 10:
        return False
    if data[0] == 3:
        return len(data) == 10 and data[7] in {1, 2} and data[8] in {1, 2, 3} and 1 <= data[9] <= 10
    aborts = (data[at : at + 6] == data[:6] for at in range(0, len(data), 10))
    return data[8] in {0, 2} and data[9] <= 6 and all(aborts)


def _diameter(data: bytes) -> bool:
    """Version 1, length, no request flag, an answer's number below 512; then the first attribute, if any:
    number, flags, length (RFC 6733 §3, §4.1)."""
    size = be24(data, 1)
    if data[:1] != b"\1" or size % 4 or size < 20 or not leads(data, size) or data[4] & 0x8F:
        return False
    if be24(data, 5) in _COMMON and be32(data, 8):
        return False
    first = 0 < be32(data, 20) < 0x10000 and be24(data, 24) >> 16 & 0x1F == 0
    return size == 20 or (first and 8 <= be24(data, 25) <= size - 20)


_COMMON = frozenset((257, 280, 282))
"""Capabilities exchange, watchdog, disconnection: they belong to no application (§2.4)."""


def _sap(data: bytes) -> bool:
    """NI frame: length, then an eye-catcher of the router or the dispatcher."""
    return leads(data, be32(data, 0) + 4) and be32(data, 0) >= 8


def _avp(code: int, value: bytes, flags: int = 0x40) -> bytes:
    """An attribute; flags: mandatory (RFC 6733 §4.1), unless it may not be (§4.5)."""
    size = len(value) + 8
    return code.to_bytes(4, "big") + bytes((flags,)) + size.to_bytes(3, "big") + value + bytes(-size % 4)


_AVPS = (
    _avp(264, b"lzr.invalid")
    + _avp(296, b"invalid")
    + _avp(257, b"\0\1\xc0\0\2\1")
    + _avp(266, bytes(4))
    + _avp(269, b"lzr", flags=0)
    + _avp(258, b"\xff\xff\xff\xff")
)

_IMPLEMENTATION = b"2.25.239104958685397295678112399387184012805"
"""Names this program, as each side must (PS3.7 §D.3.3.2); under 2.25 anybody may (PS3.5 §B.2)."""

_ITEMS = (
    bytes.fromhex("10000015")
    + b"1.2.840.10008.3.1.1.1"
    + bytes.fromhex("2000002e 01000000 30000011")
    + b"1.2.840.10008.1.1"
    + bytes.fromhex("40000011")
    + b"1.2.840.10008.1.2"
    + b"\x50\0"
    + (12 + len(_IMPLEMENTATION)).to_bytes(2, "big")
    + bytes.fromhex("51000004 00004000 5200")
    + len(_IMPLEMENTATION).to_bytes(2, "big")
    + _IMPLEMENTATION
)

_ASSOCIATE = bytes.fromhex("0001 0000") + b"ANY-SCP".ljust(16) + b"LZR".ljust(16) + bytes(32) + _ITEMS


def _smpp(data: bytes) -> bool:
    """A response PDU: length, command with its top bit set, status, sequence (SMPP 3.4 §3.2)."""
    command = be32(data, 4)
    return (
        be32(data, 0) <= len(data)
        and be32(data, 0) >= 16
        and command in _SMPP_RESPONSES
        and be32(data, 8) < 0x600
        and (command not in {0x80000000, 0x80000015} or be32(data, 0) == 16)
    )


_SMPP_RESPONSES = {0x80000000, 0x80000001, 0x80000002, 0x80000004, 0x80000006, 0x80000009, 0x80000015}

_SMPP_RESPONSE_KEYS = tuple((4, command.to_bytes(4, "big")) for command in sorted(_SMPP_RESPONSES))


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="fix",
        spec="FIX 4.4 vol. 1, Message Format; FIXT 1.1",
        match=_fix,
        starts=(b"8=FIX",),
        examples=(b"8=FIX.4.2\0019=41\00135=5\00149=X\00156=Y\00134=1\00158=no logon\00110=123\1",),
        rejects=(b"8=FIX.4.2 is old\r\n", b"8=FIX.4.2\0019=x\00135=5\00110=1\1"),
    ),
    Protocol(
        name="hl7",
        spec="HL7 v2.5.1 §2.9; HL7 MLLP release 1",
        match=_hl7,
        # A query for the application's state, marked as a test.
        probe=b"\x0bMSH|^~\\&|LZR||||20240101000000||NMQ^N01|LZR1|D|2.5\rQRD||R|I|LZR1|||1|||OTH\r\x1c\r",
        starts=(b"\x0bMSH",),
        examples=(b"\x0bMSH|^~\\&|A|B|LZR||20240101||ACK|1|P|2.5\rMSA|AR|LZR1|unsupported\r\x1c\r",),
        rejects=(b"\x0bMSH|^~\\&|A|B|LZR||20240101||ADT|1|P|2.5\rPID|1\r\x1c\r",),
        ports=(2575,),
    ),
    Protocol(
        name="dicom",
        spec="DICOM PS3.8 §9.3",
        match=_dicom,
        # Asks for the verification service only.
        probe=b"\1\0" + len(_ASSOCIATE).to_bytes(4, "big") + _ASSOCIATE,
        starts=(b"\2\0\0\0", b"\3\0\0\0\0\4", b"\7\0\0\0\0\4"),
        examples=(
            bytes.fromhex("0300 00000004 00 01 01 07"),
            bytes.fromhex("0700 00000004 00 00 02 01"),
            bytes.fromhex("0200 00000044 0001 0000") + b"ANY-SCP".ljust(16) + b"LZR".ljust(16) + bytes(32),
        ),
        rejects=(bytes.fromhex("0300 00000004 00 00 01 07"), bytes.fromhex("0300 00000004 00 01 01 07 00")),
        ports=(104, 11112),
    ),
    Protocol(
        name="diameter",
        spec="RFC 6733 §3, §5.3",
        match=_diameter,
        probe=b"\1"
        + (len(_AVPS) + 20).to_bytes(3, "big")
        + bytes.fromhex("80000101 00000000 4c5a5231 4c5a5231")
        + _AVPS,
        at=tuple((4, bytes((flags, 0, 1))) for flags in (0, 0x20, 0x40, 0x60)),  # proxiable, error
        examples=(
            bytes.fromhex("01000020 00000101 00000000 4c5a5231 4c5a5231 0000010c 4000000c 00000bc2"),
            bytes.fromhex("01000020 40000110 00000004 4c5a5231 4c5a5231 0000010c 4000000c 000007d1"),
        ),
        rejects=(
            bytes.fromhex("01000021 00000101 00000000 4c5a5231 4c5a5231 0000010c 4000000c 00000bc2"),
            bytes.fromhex("01000020 00000101 00000004 4c5a5231 4c5a5231 0000010c 4000000c 00000bc2"),
            bytes.fromhex("02000020 00000101 00000000 4c5a5231 4c5a5231 0000010c 4000000c 00000bc2"),
            bytes.fromhex("01000020 00000101 00000000 4c5a5231 4c5a5231 0000010c 4100000c 00000bc2"),
            bytes.fromhex("01000020 00000101 00000000 4c5a5231 4c5a5231 0000010c 4000000d 00000bc2"),
        ),
        ports=(3868,),
    ),
    Protocol(
        name="sap-ni",
        spec="SAP NI protocol and SAProuter, as described by pysap's documentation",
        match=_sap,
        probe=b"\0\0\0\x08NI_PING\0",
        at=((4, b"NI_PONG\0"), (4, b"NI_RTERR"), (4, b"**DPTMMS")),
        examples=(b"\0\0\0\x08NI_PONG\0", b"\0\0\0\x13NI_RTERR\0\x28\0\0\xff\xff\xff\xa2\0\0\0"),
        rejects=(b"\0\0\0\x09NI_PONG\0", b"the NI_PONG\0 game"),
        ports=(3299, 3200),
    ),
    Protocol(
        name="smpp",
        spec="SMPP Protocol Specification v3.4 §3.2, §4.11",
        match=_smpp,
        probe=bytes.fromhex("00000010 00000015 00000000 4c5a5231"),
        at=_SMPP_RESPONSE_KEYS,
        examples=(bytes.fromhex("00000010 80000015 00000000 4c5a5231"),),
        rejects=(
            bytes.fromhex("00000011 80000015 00000000 4c5a5231 00"),
            bytes.fromhex("00000010 80000015 ffffffff 4c5a5231"),
        ),
        ports=(2775,),
    ),
)
