"""A process that keeps dying ends the scan: trying again is only right while it helps."""

from __future__ import annotations

from collections import deque

_STORM = 5
_STORM_SECONDS = 60.0


class KeepsDying(Exception):
    """A process ended five times in a minute; the sentence says which."""


class Deaths:
    """Counts how often one place had to be filled again."""

    def __init__(self) -> None:
        self._when: dict[tuple[str, int], deque[float]] = {}
        self.total = 0

    def note(self, role: str, index: int, now: float) -> None:
        """Raises KeepsDying when it is too often."""
        when = self._when.setdefault((role, index), deque(maxlen=_STORM))
        when.append(now)
        self.total += 1
        if len(when) == _STORM and now - when[0] < _STORM_SECONDS:
            name = "flow worker" if role == "flow" else "collector"
            raise KeepsDying(f"{name} {index} ended {_STORM} times within a minute: the scan cannot go on")
