"""Virtual machines, message buses, caches and calculation services that run on one host."""

from __future__ import annotations

from lzr.protocols._bytes import be32
from lzr.protocols._framing import first_line, leads
from lzr.protocols._protocol import Protocol


def _libvirt(data: bytes) -> bool:
    """Length, a known program and version 1, a reply, its serial and status (libvirt's virnetprotocol.x)."""
    return len(data) >= 28 and leads(data, be32(data, 0)) and be32(data, 16) == 1 and be32(data, 24) in {0, 1}


def _dbus(data: bytes) -> bool:
    words = first_line(data).split(b" ")
    return len(words) > 1 and all(word in _MECHANISMS for word in words[1:])


_MECHANISMS = frozenset((b"EXTERNAL", b"DBUS_COOKIE_SHA1", b"ANONYMOUS", b"KERBEROS_V4", b"SKEY"))


def _varnish(data: bytes) -> bool:
    """Status, length in a field of eight, text of that length (varnish-cli(7))."""
    digits = data[4:12].rstrip(b" ")
    return data[12:13] == b"\n" and digits.isdigit() and leads(data, 13 + int(digits) + 1)


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
        name="dbus",
        spec="D-Bus Specification, Authentication Protocol: AUTH without a mechanism lists them",
        match=_dbus,
        probe=b"\0AUTH\r\n",
        starts=(b"REJECTED ",),
        examples=(b"REJECTED EXTERNAL DBUS_COOKIE_SHA1 ANONYMOUS\r\n",),
        rejects=(b"REJECTED by policy\r\n",),
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
    Protocol(
        name="rserve",
        spec="Rserve documentation, QAP1 protocol: identification string",
        match=lambda data: (
            len(data) >= 32 and data[5:8].isdigit() and data[12:16] == b"\r\n\r\n" and data[30:32] == b"\r\n"
        ),
        starts=(b"Rsrv0",),
        examples=(b"Rsrv0103QAP1\r\n\r\n--------------\r\n",),
        rejects=(b"Rsrv0103QAP1\r\n",),
        ports=(6311,),
    ),
)
