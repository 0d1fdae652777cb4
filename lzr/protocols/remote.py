"""Remote screens and tunnels: VNC, RDP, X11, PPTP."""

from __future__ import annotations

import struct

from lzr.protocols._bytes import be16, is_text, le16
from lzr.protocols._protocol import Protocol


def _vnc(data: bytes) -> bool:
    """RFC 6143 §7.1.1: "RFB xxx.yyy\\n"."""
    return data[4:7].isdigit() and data[7:8] == b"." and data[8:11].isdigit() and data[11:12] == b"\n"


def _rdp(data: bytes) -> bool:
    """A COTP connection confirm with an RDP negotiation answer or with nothing, or an MCS disconnect."""
    size = be16(data, 2)
    if data[4:] == b"\x02\xf0\x80\x21\x80":  # T.125 DisconnectProviderUltimatum
        return size == 9
    if size != len(data) or len(data) < 11 or data[5] != 0xD0 or data[4] != size - 5:
        return False
    if size == 11:  # before negotiation, MS-RDPBCGR §2.2.1.2
        return True
    kind = data[11:12]
    if size != 19 or kind not in (b"\x02", b"\x03") or le16(data, 13) != 8:
        return False
    return data[16:19] == b"\0\0\0" and data[15] <= (0x1F if kind == b"\x02" else 7)


def _x11(data: bytes) -> bool:
    """Setup answered: failed, success or authenticate; version 11.0 in either byte order."""
    little = data[2:3] == b"\x0b"
    size = (le16 if little else be16)(data, 6)
    if len(data) < 8 or data[0] > 2:
        return False
    if data[0] == 0:  # length of the reason, versions, length in words, reason
        reason = data[8 : 8 + data[1]]
        return 0 < data[1] <= size * 4 < data[1] + 4 and is_text(reason.rstrip(b"\0"))
    return size >= (8 if data[0] == 1 else 1) and (len(data) == 8 or len(data) <= 8 + size * 4)


def _pptp(data: bytes) -> bool:
    """RFC 2637 §1.4, §2.2: control message with the magic cookie; the request itself is type 1."""
    return len(data) >= 16 and be16(data, 0) >= 16 and be16(data, 2) == 1 and 2 <= be16(data, 8) <= 15


_PPTP_REQUEST = struct.pack(">HHIHHHHIIHH", 156, 1, 0x1A2B3C4D, 1, 0, 0x0100, 0, 3, 3, 0, 0) + bytes(128)
_PPTP_REPLY = struct.pack(">HHIHHHBBIIHH", 156, 1, 0x1A2B3C4D, 2, 0, 0x0100, 1, 0, 0, 0, 1, 1) + bytes(128)

PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="vnc",
        spec="RFC 6143 §7.1.1",
        match=_vnc,
        starts=(b"RFB ",),
        examples=(b"RFB 003.008\n", b"RFB 005.000\n", b"RFB 003.889\n"),
        rejects=(b"RFB 3.8\n", b"RFB 003.008 is old", b"RFB is remote framebuffer"),
        ports=(5900, 5901, 5902, 5903),
    ),
    Protocol(
        name="rdp",
        spec="MS-RDPBCGR §2.2.1.2",
        match=_rdp,
        probe=b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
        starts=(b"\x03\0\0",),
        examples=(
            b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0",
            b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x03\0\x08\0\x05\0\0\0",
            b"\x03\0\0\x0b\x06\xd0\0\0\x12\x34\0",
            b"\x03\0\0\x09\x02\xf0\x80\x21\x80",
        ),
        rejects=(
            b"\x03\0\0\x16\x11\xd0\0\x01\0\x01\0\xc0\x01\x0a\xc1\x02\x01\0\xc2\x02\x01\x02",
            b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0",
            b"\x03\0\0\x13" + b"\xd0" * 15,
        ),
        ports=(3389,),
        zgrab="rdp",
    ),
    Protocol(
        name="x11",
        spec="X Window System Protocol X11R7, Connection Setup",
        match=_x11,
        probe=b"\x6c\0\x0b\0\0\0\0\0\0\0\0\0",
        at=((2, b"\x0b\0\0\0"), (2, b"\0\x0b\0\0")),
        examples=(
            b"\x01\0\x0b\0\0\0\x20\x04",
            b"\0\x16\x0b\0\0\0\x06\0No protocol specified\n\0\0",
            b"\0\x16\0\x0b\0\0\0\x06No protocol specified\n\0\0",
        ),
        rejects=(
            b"\x6c\0\x0b\0\0\0\0\0\0\0\0\0",
            bytes(8),
            b"\0\x16\x0b\0\0\0\x60\0No protocol specified\n\0\0",
        ),
        ports=(6000, 6001),
    ),
    Protocol(
        name="pptp",
        spec="RFC 2637 §2.2",
        match=_pptp,
        probe=_PPTP_REQUEST,
        at=((4, b"\x1a\x2b\x3c\x4d"),),
        examples=(_PPTP_REPLY, _PPTP_REPLY[:100]),
        rejects=(_PPTP_REQUEST, b"\0\x9c\0\x01\x1a\x2b\x3c\x4d"),
        ports=(1723,),
        zgrab="pptp",
    ),
)
