"""The space of a sweep: every pair of an address and a port, by number.

Addresses that may not be contacted are not in it at all: they have no number, so nothing is drawn only to be
skipped. The pairs of an address follow one another (``number = rank of the address * ports + rank of the
port``); it is the permutation that takes them apart. Memory is 24 bytes for each range of addresses and two
for each port, whatever the size.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c
from lzr.sweep.ranges import Range, size, union

MOST_PAIRS = 1 << 48
"""All of IPv4 with all ports. At a million a second that takes nine years."""

U64 = NDArray[np.uint64]
Rows = NDArray[Any]

_LOW = (1 << 64) - 1


class Space:
    """Addresses times ports.

    starts: (n,) u64, the rank of each range's first address; hi, lo: (n,) u64, that address; no range lies
    across a multiple of 2^64. ports: (m,) u2, in order.
    """

    def __init__(self, addresses: Iterable[Range], ports: Iterable[tuple[int, int]]) -> None:
        """Ranges of addresses as 128-bit numbers, ranges of ports. Raises ValueError if that is too much."""
        merged = union(addresses)
        self.addresses = size(merged)
        listed = [np.arange(first, last + 1, dtype=np.uint16) for first, last in union(ports)]
        self.ports = np.concatenate([np.empty(0, np.uint16), *listed])
        self.pairs = self.addresses * len(self.ports)
        if max(self.addresses, self.pairs) > MOST_PAIRS:
            raise ValueError(f"{self.pairs} pairs of address and port are more than {MOST_PAIRS}")
        ranges = [part for whole in merged for part in _within_halves(*whole)]
        counts = np.array([0, *(last - first + 1 for first, last in ranges)], np.uint64)
        self.starts: U64 = np.cumsum(counts, dtype=np.uint64)[:-1].copy()
        self.hi: U64 = np.array([first >> 64 for first, _ in ranges], np.uint64)
        self.lo: U64 = np.array([first & _LOW for first, _ in ranges], np.uint64)

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


def _within_halves(first: int, last: int) -> Iterable[Range]:
    """The range in parts whose addresses have the same upper 64 bits."""
    while first >> 64 != last >> 64:
        end = first | _LOW
        yield first, end
        first = end + 1
    yield first, last
