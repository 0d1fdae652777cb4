"""Decides when a process that keeps dying is no longer replaced, so that the scan ends."""

from __future__ import annotations

from collections import deque

MOST = 5
WITHIN = 60.0
"""After MOST deaths within so many seconds a process is not replaced again: a fault that returns at once uses
them up within a second, while an unlucky host that crashes every quarter of a minute does not."""


class RespawnLimit:
    """Counts, for each place (role and index), the processes that ended without being told to."""

    def __init__(self) -> None:
        self._when: dict[tuple[str, int], deque[float]] = {}

    def note(self, role: str, index: int, now: float) -> bool:
        """Count one more death. Returns whether the process is not to be replaced again."""
        when = self._when.setdefault((role, index), deque(maxlen=MOST))
        when.append(now)
        return len(when) == MOST and now - when[0] < WITHIN
