"""Sets of millions of ranges of addresses, as columns: 8 bytes for a range of IPv4, 32 for another.

Addresses are numbers of 128 bits, IPv4 in its mapped form (`lzr.rows`), as in `lzr.ranges`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.ranges import Range
from lzr.rows import V4_MAPPED

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
Keys = NDArray[np.bytes_]
"""Addresses as 16 bytes each, which sort as the numbers do."""

_V4_LAST = V4_MAPPED | 0xFFFFFFFF
_HALF = (1 << 64) - 1


class AddressRanges:
    """Sorted, disjoint ranges that do not touch each other; those of IPv4 apart.

    first4, last4: (n,) u4, IPv4. first6, last6: (m,) 16 bytes each, all others.
    """

    def __init__(self, first4: U32, last4: U32, first6: Keys, last6: Keys) -> None:
        self.first4, self.last4 = first4, last4
        self.first6, self.last6 = first6, last6
        self._begins, self._ends = memoryview(first4), memoryview(last4)  # type: ignore[arg-type]

    @classmethod
    def of(cls, ranges: Iterable[Range]) -> AddressRanges:
        """The addresses of these ranges, in any order."""
        found = Collected()
        for first, last in ranges:
            found.add(first, last)
        return found.united()

    def __len__(self) -> int:
        return len(self.first4) + len(self.first6)

    def __iter__(self) -> Iterator[Range]:
        """First and last address of each; those of IPv4 first."""
        for low, high in zip(self.first4.tolist(), self.last4.tolist(), strict=True):
            yield V4_MAPPED | low, V4_MAPPED | high
        for first, last in zip(self.first6.tolist(), self.last6.tolist(), strict=True):
            yield int.from_bytes(first.ljust(16, b"\0"), "big"), int.from_bytes(last.ljust(16, b"\0"), "big")

    def __contains__(self, address: int) -> bool:
        if V4_MAPPED <= address <= _V4_LAST:
            at = bisect_right(self._begins, address - V4_MAPPED) - 1
            return at >= 0 and address - V4_MAPPED <= self._ends[at]
        return bool(self.holds6(np.array([address.to_bytes(16, "big")], "S16"))[0])

    def holds6(self, keys: Keys) -> NDArray[np.bool_]:
        """(n,) which of these addresses, none of IPv4, are in it."""
        if not len(self.first6):
            return np.zeros(len(keys), np.bool_)
        at = np.searchsorted(self.first6, keys, "right") - 1
        return np.asarray((at >= 0) & (keys <= self.last6[np.maximum(at, 0)]), np.bool_)


class Collected:
    """Ranges as they are read, in any order; the same ones may come again and again."""

    def __init__(self) -> None:
        self._four = array("Q")  # first << 32 | last
        self._six = array("Q")  # halves of the first, and of the last

    def __len__(self) -> int:
        return len(self._four) + len(self._six) // 4

    def add(self, first: int, last: int) -> None:
        """Raises ValueError for a range that ends before it begins."""
        if first > last:
            raise ValueError("a range that ends before it begins")
        if first <= _V4_LAST and last >= V4_MAPPED:
            low, high = max(first, V4_MAPPED) - V4_MAPPED, min(last, _V4_LAST) - V4_MAPPED
            self._four.append(low << 32 | high)
        for low, high in ((first, min(last, V4_MAPPED - 1)), (max(first, _V4_LAST + 1), last)):
            if low <= high:
                self._six.extend((low >> 64, low & _HALF, high >> 64, high & _HALF))

    def add_four(self, numbers: U64) -> None:
        """Single addresses of IPv4, as numbers."""
        self._four.frombytes((numbers << np.uint64(32) | numbers).tobytes())

    def united(self) -> AddressRanges:
        """All of them; what was read is put in order and joined on the way."""
        first4, last4 = _united4(np.frombuffer(self._four, np.uint64))
        first6, last6 = _united6(np.frombuffer(self._six, np.uint64).reshape(-1, 4))
        return AddressRanges(first4, last4, first6, last6)

    def unite(self) -> None:
        """Join ranges that touch, so that they need less room."""
        found = self.united()
        self._four, self._six = array("Q"), array("Q")
        self._four.frombytes(
            (found.first4.astype(np.uint64) << np.uint64(32) | found.last4.astype(np.uint64)).tobytes()
        )
        self._six.frombytes(np.hstack([_halves(found.first6), _halves(found.last6)]).tobytes())


def _united4(packed: U64) -> tuple[U32, U32]:
    """packed: first << 32 | last; it is sorted in place."""
    packed.sort()
    first, last = (packed >> np.uint64(32)).astype(np.uint32), packed.astype(np.uint32)
    if not len(first):
        return first, last
    np.maximum.accumulate(last, out=last)
    begins = np.ones(len(first), np.bool_)
    begins[1:] = (first[1:] > last[:-1]) & (first[1:] - last[:-1] > 1)
    ends = np.ones(len(first), np.bool_)
    ends[:-1] = begins[1:]
    return first[begins], last[ends]


def _united6(halves: U64) -> tuple[Keys, Keys]:
    """halves: (n, 4) of the first, and of the last."""
    first, last = _keys(halves[:, :2]), _keys(halves[:, 2:])
    if not len(first):
        return first, last
    order = np.argsort(first, kind="stable")
    first, last = first[order], last[order]
    by_last = np.argsort(last, kind="stable")
    rank = np.empty(len(last), np.int64)
    rank[by_last] = np.arange(len(last))
    last = last[by_last[np.maximum.accumulate(rank)]]  # the greatest so far
    begins = np.ones(len(first), np.bool_)
    begins[1:] = first[1:] > _next(last[:-1])
    ends = np.ones(len(first), np.bool_)
    ends[:-1] = begins[1:]
    return first[begins], last[ends]


def _next(keys: Keys) -> Keys:
    """Each address and one; of the greatest there is, itself."""
    halves = _halves(keys)
    low = halves[:, 1] + np.uint64(1)
    high = halves[:, 0] + (low == 0)
    beyond = (low == 0) & (high == 0)
    low[beyond] = high[beyond] = np.uint64(_HALF)
    return _keys(np.stack([high, low], -1))


def _keys(halves: NDArray[Any]) -> Keys:
    """halves: (n, 2) u8."""
    return np.ascontiguousarray(halves, ">u8").view("S16").reshape(-1)


def _halves(keys: Keys) -> U64:
    """(n, 2): upper and lower half."""
    return np.ascontiguousarray(keys).view(">u8").reshape(-1, 2).astype(np.uint64)


def plain_lines(text: bytes) -> tuple[U64, NDArray[np.bool_]]:
    """Lines that are nothing but an address of IPv4, as numbers, and which of all lines these are.

    text: whole lines, each with its end. Not such is a line with a number of more than three digits or with a
    leading zero, or with anything beside digits and points.
    """
    byte = np.frombuffer(text, np.uint8)
    mark = np.flatnonzero((byte == 46) | (byte == 10))
    line_end = byte[mark] == 10
    begins = np.concatenate([[0], mark[:-1] + 1]) if len(mark) else mark
    size = mark - begins
    digit = byte - np.uint8(48)  # wraps for what is none
    value = np.zeros(len(mark), np.int64)
    good = (size >= 1) & (size <= 3)
    for place, unit in enumerate((1, 10, 100), 1):
        has = good & (size >= place)
        of = digit[np.maximum(mark - place, 0)]
        value += np.where(has, of.astype(np.int64) * unit, 0)
        good &= ~has | (of <= 9)
    good &= (value <= 255) & ((size == 1) | (digit[np.minimum(begins, len(byte) - 1)] != 0))
    last = np.flatnonzero(line_end)  # the fourth number of a line stands before its end
    before = np.concatenate([[-1], last[:-1]])
    four = last - before == 4
    fits = np.zeros(len(last), np.bool_)
    at = last[four]
    fits[four] = good[at] & good[at - 1] & good[at - 2] & good[at - 3]
    at = last[fits]
    number = value[at - 3] << 24 | value[at - 2] << 16 | value[at - 1] << 8 | value[at]
    return number.astype(np.uint64), fits
