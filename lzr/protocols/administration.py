"""Administration of many machines: backups, inventories, agents, base stations, web caches."""

from __future__ import annotations

from zlib import adler32

from lzr.protocols._bytes import be32, le32
from lzr.protocols._framing import first_line, leads, printable
from lzr.protocols._protocol import Protocol


def _netbackup(data: bytes) -> bool:
    """A status that NetBackup's code reference has, in the daemons' two forms of saying it."""
    if data[4:9] == b"DONE ":
        return be32(data, 0) + 4 == len(data) and data[9:].isdigit()
    lines = data.split(b"\n")
    return len(lines) > 2 and lines[0][5:].strip().isdigit() and lines[1].isdigit() and lines[2][:1].islower()


def _landesk(data: bytes) -> bool:
    """Two marks, a length behind the first (remote control); or one and two lengths (multicast)."""
    if data[:4] == b"TDMM":
        return le32(data, 4) == 0x1C and le32(data, 8) == 0x14
    return data[8:12] == b"TNME" and len(data) > 16


def _uptime(data: bytes) -> bool:
    line = first_line(data)
    return b" (build " in line or (line.endswith(b"' not found") and printable(line[:15]))


def _acp(data: bytes) -> bool:
    """A header of 128 bytes that its checksum fits; not our own question, which has no body and no error."""
    head = data[:128]
    if len(head) < 128 or be32(head, 8) != adler32(head[:8] + bytes(4) + head[12:]):
        return False
    return be32(head, 28) != _FEATURES or head[16:20] != bytes(4) or head[32:36] != bytes(4)


_FEATURES = 0x1B
"""The command that asks what a base station is able to do."""


def _acp_header(command: int, status: int = 0, size: int = 0) -> bytes:
    """The head of a message without a password: version 3.1, checksums, the body's size, flags 4."""
    rest = b"\0\0\0\1" + size.to_bytes(4, "big") + b"\0\0\0\4" + bytes(4) + command.to_bytes(4, "big")
    rest += status.to_bytes(4, "big", signed=True) + bytes(92)
    start = b"acpp\0\3\0\1"
    return start + adler32(start + bytes(4) + rest).to_bytes(4, "big") + rest


def _varnish(data: bytes) -> bool:
    """Status, length in a field of eight, text of that length (varnish-cli(7))."""
    digits = data[4:12].rstrip(b" ")
    return data[12:13] == b"\n" and digits.isdigit() and leads(data, 13 + int(digits) + 1)


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="netbackup",
        spec="Veritas NetBackup Status Codes Reference Guide: 43, unexpected message received",
        match=_netbackup,
        starts=(b"1000 ",),
        at=((4, b"DONE "),),
        examples=(b"1000      2\n43\nunexpected message received\n", b"\0\0\0\7DONE 43"),
        rejects=(b"1000 files\n43\nof them\n", b"1000 2\n43\n", b"\0\0\0\x08DONE 43", b"\0\0\0\7DONE it"),
        ports=(13720, 13721, 13722, 13724, 13782),
    ),
    Protocol(
        name="landesk",
        spec="LANDesk remote control and targeted multicast, as published in protocol studies",
        match=_landesk,
        # Asks who is there, as the console does before it asks for control.
        probe=b"TNMP\4\0\0\0TNME\0\0\4\0",
        starts=(b"TNMP", b"TDMM"),
        examples=(
            b"TNMP\x16\0\0\0TNME\x80\0\xfe\xff\0\0192.0.2.7:1",
            b"TDMM\x1c\0\0\0\x14\0\0\0" + bytes(16),
        ),
        rejects=(b"TNMP\4\0\0\0TNME\0\0\4\0", b"TNMP is not spoken here\r\n", b"TDMM\x1c\0\0\0\x15\0\0\0"),
        ports=(1761, 1762, 9535),
    ),
    Protocol(
        name="uptime-agent",
        spec="Idera Uptime Infrastructure Monitor, agent commands: ver",
        match=_uptime,
        probe=b"ver\r\n",
        starts=(b"up.time agent ", b"ERR - Command '"),
        examples=(b"up.time agent 7.4.0 (build 22) linux\n", b"ERR - Command 'GET' not found\n"),
        rejects=(b"up.time agent of time\n", b"ERR - Command 'GET' is unknown\n"),
        ports=(9998,),
    ),
    Protocol(
        name="acp",
        spec="Apple AirPort configuration (ACP): message header, as published in protocol studies",
        match=_acp,
        probe=_acp_header(_FEATURES),
        starts=(b"acpp",),
        examples=(
            _acp_header(1, -10),
            _acp_header(0x14) + b"body",
            _acp_header(_FEATURES, -16),
            _acp_header(_FEATURES, size=4),
        ),
        rejects=(b"acpp" + bytes(124), _acp_header(1)[:-1], b"acpp is a word\r\n"),
        ports=(5009,),
    ),
    Protocol(
        name="varnish-cli",
        spec="varnish-cli(7), Syntax: how requests and answers look",
        match=_varnish,
        starts=(b"107 ", b"200 ", b"101 ", b"400 "),
        examples=(b"107 59      \n" + b"a" * 32 + b"\n\nAuthentication required.\n\n",),
        rejects=(b"200 OK\r\n", b"107 99      \nshort\n"),
        ports=(6082,),
    ),
)
