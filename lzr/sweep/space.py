"""The space of a sweep: every pair of an address and a port, by number.

Addresses that may not be contacted are not part of it: they have no number, so nothing is drawn only to be
skipped. The pairs of an address follow one another (``number = rank of the address * ports + rank of the
port``); the permutation separates them. Memory is 56 bytes for each range of addresses (72 where answers of
IPv6 are looked up) and two for each port, whatever the size.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c
from lzr.packet.sharding import layout
from lzr.ranges import Range, size, union

MOST_PAIRS = 1 << 48
"""Most pairs: all of IPv4 with all ports. At a million a second that takes nine years."""

RANGE = np.dtype([("hi", "<u8"), ("lo", "<u8"), ("count", "<u8")])
"""Addresses that follow one another: the first, and how many there are (24 bytes)."""

U64 = NDArray[np.uint64]
Rows = NDArray[Any]

_LOW = (1 << 64) - 1


class Space:
    """Addresses times ports.

    ranges: (n,) RANGE, in order; none lies across a multiple of 2^64. starts: (n,) u64, the rank of each
    one's first address; hi, lo: (n,) u64, that address. ports: (m,) u2, in order.
    """

    def __init__(self, addresses: Iterable[Range], ports: Iterable[tuple[int, int]]) -> None:
        """addresses: ranges of 128-bit numbers. ports: ranges. Raises ValueError if these are too many
        pairs.
        """
        merged = union(addresses)
        listed = [np.arange(first, last + 1, dtype=np.uint16) for first, last in union(ports)]
        count = size(merged)
        total = count * sum(map(len, listed))
        if max(count, total) > MOST_PAIRS:
            raise ValueError(f"{total} pairs of address and port are more than {MOST_PAIRS}")
        parts = (
            (first >> 64, first & _LOW, last - first + 1)
            for whole in merged
            for first, last in _within_halves(*whole)
        )
        # Not by a list: as Python objects each takes 160 bytes, and a hit list has a million.
        self._set(np.fromiter(parts, RANGE), np.concatenate([np.empty(0, np.uint16), *listed]))

    @classmethod
    def of(cls, ranges: Rows, ports: NDArray[np.uint16]) -> Space:
        """The space with these `ranges` and `ports`, as another process sent them. Raises ValueError."""
        pairs = sum(ranges["count"].tolist()) * len(ports)
        if pairs > MOST_PAIRS or (np.diff(ports.astype(np.int32)) <= 0).any():
            raise ValueError("no space of a sweep")
        made = cls.__new__(cls)
        made._set(ranges.copy(), ports.astype(np.uint16))
        return made

    def _set(self, ranges: Rows, ports: NDArray[np.uint16]) -> None:
        self.ranges, self.ports = ranges, ports
        self.starts: U64 = np.cumsum(ranges["count"], dtype=np.uint64) - ranges["count"]
        self.hi: U64 = ranges["hi"].copy()
        self.lo: U64 = ranges["lo"].copy()
        self._counts: U64 = ranges["count"].copy()
        self.addresses = sum(ranges["count"].tolist())
        self.pairs = self.addresses * len(ports)
        self._sorted: NDArray[Any] | None = None  # first addresses as `_sortable`, once they are needed

    def _native_place(self, numbers: U64, rows: Rows) -> None:
        numbers = np.ascontiguousarray(numbers)
        NATIVE.sweep_place(numbers, self.pairs, self.starts, self.hi, self.lo, self.ports, rows)

    @in_c(_native_place)
    def place(self, numbers: U64, rows: Rows) -> None:
        """Set peer_hi, peer_lo and peer_port of FRAME rows, as many and in the order of `numbers`.

        numbers: (n,) u64 below `pairs`.
        """
        if len(numbers) and int(numbers.max()) >= self.pairs:
            raise ValueError("a pair outside the space")
        count = np.uint64(max(1, len(self.ports)))
        rank = numbers // count
        rows["peer_port"] = self.ports[(numbers - rank * count).astype(np.intp)]
        at = np.searchsorted(self.starts, rank, "right") - 1
        rows["peer_hi"] = self.hi[at]
        rows["peer_lo"] = self.lo[at] + (rank - self.starts[at])

    def _native_numbers(self, rows: Rows) -> tuple[U64, NDArray[np.bool_]]:
        if not self.pairs:
            return np.zeros(len(rows), np.uint64), np.zeros(len(rows), bool)
        found, inside = np.empty(len(rows), np.uint64), np.empty(len(rows), bool)
        rows = np.ascontiguousarray(rows)
        ranges = self.starts, self.hi, self.lo, self._counts
        NATIVE.sweep_numbers(rows, *layout(rows.dtype), *ranges, self.ports, found, inside)
        return found, inside

    @in_c(_native_numbers)
    def numbers(self, rows: Rows) -> tuple[U64, NDArray[np.bool_]]:
        """The number of each row's pair, (n,) u64, and whether it is in the space at all, (n,) bool; where it
        is not, the number is 0.

        rows: with peer_hi, peer_lo, peer_port.
        """
        if not self.pairs:
            return np.zeros(len(rows), np.uint64), np.zeros(len(rows), bool)
        if (rows["peer_hi"] == 0).all():  # nearly always: IPv4, and ranges sort by their lower half
            first = int(np.searchsorted(self.hi, np.uint64(0), "right"))
            at = np.searchsorted(self.lo[:first], rows["peer_lo"], "right") - 1
        else:
            if self._sorted is None:
                self._sorted = _sortable(self.hi, self.lo)
            at = np.searchsorted(self._sorted, _sortable(rows["peer_hi"], rows["peer_lo"]), "right") - 1
        inside = at >= 0
        at = np.maximum(at, 0)
        offset = rows["peer_lo"] - self.lo[at]
        inside &= (self.hi[at] == rows["peer_hi"]) & (offset < self._counts[at])
        port = np.minimum(np.searchsorted(self.ports, rows["peer_port"]), len(self.ports) - 1)
        inside &= self.ports[port] == rows["peer_port"]
        found = (self.starts[at] + offset) * np.uint64(len(self.ports)) + port.astype(np.uint64)
        return np.where(inside, found, np.uint64(0)), np.asarray(inside, bool)


def _sortable(high: U64, low: U64) -> NDArray[Any]:
    """Addresses as 16 bytes that sort as they do."""
    both = np.empty((len(high), 2), ">u8")
    both[:, 0], both[:, 1] = high, low
    return both.view("S16")[:, 0]


def _within_halves(first: int, last: int) -> Iterable[Range]:
    """The range in parts whose addresses have the same upper 64 bits."""
    while first >> 64 != last >> 64:
        end = first | _LOW
        yield first, end
        first = end + 1
    yield first, last
