"""Remembers hosts that were probed for an ACKing firewall, so that each is probed once for all its ports."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]

MOST = 1 << 16
"""Most hosts remembered, some 150 bytes each; beyond that the one probed first is forgotten and may be probed
again. A judgement: on the Internet most hosts have one scanned port."""


class AskedHosts:
    """In its methods, rows are (n,) with `peer_hi` and `peer_lo`, the halves of the host's address."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._hits: dict[int, int] = {}  # by address: probes that were answered with SYN-ACK

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._hits)

    def note(self, rows: Rows) -> NDArray[np.bool_]:
        """Remember these hosts. Returns (n,) bool: True at the first row of a host that was not known."""
        new = np.zeros(len(rows), bool)
        for at, host in enumerate(_addresses(rows)):
            if host not in self._hits:
                self._hits[host] = 0
                new[at] = True
        while len(self._hits) > self._most:
            del self._hits[next(iter(self._hits))]
        return new

    def count(self, rows: Rows) -> None:
        """Count one answered probe for each of these hosts; hosts that were forgotten are left out."""
        for host in _addresses(rows):
            if host in self._hits:
                self._hits[host] += 1

    def adopt(self, rows: Rows, hits: NDArray[np.uint8]) -> None:
        """Remember hosts that another table has asked, and how many probes each has answered, (n,)."""
        self.note(rows)
        for host, count in zip(_addresses(rows), hits.tolist(), strict=True):
            if host in self._hits:
                self._hits[host] = max(self._hits[host], count)

    def hits(self, rows: Rows) -> NDArray[np.int64]:
        """(n,) int64: how many probes each of these hosts has answered."""
        known = self._hits
        return np.fromiter((known.get(host, 0) for host in _addresses(rows)), np.int64, len(rows))


def _addresses(rows: Rows) -> list[int]:
    pairs = zip(rows["peer_hi"].tolist(), rows["peer_lo"].tolist(), strict=True)
    return [high << 64 | low for high, low in pairs]
