"""The shards' raw sockets: opened here, in order, in one fan-out group, before anything is sent.

The kernel orders a group by joining, and a socket that closes gives its place to the last; so the
coordinator opens all of them and keeps them for the whole run, and workers come and go on top.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Sequence

from lzr.layout import FRAME_SIZE, SOL_PACKET
from lzr.packet import bpfprograms
from lzr.secrets import Secrets

PACKET_RX_RING, PACKET_VERSION, PACKET_TX_RING = 5, 10, 13
PACKET_VNET_HDR, PACKET_FANOUT, PACKET_QDISC_BYPASS, PACKET_FANOUT_DATA = 15, 18, 20, 22
FANOUT_CBPF, FANOUT_UNIQUEID, FANOUT_IGNORE_OUTGOING = 6, 0x2000, 0x4000
TPACKET_V2 = 1
SO_ATTACH_FILTER, SO_LOCK_FILTER = 26, 44
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x0800, 0x86DD
IP_HDRINCL, IP_RECVERR, IPV6_RECVERR, IPV6_FREEBIND = 3, 11, 25, 78
"""Errors are requested (RECVERR), as the kernel otherwise does not report a full queue or table of
neighbours."""
SO_BINDTODEVICE, SO_SNDBUFFORCE = 25, 32
_WAITING = 1 << 24  # bytes of packets that wait for neighbours which do not answer, without holding up others
_ERRORS = 1 << 22  # bytes of ICMP errors that wait: some 4,000
_BLOCK = 1 << 16  # bytes of a ring that the kernel allocates together
_RX_FRAMES, _TX_FRAMES = 8192, 2048  # for a worker (`python -m benchmarks.endtoend` shows drops and memory)


class SocketError(Exception):
    """A raw socket cannot be opened; the sentence says why."""


def ring_frames(shards: int, workers: int) -> tuple[int, int]:
    """(receive, transmit) frames of each shard's rings, powers of two: a worker has about the same number of
    frames in all, however many shards it has."""
    share = max(1, shards // workers)
    return max(1024, _RX_FRAMES // share), max(512, _TX_FRAMES // share)


def open_shards(
    interface: str | None,
    count: int,
    secrets: Secrets,
    ports: tuple[int, int],
    own_v4: tuple[int, ...] = (),
    frames: tuple[int, int] = (8192, 2048),
    links: tuple[int, ...] = (),
    *,
    traced: bool = False,
) -> list[socket.socket]:
    """`count` AF_PACKET sockets with rings, bound to `interface`, fanned out by the shard hash.

    frames: of each receive and transmit ring, powers of two. links: where no interface is given, the indices
    of those whose packets are let in. traced: packets that are sent pass the queueing discipline, so that a
    packet capture sees them.
    """
    sockets: list[socket.socket] = []
    program = bpfprograms.socket_filter(ports, secrets.cookie, own_v4, links)
    try:
        for _ in range(count):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            sockets.append(sock)
            _attach(sock, socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
            sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
            sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
            sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, int(not traced))
        _together(lambda sock: _make_rings(sock, frames), sockets)
        for sock in sockets:
            _bind(sock, interface)
        join(sockets, secrets.shard)
        for sock in sockets:
            # For good: who holds it later sees what the filter lets through, and cannot fan out otherwise.
            sock.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)
    except OSError as error:
        close_shards(sockets)
        raise SocketError(
            f"cannot open a raw socket on {interface or 'all links'}: {os.strerror(error.errno or 0)}"
        ) from error
    return sockets


def _bind(sock: socket.socket, interface: str | None, protocol: int = ETH_P_ALL) -> None:
    if interface is not None:
        sock.bind((interface, ETH_P_ALL))
        return
    # To all links: with Python's addresses that cannot be said. struct sockaddr_ll
    everywhere = struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(protocol), 0, 0, 0, 0, b"")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.bind(sock.fileno(), everywhere, len(everywhere)):
        raise OSError(ctypes.get_errno(), "bind")


def open_routed(interface: str | None) -> list[socket.socket]:
    """Raw IP sockets for packets that the kernel routes: IPv4, and IPv6 where this host has it.

    interface: the one they have to leave by, if any. Raises SocketError.
    """
    found: list[socket.socket] = []
    for family, options in (
        (socket.AF_INET, ((socket.IPPROTO_IP, IP_HDRINCL), (socket.IPPROTO_IP, IP_RECVERR))),
        (socket.AF_INET6, ((socket.IPPROTO_IPV6, IPV6_RECVERR), (socket.IPPROTO_IPV6, IPV6_FREEBIND))),
    ):
        try:
            sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
            found.append(sock)
            for level, option in options:
                sock.setsockopt(level, option, 1)
            if interface is not None:
                sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, interface.encode() + b"\0")
        except OSError as error:
            if family == socket.AF_INET6 and error.errno == errno.EAFNOSUPPORT:
                continue
            close_shards(found)
            raise SocketError(f"cannot open a raw IP socket: {os.strerror(error.errno or 0)}") from error
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, _WAITING)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _WAITING)
    return found


def bind_to(sockets: Sequence[socket.socket], interface: str) -> None:
    """Bind raw IP sockets to this interface, which has been made anew: they are bound to its former index.

    Whoever holds them too sends by it from then on. One that cannot be bound stays as it was: its packets are
    refused, and counted.
    """
    for sock in sockets:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, os.fsencode(interface) + b"\0")


def open_errors(
    families: Sequence[int], ports: tuple[int, int], secrets: Secrets, links: tuple[int, ...]
) -> list[socket.socket]:
    """A socket for each of these EtherTypes that receives ICMP errors which quote our SYNs, from the IP
    header on.

    Raises SocketError.
    """
    found: list[socket.socket] = []
    try:
        for family in families:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            found.append(sock)
            program = bpfprograms.errors_filter(ports, secrets.cookie, links)
            _attach(sock, socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _ERRORS)
            _bind(sock, None, family)
            sock.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)
    except OSError as error:
        close_shards(found)
        raise SocketError(f"cannot open a raw socket: {os.strerror(error.errno or 0)}") from error
    return found


def close_shards(sockets: list[socket.socket]) -> None:
    """Close them all."""
    _together(socket.socket.close, sockets)


def _together(do: Callable[[socket.socket], None], sockets: list[socket.socket]) -> None:
    """Do it with all sockets at the same time: in the kernel each waits for an RCU grace period, of 10 to 30
    ms.
    """
    failures: list[OSError] = []

    def one(sock: socket.socket) -> None:
        try:
            do(sock)
        except OSError as error:
            failures.append(error)

    threads = []
    for sock in sockets:
        thread = threading.Thread(target=one, args=(sock,))
        try:
            thread.start()
            threads.append(thread)
        except RuntimeError:  # there can be no more (ulimit -u, -v): one after the other, then
            one(sock)
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _make_rings(sock: socket.socket, frames: tuple[int, int]) -> None:
    # By ctypes, which lets other threads run meanwhile; socket.setsockopt does not.
    libc = ctypes.CDLL(None, use_errno=True)
    for option, number in zip((PACKET_RX_RING, PACKET_TX_RING), frames, strict=True):
        request = struct.pack("4I", _BLOCK, number * FRAME_SIZE // _BLOCK, FRAME_SIZE, number)
        if libc.setsockopt(sock.fileno(), SOL_PACKET, option, request, len(request)):
            raise OSError(ctypes.get_errno(), "setsockopt")


def join(sockets: list[socket.socket], seed: int) -> None:
    """Fan the sockets out: a packet goes to sockets[flow_hash % len(sockets)].

    The kernel gives the group a number that no other has. Of one that we chose another scan's sockets might
    be members: these would get packets of ours, and nobody would notice.
    """
    flags = (FANOUT_CBPF | FANOUT_IGNORE_OUTGOING) << 16
    sockets[0].setsockopt(SOL_PACKET, PACKET_FANOUT, flags | FANOUT_UNIQUEID << 16)
    group = sockets[0].getsockopt(SOL_PACKET, PACKET_FANOUT) & 0xFFFF
    for sock in sockets[1:]:
        sock.setsockopt(SOL_PACKET, PACKET_FANOUT, group | flags)
    _attach(sockets[0], SOL_PACKET, PACKET_FANOUT_DATA, bpfprograms.fanout_program(seed))


def _attach(sock: socket.socket, level: int, option: int, program: bytes) -> None:
    """Set an option whose value is a struct sock_fprog."""
    code = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("HL", len(program) // 8, ctypes.addressof(code))
    sock.setsockopt(level, option, fprog)


def open_tap(ports: tuple[int, int], room: int) -> socket.socket:
    """A socket that sees packets of all links from and to our ports, in both directions, from the IP header
    on.

    room: bytes that may wait in it, as far as we may ask for them. Raises OSError.
    """
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    try:
        _attach(sock, socket.SOL_SOCKET, SO_ATTACH_FILTER, bpfprograms.tap_filter(ports))
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, room)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        _bind(sock, None)
    except OSError:
        sock.close()
        raise
    return sock
