"""Timers with a fixed delay are first in, first out: a queue of arrays, no heap, nothing to cancel.

A timer is (slot, generation). Whoever re-arms or ends a flow bumps the flow's generation, so a timer that
comes due for an older one is simply void.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray


class DelayQueue:
    """All timers of one delay (nanoseconds)."""

    def __init__(self, delay: int) -> None:
        self.delay = delay
        self._due: deque[tuple[int, NDArray[np.int32], NDArray[np.uint32]]] = deque()

    def push(self, now: int, slots: NDArray[np.int32], generations: NDArray[np.uint32]) -> None:
        """Arm timers for `now + delay`. `now` must not go back."""
        if len(slots):
            self._due.append((now + self.delay, slots.astype(np.int32), generations.astype(np.uint32)))

    def pop(self, now: int, most: int = 1 << 31) -> tuple[NDArray[np.int32], NDArray[np.uint32]] | None:
        """The timers due at `now` (slots, generations), oldest first and at most `most`, or None."""
        due = self._due
        if not due or due[0][0] > now:
            return None
        slots, generations, count = [], [], 0
        while due and due[0][0] <= now and count < most:
            when, s, g = due.popleft()
            if count + len(s) > most:
                fits = most - count
                due.appendleft((when, s[fits:], g[fits:]))
                s, g = s[:fits], g[:fits]
            slots.append(s)
            generations.append(g)
            count += len(s)
        if len(slots) == 1:
            return slots[0], generations[0]
        return np.concatenate(slots), np.concatenate(generations)

    def postpone(self, by: int, now: int) -> None:
        """Nothing could happen for the last `by` ns: what was left then is left now, and no more than all."""
        self._due = deque((min(due + by, now + self.delay), s, g) for due, s, g in self._due)

    def extract(
        self, wanted: Callable[[NDArray[np.int32], NDArray[np.uint32]], NDArray[np.bool_]]
    ) -> list[tuple[int, NDArray[np.int32], NDArray[np.uint32]]]:
        """Copies of the timers for which `wanted(slots, generations)` holds, as (due, slots, generations)."""
        found = []
        for due, slots, generations in self._due:
            keep = wanted(slots, generations)
            if keep.any():
                found.append((due, slots[keep], generations[keep]))
        return found

    def merge(self, entries: Iterable[tuple[int, NDArray[np.int32], NDArray[np.uint32]]]) -> None:
        """Take over timers of another queue of the same delay, wherever in time they belong."""
        self._due = deque(sorted([*self._due, *entries], key=lambda entry: entry[0]))

    def entries(self) -> Iterable[tuple[int, NDArray[np.int32], NDArray[np.uint32]]]:
        """Every timer, as (due, slots, generations), soonest first."""
        return self._due

    @property
    def next_due(self) -> int | None:
        return self._due[0][0] if self._due else None

    def __len__(self) -> int:
        return sum(len(slots) for _, slots, _ in self._due)
