"""Receive rings that had no room for frames: flows whose answers may have been among them are asked again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from lzr.flow.table import FlowTable
from workers.flow.ring import Ring

_FRAMES = 1024  # that a turn takes at least from a ring that was full: it takes so many at once
_PAUSE = 100_000_000
"""ns after which flows are asked again for the next time. A judgement: it means a look at all flows."""
_STEP = 200_000_000
"""ns between two looks by which a clock was set, and not only slowed or hurried. A judgement: shorter than
any time-out, and more than a clock is hurried by meanwhile."""
_TRIES = 3
"""How often the two clocks are read, until nothing came between. A judgement: once is mostly enough."""


def ahead() -> int:
    """By how many ns the clock of the time stamps is ahead of the monotonic one."""
    for _ in range(_TRIES):
        begun, wall = time.monotonic_ns(), time.time_ns()
        if time.monotonic_ns() - begun < _STEP // 2:  # else we may have been away between the two
            break
    return wall - begun


class Overflows:
    """The shards whose rings overflowed, until their flows in `table` have been asked again.

    clock: by how many ns the clock of the time stamps is ahead of the monotonic one.
    """

    def __init__(self, table: FlowTable, clock: Callable[[], int] = ahead) -> None:
        self._table = table
        self._clock = clock
        self._ahead = clock()
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
        """Ask the flows again, unless that was done a moment ago; to be called in each turn. now: monotonic
        ns; wall: of the epoch.
        """
        self._look_at_clock()
        if self._shards and now - self._asked_at >= _PAUSE:
            self._ask(now, wall)

    def leave(self, shard: int, ring: Ring, now: int, wall: int) -> None:
        """Ask the flows of this shard again if there is reason to, before another worker adopts it."""
        self._look_at_clock()
        if ring.has_dropped() or shard in self._shards:
            self._shards.add(shard)
            self._ask(now, wall)

    def _look_at_clock(self) -> None:
        """Somebody may set the clock, as after a suspend: flows have not waited for as long."""
        before, self._ahead = self._ahead, self._clock()
        if abs(self._ahead - before) > _STEP:
            self._table.step_clock(self._ahead - before)

    def _ask(self, now: int, wall: int) -> None:
        self.unheard += self._table.ask_again(self._shards, now, wall)
        self._shards.clear()
        self._asked_at = now
