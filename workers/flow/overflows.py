"""Receive rings that had no room for frames: flows whose answers may have been among them are asked again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lzr.flow.table import FlowTable
from workers.flow.ring import Ring

_FRAMES = 1024  # that a turn takes at least from a ring that was full: it takes so many at once
_PAUSE = 100_000_000
"""ns after which flows are asked again for the next time. A judgement: it means a look at all flows."""


class Overflows:
    """The shards whose rings overflowed, until their flows in `table` have been asked again."""

    def __init__(self, table: FlowTable) -> None:
        self._table = table
        self._shards: set[int] = set()
        self._asked_at = 0
        self.unheard = 0
        """Flows that were not asked again, since the start; one that waits on may count again."""

    def __bool__(self) -> bool:
        return bool(self._shards)

    def look(self, rings: Iterable[tuple[int, Ring]], taken: Mapping[int, int]) -> None:
        """Look for drops where that many frames have been taken from a ring that it may have been full."""
        for shard, ring in rings:
            if taken[shard] >= min(_FRAMES, ring.rx_frames // 4) and ring.has_dropped():
                self._shards.add(shard)

    def ask_again(self, now: int, wall: int) -> None:
        """Ask the flows again, unless that was done a moment ago. now: monotonic ns; wall: of the epoch."""
        if self._shards and now - self._asked_at >= _PAUSE:
            self._ask(now, wall)

    def leave(self, shard: int, ring: Ring, now: int, wall: int) -> None:
        """Ask the flows of this shard again if there is reason to, before another worker adopts it."""
        if ring.has_dropped() or shard in self._shards:
            self._shards.add(shard)
            self._ask(now, wall)

    def _ask(self, now: int, wall: int) -> None:
        self.unheard += self._table.ask_again(self._shards, now, wall)
        self._shards.clear()
        self._asked_at = now
