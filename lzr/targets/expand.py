"""Lines that name many targets (addresses times ports), expanded a few targets at a time.

A `Block` is a run of consecutive addresses (or a name that is to be looked up) and some ports. Its targets
are numbered port by port, and within a port over all addresses, so that no host is asked all its ports at
once; in a network (a power of two of addresses) neighbours do not follow each other either. The numbering is
fixed, so a resumed scan finds the same target under the same number.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lzr.addresses import Halves, is_v4
from lzr.rows import TARGET, V4_MAPPED, Opening, join

MOST_ADDRESSES = 1 << 24
"""Most addresses of one block: an IPv4 /8, an IPv6 /104."""

_GOLDEN = 0.6180339887498949  # 1 / golden ratio: steps of so much of a range are spread evenly
_ALL = np.uint64(V4_MAPPED | 0xFFFFFFFF)
_MULTICAST = V4_MAPPED >> 28 | 14
"""224.0.0.0/4 (RFC 5771): what its addresses have before their last 28 bits."""

Ports = tuple[tuple[int, int], ...]
"""Ranges of ports, first and last; sorted, disjoint."""


class Block(Struct, frozen=True):
    """`count` addresses from `first` on, each with every port; or, if `name` is set, a name's address."""

    first: Halves
    ports: Ports
    count: int = 1
    name: str = ""

    @property
    def total(self) -> int:
        """How many targets the block has."""
        return self.count * sum(last - first + 1 for first, last in self.ports)

    @property
    def special(self) -> str:
        """Why some of the addresses are refused; empty where none are. Where all of them would be, the line
        is.
        """
        hi, lo = self.first
        if self.name or self.count == 1:
            return ""
        if hi == 0 and lo in (0, V4_MAPPED):
            return "the unspecified address"
        if is_v4(hi, lo) and lo + self.count - 1 == V4_MAPPED | 0xFFFFFFFF:
            return "the broadcast address"
        if hi == 0 and _MULTICAST in (lo >> 28, lo + self.count - 1 >> 28):
            return "a multicast address"
        return ""


class Expansion(Struct):
    """The targets of one line that are still to be made. Those of a name wait until its address is known.

    ordinal: number of the next of them among the inputs. number, text: the line, as shown to people.
    """

    block: Block
    ordinal: int
    number: int
    text: str
    at: int = 0
    _ports: NDArray[np.uint64] | None = None

    @property
    def left(self) -> int:
        """How many targets are still to be made."""
        return self.block.total - self.at

    def of(self, address: Halves) -> Expansion:
        """The same expansion with a name's address."""
        block = Block(address, self.block.ports)
        return Expansion(block, self.ordinal, self.number, self.text, self.at)

    def take(self, most: int) -> tuple[NDArray[Any], NDArray[np.uint64]]:
        """At most `most` targets: (TARGET rows, numbers of inputs refused for the reason `Block.special`)."""
        block = self.block
        if self._ports is None:
            self._ports = np.concatenate(
                [np.arange(first, last + 1, dtype=np.uint64) for first, last in block.ports]
            )
        size = min(most, self.left)
        index = np.arange(self.at, self.at + size, dtype=np.uint64)
        rows = np.zeros(size, TARGET)
        rows["line"] = np.arange(self.ordinal, self.ordinal + size, dtype=np.uint64)
        rows["peer_port"] = self._ports[(index // np.uint64(block.count)).astype(np.int64)]
        rows["peer_hi"] = block.first[0]
        rows["peer_lo"] = np.uint64(block.first[1]) + spread(index % np.uint64(block.count), block.count)
        rows["syn"] = Opening.OURS
        self.at += size
        self.ordinal += size
        if not block.special:
            return rows, np.empty(0, np.uint64)
        lo = rows["peer_lo"]
        bad = (lo == 0) | (lo == np.uint64(V4_MAPPED)) | (lo == _ALL)
        bad = (rows["peer_hi"] == 0) & (bad | (lo >> np.uint64(28) == np.uint64(_MULTICAST)))
        return rows[~bad], rows["line"][bad]


class Folded:
    """What a reader has set aside, in input order: rows, and lines that are still to be expanded."""

    def __init__(self) -> None:
        self._waiting: deque[NDArray[Any] | Expansion] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def count(self) -> int:
        """How many targets are set aside."""
        return sum(len(one) if isinstance(one, np.ndarray) else one.left for one in self._waiting)

    @property
    def named(self) -> bool:
        """Whether a name is among the lines."""
        return any(not isinstance(one, np.ndarray) and bool(one.block.name) for one in self._waiting)

    def put(self, rows: NDArray[Any], shift: int = 0) -> None:
        """Add rows, which are kept and changed. shift: added to their input numbers."""
        if len(rows):
            rows["line"] += np.uint64(shift % 2**64)
            self._waiting.append(rows)

    def expand(self, line: Expansion) -> None:
        """Take a line whose targets are to be made by `take`."""
        if line.left:
            self._waiting.append(line)

    def clear(self) -> None:
        """Drop all targets that were not made yet."""
        self._waiting.clear()

    def take(self, most: int) -> tuple[NDArray[Any], list[tuple[str, NDArray[np.uint64]]], list[Expansion]]:
        """About `most` targets: (TARGET rows, numbers of refused inputs by reason, names to be looked up)."""
        parts: list[NDArray[Any]] = [np.empty(0, TARGET)]
        refused, names = [], []
        while self._waiting and most > 0:
            one = self._waiting[0]
            if isinstance(one, np.ndarray):
                parts.append(one)
                most -= len(one)
            elif one.block.name:
                names.append(one)
                most -= 1
            else:
                before = one.left
                rows, bad = one.take(most)
                most -= before - one.left
                parts.append(rows)
                if len(bad):
                    refused.append((one.block.special, bad))
                if one.left:
                    break
            self._waiting.popleft()
        return join(parts), refused, names


def spread(index: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """A permutation of 0..count-1 that separates neighbours where `count` is a power of two: the values at
    `index`.
    """
    if count < 4 or count & (count - 1):
        return index
    step = int(count * _GOLDEN) | 1
    return index * np.uint64(step) & np.uint64(count - 1)
