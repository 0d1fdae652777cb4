"""The pairs of a sweep that are this box's share, each known by its place: 0 is the first that is scanned.

A share is every place of the order whose number modulo `step` is one of `mine`. Pair and place can be
computed from each other, so nothing has to be remembered to recognise an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.sweep.permutation import Permutation
from lzr.sweep.space import Space

Rows = NDArray[Any]


@dataclass(frozen=True)
class Share:
    """mine: numbers below `step`, ascending."""

    space: Space
    order: Permutation
    mine: tuple[int, ...] = (0,)
    step: int = 1

    @classmethod
    def of(cls, space: Space, order: Permutation, mine: tuple[int, ...], step: int) -> Share:
        """The share of this space and order."""
        return cls(space, order) if len(mine) == step else cls(space, order, mine, step)

    @cached_property
    def total(self) -> int:
        """Pairs of this share."""
        rounds, rest = divmod(self.space.pairs, self.step)
        return int(rounds * len(self.mine) + sum(number < rest for number in self.mine))

    @cached_property
    def _mine(self) -> NDArray[np.int64]:
        return np.array(self.mine, np.int64)

    @cached_property
    def _turn(self) -> NDArray[np.int64]:
        """By number below `step`: its index in `mine`, -1 where it is another share's."""
        turns = np.full(self.step, -1, np.int64)
        turns[self._mine] = np.arange(len(self.mine))
        return turns

    def pairs(self, place: int, rows: Rows) -> None:
        """Set peer_hi, peer_lo and peer_port of FRAME rows to the pairs at consecutive places from `place`
        on.
        """
        count, each = len(rows), len(self.mine)
        rounds, turn = divmod(place, each)
        if each == 1:
            self.space.place(self.order.take(self.mine[0] + self.step * rounds, self.step, count), rows)
            return
        numbers = np.empty(count, np.uint64)
        for at in range(min(each, count)):  # every `each`-th of them is one step on
            more, which = divmod(turn + at, each)
            first = self.mine[which] + self.step * (rounds + more)
            numbers[at::each] = self.order.take(first, self.step, len(range(at, count, each)))
        self.space.place(numbers, rows)

    def places(self, rows: Rows) -> NDArray[np.int64]:
        """(n,) the place of each row's pair; -1 where it is not in this share.

        rows: with peer_hi, peer_lo, peer_port.
        """
        found = np.full(len(rows), -1, np.int64)
        numbers, inside = self.space.numbers(rows)
        if not inside.any():
            return found
        rounds, number = np.divmod(self.order.places(numbers[inside]).astype(np.int64), self.step)
        turns = self._turn[number]
        found[inside] = np.where(turns >= 0, rounds * len(self.mine) + turns, -1)
        return found
