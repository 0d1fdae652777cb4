"""Devices: routers and switches, plugs, phones, media players."""

from __future__ import annotations

from zlib import crc32

from lzr.protocols._bytes import be16, be32, le32
from lzr.protocols._framing import fits, leads, printable
from lzr.protocols._protocol import Protocol


def _winbox(data: bytes) -> bool:
    """A chunk: length, tag 1, length again, an M2 message; or tag 6 and a key exchange's answer.

    A message is a list of fields: a number in three bytes, a type, a value.
    """
    if len(data) < 10:
        return False
    if data[1] == 6:
        return data[0] == 0x31 and len(data) == 51
    return (
        data[1] == 1
        and leads(data, data[0] + 2)
        and (be16(data, 2) > 253 if data[0] == 255 else be16(data, 2) == data[0] - 2)
        and data[8] in (0, 0xFE, 0xFF)
        and data[9] & 0x7F in _M2_TYPES
        and b"\7\0\xff\x09" not in data  # a command: only a client's message has one
    )


_M2_TYPES = frozenset((0, 1, 8, 9, 0x10, 0x11, 0x18, 0x20, 0x21, 0x28, 0x29, 0x30, 0x31))
"""False and true, numbers of 32, 8 and 64 bits, an address, text, message, bytes (long and short); with the
top bit set a list of them."""


def _adb(data: bytes) -> bool:
    """A message whose magic is its command's complement; not our own greeting (adb protocol.txt)."""
    command, size = le32(data, 0), le32(data, 12)
    if len(data) < 24 or le32(data, 20) ^ command != 0xFFFFFFFF or not leads(data, 24 + size):
        return False
    return not data.startswith(b"host:", 24)


def _smarthome(data: bytes) -> bool:
    """Length, then JSON under the autokey cipher (key 171) that holds more than the question."""
    if not fits(data, be32(data, 0) + 4):
        return False
    key, text = 171, bytearray()
    for byte in data[4:60]:
        text.append(byte ^ key)
        key = byte
    return text.startswith((b'{"system":{"get_sysinfo":{"', b'{"system":{"err_code"')) and not text.endswith(
        b"{}}}"
    )


def _mpd(data: bytes) -> bool:
    version = data[7:].partition(b"\n")[0]
    return data[-1:] == b"\n" and version.replace(b".", b"").isdigit()


def _rtmp(data: bytes) -> bool:
    """S0, then S1: time, a version or zeros, random bytes (Adobe RTMP 1.0 §5.2)."""
    return (
        len(data) >= 1200
        and len(set(data[9:73])) > 8
        and (data[5:9] == bytes(4) or (max(data[5:9]) <= 0x10 and data[5] > 0))
    )


_M2 = b"M2" + bytes.fromhex(
    "0100ff880200 0d000000 04000000 0200ff880200 00000000 01000000 0500ff01 0600ff0900 0700ff0907"
)

_ANSWER = b"M2\1\0\xff\x88\2\0\0\0\0\0\1\0\0\0\3\0\xff\x09\2\6\0\xff\x09\0"

_HOST = b"host::\0"

_CNXN = (0x4E584E43).to_bytes(4, "little")


def _adb_message(command: bytes, first: int, second: int, data: bytes) -> bytes:
    magic = (int.from_bytes(command, "little") ^ 0xFFFFFFFF).to_bytes(4, "little")
    numbers = b"".join(n.to_bytes(4, "little") for n in (first, second, len(data), sum(data)))
    return command + numbers + magic + data


def _autokey(text: bytes) -> bytes:
    """TP-Link's framing: each byte is mixed with the one before it."""
    out, key = bytearray(), 171
    for byte in text:
        key ^= byte
        out.append(key)
    return len(out).to_bytes(4, "big") + bytes(out)


def _tuya(data: bytes) -> bool:
    """Prefix, sequence, command, length; up to version 3.3 a checksum, in 3.4 an HMAC, in 3.5 a nonce and a
    tag; suffix."""
    if data[2:3] == b"\x66":
        return 28 <= be32(data, 14) == len(data) - 22 and data[-4:] == b"\0\0\x99\x66"
    size = be32(data, 12)
    frame = data[: size + 16]  # a report of the device's state may follow
    if not 12 <= size == len(frame) - 16 or frame[-4:] != b"\0\0\xaa\x55" or be32(data, 8) > 0xFF:
        return False
    return size >= 36 or crc32(frame[:-8]) == be32(frame, len(frame) - 8)


