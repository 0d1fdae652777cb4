"""A pool in memory: workers, collectors and their coordinator as far as ownership and exactly-once go.

Real are the ownership machine and the ledger. The rest is what the processes promise, in a few lines each: a
worker hosts shards, keeps its results until they are acknowledged, and releases a shard only then
(`workers/flow/worker.py`); a collector takes a batch only if its number is the next
(`workers/collect/collector.py`). What is sent is on the way until it arrives, each way in its own order; of
what a process that dies has sent, as much arrives as chance says, before its death is known or after.

Whatever the coordinator does is checked at once; `check_end` says what must hold when everything has come to
rest.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

import numpy as np

from lzr.ownership.events import Adopted, Died, Event, Fenced, Linked, Ready, Released, Want
from lzr.ownership.ledger import Ledger
from lzr.ownership.orders import (
    Adopt,
    Fence,
    Forget,
    GiveUp,
    Ignored,
    Link,
    Order,
    Release,
    SendTo,
    ShardClosed,
    ShardOpened,
    Spawn,
    Stop,
    TryAgain,
)
from lzr.ownership.processes import COLLECT, FLOW
from lzr.ownership.shards import ShardState
from lzr.packet.sharding import shard_of
from lzr.rows import TARGET, V4_MAPPED, join
from tests.ownership import WatchedMachine

HASH_SEED = 7
MARK = 2
"""Batches that may wait for a worker."""


class Flow(NamedTuple):
    ticket: int
    line: int
    shard: int


class Batch(NamedTuple):
    """Results on the way to the output."""

    incarnation: int
    seq: int
    flows: tuple[Flow, ...]


class Written(NamedTuple):
    """What a collector reports when lines are in the output; length: of the output then."""

    name: str
    flows: tuple[Flow, ...]
    last: dict[int, int]
    length: int


Report = Event | Written
Pipe = deque[Batch]


@dataclass
class Simulated:
    """A process. Its orders come in one at a time, its reports leave one at a time."""

    name: str
    number: int
    orders: deque[tuple[Any, ...]] = field(default_factory=deque)
    reports: deque[Report] = field(default_factory=deque)
    alive: bool = True

    def step(self, random: Random) -> None:
        raise NotImplementedError

    def sending(self) -> list[deque[Any]]:
        """What it has sent, and may be lost when it dies."""
        return [self.reports]


@dataclass
class Worker(Simulated):
    feed: deque[tuple[Flow, ...] | int] = field(default_factory=deque)  # batches, and shards to release
    shards: set[int] = field(default_factory=set)
    flows: list[Flow] = field(default_factory=list)
    unacknowledged: deque[Batch] = field(default_factory=deque)
    pending: deque[Batch] = field(default_factory=deque)
    releasing: deque[tuple[int, int, list[Flow]]] = field(default_factory=deque)
    pipe: Pipe | None = None
    sequence: int = 0
    releases_coming: int = 0

    def sending(self) -> list[deque[Any]]:
        return [self.reports] if self.pipe is None else [self.reports, self.pipe]

    def step(self, random: Random) -> None:
        while self.orders and self.alive:
            self._obey(*self.orders.popleft())
        while self.feed and self.alive and (self.releases_coming or len(self.flows) < 8):
            message = self.feed.popleft()
            if isinstance(message, int):
                self.releases_coming -= 1
                self._release(message)
            else:
                self.flows += message
        ended = [flow for flow in self.flows if random.random() < 0.5]
        self.flows = [flow for flow in self.flows if flow not in ended]
        self._settle(ended)
        while self.pending and self.pipe is not None:
            self.pipe.append(self.pending.popleft())

    def _settle(self, flows: list[Flow]) -> None:
        if flows:
            assert self.shards.issuperset(flow.shard for flow in flows), "it touches what is not its own"
            self.sequence += 1
            batch = Batch(self.number, self.sequence, tuple(flows))
            self.pending.append(batch)
            self.unacknowledged.append(batch)

    def _obey(self, kind: str, *what: Any) -> None:
        match kind, *what:
            case "adopt", shard, flows:
                assert shard not in self.shards
                self.shards.add(shard)
                self.flows += flows or ()
                self.reports.append(Adopted(self.name, shard))
            case ("release coming",):
                self.releases_coming += 1
            case "acked", seq:
                while self.unacknowledged and self.unacknowledged[0].seq <= seq:
                    self.unacknowledged.popleft()
                self._finish_releases()
            case "send to", pipe:
                self.pipe = pipe
                self.pending = deque(self.unacknowledged)
            case ("stop",):
                assert not self.shards
                assert not self.unacknowledged
                self.alive = False

    def _release(self, shard: int) -> None:
        self.shards.remove(shard)
        theirs = [flow for flow in self.flows if flow.shard == shard]
        self.flows = [flow for flow in self.flows if flow.shard != shard]
        self.releasing.append((self.sequence, shard, theirs))
        self._finish_releases()

    def _finish_releases(self) -> None:
        while self.releasing:
            sequence, shard, flows = self.releasing[0]
            if self.unacknowledged and self.unacknowledged[0].seq <= sequence:
                return
            self.releasing.popleft()
            self.reports.append(Released(self.name, shard, tuple(flows)))


@dataclass
class Collector(Simulated):
    output: list[Flow] = field(default_factory=list)  # shared by all: the file
    writes: bool = False
    last: dict[int, int] = field(default_factory=dict)
    fenced: set[int] = field(default_factory=set)
    pipes: list[Pipe] = field(default_factory=list)  # to it
    waiting: deque[Batch] = field(default_factory=deque)
    pipe: Pipe | None = None  # to the one that writes

    def sending(self) -> list[deque[Any]]:
        return [self.reports] if self.pipe is None else [self.reports, self.pipe]

    def step(self, random: Random) -> None:
        for _ in range(random.randrange(1, 8)):
            filled = [pipe for pipe in self.pipes if pipe]
            if not filled:
                break
            self._take(random.choice(filled).popleft())
        while self.waiting and self.pipe is not None:
            self.pipe.append(self.waiting.popleft())
        # A fence is put up when all that had come is taken.
        while self.orders and self.alive and not any(self.pipes):
            self._obey(*self.orders.popleft())

    def _take(self, batch: Batch) -> None:
        if not self.writes:
            self.waiting.append(batch)
            return
        if batch.incarnation in self.fenced or batch.seq != self.last.get(batch.incarnation, 0) + 1:
            return
        self.last[batch.incarnation] = batch.seq
        self.output += batch.flows
        self.reports.append(Written(self.name, batch.flows, {batch.incarnation: batch.seq}, len(self.output)))

    def _obey(self, kind: str, *what: Any) -> None:
        match kind, *what:
            case "fence", incarnation:
                self.fenced.add(incarnation)
                self.reports.append(Fenced(self.name, incarnation))
            case "link", pipe, writer:
                self.pipe = pipe
                self.waiting.clear()
                self.reports.append(Linked(self.name, writer))
            case ("stop",):
                self.alive = False


class Pool:
    """The coordinator and its processes. Nothing moves but what is told to."""

    def __init__(self, shards: int, random: Random) -> None:
        self.machine = WatchedMachine(shards)
        self.random = random
        self.now = 0.0
        self.ledger = Ledger(4)
        self.output: list[Flow] = []
        self.acknowledged = 0  # length of the output
        self.lines = 0
        self.children: dict[str, Simulated] = {}  # that the coordinator knows
        self.gone: list[Simulated] = []  # that it has buried
        self.written: Counter[int] = Counter()  # by incarnation
        self.told: Counter[int] = Counter()
        self.inbox: deque[Report] = deque()
        self.said: list[Report] = []  # all reports that ever came
        self.deaths: deque[Died] = deque()
        self.markers: deque[tuple[str, int]] = deque()
        self.owners = np.zeros(shards, np.uint16)  # 1 + index of the worker that may be fed
        self.waiting: list[Any] = []  # TARGET rows for nobody or somebody
        self.given: dict[int, str] = {}  # who was told to adopt a shard last
        self.had: dict[int, set[int]] = {shard: set() for shard in range(shards)}  # dead, since it was open
        self.tried_again = 0

    # --- what may happen -----------------------------------------------------------------------------------

    def want(self, flow: int, collect: int) -> None:
        self.handle(Want(flow, collect))

    def read(self, count: int) -> None:
        rows = np.zeros(count, TARGET)
        rows["line"] = np.arange(self.lines, self.lines + count)
        rows["peer_lo"] = V4_MAPPED + rows["line"]
        self.lines += count
        self.ledger.admit(rows)
        self._wait_for_worker(rows)

    def kill(self, name: str) -> None:
        """It has sent what it has sent, but of that only the first part arrives."""
        child = self.children[name]
        if not child.alive:
            return
        child.alive = False
        for way in child.sending():
            for _ in range(self.random.randrange(len(way) + 1)):
                way.pop()
        self.deaths.append(Died(name, -9))
        self.now += 16.0  # or it is taken for a storm of deaths

    def step(self, name: str) -> None:
        """A process works for a moment."""
        child = self.children[name]
        if child.alive:
            child.step(self.random)
            if not child.alive:
                self.deaths.append(Died(name, 0))

    def turn(self, *, quick: bool = False) -> None:
        """The coordinator takes what has come, and feeds. quick: everything that was sent has come."""
        for child in (*self.children.values(), *self.gone):
            for _ in range(len(child.reports) if quick else self.random.randrange(len(child.reports) + 1)):
                self.inbox.append(child.reports.popleft())
        deaths, self.deaths = self.deaths, deque()
        while self.inbox:
            self._take(self.inbox.popleft())
        for death in deaths:
            self.handle(death)
        self.now += 0.01
        self._feed()
        if quick or self.random.random() < 0.5:
            for name in list(self.children):
                self._tell_written(name)

    def say_again(self, report: Report) -> None:
        """A report comes once more, or late, or is made up: nothing may follow from it."""
        if isinstance(report, Written):
            if report.name != self.machine.collectors.writer:
                self._take(report)
            return
        before = self.picture()
        assert self.machine.handle(report, self.now) == [Ignored(report)]
        assert self.picture() == before

    # --- the coordinator -----------------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        if isinstance(event, Released) and self.given.get(event.shard) == event.name:
            del self.given[event.shard]
            if event.name in self.children:
                assert isinstance(event.flows, tuple)
                tickets = np.array([flow.ticket for flow in event.flows], np.uint32)
                assert self.ledger.holds(self.children[event.name].number, event.shard, tickets)
        for order in self.machine.handle(event, self.now):
            self._perform(order)

    def _take(self, report: Report) -> None:
        self.said.append(report)
        if not isinstance(report, Written):
            self.handle(report)
        elif report.name == self.machine.collectors.writer:
            tickets = np.array([flow.ticket for flow in report.flows], np.uint32)
            (incarnation,) = report.last
            assert not self.ledger.not_theirs(tickets, [(incarnation, len(tickets))])
            self.ledger.settle(np.array([flow.ticket for flow in report.flows], np.uint32))
            self.acknowledged = report.length
            self.written.update({s: seq - self.written[s] for s, seq in report.last.items()})
            lines = Counter(flow.line for flow in self.output[: self.acknowledged])
            assert max(lines.values()) == 1, "a result is written twice"

    def _perform(self, order: Order) -> None:
        match order:
            case Spawn(role, index, name, number, fenced, _):
                self._spawn(role, index, name, number, fenced)
            case Adopt(name, shard, flows):
                self.given[shard] = name
                if flows is not None:
                    self.ledger.moved(shard, self.children[name].number)
                self._order(name, "adopt", shard, flows)
            case Release(name, shard):
                self.markers.append((name, shard))
                self._order(name, "release coming")
            case Stop(name):
                self._order(name, "stop")
            case Fence(name, incarnation):
                self._order(name, "fence", incarnation)
            case Link(name, writer):
                self._order(name, "link", self._pipe_to(writer), writer)
            case SendTo(name, collector):
                self._tell_written(name)
                self._order(name, "send to", self._pipe_to(collector))
            case Forget(name):
                self._forget(name)
            case ShardOpened(shard, name, index, _):
                self._opened(shard, name)
                self.owners[shard] = index + 1
            case ShardClosed(shard):
                assert self.owners[shard], "it was closed already"
                self.owners[shard] = 0
            case TryAgain(shard):
                self._try_again(shard)
            case GiveUp(reason):
                raise AssertionError(reason)
            case Ignored(event):
                assert getattr(event, "name", "") not in self.children or isinstance(event, Linked)

    def _order(self, name: str, *what: Any) -> None:
        assert name in self.children, f"{what[0]} is ordered of {name}, which is dead"
        self.children[name].orders.append(what)

    def _spawn(self, role: str, index: int, name: str, number: int, fenced: tuple[int, ...]) -> None:
        assert name not in self.children
        assert name not in {child.name for child in self.gone}
        child: Simulated = Worker(name, number)
        if role == COLLECT:
            child = Collector(name, number, output=self.output, fenced=set(fenced), last=dict(self.written))
            if index == 0:
                others = (each for each in self.children.values() if isinstance(each, Collector))
                assert not any(each.writes for each in others), "two that write"
                child.writes = True
                del self.output[self.acknowledged :]
        child.reports.append(Ready(name))
        self.children[name] = child

    def _forget(self, name: str) -> None:
        child = self.children.pop(name)
        assert not child.alive
        self.gone.append(child)
        for shard, owner in list(self.given.items()):
            if owner == name:
                self.had[shard].add(child.number)
                del self.given[shard]

    def _pipe_to(self, name: str) -> Pipe:
        collector = self.children[name]
        assert isinstance(collector, Collector)
        collector.pipes.append(Pipe())
        return collector.pipes[-1]

    def _tell_written(self, name: str) -> None:
        child = self.children[name]
        if isinstance(child, Worker) and self.written[child.number] > self.told[child.number]:
            self.told[child.number] = self.written[child.number]
            self._order(name, "acked", self.told[child.number])

    def _opened(self, shard: int, name: str) -> None:
        """Whoever may be fed has the shard, and nobody else does."""
        assert not self.owners[shard], "it was open already"
        workers = [child for child in (*self.children.values(), *self.gone) if isinstance(child, Worker)]
        assert [each.name for each in workers if shard in each.shards and each.alive] in ([name], [])
        owner = self.children[name]
        assert isinstance(owner, Worker)
        assert shard in owner.shards
        assert self.given[shard] == name

    def _try_again(self, shard: int) -> None:
        assert self.owners[shard], "it is tried again before it is open"
        writer = self.children[self.machine.collectors.writer]
        assert isinstance(writer, Collector)
        assert writer.fenced >= self.had[shard], "a dead worker is not fenced off"
        assert self.had[shard], "nothing was lost"
        self.had[shard].clear()
        rows = self.ledger.take_back(shard)
        self.tried_again += len(rows)
        rows["own_port"] += 1
        self._wait_for_worker(rows)

    def _wait_for_worker(self, rows: Any) -> None:
        if len(rows):
            self.waiting.append(rows)

    def _feed(self) -> None:
        if self.waiting:
            rows = join(self.waiting)
            self.waiting = []
            for owner, part in self.ledger.enter_by_owner(rows, HASH_SEED, self.owners):
                process = self.machine.processes.at(FLOW, owner - 1) if owner else None
                child = None if process is None else self.children[process.name]
                if not isinstance(child, Worker) or len(child.feed) >= MARK:
                    self._wait_for_worker(part)
                    continue
                self.ledger.give(part, child.number)
                shards = shard_of(part, HASH_SEED, len(self.owners)).tolist()
                assert all(self.machine.shards.all[shard].state is ShardState.OPEN for shard in shards)
                assert not any(self.had[shard] for shard in shards), "it is fed before what it owes is known"
                tickets, lines = part["ticket"].tolist(), part["line"].tolist()
                child.feed.append(tuple(map(Flow, tickets, lines, shards)))
        markers, self.markers = self.markers, deque()
        for name, shard in markers:
            child = self.children.get(name)
            if isinstance(child, Worker):
                child.feed.append(shard)

    # --- what must hold ------------------------------------------------------------------------------------

    def picture(self) -> Any:
        """What the machine knows, for comparison."""
        machine = self.machine
        return (
            [(s.state, s.owner, set(s.fences), s.next_index, s.flows) for s in machine.shards.all],
            dict(machine.collectors.states),
            machine.collectors.writer,
            [(each.name, each.ready, each.leaving) for each in machine.processes],
        )

    def rest(self) -> None:
        """Nobody dies any more; until nothing happens any more."""
        still = 0
        for _ in range(1000):
            before = self.picture(), len(self.output), self.ledger.open
            for name in list(self.children):
                self.step(name)
            self.turn(quick=True)
            workers = [child for child in self.children.values() if isinstance(child, Worker)]
            same = (self.picture(), len(self.output), self.ledger.open) == before
            still = still + 1 if same and not any(each.flows for each in workers) else 0
            if still == 3:
                return
        raise AssertionError("it does not come to rest")

    def check_end(self) -> None:
        """Call `rest` first."""
        machine = self.machine
        assert {shard.state for shard in machine.shards.all} == {ShardState.OPEN}
        load = Counter(shard.owner for shard in machine.shards.all)
        assert len(load) == machine.wanted[0]
        assert max(load.values()) - min(load.values()) <= 1
        for role, wanted in zip((FLOW, COLLECT), machine.wanted, strict=True):
            assert sorted(each.index for each in machine.processes.of(role)) == list(range(wanted))
        assert not any(self.had.values()), "what a lost shard owes is not tried again"
        assert not self.ledger.open
        self.check_written()

    def check_written(self) -> None:
        """Every line that was read is in the output once."""
        assert sorted(flow.line for flow in self.output) == list(range(self.lines))
        assert self.acknowledged == self.lines


def alive(pool: Pool) -> list[str]:
    return [child.name for child in pool.children.values() if child.alive]
