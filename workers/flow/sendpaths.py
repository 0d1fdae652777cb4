"""By which path a frame leaves: a transmit ring, or a raw IP socket, whose packets the kernel routes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lzr.ipc import messages
from lzr.layout import MAX_FRAME
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import ETHERNET, Builder, LinkHeader
from lzr.packet.ways import WayKind, Ways, everywhere, mss
from lzr.rows import NO_PROBE, TARGET, Rows, pick
from workers.flow.routed import Routed

_HEADERS = 60  # IPv6 and TCP
_ETHERNET_MTU = MAX_FRAME - ETHERNET


@dataclass(frozen=True)
class SendPaths:
    """How a worker's frames leave. builder: makes the rings' frames. link: index of the interface by which
    they leave; 0 where the sockets are bound to one.

    ways: the table of `lzr.packet.ways`. mtu: bytes of an IP packet that may leave by the rings. longest: by
    handshake number, the most bytes that its probe can have.
    """

    builder: Builder
    link: int = 0
    ways: Ways = field(default_factory=everywhere)
    mtu: int = _ETHERNET_MTU
    longest: tuple[int, ...] = ()
    _routed: NDArray[np.bool_] = field(init=False)  # by way: not the rings'
    _by_rings: bytes = field(init=False)  # the numbers of the other ways
    plain: bool = field(init=False)
    """Whether every frame leaves by the rings and is short enough for them."""

    def __post_init__(self) -> None:
        routed = np.ascontiguousarray(self.ways.ways["kind"] != WayKind.RING)
        object.__setattr__(self, "_routed", routed)
        object.__setattr__(self, "_by_rings", bytes(np.flatnonzero(~routed).tolist()))
        plain = self.ways.simple and max(self.longest, default=0) + _HEADERS <= self.mtu
        object.__setattr__(self, "plain", plain)

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
