"""Routing rules of this host that look at TCP ports (ip-rule(8)), and which of a scan's ports they
distinguish.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from coordinator.network import netlink as nl
from lzr.rows import Opening, Rows

MOST_PAIRS = 64
"""Most pairs of one of our ports and one of a target's that the kernel is asked about for each interval. A
judgement."""
Pair = tuple[int, int]
"""One of our ports, and one of a target's."""


def bounds(rules: Iterable[nl.NetlinkMessage]) -> tuple[set[int], set[int]]:
    """The ports of ours, and of targets, at which a rule for TCP begins or ceases to apply."""
    found: tuple[set[int], set[int]] = (set(), set())
    for rule in rules:
        if rule.attributes.get(nl.FRA_IP_PROTO, b"\0")[:1] not in (b"\0", bytes([socket.IPPROTO_TCP])):
            continue
        for starts, kind in zip(found, (nl.FRA_SPORT_RANGE, nl.FRA_DPORT_RANGE), strict=True):
            attribute = rule.attributes.get(kind, b"")
            if len(attribute) == 4:
                first, last = struct.unpack("=HH", attribute)
                starts.update((first, last + 1))
    return found


class PortsUsed:
    """The ports that the scan has used: one of each set that the rules do not distinguish."""

    def __init__(self, own: tuple[int, int]) -> None:
        """own: first and last of the ports that our connections leave from."""
        self._range = own
        self._own: dict[int, int] = {}  # by kind
        self._peer: dict[int, int] = {}
        self._bounds: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())

    def note(self, rows: Rows, starts: tuple[set[int], set[int]]) -> bool:
        """Note the ports of TARGET rows; returns whether there are some that the rules treat in a new way.

        starts: of `bounds`, now.
        """
        if not (starts[0] or starts[1] or any(self._bounds)):
            return False
        ordered = tuple(sorted(starts[0])), tuple(sorted(starts[1]))
        if ordered != self._bounds:
            kept = list(self._peer.values())
            self._bounds, self._own, self._peer = ordered, {}, {}
            _take(self._peer, np.array(kept, np.int64), ordered[1])
        if not any(ordered) or not len(rows):
            return False
        before = len(self._own) + len(self._peer)
        _take(self._peer, rows["peer_port"].astype(np.int64), ordered[1])
        ours = rows["syn"] == Opening.OURS
        if ours.any():
            low, high = self._range
            inside = [low, *(start for start in ordered[0] if low < start <= high)]
            _take(self._own, np.array(inside, np.int64), ordered[0])
        _take(self._own, rows["own_port"][~ours].astype(np.int64), ordered[0])
        return len(self._own) + len(self._peer) > before

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of ports to ask the kernel about; empty where no rule looks at ports."""
        return [(own, peer) for peer in self._peer.values() for own in self._own.values()][:MOST_PAIRS]


def _take(known: dict[int, int], ports: NDArray[np.int64], starts: tuple[int, ...]) -> None:
    kinds, first = np.unique(np.searchsorted(starts, ports, "right"), return_index=True)
    for kind, at in zip(kinds.tolist(), first.tolist(), strict=True):
        known.setdefault(kind, int(ports[at]))
