"""By which path a frame leaves: a transmit ring, or a raw IP socket, whose packets the kernel routes.

`SendPaths` divides frames; `Routed` sends those that do not leave by a ring. The kernel finds link, next hop
and neighbour of each by its own rules, from the packet's source address. It resolves neighbours itself and
keeps the packets for each apart. What it has no room for now (its table of neighbours is full) waits here
without holding up anything else.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr import addresses
from lzr.ipc import messages
from lzr.layout import MAX_FRAME
from lzr.packet.cutting import cut
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import ETHERNET, Builder, LinkHeader
from lzr.packet.ways import WayKind, Ways, everywhere, mss
from lzr.rows import NO_PROBE, RST, SYN, TARGET, Rows, pick
from lzr.targets.blocklist import Blocklist

IP_PKTINFO, IPV6_PKTINFO, IP_PROTOCOL = 8, 50, 52
_HEADERS = 60  # IPv6 and TCP
_ETHERNET_MTU = MAX_FRAME - ETHERNET
_NO_ROOM = (errno.ENOBUFS, errno.EAGAIN, errno.ENOMEM)
_AT_ONCE = 256
"""Frames built together. `python -m benchmarks.routes`: building takes 0.1 of 20 µs, so more would gain
nothing."""
_MOST = 4096
"""Most packets that wait because the kernel has no room; more are dropped and counted, but for SYNs that are
kept. A judgement: it bounds the memory to 6 MB."""
_CLOGGED = 512
"""Waiting packets from which on no new flow is begun. A judgement: an eighth of _MOST leaves room for what
flows that were begun still send."""
_PATIENCE = 3_000_000_000
"""ns for which a packet waits: as long as the kernel asks for a neighbour, three times a second apart."""
_NEVER = 1 << 63
_STALLED = 30_000_000_000
"""ns in which the kernel takes nothing at all, after which what waits is given up. A judgement: a full table
of neighbours has room again in three seconds, and no scan should wait for a link that is broken."""
_GIVEN_UP = "NO_ROOM"
"""Under this name a packet is counted that waited in vain, beside those of the errno values."""
_AGAIN, _TRIES = 20_000_000, 8
"""ns between two attempts, and system calls of each, at most, of a family for which there is still no room. A
judgement: short beside a time-out, and 400 calls a second at most."""
_HELD_UP = 1_000_000_000
"""ns after which an attempt is so late that this process did not run meanwhile. A judgement."""


class _Packet(NamedTuple):
    octets: bytes
    socket: socket.socket
    ancillary: list[tuple[int, int, bytes]]
    destination: tuple[Any, ...]
    until: int
    number: int
    closing: bool  # an RST: nothing is to come of it


class Routed:
    """Sends packets by raw IP sockets. sockets: IPv4, and IPv6 if this host has it, with headers included.
    made: packets that were to be sent since the start; they are numbered from 0 on."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._sockets = {sock.family: sock for sock in sockets}
        self._says_tcp = _takes_protocol(self._sockets.get(socket.AF_INET))
        self._buffer = np.empty((_AT_ONCE, MAX_FRAME), np.uint8)
        self._waiting: deque[_Packet] = deque()
        self._again_at = 0
        self._moved_at = (
            0  # when the kernel was last seen to take something, or the first packet began to wait
        )
        self._moved = 0  # packets sent by then
        self.keeps_syns = False
        """Whether SYNs wait until there is room: nobody sends those of a sweep again."""
        self.made = self.sent = self.sent_octets = 0
        self.errors: Counter[str] = Counter()
        """Packets that the kernel did not take, by the name of the errno; their flows go on without them."""
        self.lost: Counter[str] = Counter()
        """Of these, those with which an answer may be lost: no RSTs, which only close."""

    @property
    def clogged(self) -> bool:
        """Whether so many packets wait that no new flow is to be begun."""
        return not self.room

    @property
    def room(self) -> int:
        """How many flows may be begun, so that none waits too long where the kernel has no room."""
        return max(0, _CLOGGED - len(self._waiting))

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    @property
    def gone(self) -> int:
        """All packets with a lower number have been sent, or given up."""
        return self._waiting[0].number if self._waiting else self.made

    @property
    def patience(self) -> float | None:
        """Seconds until the next attempt, None if nothing waits."""
        if not self._waiting:
            return None
        return max(0, self._again_at - time.monotonic_ns()) / 1e9

    def send(self, rows: Rows, codes: NDArray[np.uint8], ways: Ways, builder: Builder) -> int:
        """Send FRAME rows that agree in probe and in having SYN; returns their bytes. codes: the rows'
        ways.
        """
        octets = 0
        until = time.monotonic_ns() + _PATIENCE
        if self.keeps_syns and rows["flags"][0] & SYN:
            until = _NEVER
        for start in range(0, len(rows), _AT_ONCE):
            part, way = rows[start : start + _AT_ONCE].copy(), ways.ways[codes[start : start + _AT_ONCE]]
            mtus = way["mtu"].tolist()
            v4 = (part["peer_hi"] == 0) & (part["peer_lo"] >> np.uint64(32) == 0xFFFF)
            if part["flags"][0] & SYN:
                part["mss"] = [mss(mtu, four) for mtu, four in zip(mtus, v4.tolist(), strict=True)]
            lengths = builder.build(part, self._buffer)
            for at, (length, mtu) in enumerate(zip(lengths.tolist(), mtus, strict=True)):
                whole = self._buffer[at, ETHERNET:length].tobytes()
                for packet in self._packets(part[at], whole, mtu, bool(v4[at]), until):
                    octets += len(packet.octets)
                    self._try(packet)
        return octets

    def _packets(self, row: Any, whole: bytes, mtu: int, v4: bool, until: int) -> list[_Packet]:
        family = socket.AF_INET if v4 else socket.AF_INET6
        sock = self._sockets.get(family)
        if sock is None:
            self.errors["EAFNOSUPPORT"] += 1
            return []
        closing = bool(row["flags"] & RST)
        peer = addresses.text(int(row["peer_hi"]), int(row["peer_lo"]))
        # So that rules that look at source or protocol see them; the header alone is not looked at.
        protocol = socket.IPPROTO_TCP if self._says_tcp else 0
        if v4:
            info = struct.pack("=i4s4s", 0, whole[12:16], bytes(4))
            ancillary = [(socket.IPPROTO_IP, IP_PKTINFO, info)]
            if protocol:
                ancillary.append((socket.IPPROTO_IP, IP_PROTOCOL, struct.pack("=i", protocol)))
            destination = (peer, 0)
        else:
            info = struct.pack("=16si", whole[8:24], 0)
            ancillary = [(socket.IPPROTO_IPV6, IPV6_PKTINFO, info)]
            destination = (peer, protocol)
        parts = cut(whole, mtu)
        first, self.made = self.made, self.made + len(parts)
        return [
            _Packet(octets, sock, ancillary, destination, until, number, closing)
            for number, octets in enumerate(parts, first)
        ]

    def _try(self, packet: _Packet) -> bool:
        """Send it. False if the kernel has no room; True if it was sent, or was refused for good and
        counted.
        """
        try:
            packet.socket.sendmsg([packet.octets], packet.ancillary, socket.MSG_DONTWAIT, packet.destination)
        except OSError as error:
            if error.errno in _NO_ROOM and (len(self._waiting) < _MOST or packet.until == _NEVER):
                if not self._waiting and self._again_at <= (now := time.monotonic_ns()):
                    self._again_at, self._moved_at, self._moved = now + _AGAIN, now, self.sent
                self._waiting.append(packet)
                return False
            name = errno.errorcode.get(error.errno or 0, os.strerror(error.errno or 0))
            self._count(packet, _GIVEN_UP if error.errno in _NO_ROOM else name)
            return True
        self.sent += 1
        self.sent_octets += len(packet.octets)
        return True

    def _count(self, packet: _Packet, error: str) -> None:
        self.errors[error] += 1
        if not packet.closing:
            self.lost[error] += 1

    def block(self, policy: Blocklist) -> None:
        """Drop waiting packets to everybody whom this policy does not allow."""
        halves = np.array([addresses.parse(packet.destination[0]) for packet in self._waiting], np.uint64)
        allowed = policy.allowed(*halves.reshape(-1, 2).T)
        self._waiting = deque(packet for packet, stays in zip(self._waiting, allowed, strict=True) if stays)

    def flush(self) -> None:
        """Try each waiting packet once."""
        if not self._waiting:
            return
        now = time.monotonic_ns()
        if now < self._again_at:
            return
        if self.sent != self._moved:
            self._moved, self._moved_at = self.sent, now
        if (late := now - self._again_at) > _HELD_UP:
            self._moved_at += late  # when we did not run, the kernel was not asked
        stalled = now - self._moved_at > _STALLED
        waiting, self._waiting = self._waiting, deque()
        self._again_at = now + _AGAIN
        refused = dict.fromkeys(self._sockets, 0)  # each family has a table of its own
        for packet in waiting:
            family = packet.socket.family
            if refused[family] < _TRIES:  # or the table is still full: not a call for each
                if self._try(packet):
                    continue
                refused[family] += 1
                self._waiting.pop()
            if packet.until < now or stalled:
                self._count(packet, _GIVEN_UP)
            else:
                self._waiting.append(packet)


