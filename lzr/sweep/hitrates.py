"""Hit rates of a sweep: its SYN-ACKs by port, or by network where there is one port.

How many pairs were scanned on each port, or in each network, is not counted but derived from its share of the
space, since the order is a pseudorandom one of all pairs. Memory is a number for each port of the sweep, or
for 256 networks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr import addresses
from lzr.rows import V4_MAPPED
from lzr.sweep.space import Space

Rows = NDArray[Any]

MOST = 32
"""Most ports or networks that are distinguished; the others are one, OTHERS."""
OTHERS = "others"
_V4 = np.uint64(V4_MAPPED)
_MASK = np.uint64(0xFFFFFFFF)


class HitRates:
    """kind: "port" or "network"; empty where all pairs are of one. IPv6 is one network."""

    def __init__(self, space: Space) -> None:
        self._ports = space.ports
        self._by_port = len(space.ports) > 1
        v4 = (space.hi == 0) & (space.lo >> np.uint64(32) == np.uint64(V4_MAPPED >> 32))
        ranges = space.ranges[v4]
        low = (ranges["lo"] - _V4).astype(np.int64) if len(ranges) else np.zeros(0, np.int64)
        high = low + ranges["count"].astype(np.int64)  # one behind the last
        self._shift, self._base = _level(low, high)
        if self._by_port:
            self._shares = np.full(len(space.ports), 1 / len(space.ports))
        else:
            edges = self._base + (np.arange(257, dtype=np.int64) << self._shift)
            inside = [int(np.clip(edge - low, 0, high - low).sum()) for edge in edges.tolist()]
            sizes = np.append(np.diff(inside), space.addresses - inside[-1])  # the last: IPv6
            self._shares = sizes / max(1, space.addresses)
        self._counts = np.zeros(len(self._shares), np.int64)
        self.kind = "port" if self._by_port else "network"
        if np.count_nonzero(self._shares) < 2:
            self.kind = ""

    def add(self, rows: Rows) -> None:
        """Count TARGET rows of pairs that have answered."""
        if not self.kind:
            return
        if self._by_port:
            at = np.searchsorted(self._ports, rows["peer_port"])
        else:
            v4 = (rows["peer_hi"] == 0) & (rows["peer_lo"] >> np.uint64(32) == np.uint64(V4_MAPPED >> 32))
            address = (rows["peer_lo"] & _MASK).astype(np.int64) - self._base
            at = np.where(v4, address >> self._shift, 256)
        self._counts += np.bincount(at, minlength=len(self._counts))[: len(self._counts)]

    def top(self, asked: int) -> dict[str, tuple[int, int]]:
        """By port or network, how many answered and about how many were scanned: most answers first, the
        remaining ones as one.

        asked: pairs scanned in all.
        """
        if not self.kind:
            return {}
        there = np.flatnonzero(self._shares)
        order = there[np.argsort(-self._counts[there], kind="stable")]
        shown = order if len(order) <= MOST + 1 else order[:MOST]
        found = {
            self._label(at): (int(self._counts[at]), round(float(self._shares[at]) * asked))
            for at in shown.tolist()
        }
        rest = order[len(shown) :]
        if len(rest):
            found[OTHERS] = (int(self._counts[rest].sum()), round(float(self._shares[rest].sum()) * asked))
        return found

    def _label(self, at: int) -> str:
        if self._by_port:
            return str(int(self._ports[at]))
        if at == 256:
            return "IPv6"
        low = V4_MAPPED + self._base + (at << self._shift)
        return f"{addresses.text(0, low)}/{32 - self._shift}"


def _level(low: NDArray[np.int64], high: NDArray[np.int64]) -> tuple[int, int]:
    """The widest of /8, /16, /24 and /32 of which the addresses fill more than one network: the bits behind
    its prefix, and the first address of the 256 networks.
    """
    if not len(low):
        return 24, 0
    first, last = int(low.min()), int(high.max()) - 1
    for shift in (24, 16, 8):
        if first >> shift != last >> shift:
            return shift, first >> shift + 8 << shift + 8
    return 0, first >> 8 << 8
