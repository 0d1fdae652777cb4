"""Which addresses may be contacted: blocklist and allowlist in ZMap's format.

A list names addresses, networks and ranges of both families, one a line (`lzr.addresstext`); ``#``
starts a comment. It becomes sorted, disjoint ranges of 128-bit numbers, so that a batch of addresses is
looked up with one binary search, however long the list is. A network with host bits set is taken whole
(``10.1.2.3/8`` is ``10.0.0.0/8``), as ZMap does. Names are given back as names, and looked up by the caller,
who also reads the file and refuses what is none (compressed, binary): ``coordinator/input/networklists.py``.

An IPv4 entry also covers the IPv6 addresses by which a network reaches the same host: the mapped form
``::ffff:0:0/96`` (RFC 4291 §2.5.5.2), ``64:ff9b::/96`` (NAT64, RFC 6052 §2.1), and ``2002::/16`` (6to4, RFC
3056 §2: everything behind the router that has the address). It does not cover NAT64 with a site's own prefix,
which only that site knows, nor ``::/96``, which is deprecated and not routed (RFC 4291 §2.5.5.1).

An IPv4 entry of a blocklist also covers ISATAP addresses (RFC 5214 §6.1: the last bits behind ``0:5efe`` or
``200:5efe``, whatever the prefix) and Teredo addresses (RFC 4380 §4: the server's address, and that of the
client's NAT). These do not form ranges, so the IPv4 address is taken out of each IPv6 address that is looked
up, and a sweep leaves out those that `carriers` names. An allowlist does not cover them.

IPv4 is looked up in its mapped form, so an IPv6 network that happens to cover ``::ffff:0:0/96`` (``::/0``,
``::/8``) is cut around it: it says nothing about IPv4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.addresstext import entries
from lzr.ranges import Range, union
from lzr.rows import V4_MAPPED

_LOW = (1 << 64) - 1
_NAT64 = 0x0064FF9B << 96
_6TO4, _6TO4_SHIFT = 0x2002 << 112, 80
_TEREDO, _ISATAP = 0x20010000, 0x00005EFE
_V4_FIRST, _V4_LAST = V4_MAPPED, V4_MAPPED | 0xFFFFFFFF
_WORD = 0xFFFFFFFF
_UNIVERSAL = 0x02000000
"""In an ISATAP address: the IPv4 address behind it is a public one (RFC 5214 §6.1)."""
_LARGEST = 1 << 48
"""Addresses; ranges of more are not searched for carriers: no sweep has so many."""
_PARTS = 1 << 20
"""Ranges that one range of Teredo addresses may be cut into; where it would be more, it is left out whole."""


def _v4(merged: list[Range]) -> list[Range]:
    """The IPv4 addresses among these, as 32-bit numbers."""
    within = [(max(first, _V4_FIRST), min(last, _V4_LAST)) for first, last in merged]
    return [(first & _WORD, last & _WORD) for first, last in within if first <= last]


def carriers(ranges: list[Range], blocked: list[Range]) -> list[Range]:
    """Of these ranges, the ISATAP and Teredo addresses in which an IPv4 address of `blocked` stands; as
    `Blocklist.allowed` judges each of them. Both are as `lzr.ranges.union` gives them. Ranges of more than
    2^48 addresses are passed over.
    """
    v4, found = _v4(blocked), []
    for first, last in ranges if v4 else ():
        if last <= _V4_LAST or last - first >= _LARGEST:
            continue
        top, end = first >> 32, last >> 32
        if top == end and top & ~_UNIVERSAL & _WORD != _ISATAP and top >> 64 != _TEREDO:  # mostly
            continue
        for hi in range(first >> 64, (last >> 64) + 1):
            low = first & _LOW if hi == first >> 64 else 0
            high = last & _LOW if hi == last >> 64 else _LOW
            found += [(hi << 64 | a, hi << 64 | b) for a, b in _carriers(hi, low, high, v4) if hi]
    return found


def _carriers(hi: int, low: int, high: int, v4: list[Range]) -> Iterator[Range]:
    """The lower halves from `low` to `high` of carriers whose upper half is `hi`."""
    tops = range(low >> 32, (high >> 32) + 1)
    for top in (_ISATAP, _ISATAP | _UNIVERSAL):
        if top in tops:
            ends = max(low, top << 32) & _WORD, min(high, top << 32 | _WORD) & _WORD
            yield from ((top << 32 | a, top << 32 | b) for a, b in _meeting(v4, *ends))
    if hi >> 32 != _TEREDO:
        return
    if len(tops) * len(v4) > _PARTS or any(_meeting(v4, hi & _WORD, hi & _WORD)):  # the server
        yield low, high
        return
    for top in tops:  # what stands behind it is the client's address, its bits inverted
        ends = _WORD - (min(high, top << 32 | _WORD) & _WORD), _WORD - (max(low, top << 32) & _WORD)
        yield from ((top << 32 | _WORD - b, top << 32 | _WORD - a) for a, b in _meeting(v4, *ends))


def _meeting(v4: list[Range], first: int, last: int) -> Iterator[Range]:
    """What these ranges have of the numbers from `first` to `last`."""
    at = bisect_left(v4, (first, first))
    at -= bool(at and v4[at - 1][1] >= first)
    while at < len(v4) and v4[at][0] <= last:
        yield max(first, v4[at][0]), min(last, v4[at][1])
        at += 1


def _forms(merged: list[Range]) -> list[Range]:
    """The IPv6 addresses that reach the hosts of the IPv4 addresses in `merged`, in order."""
    v4 = _v4(merged)
    nat64 = [(_NAT64 | first, _NAT64 | last) for first, last in v4]
    rest = (1 << _6TO4_SHIFT) - 1
    return nat64 + [(_6TO4 | first << _6TO4_SHIFT, _6TO4 | last << _6TO4_SHIFT | rest) for first, last in v4]


class Prefixes:
    """A set of addresses."""

    def __init__(self, ranges: list[Range]) -> None:
        merged = union(ranges)
        forms = _forms(merged)
        if forms:
            merged = union(merged + forms)
        self._first_hi, self._first_lo = _halves([first for first, _ in merged])
        self._last_hi, self._last_lo = _halves([last for _, last in merged])

    def __len__(self) -> int:
        """How many disjoint ranges there are."""
        return len(self._first_hi)

    @classmethod
    def of(cls, halves: NDArray[np.uint64]) -> Prefixes:
        """The set whose column `halves` was sent by another process."""
        return cls(_ranges(halves))

    def halves(self) -> NDArray[np.uint64]:
        """(4n,) u64: first and last address of each range, two halves each."""
        ranges = (self._first_hi, self._first_lo, self._last_hi, self._last_lo)
        return np.stack(ranges, axis=1).reshape(-1)

    def ranges(self) -> list[Range]:
        """The ranges, in order."""
        return _ranges(self.halves())

    @classmethod
    def parse(cls, text: str) -> Prefixes:
        """A list's text, without names. Raises ValueError that names the line."""
        ranges, names = entries(text)
        for name, number in names.items():
            raise ValueError(f"line {number}: {name!r} is neither an address nor a network")
        return cls(ranges)

    def contains(self, hi: NDArray[np.uint64], lo: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of the addresses are in the set. Halves are u64 columns of equal length."""
        if not len(self):
            return np.zeros(len(hi), np.bool_)
        # Ranges that begin with this `hi` are left..right-1; the last that begins at or below the address is
        # among them, or is the one before them.
        left = np.searchsorted(self._first_hi, hi, "left")
        right = np.searchsorted(self._first_hi, hi, "right")
        at = self._bisect(left, right, lo) - 1
        inside: NDArray[np.bool_] = at >= 0
        at = np.maximum(at, 0)
        last_hi = self._last_hi[at]
        inside &= (hi < last_hi) | ((hi == last_hi) & (lo <= self._last_lo[at]))
        return inside

    def _bisect(
        self, left: NDArray[np.intp], right: NDArray[np.intp], lo: NDArray[np.uint64]
    ) -> NDArray[np.intp]:
        """For each address, the end of those ranges in left..right that begin at or below its `lo`."""
        if len(left) and (left == left[0]).all() and (right == right[0]).all():  # all IPv4: one search
            start, stop = int(left[0]), int(right[0])
            return start + np.searchsorted(self._first_lo[start:stop], lo, "right")
        low, high = left.copy(), right.copy()
        while (open_ := low < high).any():
            middle = (low + high) // 2
            below = open_ & (self._first_lo[np.minimum(middle, len(self) - 1)] <= lo)
            low = np.where(below, middle + 1, low)
            high = np.where(open_ & ~below, middle, high)
        return low


def _halves(numbers: list[int]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    count = len(numbers)
    hi = np.fromiter((number >> 64 for number in numbers), np.uint64, count)
    lo = np.fromiter((number & _LOW for number in numbers), np.uint64, count)
    return hi, lo


def _ranges(halves: NDArray[np.uint64]) -> list[Range]:
    rows = halves.reshape(-1, 4).tolist()
    return [(first_hi << 64 | first, last_hi << 64 | last) for first_hi, first, last_hi, last in rows]


def _within(
    hi: NDArray[np.uint64], lo: NDArray[np.uint64]
) -> list[tuple[NDArray[np.bool_], NDArray[np.uint64]]]:
    """Which IPv6 addresses have an IPv4 address inside them that forms no range (ISATAP, Teredo), and that
    address.
    """
    low = np.uint64(0xFFFFFFFF)
    teredo = hi >> np.uint64(32) == _TEREDO
    isatap = (lo >> np.uint64(32)) & np.uint64(~0x02000000 & 0xFFFFFFFF) == _ISATAP
    return [(teredo, hi & low), (teredo, ~lo & low), (isatap & (hi != 0), lo & low)]


class Blocklist:
    """The policy: an address may be contacted if it is on the allowlist, where there is one, and not on the
    blocklist.
    """

    def __init__(self, blocked: Prefixes | None = None, allowed: Prefixes | None = None) -> None:
        self.blocked = blocked
        self.only = allowed

    @classmethod
    def parse(cls, text: str, allowlist: str | None = None) -> Blocklist:
        """From the texts of the two files. Raises ValueError that names the line."""
        return cls(Prefixes.parse(text), None if allowlist is None else Prefixes.parse(allowlist))

    def without(self, ranges: list[Range]) -> Blocklist:
        """The policy that also blocks these ranges."""
        before = [] if self.blocked is None else self.blocked.ranges()
        return Blocklist(Prefixes(before + ranges), self.only)

    def allowed(self, hi: NDArray[Any], lo: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of the addresses may be contacted. Halves are u64 columns of equal length."""
        answer = np.ones(len(hi), np.bool_)
        if self.only is not None:
            answer &= self.only.contains(hi, lo)
        if self.blocked is not None and len(self.blocked):
            answer &= ~self.blocked.contains(hi, lo)
            if hi.any():
                for which, v4 in _within(hi, lo):
                    at = np.flatnonzero(which)
                    if len(at):
                        mapped = v4[at] | np.uint64(_V4_FIRST)
                        answer[at] &= ~self.blocked.contains(np.zeros(len(at), np.uint64), mapped)
        return answer
