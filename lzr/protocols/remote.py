"""Remote screens and desktops: VNC, RDP, X11 and its fonts, ICA, SPICE, TeamViewer, Radmin."""

from __future__ import annotations

from lzr.protocols._bytes import be16, be32, is_text, le16, le32
from lzr.protocols._framing import fits, leads, printable
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


def _spice(data: bytes) -> bool:
    """A link reply: magic, version, size, error, public key (SPICE protocol §2.3 RedLinkReply)."""
    return (
        len(data) >= 20 and fits(data, le32(data, 12) + 16) and le32(data, 12) >= 178 and le32(data, 16) <= 9
    )


def _xfs(data: bytes) -> bool:
    """The reply to a connection's opening: status, version 2, what else to ask, the vendor's name."""
    read = le16 if data[2:3] == b"\2" else be16
    status = read(data, 0)
    if status:
        return status in (2, 3) and len(data) == 12 and data[4:] == bytes(8)
    at = 12 + 4 * (max(read(data, 8), 0) + max(read(data, 10), 0))
    size = read(data, at + 6)
    return 0 < size <= 256 and len(data) >= at + 12 + size and printable(data[at + 12 : at + 12 + size])


_VENDOR = bytes.fromhex("06000000 4000 0c00 70170000") + b"X Consortium" + bytes(8)


def _teamviewer(data: bytes) -> bool:
    """Magic, command 10 (who are you?), 32 bytes: of them most are always the same. The newer form: magic,
    command, length of what follows 24 bytes, the number of the message."""
    if data[:2] == b"\x11\x30":
        known = data[3:4] == b"\0" and data[8:16] == b"\1" + bytes(7)
        return known and 0 < le32(data, 4) < 0x10000 and leads(data, 24 + le32(data, 4))
    if len(data) != 37 or data[12:17] != bytes(5):
        return False
    return data[17:21] == b"\1\0\0\0" and data[22:] == _TEAMVIEWER


_TEAMVIEWER = b"\x80" + bytes(14)


def _radmin(data: bytes) -> bool:
    """One, length, checksum (the sum of the words, low byte first), a message: version or refusal."""
    message = data[9:]
    if len(message) != be32(data, 1) or message[:1] not in (b"\x08", b"\x2f"):
        return False
    words = message[:60] + bytes(-len(message) % 4)
    total = sum(int.from_bytes(words[i : i + 4], "little") for i in range(0, len(words), 4))
    return total & 0xFFFFFFFF == be32(data, 5)


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
        name="ica",
        spec="Citrix Independent Computing Architecture, server hello",
        match=lambda data: data == (b"\x7f\x7fICA\0" * (len(data) // 6 + 1))[: len(data)],
        starts=(b"\x7f\x7fICA\0",),
        examples=(b"\x7f\x7fICA\0", b"\x7f\x7fICA\0\x7f\x7fICA\0"),
        rejects=(b"\x7f\x7fICA\0hello",),
        ports=(1494,),
    ),
    Protocol(
        name="spice",
        spec="SPICE protocol 1.0 §2.2-2.4 (link stage)",
        match=_spice,
        probe=b"REDQ" + bytes.fromhex("02000000 02000000 12000000 00000000 01 00 00000000 00000000 12000000"),
        starts=(b"REDQ\2\0\0\0",),
        examples=(b"REDQ" + bytes.fromhex("02000000 02000000 b2000000 00000000") + bytes(174),),
        rejects=(b"REDQ" + bytes.fromhex("02000000 02000000 12000000 00000000") + bytes(14),),
        ports=(5900, 5930),
    ),
    Protocol(
        name="xfs",
        spec="The X Font Service Protocol (X11R6), Open Connection",
        match=_xfs,
        probe=b"l\0\2\0\0\0\0\0",
        starts=tuple(bytes((status, 0, 2, 0)) for status in (0, 2, 3))
        + tuple(bytes((0, status, 0, 2)) for status in (0, 2, 3)),
        examples=(
            b"\0\0\2\0\0\0" + b"\0\0" + bytes(4) + _VENDOR,
            b"\0\0\2\0\0\0" + b"\1\0" + b"\4\0\0\0" + b"\0\x0dexample1:7100\0" + _VENDOR,
            b"\3\0\2\0" + bytes(8),
            bytes.fromhex("0000 0002 0000 00 00 0000 0000 00000006 0040 000c 00001770") + b"X Consortium",
        ),
        rejects=(
            b"\0\0\2\0\0\0" + b"\0\0" + bytes(4) + _VENDOR[:20],
            b"\0\0\2\0\0\0" + b"\0\0" + bytes(32),
            b"\3\0\2\0" + bytes(7) + b"\1",
        ),
        ports=(7100,),
    ),
    Protocol(
        name="teamviewer",
        spec="TeamViewer, first message, as published in protocol studies",
        match=_teamviewer,
        starts=(b"\x17\x24\x0a\x20\0", b"\x11\x30"),
        examples=(
            bytes.fromhex("17240a2000 884ef100 081380 0000000000 01000000 11") + _TEAMVIEWER,
            bytes.fromhex("17240a2000 884ef100 e84200 0000000000 01000000 10") + _TEAMVIEWER,
            bytes.fromhex("11303600 04000000 01000000 00000000 1b000000 18000000 8c00a1b2"),
        ),
        rejects=(
            bytes.fromhex("17240a2000 884ef100 081380 00"),
            bytes.fromhex("17240a2000 884ef100 081380 0000000000 02000000 10") + _TEAMVIEWER,
            bytes.fromhex("17240a2000 884ef100 081380 0000000001 01000000 10") + _TEAMVIEWER,
            bytes.fromhex("11303600 04000000 02000000 00000000 1b000000 18000000 8c00a1b2"),
            bytes.fromhex("11303600 00000000 01000000 00000000 1b000000 18000000"),
        ),
        ports=(5938,),
    ),
    Protocol(
        name="radmin",
        spec="Remote Administrator, first exchange, as published in protocol studies",
        match=_radmin,
        # Asks which version it speaks, as each client does first.
        probe=b"\1\0\0\0\1\0\0\0\x08\x08",
        starts=(b"\1\0\0\0\x25", b"\1\0\0\0\x09"),
        examples=(
            b"\1\0\0\0\x25\0\0\2\x12\x08\2\0\0\x0a" + bytes(32),  # version 3
            b"\1\0\0\0\x25\x09\0\1\x10\x08\1\0\x09\x08" + bytes(32),  # version 2
            b"\1\0\0\0\x09\0\0\x10\x4f\x2f\x10\0\0\4\0\0\0\x1c",  # this address is not let in
        ),
        rejects=(
            b"\1\0\0\0\x25\0\0\2\x12\x08\2\0\0\x0a" + bytes(31),
            b"\1\0\0\0\x25\0\0\2\x13\x08\2\0\0\x0a" + bytes(32),
            b"\1\0\0\0\x25\0\0\2\x13\x09\2\0\0\x0a" + bytes(32),
        ),
        ports=(4899,),
    ),
)