def _takes_protocol(sock: socket.socket | None) -> bool:
    """Whether raw packets may state TCP as their protocol when they are routed: since Linux 6.4, or older
    ones with the fix.
    """
    try:
        return sock is not None and sock.getsockopt(socket.IPPROTO_IP, IP_PROTOCOL) == socket.IPPROTO_RAW
    except OSError:
        return False


class SendPaths:
    """How a worker's frames leave."""

    def __init__(
        self,
        builder: Builder,
        link: int = 0,
        ways: Ways | None = None,
        mtu: int = _ETHERNET_MTU,
        longest: tuple[int, ...] = (),
    ) -> None:
        """builder: makes the rings' frames. link: index of the interface by which they leave; 0 where the
        sockets are bound to one.

        ways: the table of `lzr.packet.ways`, None where everything leaves by the rings. mtu: bytes of an IP
        packet that may leave by them. longest: by handshake number, the most bytes that its probe can have.
        """
        self.builder, self.link, self.mtu, self.longest = builder, link, mtu, longest
        self.ways = everywhere() if ways is None else ways
        self._routed = np.ascontiguousarray(self.ways.ways["kind"] != WayKind.RING)  # by way: not the rings'
        self._by_rings = bytes(np.flatnonzero(~self._routed).tolist())  # the numbers of the other ways
        self.plain = self.ways.simple and max(longest, default=0) + _HEADERS <= mtu
        """Whether every frame leaves by the rings and is short enough for them."""

    @staticmethod
    def of(routes: messages.Routes, probes: tuple[ProbeTemplate, ...]) -> SendPaths:
        """Made from the coordinator's order `routes`."""
        mtu = min(routes.mtu, _ETHERNET_MTU)
        link = LinkHeader(
            routes.own_mac,
            routes.gateway_v4,
            routes.gateway_v6,
            mss(routes.mtu, True),
            mss(routes.mtu, False),
        )
        ways = Ways(routes.intervals.copy(), routes.ways.copy())
        return SendPaths(Builder(link, probes), routes.link, ways, mtu, tuple(map(_longest, probes)))

    def all_by_rings(self, burst: Rows) -> bool:
        """Whether all of these FRAME rows, which carry no probe, leave by the rings."""
        return self.plain or self._only_rings(self.ways.of(burst))

    def _only_rings(self, codes: NDArray[np.uint8]) -> bool:
        """Whether all of these ways are the rings'. As bytes: for a few hundred that takes a tenth of what
        arrays take."""
        return not codes.tobytes().translate(None, self._by_rings)

    def divert(self, burst: Rows, routed: Routed) -> tuple[Rows, int]:
        """Send the frames that the kernel has to route.

        Returns the FRAME rows that are left for the rings, and the bytes of the frames that were sent.
        """
        codes = self.ways.of(burst)
        probe = int(burst["probe"][0])
        if probe != NO_PROBE and probe < len(self.longest) and self.longest[probe] + _HEADERS > self.mtu:
            others = np.ones(len(burst), bool)  # in segments
        elif self._only_rings(codes):
            return burst, 0
        else:
            others = self._routed.take(codes)
        octets = routed.send(pick(burst, others), codes[others], self.ways, self.builder)
        return pick(burst, ~others), octets


def _longest(probe: ProbeTemplate) -> int:
    row = np.zeros(1, TARGET)
    row["peer_hi"] = row["peer_lo"] = 0x1111111111111111
    row["peer_port"] = 65535
    return int(probe.lengths(row)[0])
