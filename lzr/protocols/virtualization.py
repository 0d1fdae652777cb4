"""Virtual machines: QEMU, libvirt, VMware."""

from __future__ import annotations

from lzr.protocols._bytes import be32
from lzr.protocols._framing import first_line, leads
from lzr.protocols._protocol import Protocol


def _libvirt(data: bytes) -> bool:
    """Length, a known program and version 1, a reply, its serial and status (libvirt's virnetprotocol.x)."""
    return len(data) >= 28 and leads(data, be32(data, 0)) and be32(data, 16) == 1 and be32(data, 24) in {0, 1}


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="qmp",
        spec="QEMU documentation, QMP protocol specification: server greeting",
        match=lambda data: b'"qemu"' in data[:120] or b'"major"' in data[:160],
        starts=(b'{"QMP": {"version": ',),
        examples=(
            b'{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}, "capabilities": []}}\r\n',
        ),
        rejects=(b'{"QMP": {"version": "none"}}\r\n',),
    ),
    Protocol(
        name="libvirt",
        spec="libvirt documentation, RPC protocol internals: message headers",
        match=_libvirt,
        # REMOTE_PROC_AUTH_LIST: which kinds of authentication are there.
        probe=bytes.fromhex("0000001c 20008086 00000001 00000042 00000000 00000001 00000000"),
        at=((4, b"\x20\0\x80\x86\0\0\0\1"),),
        examples=(
            bytes.fromhex("00000024 20008086 00000001 00000042 00000001 00000001 00000000 00000001 00000000"),
        ),
        rejects=(
            bytes.fromhex("00000025 20008086 00000001 00000042 00000001 00000001 00000000 00000001 00000000"),
        ),
        ports=(16509,),
    ),
    Protocol(
        name="vmware-authd",
        spec="VMware Authentication Daemon, greeting",
        match=lambda data: b"Version" in first_line(data),
        starts=(b"220 VMware Authentication Daemon", b"220-VMware Authentication Daemon"),
        examples=(
            b"220 VMware Authentication Daemon Version 1.10: SSL Required, ServerDaemonProtocol:SOAP\r\n",
        ),
        rejects=(b"220 VMware Authentication Daemon",),
        ports=(902,),
    ),
)
