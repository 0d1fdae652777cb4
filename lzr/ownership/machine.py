"""Decides everything about the processes of a scan: events in, orders out.
The inputs that a dead worker had are in `lzr.ownership.ledger`.

The machine knows the processes by name, the shards and the collectors. After every event it also
balances shards among the workers, stops processes that have nothing left to do, and tells flow workers where
to send their results.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from lzr.ownership.collectors import Collectors
from lzr.ownership.events import Adopted, Died, Ending, Event, Fenced, Linked, Ready, Released, Want
from lzr.ownership.orders import Fewer, Forget, GiveUp, Ignored, Order, Spawn, Stop
from lzr.ownership.processes import COLLECT, FLOW, Process, Processes
from lzr.ownership.shards import Shards, ShardState

MOST_DEATHS = 5
WITHIN = 60.0
"""After so many deaths within so many seconds a process is not replaced again: a fault that returns at once
uses them up within a second, while an unlucky host that crashes every quarter of a minute does not."""


class RespawnLimit:
    """Decides when a process that keeps dying is no longer replaced, so that the scan ends. Counts, for each
    place (role and index), the processes that ended without being told to.
    """

    def __init__(self) -> None:
        self._when: dict[tuple[str, int], deque[float]] = {}

    def note(self, role: str, index: int, now: float) -> bool:
        """Count one more death. Returns whether the process is not to be replaced again."""
        when = self._when.setdefault((role, index), deque(maxlen=MOST_DEATHS))
        when.append(now)
        return len(when) == MOST_DEATHS and now - when[0] < WITHIN


class Machine:
    """ignored: by kind, how many reports were false or came too late."""

    def __init__(self, shards: int) -> None:
        self.processes = Processes()
        self.shards = Shards(shards, self.processes)
        self.collectors = Collectors(self.processes)
        self.ignored: Counter[str] = Counter()
        self.ending = False
        self.moving = False
        """Whether a worker has been told to give a shard up: it does when its results are written."""
        self.full = False
        """Whether one of the processes wanted last could not be started, and fewer are wanted since then."""
        self._filled: set[tuple[str, int]] = set()  # places at which some process has started
        self._respawn_limit = RespawnLimit()

    @property
    def wanted(self) -> tuple[int, int]:
        """Flow workers and collectors that are to be there."""
        return self.processes.wanted[FLOW], self.processes.wanted[COLLECT]

    def handle(self, event: Event, now: float) -> list[Order]:
        """The orders that follow from an event, in order. now: seconds of a clock that never goes back."""
        orders = list(self._happened(event, now))
        if not self.ending:
            orders += self.shards.balance(now)
            orders += self._dismiss()
            orders += self.collectors.assign()
        self.moving = any(shard.state is ShardState.RELEASING for shard in self.shards.all)
        return orders

    def _happened(self, event: Event, now: float) -> Iterator[Order]:
        match event:
            case Want(flow, collect):
                return self._want(flow, collect)
            case Ending(role):
                return self._end(role)
            case Died(name, status):
                process = self.processes.get(name)
                if process is not None:
                    return self._died(process, status, now)
            case Ready(name) | Adopted(name) | Released(name) | Fenced(name) | Linked(name):
                process = self.processes.get(name)
                if process is not None and not self.ending:
                    orders = self._reported(event, process, now)
                    if orders is not None:
                        return orders
        return self._ignore(event)

    def _reported(self, event: Event, process: Process, now: float) -> Iterator[Order] | None:
        """The orders that follow from a report; None if the report is false or says nothing new."""
        match event:
            case Ready() if not process.ready:
                process.ready = True
                self._filled.add((process.role, process.index))
                if process.role == FLOW:
                    return self.shards.ready(process, now)
                return self.collectors.ready(process)
            case Adopted(_, shard):
                return self.shards.adopted(process, shard, now)
            case Released(_, shard, flows):
                return self.shards.released(process, shard, flows, now)
            case Linked(_, writer):
                return self.collectors.linked(process, writer)
            case Fenced(_, incarnation) if self.collectors.fenced(process, incarnation):
                return self.shards.fenced(incarnation, now)
        return None

    def _ignore(self, event: Event) -> Iterator[Order]:
        self.ignored[type(event).__name__] += 1
        yield Ignored(event)

    # --- processes come and go -----------------------------------------------------------------------------

    def _want(self, flow: int, collect: int) -> Iterator[Order]:
        first, self.full = not any(self.wanted), False
        self.processes.wanted = {FLOW: max(1, min(flow, len(self.shards))), COLLECT: max(1, collect)}
        for role in (COLLECT, FLOW):
            for index in range(self.processes.wanted[role]):
                if self.processes.at(role, index) is None:
                    yield self._spawn(role, index)
        if first:
            self.shards.assign(self.processes.of(FLOW))

    def _spawn(self, role: str, index: int, *, replaces: bool = False) -> Spawn:
        process = self.processes.add(role, index)
        fenced: tuple[int, ...] = ()
        if role == COLLECT:
            self.collectors.starts(process)
            fenced = tuple(self.collectors.dead)
        return Spawn(role, index, process.name, process.number, fenced, replaces)

    def _dismiss(self) -> Iterator[Order]:
        """Stop processes that are no longer wanted and have nothing left to do."""
        for process in self.processes:
            if process.leaving or not process.ready or self.processes.is_wanted(process):
                continue
            if process.role == COLLECT:
                self.collectors.leaves(process)
            elif self.shards.owned_by(process):
                continue
            process.leaving = True
            yield Stop(process.name)

    def _died(self, process: Process, status: int, now: float) -> Iterator[Order]:
        role, index, name = process.role, process.index, process.name
        self.processes.remove(name)
        asked = process.leaving or self.ending
        often = not asked and self._respawn_limit.note(role, index, now)
        more = often and index > 0 and (role, index) not in self._filled  # than can be started
        vacant = more or (asked and not self.ending and self.processes.at(role, index) is None)
        yield Forget(name, status, role, index, asked, vacant)
        if asked:
            self.collectors.worker_left(process)
            return
        kind = "flow worker" if role == FLOW else "collector"
        if more:
            self.processes.wanted[role], self.full = min(index, self.processes.wanted[role]), True
            yield Fewer(f"{kind} {index} cannot be started: the scan goes on without it")
        elif often:
            self.ending = True
            yield GiveUp(f"{kind} {index} ended {MOST_DEATHS} times within a minute: the scan cannot go on")
            return
        if role == COLLECT:
            yield from self.collectors.died(process)
        else:
            yield from self.collectors.worker_died(process)
        successor = None
        if self.processes.is_wanted(process):
            spawn = self._spawn(role, index, replaces=True)
            successor = self.processes.get(spawn.name)
            yield spawn
        if role == FLOW:
            yield from self.shards.died(process, successor, now)

    def _end(self, role: str) -> Iterator[Order]:
        self.ending = True
        for process in self.processes.of(role):
            process.leaving = True
            yield Stop(process.name)
