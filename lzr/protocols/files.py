"""Files and disks over the network: FTP, file servers, block devices, backup, scanners, USB."""

from __future__ import annotations

from lzr.protocols import _greetings as greetings
from lzr.protocols._bytes import be16, be32, le16, le32
from lzr.protocols._framing import leads
from lzr.protocols._protocol import Protocol


def _iscsi(data: bytes) -> bool:
    """A Login Response or a Reject: reserved fields zero, data length right (RFC 7143 §11.13, §11.17)."""
    if len(data) < 48:
        return False
    size = be32(data, 4) & 0xFFFFFF
    if not leads(data, 48 + size + -size % 4):
        return False
    if data[0] == 0x3F:
        return data[1] == 0x80 and data[2] in range(1, 13)
    return data[1] & 0x30 == 0 and data[2] == data[3] == 0 and data[36] <= 3 and data[37] <= 0x0B


def _afp(data: bytes) -> bool:
    """A DSI reply: command, request, error, length, reserved (Apple Filing Protocol, DSI header)."""
    if len(data) < 16 or be32(data, 12) or data[1] not in {1, 3, 4}:
        return False
    size, code = be32(data, 8), be32(data, 4)
    return (
        leads(data, 16 + size) and (code == 0 or 0xFFFFEC00 <= code <= 0xFFFFF000) and (size > 0 or code > 0)
    )


def _nbd(data: bytes) -> bool:
    """Newstyle: the option magic and flags. Oldstyle: its own magic, size, flags and 124 zeros."""
    if len(data) == 8:  # servers write the first magic by itself
        return True
    if data[8:16] == b"IHAVEOPT":
        return len(data) == 18 and be16(data, 16) <= 0xFF
    return data[8:16] == b"\0\0\x42\2\x81\x86\x12\x53" and len(data) >= 28


def _ceph(data: bytes) -> bool:
    if data.startswith(b"ceph v2\n"):
        return len(data) >= 10 and le16(data, 8) in {0, 16}
    return data[6:9].isdigit()


def _ndmp(data: bytes) -> bool:
    """NOTIFY_CONNECTION_STATUS as a request with a reason, a version and a text (NDMP v4 §4.1.1)."""
    size = be32(data, 0) & 0x7FFFFFFF
    return (
        leads(data, size + 4) and be32(data, 24) <= 0x30 and be32(data, 28) <= 2 and 1 <= be32(data, 32) <= 5
    )


def _ninep(data: bytes) -> bool:
    """Rversion: size, type, no tag, largest message, version string (9P2000, version(5))."""
    size, text = le32(data, 0), le16(data, 11)
    return size == 13 + text == len(data) and (data[13:19] == b"9P2000" or data[13:] == b"unknown")


