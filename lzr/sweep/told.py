"""Up to when the coordinator has been told of all answers that had come, by shard: a pure machine.

A worker says of a moment that it has looked at all that came before it to the rings of its shards, and told
that. So much is known of a shard while it is open, with that worker. While it changes hands nobody's word
counts for it, and what comes waits in its ring, or is lost with a worker that has not told: what was known
last stands until the next owner has looked. Where no worker is left, nothing more becomes known.

Seconds of the monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable


class Told:
    """The shards of a scan; of none of them is anything known at first."""

    def __init__(self, shards: int) -> None:
        self._owners = [""] * shards
        self._when = [0.0] * shards

    def open(self, shard: int, worker: str) -> None:
        """This worker has the shard from now on: what it says next counts for it."""
        self._owners[shard] = worker

    def close(self, shard: int) -> None:
        """The shard changes hands."""
        self._owners[shard] = ""

    def note(self, worker: str, when: float) -> None:
        """All that had come to this worker's rings by then, it has told."""
        for shard, owner in enumerate(self._owners):
            if owner == worker:
                self._when[shard] = max(self._when[shard], when)

    @property
    def all(self) -> float:
        """All that had come by then to any shard has been told."""
        return min(self._when)

    def of(self, shards: Iterable[int]) -> float | None:
        """The same of these shards; None if there are none."""
        return min((self._when[shard] for shard in shards), default=None)
