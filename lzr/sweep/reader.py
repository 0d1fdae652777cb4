"""A sweep in the place of an input: its pairs as targets, in the order of its permutation.

An input of a sweep is a pair; its number is its place in the order (of those that are this box's share), so a
scan that is resumed finds the same pair under the same number, and how far it has come is one integer.
"""

from __future__ import annotations

import numpy as np

from lzr.rows import FRAME, TARGET, Opening
from lzr.secrets import Key
from lzr.sweep.permutation import Permutation
from lzr.sweep.ranges import Range, difference, union
from lzr.sweep.space import Space
from lzr.targets.reader import UNFOLDED, Batch, Reader

_V4 = 0xFFFF << 32
NOBODY: tuple[Range, ...] = (
    (0, 0),
    (_V4, _V4),
    (_V4 | 0xE0000000, _V4 | 0xEFFFFFFF),
    (_V4 | 0xFFFFFFFF, _V4 | 0xFFFFFFFF),
    (0xFF << 120, (1 << 128) - 1),
)
"""Addresses that are not one host's: unspecified, multicast (RFC 5771, RFC 4291 §2.7), broadcast."""


def hosts(addresses: list[Range], blocked: list[Range]) -> list[Range]:
    """Of these addresses, those that a sweep asks."""
    return difference(union(addresses), union([*blocked, *NOBODY]))


class SweepReader(Reader):
    """share: of the pairs, those at the places first, first + step, ... of the order; all by default."""

    def __init__(self, space: Space, key: Key, first: int = 0, step: int = 1) -> None:
        super().__init__()
        self._space = space
        self._order = Permutation.of(space.pairs, key)
        self._first, self._step = first, step
        self.total = len(range(first, space.pairs, step))
        """Pairs of this share."""
        self._at = self.total  # until the text that says what is swept has been read
        self._end = self.total

    def feed(self, chunk: bytes) -> Batch:
        """The text by which the input is known again; what it says is known already."""
        return Batch(np.empty(0, TARGET))

    def finish(self) -> Batch:
        self._at = 0
        return Batch(np.empty(0, TARGET))

    @property
    def pending(self) -> bool:
        return self._at < self._end

    @property
    def coming(self) -> int:
        return self._end - self._at

    def forget(self) -> None:
        self._end = self._at

    def more(self) -> Batch:
        count = min(UNFOLDED, self.coming)
        pairs = np.zeros(count, FRAME)
        first = self._first + self._step * self._at
        self._space.place(self._order.take(first, self._step, count), pairs)
        rows = np.zeros(count, TARGET)
        for name in ("peer_hi", "peer_lo", "peer_port"):
            rows[name] = pairs[name]
        rows["line"] = np.arange(self._at, self._at + count, dtype=np.uint64)
        rows["syn"] = Opening.OURS
        self._at += count
        return Batch(rows)