def _sane(data: bytes) -> bool:
    """Answer to SANE_NET_INIT: a status and a version, major 1, protocol build 2 or 3."""
    return len(data) == 8 and data[3] <= 11 and 2 <= data[7] <= 3


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="ftp",
        spec="RFC 959 §4.2",
        match=greetings.is_files,
        starts=greetings.CODES,
        examples=(
            b"230 User logged in.\r\n",
            b"421 There are too many connections from your internet address.\r\n",
            b"421 Service not available, closing control connection.\r\n",
            b"421 Too many connections from this address\r\n",
            b"421-Not currently accepting logins at this address. Try back \r\n421 later.\r\n",
            b"220 ftp.example.com ready\r\n",
            b"220 host FTP server (SMTP notify) ready\r\n",
            b"220 (vsFTPd 3.0.5)\r\n",
            b"220 ProFTPD Server (Debian) [::ffff:192.0.2.1]\r\n",
            b"220 mail.example.com FTP server (Version 6.00LS) ready.\r\n",
            b"220-FileZilla Server 1.8.0\r\n220 Please visit https://filezilla-project.org/\r\n",
            b"220 Service ready for new user.\r\n",
            b"220 AXIS Q6000 Network Camera 6.50 ready.\r\n",
            b"421 Too many users logged in, try later\r\n",
            b"530 Please login with USER and PASS.\r\n",
            b"220 ready\r\n530 Please login with USER and PASS.\r\n",
            b"220 ftp.example.com ready\r\n500 Syntax error, command unrecognized\r\n",
            b"220 ready\r\n500 'GET /': command not understood.\r\n",
            b"500 OOPS: could not bind listening IPv4 socket\r\n",
            b"500 Sorry, no server available to handle request on 192.0.2.1\r\n",
            b"550 No connections allowed from your IP\r\n",
            b"220 Bienvenue sur le serveur des caf\xc3\xa9s de la r\xc3\xa9gion\r\n",
        ),
        rejects=(
            b"220 \0\1\2\r\n",
            b"220 mx.example.com ESMTP Postfix\r\n",
            b"FTP server ready",
            b"220x ftp\r\n",
            b"220 SLNP library@version: 4.1@pid:17@files\r\n",
            b"220 host AMANDA index server (3.5.1) ready.\r\n",
        ),
        ports=(21, 990, 2121),
        zgrab="ftp",
    ),
    Protocol(
        name="iscsi",
        spec="RFC 7143 §11.12, §11.13",
        match=_iscsi,
        # The first step of a negotiation that we never finish: no session comes of it.
        probe=bytes.fromhex("43000000 0000004e 4c5a52310000 0000 00000001 00010000 00000001 00000000")
        + bytes(16)
        + b"InitiatorName=iqn.2000-01.invalid.lzr:0\0SessionType=Discovery\0AuthMethod=None\0\0\0",
        # The stages, now and next, and whether it goes on: any of them may be set.
        starts=(
            *(bytes((0x23, top | stages, 0, 0)) for top in (0, 0x40, 0x80, 0xC0) for stages in range(16)),
            b"\x3f\x80",
        ),
        examples=(
            b"\x3f\x80\4\0\0\0\0\x30" + bytes(40) + bytes(48),
            bytes.fromhex("23000000 00000000") + bytes(40),
            bytes.fromhex("23000000 00000000") + bytes(28) + b"\2\7" + bytes(10),
        ),
        rejects=(bytes.fromhex("23000000 00000004") + bytes(40), bytes.fromhex("23000000") + bytes(12)),
        ports=(3260,),
    ),
    Protocol(
        name="afp",
        spec="Apple Filing Protocol Reference, Data Stream Interface: DSIGetStatus",
        match=_afp,
        probe=bytes.fromhex("0003 0001 00000000 00000000 00000000"),
        starts=(b"\1\3", b"\1\4", b"\1\1"),
        examples=(bytes.fromhex("0103 0001 00000000 00000004 00000000 00120018"),),
        rejects=(
            b"\1\3\0\1",
            bytes.fromhex("0103 0001 00000000 00000005 00000000 00120018"),
            bytes.fromhex("0103 0001") + bytes(12),
        ),
        ports=(548,),
    ),
    Protocol(
        name="nbd",
        spec="NBD protocol (doc/proto.md), Newstyle negotiation",
        match=_nbd,
        starts=(b"NBDMAGIC",),
        examples=(
            b"NBDMAGICIHAVEOPT\0\3",
            b"NBDMAGIC",
            b"NBDMAGIC\0\0\x42\2\x81\x86\x12\x53" + bytes(4) + b"\x40\0\0\0\0\0\0\1" + bytes(124),
        ),
        rejects=(
            b"NBDMAGICIHAVENOT\0\3",
            b"NBDMAGIC is here\r\n",
            b"NBDMAGIC\0\0\x42\2\x81\x86\x12\x53" + bytes(8),
        ),
        ports=(10809,),
    ),
    Protocol(
        name="ceph",
        spec="Ceph documentation, msgr and msgr2 protocols: banner",
        match=_ceph,
        starts=(b"ceph v0", b"ceph v2\n"),
        examples=(b"ceph v2\n\x10\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", b"ceph v027" + bytes(272)),
        rejects=(b"ceph v2\n", b"ceph v0.94 storage\r\n"),
        ports=(6789, 3300),
    ),
    Protocol(
        name="ndmp",
        spec="NDMP v4 §4.1.1 NDMP_NOTIFY_CONNECTION_STATUS",
        match=_ndmp,
        at=((12, b"\0\0\0\0\0\0\5\2\0\0\0\0"),),
        examples=(
            bytes.fromhex(
                "80000024 00000001 65000000 00000000 00000502 00000000 00000000 00000000 00000004 00000000"
            ),
        ),
        rejects=(
            bytes.fromhex(
                "80000025 00000001 65000000 00000000 00000502 00000000 00000000 00000000 00000004 00000000"
            ),
        ),
        ports=(10000,),
    ),
    Protocol(
        name="9p",
        spec="Plan 9 manual, version(5); 9P2000.L",
        match=_ninep,
        probe=b"\x15\0\0\0\x64\xff\xff\0\x20\0\0\x08\09P2000.L",
        at=((4, b"\x65\xff\xff"),),
        examples=(
            b"\x15\0\0\0\x65\xff\xff\0\x20\0\0\x08\09P2000.L",
            b"\x14\0\0\0\x65\xff\xff\0\x20\0\0\7\0unknown",
        ),
        rejects=(b"\x15\0\0\0\x65\xff\xff\0\x20\0\0\x08\08P2000.L",),
        ports=(564,),
    ),
    Protocol(
        name="sane",
        spec="SANE Standard 1.06 §5.2 SANE_NET_INIT",
        match=_sane,
        probe=bytes.fromhex("00000000 01000003 00000004") + b"lzr\0",
        at=((4, b"\1\0\0"), (4, b"\1\1\0"), (4, b"\1\2\0")),
        examples=(bytes.fromhex("00000000 01000003"), bytes.fromhex("0000000b 01010003")),
        rejects=(bytes.fromhex("0000000c 01000003"), bytes.fromhex("00000000 0100000300")),
        ports=(6566,),
    ),
    Protocol(
        name="usbip",
        spec="Linux kernel documentation, USB/IP protocol: OP_REP_DEVLIST",
        match=lambda data: (
            be32(data, 4) == 0 and (len(data) == 12) == (be32(data, 8) == 0) and len(data) >= 12
        ),
        probe=bytes.fromhex("0111 8005 00000000"),
        starts=(b"\1\x11\0\5", b"\1\x10\0\5", b"\1\6\0\5", b"\1\0\0\5"),
        examples=(bytes.fromhex("0111 0005 00000000 00000000"),),
        rejects=(bytes.fromhex("0111 0005 00000000 00000000 00"), bytes.fromhex("0111 0005 00000000")),
        ports=(3240,),
    ),
)
