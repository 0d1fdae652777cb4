"""Windows: SMB, NetBIOS sessions, DCE/RPC, distributed transactions, .NET.

SMB: negotiates SMB 1 with dialects that let SMB 2 and 3 servers answer in their own protocol.
"""

from __future__ import annotations

import struct

from lzr.protocols._bytes import be16, be24, le16
from lzr.protocols._framing import first_line, leads
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


def _dcerpc(data: bytes) -> bool:
    """A server's PDU: version 5, type, flags, data representation, fragment length (C706 §12.6.3)."""
    if data.startswith(b"ncacn_http/"):
        return data[11:12].isdigit()
    if len(data) < 16 or data[1] > 1 or data[2] not in _DCERPC_REPLIES or data[4] & 0xEE:
        return False
    if data[5] > 3 or data[6:8] != b"\0\0":
        return False
    size, secret = (le16(data, 8), le16(data, 10)) if data[4] & 0x10 else (be16(data, 8), be16(data, 10))
    return size >= 16 and secret <= size - 16 and leads(data, size)


_DCERPC_REPLIES = frozenset((2, 3, 12, 13, 15, 17, 18, 19))


def _netbios(data: bytes) -> bool:
    """Positive or negative session response, or where else to go (RFC 1002 §4.3.3 to §4.3.5)."""
    if data[:4] == b"\x84\0\0\6":
        return len(data) == 10 and data[8:] != b"\0\0"
    return data == b"\x82\0\0\0" or (len(data) == 5 and data[4] in {0x80, 0x81, 0x82, 0x83, 0x8F})


def _whoami(name: bytes) -> bytes:
    """A NetBIOS name in its first-level encoding (RFC 1001 §14.1)."""
    padded = name.ljust(16)
    return b"\x20" + b"".join(bytes((0x41 + (c >> 4), 0x41 + (c & 15))) for c in padded) + b"\0"


def _tip(data: bytes) -> bool:
    """Which version it has of those that we have; or, where it did not understand, the first bytes of a
    buffer, as Windows' service sends them."""
    if data[2:] == b"\x0a\0x\1":
        return True
    words = first_line(data).split()
    return len(words) == 2 and words[1].isdigit() and len(data) < 32 if data[:10] == b"IDENTIFIED" else False


def _remoting(data: bytes) -> bool:
    """Magic, version 1.0, operation: reply (MS-NRTP §2.2.3.3)."""
    return len(data) >= 14 and le16(data, 6) <= 2 and le16(data, 8) <= 1


_FAULT = b"http://schemas.microsoft.com/ws/2006/05/framing/faults/"


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
    Protocol(
        name="dcerpc",
        spec="DCE 1.1: RPC (C706) §12.6; [MS-RPCE] §2.2.2; [MS-RPCH] §2.1.2.1",
        match=_dcerpc,
        # Bind to the endpoint mapper.
        probe=bytes.fromhex(
            "05000b03 10000000 48000000 01000000 d016d016 00000000 01000000 00000100"
            "0883afe1 1f5dc911 91a40800 2b14a0fa 03000000 045d888a eb1cc911 9fe80800 2b104860 02000000"
        ),
        starts=(b"\x05\0", b"\x05\1", b"ncacn_http/"),
        examples=(
            bytes.fromhex("05000d03 10000000 18000000 08014004 01000500 00000000"),
            bytes.fromhex("05000c03 10000000 3c000000 01000000 b810b810 00000000 0400")
            + b"135\0\0\0"
            + bytes.fromhex("01000000 00000000 045d888a eb1cc911 9fe80800 2b104860 02000000"),
            b"ncacn_http/1.0",
        ),
        rejects=(
            bytes.fromhex("05000c03 10000001 10000000 01000000"),
            bytes.fromhex("05000c03 10000000 3d000000 01000000"),
            bytes.fromhex("05000c03 ff000000 10000000 01000000"),
        ),
        ports=(135, 593, 49152),
    ),
    Protocol(
        name="netbios-ssn",
        spec="RFC 1002 §4.3",
        match=_netbios,
        probe=b"\x81\0\0\x44" + _whoami(b"*SMBSERVER") + _whoami(b"LZR"),
        starts=(b"\x82\0\0\0", b"\x83\0\0\1", b"\x84\0\0\6"),
        examples=(b"\x82\0\0\0", b"\x83\0\0\1\x8f", b"\x84\0\0\6\xc0\0\2\1\0\x8b"),
        rejects=(b"\x84\0\0\6\xc0\0\2\1\0\0", b"\x84\0\0\6\xc0\0\2\1\0", b"\x82\0\0\0\0", b"\x83\0\0\1\0"),
        ports=(139,),
    ),
    Protocol(
        name="msdtc",
        spec="RFC 2371 §13 (IDENTIFY), which Microsoft's coordinator of transactions speaks",
        match=_tip,
        # Which version of the protocol it has.
        probe=b"IDENTIFY 3 3 - -\r\n",
        starts=(b"IDENTIFIED ",),
        at=((2, b"\x0a\0x\1"),),
        examples=(b"IDENTIFIED 3\r\n", b"\xe8\xdd\x0a\0x\1"),
        rejects=(b"IDENTIFIED as a problem\r\n", b"IDENTIFIED 3", b"\xe8\xdd\x0a\0x\1\0"),
        ports=(3372,),
    ),
    Protocol(
        name="dotnet-remoting",
        spec="MS-NRTP §2.2.3.3 (single message over TCP)",
        match=_remoting,
        starts=(b".NET\1\0",),
        examples=(b".NET\1\0\2\0\0\0\x1c\0\0\0\0\0" + b"answer",),
        rejects=(b".NET\1\0\xff\xff" + bytes(10), b".NET\1\0"),
        ports=(8085,),
    ),
    Protocol(
        name="mc-nmf",
        spec="MC-NMF §2.2.4.6 (fault record)",
        match=lambda data: be16(data, 0) == 0x0800 | (len(data) - 2) and data[57:].isalpha(),
        at=((2, _FAULT),),
        examples=(bytes((8, len(_FAULT) + 18)) + _FAULT + b"UnsupportedVersion",),
        rejects=(bytes((8, len(_FAULT) + 19)) + _FAULT + b"UnsupportedVersion",),
        ports=(808,),
    ),
)
