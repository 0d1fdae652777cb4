"""The pairs of a sweep that are this box's, each known by its place: 0 is the first that is asked.

The order is counted off: a share is the places whose number modulo `step` is one of `mine`. A pair's place
can be told from the pair, as the pair from the place: so who answers need not be remembered to be recognised.
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
        """The same; all that is there is counted off by one."""
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
        """By number below `step`: which of ours it is; -1 for another share's."""
        turns = np.full(self.step, -1, np.int64)
        turns[self._mine] = np.arange(len(self.mine))
        return turns

    def pairs(self, place: int, rows: Rows) -> None:
        """Set peer_hi, peer_lo and peer_port of FRAME rows to the pairs from this place on."""
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
        """(n,) the place of each row's pair; -1 where it is none of this share.

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
