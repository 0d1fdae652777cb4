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
up. An allowlist does not cover them.

IPv4 is looked up in its mapped form, so an IPv6 network that happens to cover ``::ffff:0:0/96`` (``::/0``,
``::/8``) is cut around it: it says nothing about IPv4.
"""

from __future__ import annotations

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


def _forms(merged: list[Range]) -> list[Range]:
    """The IPv6 addresses that reach the hosts of the IPv4 addresses in `merged`, in order."""
    within = [(max(first, _V4_FIRST), min(last, _V4_LAST)) for first, last in merged]
    v4 = [(first & 0xFFFFFFFF, last & 0xFFFFFFFF) for first, last in within if first <= last]
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
