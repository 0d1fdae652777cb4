"""Hosts of a sweep that are known to answer on any port: their pairs are left out before a worker gets them.

Workers find these hosts (`lzr.flow.ackfirewall`), each by its own flows, and send nothing to those of their
pairs that they have been given. So the first pair that a worker has not asked tells which host it is; the
other workers are told, and where there are many such hosts, their pairs take no part of the rate. The first
hosts are remembered and not the latest: the order is pseudorandom, so each of them has pairs until the end.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.rows import FRAME, pick
from lzr.sweep.share import Share

Rows = NDArray[Any]
Mask = NDArray[np.bool_]
Halves = NDArray[np.uint64]

MOST = 1 << 16
"""Most hosts that are remembered, 16 bytes each. Of others only the worker knows that found them."""
_BITS = 18
"""Of a host's place among 2^18 (4 MB): one whose place is taken is not remembered, of MOST one in nine."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
TOLD = 4096
"""Hosts in one message, at most."""
_FEW = 64
"""Where it is less than one address in so many, only the workers look at the pairs: no more than such a share
of the rate is lost by it, and to look at a pair costs a twentieth of what asking it does."""
LOOK = 1 << 15
"""Pairs that are looked at in one turn of the coordinator. `share.pairs` takes some 0.1 µs for each."""
_GROWN = 16
"""Hosts are packed anew when one in so many is new: 65,536 take some 30 ms."""
_NOBODY = np.zeros((1, 2), np.uint64)
_PART = 1 << 12  # pairs looked at together: a core's cache holds them


class AckFirewalls:
    """share: the pairs of this box."""

    def __init__(self, share: Share, most: int = MOST) -> None:
        self._share, self._most = share, most
        self._table = np.zeros((0, 2), np.uint64)  # by place: the halves of the host that is there; 0: nobody
        self._hosts = np.zeros((0, 2), np.uint64)  # in the order in which they were found
        self._told: dict[str, int] = {}  # by worker, how many of them it knows
        self._rows = np.zeros(0, FRAME)
        self._asked = 1.0  # share of the pairs looked at that were to be asked, lately
        self._packed = 0, b""  # of so many hosts

    def __len__(self) -> int:
        """How many hosts are remembered."""
        return len(self._hosts)

    def note(self, rows: Rows) -> None:
        """Remember the hosts of these rows, with `peer_hi` and `peer_lo`, while there is room."""
        if not len(self._table):
            self._table = np.zeros((1 << _BITS, 2), np.uint64)
            self._rows = np.zeros(_PART, FRAME)
        rows = pick(rows, ~self.known(rows))
        new = np.stack((rows["peer_hi"], rows["peer_lo"]), 1)
        places = _places(new[:, 0], new[:, 1])
        _, first = np.unique(places, return_index=True)  # one for each place: a host comes in several rows
        new, places = new[first], places[first]
        free = np.flatnonzero(~self._table[places].any(1))[: self._most - len(self)]
        self._table[places[free]] = new[free]
        self._hosts = np.concatenate([self._hosts, new[free]])

    def recall(self, hosts: Halves) -> None:
        """Remember these hosts, (n, 2), that a worker has found, or the run that is resumed. Those of no pair
        of ours are left out.
        """
        rows = np.zeros(len(hosts), FRAME)
        rows["peer_hi"], rows["peer_lo"] = hosts[:, 0], hosts[:, 1]
        rows["peer_port"] = self._share.space.ports[0]
        self.note(pick(rows, self._share.space.numbers(rows)[1]))

    def packed(self) -> bytes:
        """The hosts that are remembered, for `unpack`; of many, those of the last moments may be missing."""
        if len(self) - self._packed[0] > self._packed[0] // _GROWN:
            self._packed = len(self), pack(self._hosts)
        return self._packed[1]

    def known(self, rows: Rows) -> Mask:
        """(n,) bool: which of these rows are to hosts that are remembered."""
        if not len(self._table):
            return np.zeros(len(rows), bool)
        high, low = rows["peer_hi"], rows["peer_lo"]
        found = self._table[_places(high, low)]
        return np.asarray((found[:, 0] == high) & (found[:, 1] == low), bool)

    def among(self, first: int, count: int) -> Mask:
        """(count,) bool: which of the pairs at `count` places from `first` on are such a host's."""
        found = np.empty(count, bool)
        for at in range(0, count, _PART):
            rows = self._rows[: min(_PART, count - at)]
            self._share.pairs(first + at, rows)
            found[at : at + len(rows)] = self.known(rows)
        return found

    @property
    def many(self) -> bool:
        """Whether pairs are worth being looked at before they are given to a worker."""
        return len(self) > 0 and len(self) * _FEW >= self._share.space.addresses

    def ahead(self, asked: int) -> int:
        """How many pairs to look at so that about so many of them are to be asked."""
        return min(LOOK, int(asked / self._asked) + 1)

    def note_looked(self, pairs: int, asked: int) -> None:
        """Of so many pairs that were looked at, so many were to be asked."""
        if pairs:
            self._asked = max(1 / LOOK, (self._asked + min(1.0, asked / pairs)) / 2)

    def untold(self, worker: str) -> NDArray[np.uint64]:
        """The hosts that this worker was not told yet, TOLD at most: their halves (hi, lo), in turn. From now
        on they count as told.
        """
        begin = self._told.get(worker, 0)
        found = self._hosts[begin : begin + TOLD]
        self._told[worker] = begin + len(found)
        return found.reshape(-1)


def pack(hosts: Halves) -> bytes:
    """These hosts as bytes; (n, 2) uint64, the halves of each. About 2 bytes for an IPv4 address of many."""
    hosts = hosts[np.lexsort((hosts[:, 1], hosts[:, 0]))]
    return zlib.compress(np.diff(hosts, axis=0, prepend=_NOBODY).T.astype("<u8").tobytes(), 1)


def unpack(data: bytes) -> Halves:
    """(n, 2) uint64: the hosts that `pack` was given, MOST at most. Raises ValueError if it cannot have made
    these bytes.
    """
    reader = zlib.decompressobj()
    try:
        found = reader.decompress(data, 16 * MOST) if data else b""
    except zlib.error as error:
        raise ValueError(f"its hosts are damaged: {error}") from error
    if len(found) % 16 or bool(data) != reader.eof or reader.unused_data:
        raise ValueError("its hosts are damaged")
    halves: Halves = np.cumsum(np.frombuffer(found, "<u8").reshape(2, -1).T, axis=0, dtype=np.uint64)
    return halves


def _places(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = (((high * _ODD) ^ low) * _ODD) >> np.uint64(64 - _BITS)
    return mixed
