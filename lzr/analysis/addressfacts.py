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

    Where ranges overlap, the one that begins last counts.
    """

    def __init__(self, first: Sequence[bytes], last: Sequence[bytes], what: Sequence[int]) -> None:
        """first, last: addresses, the last one belongs to the range."""
        starts = keys(b"".join(first))
        ends, numbers = keys(b"".join(last)), np.asarray(what, np.int32)
        values = _sortable(starts)
        if not (values[:-1] <= values[1:]).all():  # they mostly are
            order = np.argsort(values, kind="stable")
            starts, ends, numbers = starts[order], ends[order], numbers[order]
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
