"""Waits until there is something for the coordinator to do."""

from __future__ import annotations

import select
import time
from collections.abc import Iterable

from coordinator.scan.parts import Parts

# Seconds. `python -m benchmarks.calm` shows what these cost and save: CPU when idle and with 1,000 lines a
# second, and the time from a line to its ACK. With a _BREATH of 0.5, 3 and 15 ms that is 27, 26 and 21 % of a
# core (a busy machine) and 11.3, 11.2 and 19.6 ms in the median.
_BREATH = 0.003  # slept after being woken with little to do: what comes meanwhile costs no turn of its own
_STRIDE = 0.003  # between two batches of paced targets
_STUCK = 0.005  # until another look at a worker that had no room: its feed keeps it busy for longer
_IDLE = 0.5  # the longest wait
_GATHER = 0.05
"""Seconds between two looks at reports while a little input is read now and then and nobody waits for one."""


class Waiting:
    """The wait between two turns of the loop. others: descriptors of signals, of the console and of the
    guard.
    """

    def __init__(self, parts: Parts, others: Iterable[int]) -> None:
        self.others_ready = True
        """Whether a descriptor was readable other than those of the input and of the reports."""
        self.reported = True
        """Whether reports may have come and are to be taken now."""
        self._reports_due = 0.0
        self._parts = parts
        self._others = frozenset(others)
        forkserver, printed = parts.pool.forkserver.fileno(), parts.pool.printed.descriptor
        self._urgent = (forkserver, printed, parts.routes.routing.fileno(), *self._others)
        self._polls: dict[tuple[int, ...], select.poll] = {}

    def wait(self, seconds: float, now: float, *, worked: bool, upkeep: float) -> bool:
        """Wait at most `seconds` until something happens; returns whether one of `others` is readable.

        worked: the last turn did something. upkeep: seconds until the next round of upkeep. Descriptors that
        would wake us for nothing now are left out.
        """
        parts = self._parts
        others = self._urgent if not parts.intake.parked else (*self._urgent, *parts.intake.awaited)
        reads = not parts.state.paused and parts.feeder.has_room
        rest = parts.reading.rest(now)
        resting = reads and rest > 0.0  # reports can wait as long
        awaited = others
        if reads and not resting:
            awaited = (*awaited, *parts.reading.filenos())
        listens = not resting and not (parts.sweeping is not None and parts.sweeping.resting(now))
        if listens:
            awaited = (*awaited, parts.pool.wakeup)
        if parts.supervisor.unread or (worked and self._more(rest)):
            seconds = 0.0
        else:
            seconds = min(seconds, upkeep, _IDLE, self._soonest(now, reads, rest))
        ready = [descriptor for descriptor, _ in self._poll(awaited).poll(seconds * 1000)]
        slept = bool(ready) and seconds > _BREATH and not resting
        if slept:
            time.sleep(_BREATH)
        self.others_ready = bool(ready) and not frozenset(others).isdisjoint(ready)
        if listens:
            self.reported = slept or parts.supervisor.unread or (bool(ready) and parts.pool.wakeup in ready)
        else:
            self.reported = not resting or now >= self._reports_due or parts.supervisor.machine.moving
        if self.reported:
            self._reports_due = now + _GATHER
        return self.others_ready and not self._others.isdisjoint(ready)

    def _more(self, rest: float) -> bool:
        """Whether there is work for the next turn already. rest: seconds until the input is read."""
        parts = self._parts
        if parts.sweeping is not None and parts.pacer.rate is not None:
            return parts.feeder.waiting
        return bool(parts.intake.backlog) or parts.feeder.waiting or not rest

    def _soonest(self, now: float, reads: bool, rest: float) -> float:
        """Seconds until the first part has something to do by itself. reads: there is room for input. rest:
        seconds until the input is read.
        """
        parts, paused = self._parts, self._parts.state.paused
        seconds = _IDLE
        if reads:
            if parts.intake.pending or (not rest and parts.reading.pending):
                return 0.0
            seconds = rest or seconds
        if parts.intake.backlog and not paused:
            seconds = min(seconds, max(parts.pacer.wait(now), _STRIDE))
        if parts.feeder.waiting:
            seconds = min(seconds, _STUCK)
        if parts.sweeping is not None:
            waits = parts.sweeping.wait(now)
            if waits is not None and not (paused and not parts.sweeping.scheduler.all_assigned):
                seconds = min(seconds, waits)
        resting = parts.sweeping is not None and parts.sweeping.resting(now)
        due = None if resting else parts.acknowledgements.wait(now)  # it can wait as long as reports do
        return seconds if due is None else min(seconds, due)

    def _poll(self, descriptors: tuple[int, ...]) -> select.poll:
        found = self._polls.get(descriptors)
        if found is None:
            found = self._polls[descriptors] = select.poll()
            for descriptor in descriptors:
                found.register(descriptor, select.POLLIN)
        return found
