"""A shard's flows on the way from one process to another: rows, timers, held pieces, as plain arrays.

Places are positions in `flows`. Timers are rows of TIMER, in the order in which they are due within a kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.rows import TIMER, join, pick

Held = dict[int, tuple[bytes, dict[int, bytes]]]


@dataclass(frozen=True, slots=True)
class ShardFlows:
    """flows: FLOW rows; armed: TIMER rows; pieces: place -> (bytes in order, early pieces)."""

    flows: NDArray[Any]
    armed: NDArray[Any]
    pieces: Held

    @classmethod
    def pack(
        cls,
        flows: NDArray[Any],
        timers: list[tuple[int, int, NDArray[np.int32], NDArray[np.uint32]]],
        pieces: Held,
    ) -> ShardFlows:
        """timers: (kind, due, places, generations)."""
        parts = []
        for kind, due, places, generations in timers:
            part = np.zeros(len(places), TIMER)
            part["kind"], part["due"], part["place"], part["generation"] = kind, due, places, generations
            parts.append(part)
        return cls(flows, join(parts) if parts else np.empty(0, TIMER), pieces)

    def timers(self, kind: int) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.uint32]]]:
        """(due, places, generations) of one kind, by time."""
        chosen = pick(self.armed, self.armed["kind"] == kind)
        if not len(chosen):
            return
        edges = np.flatnonzero(np.diff(chosen["due"], prepend=-1)).tolist()
        for start, end in zip(edges, [*edges[1:], len(chosen)], strict=True):
            part = chosen[start:end]
            yield int(part["due"][0]), part["place"].copy(), part["generation"].copy()

    def plain_pieces(self) -> list[list[Any]]:
        """The pieces for a message header."""
        return [[place, held, [*early.items()]] for place, (held, early) in self.pieces.items()]

    @staticmethod
    def pieces_of(plain: list[list[Any]]) -> Held:
        return {place: (held, dict(early)) for place, held, early in plain}
