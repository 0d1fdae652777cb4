"""Industrial control: Modbus/TCP, DNP3, Tridium Fox, Siemens S7."""

from __future__ import annotations

import struct

from lzr.protocols._bytes import be16
from lzr.protocols._protocol import Protocol, Random

# --- Modbus/TCP: transaction, protocol 0, length, unit, function ----------------------------------------

FIXED = frozenset((5, 6, 8, 11, 15, 16))
"""Functions whose answer is two 16-bit numbers (Modbus Application Protocol V1.1b3 §6)."""


def _modbus(data: bytes) -> bool:
    """An answer, or an exception to what was no Modbus: then transaction and protocol are the first bytes of
    that, as the header is given back unread (§4.1: transaction, protocol and unit are copied)."""
    size = be16(data, 4)
    if data[2:4] != b"\0\0":
        foreign = data[:4].isascii() or data[:2] == b"\x16\3"
        return size == 3 and len(data) == 9 and foreign and data[7] >= 0x80 and 1 <= data[8] <= 11
    if not 3 <= size <= 254 or len(data) < 9:
        return False
    if len(data) != size + 6:  # a second answer may follow
        after = size + 6
        if len(data) < after + 9 or data[after + 2 : after + 4] != b"\0\0" or data[after + 6] != data[6]:
            return False
    function, rest = data[7], size - 2
    if function & 0x80:
        return rest == 1 and 1 <= data[8] <= 11
    if function in (1, 2, 3, 4, 12, 17, 20, 21, 23):
        return data[8] == rest - 1 and rest > 1
    if function in FIXED:
        return rest == 4
    if function == 43:  # device identification: type, code, conformity, more, next, objects
        return data[8] == 14 and rest >= 6 and data[9] in (1, 2, 3, 4)
    return (function in (7, 22) and rest in (1, 6)) or (function == 24 and be16(data, 8) == rest - 2)


# --- DNP3: 0x0564, length, control, destination, source, CRC ---------------------------------------------


