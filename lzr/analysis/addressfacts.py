"""Looks up what is known of ranges of addresses, for many addresses at once.

An address is 16 bytes in network order, IPv4 as ::ffff:a.b.c.d, as in the column `saddr_key`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAPPED = bytes(10) + b"\xff\xff"
NOTHING = -1


class AddressFacts(NamedTuple):
    """What a source states about an address; None where it states nothing."""

    asn: int | None = None
    as_name: str | None = None
    country: str | None = None


UNKNOWN = AddressFacts()


class Ranges:
    """Ranges of addresses, each with a number that stands for what is known of it.

    Of several that hold an address the one that begins last counts, of those the one that ends first, of
    those the last.
    """

    def __init__(self, first: Sequence[bytes], last: Sequence[bytes], what: Sequence[int]) -> None:
        """first, last: addresses, the last one belongs to the range."""
        starts = keys(b"".join(first))
        ends, numbers = keys(b"".join(last)), np.asarray(what, np.int32)
        values = _sortable(starts)
        if not (values[:-1] <= values[1:]).all():  # they mostly are
            order = np.argsort(values, kind="stable")
            starts, ends, numbers = starts[order], ends[order], numbers[order]
        values, until = _sortable(starts), _sortable(ends)
        if (
            (values[1:] <= until[:-1]).any()
            or (_is_v4(starts) != _is_v4(ends)).any()
            or _around(values, until)
        ):
            starts, ends, numbers = _apart(starts, ends, numbers)
        self._starts, self._ends, self._what = starts, ends, numbers
        self._v4 = _is_v4(self._starts)
        # IPv4 apart, as numbers of 32 bits: most addresses are such, and these are compared at once.
        self._starts4, self._ends4 = _low(self._starts[self._v4]), _low(self._ends[self._v4])
        self._what4 = self._what[self._v4]
        self._starts6 = _sortable(self._starts)
        self._ends6 = _sortable(self._ends)

    def __len__(self) -> int:
        return len(self._what)

    def find(self, addresses: NDArray[np.uint8]) -> NDArray[np.int32]:
        """The number for each of the addresses (n, 16); NOTHING where no range holds it."""
        found = np.full(len(addresses), NOTHING, np.int32)
        four = _is_v4(addresses)
        if four.any():
            asked = _low(addresses[four])
            found[four] = _search(asked, self._starts4, self._ends4, self._what4)
        if not four.all():
            others = _sortable(addresses[~four])
            found[~four] = _search(others, self._starts6, self._ends6, self._what)
        return found


def _around(values: NDArray[Any], until: NDArray[Any]) -> bool:
    """Whether a range begins before the addresses of IPv4 and ends behind them."""
    return bool(((values < np.bytes_(MAPPED)) & (until > np.bytes_(MAPPED + b"\xff" * 4))).any())


def _apart(
    starts: NDArray[np.uint8], ends: NDArray[np.uint8], numbers: NDArray[np.int32]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int32]]:
    """Ranges of which no two hold the same address and none is of both families, in order. starts: sorted."""
    left: list[tuple[int, int, int, int, int, int]] = []
    for row, (start, stop, number) in enumerate(
        zip(map(bytes, starts), map(bytes, ends), numbers.tolist(), strict=True)
    ):
        low, high = int.from_bytes(start, "big"), int.from_bytes(stop, "big")
        for begin, end in ((0, _FOUR[0] - 1), _FOUR, (_FOUR[1] + 1, _LAST)):
            if max(low, begin) <= min(high, end):
                left.append((max(low, begin), low, -high, row, min(high, end), number))
    found: list[tuple[int, int, int]] = []
    holding: list[tuple[int, int]] = []  # those that hold what comes next, if they go so far: the last counts
    at = 0
    for begin, *_, end, number in (*sorted(left), (_LAST + 1, 0, 0)):
        while holding and at < begin:
            until, of = holding[-1]
            if until >= at:
                found.append((at, min(until, begin - 1), of))
                at = found[-1][1] + 1
            if until < at:
                holding.pop()
        at = begin
        holding.append((end, number))
    first, last = (keys(b"".join(one[side].to_bytes(16, "big") for one in found)) for side in (0, 1))
    return first, last, np.array([of for _, _, of in found], np.int32)


_FOUR = (0xFFFF << 32, (0xFFFF << 32) + 0xFFFFFFFF)
_LAST = (1 << 128) - 1


def keys(joined: bytes) -> NDArray[np.uint8]:
    """Addresses end to end as rows of 16 bytes."""
    return np.frombuffer(joined, np.uint8).reshape(-1, 16)


def _search(
    asked: NDArray[Any], starts: NDArray[Any], ends: NDArray[Any], what: NDArray[np.int32]
) -> NDArray[np.int32]:
    if not len(starts):
        return np.full(len(asked), NOTHING, np.int32)
    at = np.searchsorted(starts, asked, "right") - 1
    inside = (at >= 0) & (asked <= ends[at])
    return np.where(inside, what[at], np.int32(NOTHING)).astype(np.int32)


def _sortable(rows: NDArray[np.uint8]) -> NDArray[Any]:
    """Rows of 16 bytes as values that compare as the bytes do."""
    return np.ascontiguousarray(rows).view("S16").reshape(-1)


def _is_v4(rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (rows[:, :12] == np.frombuffer(MAPPED, np.uint8)).all(axis=1)
    return found


def _low(rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    return np.ascontiguousarray(rows[:, 12:]).view(">u4").reshape(-1).astype(np.uint32)
