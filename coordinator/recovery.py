"""What dies is replaced, and what it owed is made good, so that every input still has one fate.

A flow worker: its shards get a new epoch, and the collector is told to drop what may still come from the
old one (a fence). Once the fence stands, and the successor has taken over the same sockets, the flows that
the ledger still has for these shards are tried again on connections of our own.

A collector: what it had not acknowledged is not settled. Its successor cuts the output back to the last
acknowledged byte, and the flow workers send everything since then again.
"""

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


class ShardState:
    """Where a shard is. It may be fed when it has been adopted and, after a crash, fenced."""

    def __init__(self) -> None:
        self.epoch = 0
        self.owner = ""  # name of the child that has it
        self.adopted = False
        self.fenced = True
        self.owes = False  # the ledger has flows of a former life to be tried again

    def lost(self) -> None:
        """Its worker died."""
        self.epoch += 1
        self.owner = ""
        self.adopted = self.fenced = False
        self.owes = True

    @property
    def open(self) -> bool:
        return self.adopted and self.fenced
