"""Spreads stretches of a sweep over time: a worker gets some milliseconds' worth at once and sends it in
slices.

So the coordinator needs few turns, and the rate on the wire is still smooth. Times are in ns, arguments.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from msgspec import Struct

SLICE = 1_000_000
"""ns between two slices of a stretch; the caller may take those of some ms at once and space them itself."""
LATE = 20_000_000
"""ns' worth that may leave at once where the caller is late: as much as in other scans (`lzr.pacing`)."""
_QUICKER = 2
"""Time that was lost is made good for in so many times the time: what is late leaves at 1.5 times its rate. A
judgement: with a load of 7 a worker loses up to a quarter of its time, and keeps the rate; a network gets no
burst because our machine is busy."""

T = TypeVar("T")


class SpreadPart(Struct, Generic[T]):
    """count: pairs, of which `done` have been taken. begin: when the first of its slices is due. span: ns
    over which they are; 0: at once.
    """

    what: T
    count: int
    begin: int
    span: int
    done: int = 0

    @property
    def slices(self) -> int:
        return max(1, self.span // SLICE)

    def due(self, now: int) -> int:
        """How many may be taken by now and have not been."""
        slices = min(self.slices, (now - self.begin) // SLICE + 1)
        return max(0, -(-self.count * slices // self.slices) - self.done)

    @property
    def next_due(self) -> int:
        """When the next of those that are left is due."""
        return self.begin + self.done * self.slices // self.count * SLICE


class Spread(Generic[T]):
    """Parts to be taken in order, one after the other, each over a time of its own.

    Whoever says with `note_time` when it looks is never given much more at once than LATE brings: after a
    longer time the parts are that much behind, and catch up slowly.
    """

    def __init__(self) -> None:
        self.waiting = 0
        """Pairs, due or not."""
        self._parts: deque[SpreadPart[T]] = deque()
        self._until = 0  # the last part's time ends then
        self._behind = 0  # ns by which the parts are behind
        self._noted = 0

    def note_time(self, now: int, *, limited: bool = False) -> None:
        """Somebody looks what is due. limited: it is a limit of its own that holds the caller back, and that
        lets no burst leave; there is no other reason to wait.
        """
        passed, self._noted = now - self._noted, now
        self._behind = max(0, self._behind - passed // _QUICKER)
        if limited or not self._parts or not self._parts[0].span:
            self._behind = 0
        else:
            self._behind = max(self._behind, now - LATE - self._parts[0].next_due)

    def put(self, what: T, count: int, span: int, begin: int) -> None:
        """Add a part of so many pairs, over `span` ns from `begin` on, or from the end of the part before; 0:
        at once.

        A part that comes late is due at once, as far as `note_time` allows it. That others are behind makes
        this one no later: it is due when it was meant to be, if those before it have been taken.
        """
        begin = max(begin - self._behind, self._until) if span else begin
        self._parts.append(SpreadPart(what, count, begin, span))
        self._until = begin + span
        self.waiting += count

    def restart(self) -> T | None:
        """The part of which some were taken is begun anew; returns it, None if there is none."""
        if not self._parts or not self._parts[0].done:
            return None
        part = self._parts[0]
        self.waiting += part.done
        part.done = 0
        return part.what

    def due(self, now: int) -> int:
        """How many pairs may be taken now."""
        found, now = 0, now - self._behind
        for part in self._parts:
            if part.begin > now:
                break
            found += part.due(now)
        return found

    def next_due(self, now: int) -> int | None:
        """When there is something to take; None if nothing is left, or if there is something already."""
        if not self._parts or (ahead := self._parts[0].next_due - now + self._behind) <= 0:
            return None
        # They come nearer by half as much again as the time that passes, until they are behind no longer.
        return now + max(ahead - self._behind, ahead - ahead // (_QUICKER + 1))

    def take(self, most: int, now: int) -> tuple[T, int, int, bool] | None:
        """Of the first part: what it is, how many were taken before, how many are taken now, whether that was
        all.

        None where nothing is due.
        """
        if not self._parts:
            return None
        part = self._parts[0]
        count, before = min(most, part.due(now - self._behind)), part.done
        if count <= 0:
            return None
        part.done += count
        self.waiting -= count
        over = part.done == part.count
        if over:
            self._parts.popleft()
        return part.what, before, count, over
