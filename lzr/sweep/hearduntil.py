"""The time, by shard, before which the coordinator has heard of all answers to a sweep: a pure machine.
How long an answer is waited for (`-c`) is in `lzr.sweep.scheduler`.

A worker states a moment: it has reported every answer that came to its shards' rings before. That counts for
a shard while it is open, with that worker. While a shard changes hands, no statement counts for it: answers
wait in its ring, or are lost with a worker that had not reported them, and the last known time stays until
the next owner has stated one. A shard that gets no worker any more keeps its last time.

Seconds of the monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable


class HeardUntil:
    """The shards of a scan; at first no answer counts as heard."""

    def __init__(self, shards: int) -> None:
        self._owners = [""] * shards
        self._when = [0.0] * shards

    def open(self, shard: int, worker: str) -> None:
        """From now on the shard is this worker's, and the worker's statements count for it."""
        self._owners[shard] = worker

    def close(self, shard: int) -> None:
        """The shard changes hands."""
        self._owners[shard] = ""

    def note(self, worker: str, when: float) -> None:
        """The worker has reported all answers that came to its rings before `when`."""
        for shard, owner in enumerate(self._owners):
            if owner == worker:
                self._when[shard] = max(self._when[shard], when)

    @property
    def all(self) -> float:
        """The time before which all answers to any shard have been heard."""
        return min(self._when)

    def of(self, shards: Iterable[int]) -> float | None:
        """The time before which all answers to these shards have been heard; None if there are no shards."""
        return min((self._when[shard] for shard in shards), default=None)
