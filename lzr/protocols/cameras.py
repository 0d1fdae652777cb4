"""Cameras and recorders, on the ports of their makers' programs."""

from __future__ import annotations

from lzr.protocols._bytes import be32, le16, le32
from lzr.protocols._framing import leads
from lzr.protocols._protocol import Protocol


def _dahua(data: bytes) -> bool:
    """A header of 32 bytes and what it announces: a realm, JSON, or no more than the verdict."""
    if len(data) < 32:
        return False
    if data[4:8] == b"DHIP" or data[0] == 0xF6:
        return data[32:33] == b"{" and leads(data, 32 + le32(data, 16))
    size = le32(data, 4)
    if size == 0:
        return len(data) == 32 and data[8:32] != bytes(24)
    return leads(data, 32 + size) and data.startswith((b"Realm:", b"Login to "), 32)


def _hikvision(data: bytes) -> bool:
    """An answer of 16 bytes without data: length, checksum (the sum of what follows), status, zero."""
    if len(data) != 16 or data[4:8] != data[8:12] or data[12:] != bytes(4):
        return False
    return 0 < be32(data, 8) < 1024


_REALM = b"Realm:Login to 5EXAMPLE\r\nRandom:123456789\r\n\r\n"


def _dvrip(data: bytes) -> bool:
    """Head, version, session, sequence, message, length, then JSON with a "Ret"."""
    size = le32(data, 16)
    return leads(data, 20 + size) and le16(data, 14) >= 1000 and b'"Ret"' in data[20:]


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="dahua",
        spec="Dahua DVRIP and DHIP: headers, realm, as published in protocol studies",
        match=_dahua,
        # Asks for the realm, which comes before any login.
        probe=bytes.fromhex("a0010000") + bytes(20) + bytes.fromhex("050201010000a1aa"),
        starts=(b"\xb0\0", b"\xb0\1", b"\xf6\0\0\0", b"\x20\0\0\0DHIP"),
        examples=(
            bytes.fromhex("b0010058") + bytes((len(_REALM),)) + bytes(27) + _REALM,
            bytes.fromhex("b0000078 00000000 0105") + bytes(22),
            bytes.fromhex("f6000000 0e000000 01000000 00000000 0e000000") + bytes(12) + b'{"result":0}\n\0',
            b"\x20\0\0\0DHIP" + bytes(8) + b"\x0e\0\0\0\0\0\0\0\x0e\0\0\0\0\0\0\0" + b'{"result":0}\n\0',
        ),
        rejects=(
            bytes.fromhex("b0010058") + bytes((len(_REALM) + 1,)) + bytes(27) + _REALM,
            bytes.fromhex("b0000078 00000000") + bytes(24),
            b"\x20\0\0\0DHIP" + bytes(8) + b"\x0e\0\0\0\0\0\0\0\x0e\0\0\0\0\0\0\0" + b'"result":0}\n\0\0',
            b"\xb0\0\0\x78",
        ),
        ports=(37777, 5000),
    ),
    Protocol(
        name="hikvision",
        spec="Hikvision device network SDK: header and status, as published in protocol studies",
        match=_hikvision,
        # A header and no command: it is refused.
        probe=bytes.fromhex("00000020 63000000") + bytes(24),
        starts=(b"\0\0\0\x10\0\0",),
        examples=(
            bytes.fromhex("00000010 0000001e 0000001e 00000000"),
            bytes.fromhex("00000010 0000000d 0000000d 00000000"),
        ),
        rejects=(
            bytes.fromhex("00000010 0000001e 0000001f 00000000"),
            bytes.fromhex("00000010 0000001e 0000001e 00000001"),
            bytes.fromhex("00000010 0000041e 0000041e 00000000"),
            bytes.fromhex("00000010 00000000 00000000 00000000"),
            bytes.fromhex("00000010 0000001e 0000001e 0000000000"),
        ),
        ports=(8000,),
    ),
    Protocol(
        name="dvrip",
        spec="Xiongmai DVRIP (NetSurveillance) protocol: header, SystemInfo request",
        match=_dvrip,
        # Asks for the description without a session: refused, and so named.
        probe=b"\xff\0\0\0"
        + bytes(10)
        + b"\xfc\3\x2e\0\0\0"
        + b'{"Name":"SystemInfo","SessionID":"0x00000000"}',
        starts=(b"\xff\1\0\0",),
        examples=(
            b"\xff\1\0\0" + bytes(10) + b"\xfd\3\x25\0\0\0" + b'{ "Name" : "SystemInfo", "Ret" : 105}',
        ),
        rejects=(b"\xff\1\0\0" + bytes(10) + b"\xfd\3\x25\0\0\0" + b'{ "Name" : "SystemInfo", "Set" : 105}',),
        ports=(34567,),
    ),
)
