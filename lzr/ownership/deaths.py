"""Decides when a process that keeps dying is not replaced again, so that the scan ends."""

from __future__ import annotations

from collections import deque

MOST = 5
WITHIN = 60.0
"""A process that ends unasked so many times within so many seconds is not replaced again: a fault that comes
back at once uses that up within a second, and an unlucky host, with a crash every quarter of a minute, does
not."""


class Deaths:
    """Counts, for each place (role and index), the processes that ended unasked."""

    def __init__(self) -> None:
        self._when: dict[tuple[str, int], deque[float]] = {}

    def note(self, role: str, index: int, now: float) -> bool:
        """One more. Returns whether this was one too many."""
        when = self._when.setdefault((role, index), deque(maxlen=MOST))
        when.append(now)
        return len(when) == MOST and now - when[0] < WITHIN
