"""Tells flow workers which of their results are written; until then they keep them, to send them again."""

from __future__ import annotations

from collections.abc import Iterable

from coordinator.processes.pool import Pool

_SOON = 0.25
"""Seconds within which a flow worker is told what is written, at the latest."""
_MANY, _MUCH = 4, 256
"""From so many messages, or inputs of a batch, on workers are told at once. With _SOON: a worker keeps what
it was not told of, and telling costs it a turn of some 100 µs (`python -m benchmarks.calm` shows the CPU)."""


class Acknowledgements:
    """Tells flow workers which messages are written: at once where it is much, with a delay where it is
    little.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._to_tell = False  # more is written than the workers know
        self._fresh = False  # `note` was told something since `tell` last looked
        self._much = False  # acknowledge at once: a large batch was written, and workers may wait for that
        self._due = 0.0

    @property
    def pending(self) -> bool:
        """Whether workers are to be told something, now or later."""
        return self._to_tell

    def note(self, written: Iterable[tuple[int, int]], inputs: int) -> None:
        """Note what is written. written: (a worker's number, its last message that is fully written). inputs:
        how many got their fate.
        """
        last = dict(written)
        for child in self._pool.of_role("flow"):
            child.written = last.get(child.number, child.written)
        self._to_tell = self._fresh = True
        self._much |= inputs >= _MUCH

    def tell(self, now: float, *, urgent: bool) -> None:
        """Tell the workers whose time has come. urgent: somebody waits for it, as when a shard changes
        hands.
        """
        late = now >= self._due or self._much or urgent
        if not self._to_tell or not (late or self._fresh):
            return
        self._fresh = False
        for child in self._pool.of_role("flow"):
            if late or child.written - child.acknowledged >= _MANY:
                child.tell_written()
        if late:
            self._to_tell = self._much = False
            self._due = now + _SOON

    def wait(self, now: float) -> float | None:
        """Seconds until `tell` has something to do; None if nothing is to be told."""
        return max(0.0, self._due - now) if self._to_tell else None
