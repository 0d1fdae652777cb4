"""Timers with a fixed delay are first in, first out: a queue of arrays, no heap, nothing to cancel.

A timer is (slot, generation). Whoever re-arms or ends a flow bumps the flow's generation, so a timer that
comes due for an older one is simply void.
"""

from __future__ import annotations

from collections import deque

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

    def pop(self, now: int) -> tuple[NDArray[np.int32], NDArray[np.uint32]] | None:
        """The timers due at `now` (slots, generations), oldest first, or None."""
        due = self._due
        if not due or due[0][0] > now:
            return None
        slots, generations = [], []
        while due and due[0][0] <= now:
            _, s, g = due.popleft()
            slots.append(s)
            generations.append(g)
        if len(slots) == 1:
            return slots[0], generations[0]
        return np.concatenate(slots), np.concatenate(generations)

    @property
    def next_due(self) -> int | None:
        return self._due[0][0] if self._due else None

    def __len__(self) -> int:
        return sum(len(slots) for _, slots, _ in self._due)