def _mikrotik(data: bytes) -> bool:
    """A sentence: words behind their lengths, the first an answer's, an empty one at the end."""
    at = 0
    while at < len(data) and 0 < data[at] < 0x80:
        if not printable(data[at + 1 : at + 1 + data[at]]):
            return False
        at += 1 + data[at]
    return at < len(data) and data[at] == 0


def _icy(data: bytes) -> bool:
    """A status line; or what a source that may not send is told, and what a player is able to do."""
    return data[4:7].isdigit() and b"\n" in data if data[:1] == b"I" else data[14:15].isdigit()


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="winbox",
        spec="MikroTik WinBox: M2 messages and their chunks, as published in protocol studies",
        match=_winbox,
        # Asks for the system's description; needs no session, and newer versions ignore it.
        probe=bytes((len(_M2) + 2, 1)) + len(_M2).to_bytes(2, "big") + _M2,
        starts=(b"\x31\x06",),
        at=((4, b"M2"),),
        examples=(
            bytes((len(_ANSWER) + 2, 1)) + len(_ANSWER).to_bytes(2, "big") + _ANSWER,
            b"\x31\x06" + bytes(range(49)),
            b"\x0e\1\0\x0cM2\6\0\xff\x09\5\3\0\xff\x09\2",
            b"\xff\1\1\x04M2\x05\0\xff\1\x0b\0\0\x31" + bytes(243) + b"\x07\1" + bytes(7),
        ),
        rejects=(
            b"\x04\1\0\2M2",
            b"ab: M2\1\0\xff\x88\2\0\0\0\0\0",
            b"\x31\x06" + bytes(range(48)),
            b"\x33\x06" + bytes(range(49)),
            b"\x0e\1\0\x0cM2\6\0\xff\x55\5\3\0\xff\x09\2",
        ),
        ports=(8291,),
    ),
    Protocol(
        name="mikrotik-btest",
        spec="MikroTik bandwidth test, server hello, as published in protocol studies",
        match=lambda data: len(data) == 4,
        starts=(b"\1\0\0\0",),
        examples=(b"\1\0\0\0",),
        rejects=(b"\1\0\0\0\0",),
        ports=(2000,),
    ),
    Protocol(
        name="adb",
        spec="Android Debug Bridge, adb/protocol.txt",
        match=_adb,
        probe=_adb_message(_CNXN, 0x01000000, 4096, _HOST),
        starts=(b"CNXN", b"AUTH", b"STLS"),
        examples=(
            _adb_message(b"AUTH", 1, 0, bytes(range(20))),
            _adb_message(b"CNXN", 0x01000000, 4096, b"device::ro.product.name=example;"),
        ),
        rejects=(_adb_message(_CNXN, 0x01000000, 4096, _HOST), b"AUTH" + bytes(20)),
        ports=(5555,),
    ),
    Protocol(
        name="tplink-smarthome",
        spec="TP-Link Smart Home protocol: get_sysinfo, as published in protocol studies",
        match=_smarthome,
        probe=_autokey(b'{"system":{"get_sysinfo":{}}}'),
        at=((4, _autokey(b'{"system')[4:]),),
        examples=(_autokey(b'{"system":{"get_sysinfo":{"sw_ver":"1.5.4","type":"IOT.SMARTPLUGSWITCH"}}}'),),
        rejects=(
            _autokey(b'{"system":{"get_sysinfo":{"sw_ver":"1"}}}') + b"x",
            _autokey(b'{"system":{"get_sysinfo":{}}}'),
            _autokey(b'{"systems":[]}'),
        ),
        ports=(9999,),
    ),
    Protocol(
        name="cisco-smi",
        spec="Cisco Smart Install, as in Cisco's own smi_check",
        match=lambda data: len(data) == 24 and be32(data, 12) == 8 and be32(data, 16) == 1,
        probe=bytes.fromhex("00000001 00000001 00000004 00000008 00000001 00000000"),
        starts=(b"\0\0\0\4\0\0\0\0\0\0\0\3",),
        examples=(bytes.fromhex("00000004 00000000 00000003 00000008 00000001 00000000"),),
        rejects=(bytes.fromhex("00000004 00000000 00000003 00000009 00000001 00000000"),),
        ports=(4786,),
    ),
    Protocol(
        name="vty",
        spec="FRRouting and Quagga documentation, Virtual Terminal Interfaces; the answer's label is telnet",
        match=None,
        ports=(2601, 2604, 2605),
    ),
    Protocol(
        name="mpd",
        spec="Music Player Daemon documentation, Protocol: the greeting",
        match=_mpd,
        starts=(b"OK MPD ",),
        examples=(b"OK MPD 0.23.5\n",),
        rejects=(b"OK MPD is here\n",),
        ports=(6600,),
    ),
    Protocol(
        name="icy",
        spec="SHOUTcast 1 stream protocol: ICY status line",
        match=_icy,
        starts=(b"ICY ", b"OK2\r\nicy-caps:"),
        examples=(
            b"ICY 200 OK\r\nicy-notice1:<BR>\r\nicy-name:Example\r\n",
            b"OK2\r\nicy-caps:11\r\n\r\n",  # where a source may send its stream
        ),
        rejects=(b"ICY roads\r\n", b"OK2\r\nicy-caps:none\r\n\r\n"),
        ports=(8000,),
    ),
    Protocol(
        name="rtmp",
        spec="Adobe RTMP Specification 1.0 §5.2; a client's 1,537 bytes fill two packets",
        match=_rtmp,
        starts=(b"\3",),
        examples=(b"\3\0\0\0\1" + bytes(4) + bytes(i * 37 % 251 for i in range(1452)),),
        rejects=(b"\3\0\0\x0b" + b"A" * 1500, b"\3\0\0\0\1" + bytes(4)),
        ports=(1935,),
    ),
    Protocol(
        name="tuya",
        spec="Tuya local protocol, message frame, as published in protocol studies",
        match=_tuya,
        # A sign of life, which is answered in kind.
        probe=bytes.fromhex("000055aa 00000000 00000009 00000008 65930c22 0000aa55"),
        starts=(b"\0\0\x55\xaa", b"\0\0\x66\x99"),
        examples=(
            bytes.fromhex("000055aa 00000000 00000009 0000000c 00000000 b051ab03 0000aa55"),
            bytes.fromhex("000055aa 00000001 00000004 00000034") + bytes(4) + b"\xa1" * 44 + b"\0\0\xaa\x55",
            bytes.fromhex("000055aa 00000000 00000009 0000000c 00000000 b051ab03 0000aa55 000055aa 00000000"),
            bytes.fromhex("00006699 0000 00000001 00000009 00000020") + b"\xa1" * 32 + b"\0\0\x99\x66",
        ),
        rejects=(
            bytes.fromhex("000055aa 00000000 00000009 0000000d 00000000 b051ab03 0000aa55"),
            bytes.fromhex("000055aa 00000000 00000009 0000000c 00000000 b051ab04 0000aa55"),
            bytes.fromhex("000055aa 00000000 00000109 0000000c 00000000 b051ab03 0000aa55"),
            bytes.fromhex("00006699 0000 00000001 00000009 00000021") + b"\xa1" * 32 + b"\0\0\x99\x66",
        ),
        ports=(6668,),
    ),
    Protocol(
        name="mikrotik-api",
        spec="MikroTik RouterOS documentation, API: words and sentences",
        match=_mikrotik,
        # Ends the session that was not begun.
        probe=b"\5/quit\0",
        starts=(b"\6!fatal", b"\5!trap", b"\5!done"),
        examples=(b"\6!fatal\x0dnot logged in\0", b"\5!trap\x16=message=cannot log in\0\5!done\0"),
        rejects=(b"\6!fatal", b"\6!fatal\3\1\2\3\0"),
        ports=(8728,),
    ),
)
