"""The pairs of a sweep that are this box's, each known by its place: 0 is the first that is asked.

A share is the places first, first + step, first + 2 step... of the order. A pair's place can be told from the
pair, as the pair from the place: so who answers need not be remembered to be recognised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.sweep.permutation import Permutation
from lzr.sweep.space import Space

Rows = NDArray[Any]


@dataclass(frozen=True)
class Share:
    space: Space
    order: Permutation
    first: int = 0
    step: int = 1

    @property
    def total(self) -> int:
        """Pairs of this share."""
        return len(range(self.first, self.space.pairs, self.step))

    def pairs(self, place: int, rows: Rows) -> None:
        """Set peer_hi, peer_lo and peer_port of FRAME rows to the pairs from this place on."""
        numbers = self.order.take(self.first + self.step * place, self.step, len(rows))
        self.space.place(numbers, rows)

    def places(self, rows: Rows) -> NDArray[np.int64]:
        """(n,) the place of each row's pair; -1 where it is none of this share.

        rows: with peer_hi, peer_lo, peer_port.
        """
        found = np.full(len(rows), -1, np.int64)
        numbers, inside = self.space.numbers(rows)
        if not inside.any():
            return found
        behind = self.order.places(numbers[inside]).astype(np.int64) - self.first
        places, other = np.divmod(behind, self.step)
        found[inside] = np.where((other == 0) & (behind >= 0), places, -1)
        return found
