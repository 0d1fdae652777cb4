"""SMB: negotiates SMB 1 with dialects that let SMB 2 and 3 servers answer in their own protocol."""

from __future__ import annotations

import struct

from lzr.protocols._bytes import be24, le16
from lzr.protocols._protocol import Protocol

DIALECTS = (b"NT LM 0.12", b"SMB 2.002", b"SMB 2.???")


def _negotiate() -> bytes:
    """MS-CIFS §2.2.4.52; MS-SMB2 §3.2.4.2.2.1 for the last two dialects."""
    names = b"".join(b"\x02" + name + b"\0" for name in DIALECTS)
    header = b"\xffSMB\x72" + struct.pack("<IBHH8sHHHHH", 0, 0x18, 0xC853, 0, bytes(8), 0, 0, 0xFEFF, 0, 0)
    message = header + b"\0" + struct.pack("<H", len(names)) + names
    return struct.pack(">I", len(message)) + message


def _smb(data: bytes) -> bool:
    """A NetBIOS session message that holds a response of SMB 1 or 2."""
    if len(data) < 36 or data[0] != 0 or not 32 <= be24(data, 1) <= 0x20000:
        return False
    if data[4] == 0xFF:
        return data[13] & 0x80 != 0 and data[8] in (0x72, 0x73, 0x75, 0x25)
    # MS-SMB2 §2.2.1: structure size 64, and the flag that it comes from the server
    return len(data) >= 68 and le16(data, 8) == 64 and data[20] & 1 == 1 and le16(data, 16) <= 18


_PROBE = _negotiate()
_SMB2_REPLY = (
    b"\0\0\0\x60\xfeSMB\x40\0" + bytes(10) + b"\x01\0\x01" + bytes(45) + b"\x41\0\x01\0\xff\x02" + bytes(26)
)

PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="smb",
        spec="MS-CIFS §2.2.4.52.2, MS-SMB2 §2.2.4",
        match=_smb,
        probe=_PROBE,
        at=((4, b"\xffSMB"), (4, b"\xfeSMB")),
        examples=(
            _SMB2_REPLY,
            b"\0\0\0\x25\xffSMB\x72\0\0\0\0\x98\x53\xc8" + bytes(20) + b"\x01\xff\xff\0\0",
        ),
        rejects=(_PROBE, b"\0\0\0\x40\xfeSMB" + b"\xff" * 60, b"\0\0\0\x04\xfeSMB"),
        ports=(445, 139),
        zgrab="smb",
    ),
)
