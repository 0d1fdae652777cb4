"""Whether boxes are fit to begin: asks each for its facts and its time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Sequence

from coordinator.fleet.engine.boxstate import BoxRecord
from coordinator.fleet.engine.engine import BoxError, Engine
from lzr.fleet import preflight
from lzr.fleet.lock import Lock
from lzr.safetext import plain

CHECKING, TELLING = 90.0, 5.0
"""Timeouts in seconds: with `lzr doctor` and the sums of an input, and with a word."""
CLOCK_TRIES = 5
"""How often a box's time is asked; the quickest answer counts, as it is the most exact."""


class NotFit(Exception):
    """Nobody has begun, and these are the reasons (one sentence each) why nobody may."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class Fitness:
    """Looks at boxes for a controller."""

    def __init__(self, lock: Lock, engine: Engine) -> None:
        self._lock, self._engine = lock, engine

    def take(self, lock: Lock) -> None:
        """Boxes are judged by this lock from now on."""
        self._lock = lock

    async def side_by_side(
        self, new: Sequence[BoxRecord], boxes: Sequence[BoxRecord]
    ) -> dict[str, tuple[str, ...]]:
        """Examine these boxes; by name the faults of each that has one, and those of the plan as a whole.

        boxes: all of the plan, beside which they are judged.
        """
        there = [box for box in new if box.known.taken]
        faults: dict[str, tuple[str, ...]] = {
            box.name: (preflight.unreachable(self._lock.plan, box.name, box.sentence),)
            for box in new
            if not box.known.taken
        }
        await asyncio.gather(*map(self.examine, there))
        faults |= {box.name: (box.sentence,) for box in there if box.facts is None}
        faults |= self.judged(boxes)
        for box in there:
            box.faults = faults.get(box.name, ())
            box.set(checked=not box.faults)
        return faults

    async def examine(self, box: BoxRecord) -> None:
        """Ask a box for its facts; where that fails, `facts` is None and `sentence` says why."""
        box.facts = None
        try:
            found = await self._engine.call(box.name, "facts", {}, CHECKING)
            offset, error = await self._clock(box.name)
            box.facts = preflight.of_plain(found if isinstance(found, dict) else {}, offset, error)
        except BoxError as trouble:
            box.sentence = f"cannot be looked at: it {trouble}"
        except Exception as trouble:  # whatever comes of what it has told
            box.facts = None
            box.sentence = f"has told what cannot be: {plain(str(trouble), 200)}"

    async def _clock(self, name: str) -> tuple[float, float]:
        """By how much a box's clock is ahead of ours, and how far off that may be (s). Raises BoxError."""
        best = (0.0, math.inf)
        for _ in range(CLOCK_TRIES):
            before = time.time()
            there = await self._engine.call(name, "clock", {}, TELLING)
            after = time.time()
            if isinstance(there, float) and (after - before) / 2 < best[1]:
                best = there - (before + after) / 2, (after - before) / 2
        if best[1] == math.inf:
            raise BoxError("does not say what time it has")
        return best

    def judged(self, boxes: Iterable[BoxRecord]) -> dict[str, tuple[str, ...]]:
        """The faults by box, of all whose facts are known, side by side."""
        return preflight.judge(self._lock, {box.name: box.facts for box in boxes if box.facts is not None})