def _step(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0xA6BC if byte & 1 else byte >> 1
    return byte


_STEPS = tuple(map(_step, range(256)))


def _crc(block: bytes) -> bytes:
    """IEEE 1815 §9.2.4.1.4: reversed polynomial 0xA6BC, complemented, little-endian."""
    crc = 0
    for byte in block:
        crc = crc >> 8 ^ _STEPS[(crc ^ byte) & 255]
    return struct.pack("<H", crc ^ 0xFFFF)


def _dnp3(data: bytes) -> bool:
    """A frame with a true header CRC; requests for the link's status are our own."""
    return len(data) >= 10 and data[2] >= 5 and data[3] != 0xC9 and _crc(data[:8]) == data[8:10]


def _link_status(address: int) -> bytes:
    """Request link status, from address 0: primary, DIR set, function 9."""
    header = b"\x05\x64\x05\xc9" + struct.pack("<HH", address, 0)
    return header + _crc(header)


def _outstation(control: int, size: int = 5) -> bytes:
    header = bytes((5, 0x64, size, control, 0, 0, 10, 0))
    return header + _crc(header)


# --- Fox -----------------------------------------------------------------------------------------------

_HELLO = b"fox a 1 -1 fox hello\n{\nfox.version=s:1.0\nid=i:1\n};;\n"


def _fox(data: bytes) -> bool:
    """The station's own hello or a refusal: `fox a 0 …`; ours is number 1."""
    words = data[:64].split(b"\n", 1)[0].split(b" ")
    return (
        len(words) == 6
        and words[4] == b"fox"
        and words[2].isdigit()
        and words[2] != b"1"
        and b"{" in data[:80]
    )


# --- S7: COTP (RFC 905 §13.3) in TPKT (RFC 1006) -----------------------------------------------------------


def _siemens(data: bytes) -> bool:
    """A connection confirm whose parameters are well-formed: TPDU size and TSAPs, in any order (§13.4.4)."""
    size = be16(data, 2)
    if size != len(data) or size < 14 or data[5] != 0xD0 or data[4] != size - 5:
        return False
    if data[11:15] == b"\1\0\x08\0":  # RDP's question among the parameters, given back: RDP has an answer
        return size == 19
    at = 11
    while at + 2 < size:
        kind, length = data[at], data[at + 1]
        if kind == 0xC0:
            if length != 1 or not 7 <= data[at + 2] <= 13:
                return False
        elif kind not in (0xC1, 0xC2) or not 1 <= length <= 32:
            return False
        at += 2 + length
    return at == size


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="modbus",
        spec="Modbus Messaging on TCP/IP V1.0b §3.1; Modbus Application Protocol V1.1b3 §6",
        match=_modbus,
        probe=(Random(2), b"\0\0\0\x05\0\x2b\x0e\x01\0"),
        at=((2, b"\0\0\0"), (4, b"\0\3")),
        examples=(
            b"\0\1\0\0\0\5\xff\3\2\0\x2a" * 2,
            b"\0\1\0\0\0\3\1\7\x6d",
            b"\0\1\0\0\0\x08\1\x16\0\4\0\xf2\0\x25",
            b"\0\1\0\0\0\x08\1\x18\0\4\0\1\1\xb8",  # a queue
            b"GET \0\3H\xd4\1",  # to "GET / HTTP/1.1"
            b"\r\n\r\n\0\3\r\x8a\1",  # to empty lines
            b"\x16\3\1\0\0\3\0\x81\1",  # to a ClientHello
            b"\x12\x34\0\0\0\x03\0\xab\x01",
            b"\x12\x34\0\0\0\x10\0\x2b\x0e\x01\x01\0\0\x01\0\x06Vendor",
            b"\0\x01\0\0\0\x05\xff\x03\x02\0\x2a",
            b"\0\x02\0\0\0\x06\x01\x10\0\0\0\x02",
        ),
        rejects=(
            b"\0\1\0\0\0\5\xff\3\2\0\x2axyz",
            b"\x12\x34\0\0\0\x05\0\x2b\x0e\x01\0",
            bytes(12),
            b"GET \0\3H\xd4\x0c",
            b"\0\1\0\0\0\5\1\7\1\2\3",
            b"\0\1\0\0\0\x08\1\x18\0\5\0\1\1\xb8",
            b"\0\1\0\0\0\x08\1\x19\0\4\0\1\1\xb8",
            b"GET \0\3H\x54\1",
            b"\xa1\xb2\xc3\xd4\0\3H\xd4\1",
            b"\0\x01\0\0\0\x05\xff\x03\x09\0\x2a",
            b"\0\x01\0\0\0\x03\x01\x83\x63",
        ),
        ports=(502,),
        zgrab="modbus",
    ),
    Protocol(
        name="dnp3",
        spec="IEEE 1815-2012 §9.2",
        match=_dnp3,
        probe=b"".join(_link_status(address) for address in range(100)),
        starts=(b"\x05\x64",),
        examples=(_outstation(0x0B), _outstation(0x44, 10) + bytes(5) + _crc(bytes(5))),
        rejects=(_link_status(3), b"\x05\x64\x05\x0b\0\0\0\0\0\0", b"\x05\x64"),
        ports=(20000,),
        zgrab="dnp3",
    ),
    Protocol(
        name="fox",
        spec="Niagara Fox: session hello",
        match=_fox,
        probe=_HELLO,
        starts=(b"fox a ",),
        examples=(
            b"fox a 0 -1 fox hello\n{\nfox.version=s:1.0\nid=i:9\nhostName=s:192.0.2.3\n};;\n",
            b"fox a 0 -1 fox rejected\n{\n};;\n",
        ),
        rejects=(_HELLO, b"fox a dog and a hen\n"),
        ports=(1911, 4911),
        zgrab="fox",
    ),
    Protocol(
        name="siemens",
        spec="RFC 1006 §6, RFC 905 §13.4; S7 connection set-up",
        match=_siemens,
        probe=b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc0\x01\x0a\xc1\x02\x01\0\xc2\x02\x01\x02",
        starts=(b"\x03\0\0",),
        examples=(
            b"\x03\0\0\x16\x11\xd0\0\x01\0\x0c\0\xc0\x01\x0a\xc1\x02\x01\0\xc2\x02\x01\x02",
            b"\x03\0\0\x0e\x09\xd0\0\x01\0\x02\0\xc0\x01\x0a",
            b"\x03\0\0\x16\x11\xd0\0\x01\0\x0c\0\xc1\x02\x01\0\xc2\x02\x01\x02\xc0\x01\x09",
            b"\x03\0\0\x16\x11\xd0\0\x01\0\x0c\0\xc0\x01\x0a\xc1\x02\0\0\xc2\x02\x01\x02",
            b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x01\0\x08\0\x0b\0\0\0",
        ),
        rejects=(
            b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc0\x01\x0a\xc1\x02\x01\0\xc2\x02\x01\x02",
            b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0",
            b"\x03\0\0\x0e\x09\xd0\0\x01\0\x02\0\xc0\x01\x63",
            b"\x03\0\0\x0f\x0a\xd0\0\x01\0\x02\0\xc1\x02\x01\0".replace(b"\xc1\x02", b"\xc1\x03"),
            b"\x03\0\0\x0f\x0a\xd0\0\x01\0\x02\0\xc7\x02\x01\0",
        ),
        ports=(102,),
        zgrab="siemens",
    ),
)
