"""The supervisor of workers and collectors: turns reports into events for `lzr.ownership`, and performs its
orders.

What is to be done is decided by `lzr.ownership`, which is pure. Here is what it takes to do it: forking,
sending orders, sending `Release` behind the targets on their way, and keeping the figures of which processes
there are. What concerns feeding is returned by `handle` as values.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coordinator.monitor.meter import Meter
from coordinator.monitor.snapshot import ProcessState
from coordinator.processes.child import Child, try_feed
from coordinator.processes.pool import Pool
from lzr.ipc import messages, packing
from lzr.ipc.job import CollectorOutput
from lzr.ipc.schema import Buffer, Message, SchemaError
from lzr.ownership import orders as do
from lzr.ownership.events import Adopted, Died, Ending, Event, Fenced, Linked, Ready, Released, Want
from lzr.ownership.ledger import Ledger
from lzr.ownership.machine import Machine
from lzr.ownership.orders import News
from lzr.ownership.processes import COLLECT, FLOW
from lzr.rows import FlowState
from lzr.safetext import plain

_LAST_FIGURES = 0.25
"""Seconds to wait for the last figures of a process that has ended: as often as it reports."""
_REPORTS = 1000
"""Most reports taken in one turn of the loop, so that other work does not have to wait."""
_SHOWN = 5
"""Messages of unknown origin of which the user is told one by one; more are only counted."""
_SHOWN_IGNORED = 1000
"""Most reports without effect that go into a debug log, since a worker that was taken over could fill the
disk with them."""


class Spawned(Struct, frozen=True):
    """The fork server has forked a process."""

    name: str
    pid: int


class ResultsWritten(Struct, frozen=True):
    """The collector `name` says that outcomes are written."""

    name: str
    message: messages.Written


class Stats(Struct, frozen=True):
    """A process's figures. last: no more will come."""

    name: str
    figures: dict[str, Any]
    last: bool


class ProcessFault(Struct, frozen=True):
    """A process cannot go on. gone: the reader of the output has gone. reason: a sentence, or empty."""

    reason: str
    gone: bool


class SweepHeard(Struct, frozen=True):
    """A flow worker has received answers to a sweep's SYNs, or has sent all SYNs of a stretch."""

    name: str
    message: messages.SweepAnswers


class SweepFound(Struct, frozen=True):
    """A flow worker has found hosts that answer on any port: their halves (hi, lo), in turn."""

    name: str
    hosts: NDArray[np.uint64]


Report = Event | Spawned | ResultsWritten | Stats | ProcessFault | SweepHeard | SweepFound


class Supervisor:
    """ledger: knows which flow worker has which inputs.

    outputs: gives what a new collector needs to know of the outputs, up to the acknowledged length
    (`Outputs.for_collector`). first_orders: gives what a new flow worker is told before anything else
    (`_first_orders` in coordinator/scan/parts.py). note: takes a sentence for the user (`Console.note`).
    tell: takes one for the debug log (`Log.debug`).
    """

    def __init__(
        self,
        pool: Pool,
        shards: int,
        ledger: Ledger,
        outputs: Callable[[], list[CollectorOutput]],
        first_orders: Callable[[], Sequence[Message]],
        meter: Meter,
        note: Callable[[str], None],
        tell: Callable[[str], None],
    ) -> None:
        self.pool = pool
        self.machine = Machine(shards)
        self._unread = False  # there were more reports than are taken at a time
        self._ledger = ledger
        self._outputs = outputs
        self._first_orders = first_orders
        self._meter = meter
        self._note = note
        self._tell = tell
        self.refused = 0  # messages that nobody sends who is what he should be
        self.unrecorded = 0  # processes that have ended without adding their profiles, if there are any
        self._ignored = 0  # reports that have no effect
        self._arrived: deque[Report] = deque()
        self._releases: deque[tuple[str, list[Buffer]]] = deque()

    @property
    def unread(self) -> bool:
        """Whether there is something to report at once."""
        return self._unread or self.pool.told

    @property
    def writer(self) -> str:
        """Name of the collector that writes, or will; only its reports say what is written."""
        return self.machine.collectors.writer

    def leaves(self, name: str) -> bool:
        """Whether this process was told to end, so that nothing is lost with it."""
        process = self.machine.processes.get(name)
        return process is None or process.leaving or self.machine.ending

    def shards_of(self, name: str) -> list[int]:
        """The shards that this process has, or was told to adopt, or has not given up yet."""
        return [shard.number for shard in self.machine.shards.all if shard.owner == name]

    # --- what has happened ---------------------------------------------------------------------------------

    def reports(self, *, others_ready: bool = True) -> Iterator[Report]:
        """What has happened, in an order in which it can be handled; what is not taken now comes the next
        time.

        others_ready: the fork server may have a message, or children may have printed. What a process has
        reported comes before its death. An invalid message is not among them (see `refuse`). Raises
        ChildProcessError when the fork server is gone.
        """
        if others_ready:
            self.pool.printed.read()  # also so that nobody waits for room to print
        deaths: list[Report] = []
        for event in self.pool.events() if others_ready or self.pool.told else ():
            self._tell(f"{event.name} {event.event}: pid {event.pid}")
            if event.event == "spawned":
                self._arrived.append(Spawned(event.name, event.pid))
            else:
                deaths.append(Died(event.name, event.status))
        self._unread = True
        for _ in range(_REPORTS):
            try:
                if not self._read():
                    self._unread = False
                    break
            except SchemaError as error:
                self.refuse(str(error), error.sender)
        self._arrived += deaths
        while self._arrived:
            yield self._arrived.popleft()

    def _read(self) -> bool:
        """Take the next report, if there is one. Raises SchemaError."""
        received = self.pool.receive()
        if received is None:
            return False
        if received[0].distrusted:
            self.refused += 1
            return True
        report = self._report_of(*received)
        if report is not None:
            self._arrived.append(report)
        return True

    def _report_of(self, child: Child, message: Message) -> Report | None:
        name = child.name
        match message:
            case messages.FlowStats() | messages.CollectStats():
                who = {"role": child.role, "index": child.index, "pid": child.pid}
                return Stats(name, msgspec.structs.asdict(message) | who, message.last)
            case messages.Written():
                return ResultsWritten(name, message)
            case messages.SweepAnswers():
                return SweepHeard(name, message)
            case messages.Firewalls(hosts=hosts):
                return SweepFound(name, hosts.copy())
            case messages.Fault(reason, gone):
                if gone and name != self.writer:
                    raise SchemaError("a reader has gone, says one that does not write", name)
                return ProcessFault(plain(reason, 200), gone)
            case messages.RefusedMessage(reason, sender, pid):
                self.refuse(f"says {name}: {reason}", sender or self.pool.name_of(pid))
            case messages.Ready():
                return Ready(name)
            case messages.Adopted(shard):
                return Adopted(name, shard)
            case messages.Released():  # the columns lie in memory that the message holds
                child.releasing = max(0, child.releasing - 1)
                if name in self.pool.children and not self._ledger.holds(
                    child.number, message.shard, _tickets(message)
                ):
                    raise SchemaError("a shard with other inputs than it was given", name)
                columns = tuple(getattr(message, column).copy() for column in message.columns)
                return Released(name, message.shard, columns)
            case messages.Fenced(source):
                return Fenced(name, source)
            case messages.Linked(collector):
                return Linked(name, collector)
        return None

    def refuse(self, reason: str, name: str) -> None:
        """Count and report an invalid message. Its sender, if certain, is killed and replaced."""
        self.refused += 1
        child = self.pool.children.get(name)
        if child is not None and not child.distrusted:
            child.distrusted = True
            self._note(f"{name} sent what cannot be ({plain(reason, 160)}): it is ended")
            self.pool.kill(child)
        elif child is None and self.refused <= _SHOWN:
            self._note(f"a message is not believed: {plain(reason, 160)}")

    def refuse_results(self, reason: str, numbers: set[int], writer: str) -> None:
        """What was written contains false results of the flow workers with these numbers.

        They are killed, and the collector that wrote it as well: its successor cuts the output back to what
        was accepted.
        """
        senders = [child for child in self.pool.of_role(FLOW) if child.number in numbers]
        if {child.number for child in senders} != numbers:  # of somebody who is not there: then it is its own
            self.refuse(reason, writer)
            return
        for child in senders:
            self.refuse(reason, child.name)
        wrote = self.pool.children.get(writer)
        if wrote is not None and not wrote.distrusted:
            wrote.distrusted = True
            self._note(f"{writer} is replaced, so that they are not in the output")
            self.pool.kill(wrote)

    # --- what is to be done --------------------------------------------------------------------------------

    def want(self, flow: int, collect: int, now: float) -> list[News]:
        """Set how many flow workers and collectors there are to be; shards move by themselves."""
        news = self.handle(Want(flow, collect), now)
        for process in self.machine.processes:
            if not process.leaving:
                state = "" if self.machine.processes.is_wanted(process) else ProcessState.LEAVING
                self._meter.mark(now, process.role, process.index, state)
        return news

    def handle(self, event: Event | Spawned, now: float) -> list[News]:
        """Let the machine decide what to do about an event, and do it; returns what concerns the feeding of
        shards.
        """
        if isinstance(event, Spawned):
            child = self.pool.children.get(event.name)
            if child is not None:
                self._meter.launched(now, child.role, child.index, event.pid)
            return []
        orders = self.machine.handle(event, now)
        if isinstance(event, Ready) and do.Ignored(event) not in orders:
            child = self.pool.children[event.name]
            show = self._meter.restarted if child.replaces else self._meter.launched
            show(now, child.role, child.index, child.pid)
            if child.role == FLOW:
                for first in self._first_orders():
                    child.order(first)
        news: list[News] = []
        for order in orders:
            if isinstance(order, News):
                news.append(order)
            else:
                self._perform(order, now)
        return news

    def _perform(self, order: do.Order, now: float) -> None:
        children = self.pool.children
        match order:
            case do.Spawn(role, index, name, number, fenced, replaces):
                outputs = self._outputs() if role == COLLECT else ()
                self.pool.spawn(role, index, name, number, outputs, fenced=fenced, replaces=replaces)
            case do.Adopt(name, shard, flows):
                columns = flows if isinstance(flows, tuple) else (b"",) * len(messages.Adopt.columns)
                if isinstance(flows, tuple):
                    self._ledger.moved(shard, children[name].number)
                children[name].order(messages.Adopt(shard, *columns))
            case do.Release(name, shard):
                self._releases.append((name, packing.pack(messages.Release(shard))))
                children[name].releasing += 1
                children[name].order(messages.ReleaseComing())
            case do.Fence(name, source):
                children[name].order(messages.Fence(source))
            case do.Link(name, writer):
                children[name].order(messages.SendTo(writer))
            case do.SendTo(name, collector):
                children[name].tell_written()  # first: what is written must not be sent again
                children[name].order(messages.SendTo(collector))
            case do.Stop(name):
                child = children.get(name)  # none where it could not be started
                if child is not None:
                    child.order(messages.Stop())
                if child is not None and not self.machine.ending:
                    self._meter.mark(now, child.role, child.index, ProcessState.LEAVING)
            case do.Forget():
                self._forget(order, now)
            case do.Fewer(reason):
                self._note(reason)
            case do.Ignored(event):
                self._ignored += 1
                if self._ignored <= _SHOWN_IGNORED:
                    self._tell(f"ignored, since it is not true or too late: {event}"[:200])

    def _forget(self, order: do.Forget, now: float) -> None:
        child = self.pool.forget(order.name)
        if order.status:
            self.unrecorded += 1
        if not order.asked:
            pid = 0 if child is None else child.pid
            self._note(f"{order.name} (pid {pid}) ended with status {order.status}; a successor takes over")
            self._meter.mark(now, order.role, order.index, ProcessState.DEAD)
        if order.vacant:
            self._meter.removed(order.role, order.index)

    def push(self) -> None:
        """Send orders that found no room before, and each `Release` behind the targets that are on
        their way.
        """
        for child in self.pool.children.values():
            if child.waiting:
                child.push_orders()
        for _ in range(len(self._releases)):
            name, parts = self._releases.popleft()
            taker = self.pool.children.get(name)
            if taker is not None and not try_feed(taker, parts):
                self._releases.append((name, parts))

    # --- the end -------------------------------------------------------------------------------------------

    def end(self, seconds: float) -> Iterator[ResultsWritten | Stats]:
        """Order flow workers, then collectors, to end; yield what they still report.

        Waits at most `seconds` for each of the two kinds.
        """
        for role in (FLOW, COLLECT):
            self.handle(Ending(role), time.monotonic())
            until = time.monotonic() + seconds
            speaking = {child.name for child in self.pool.of_role(role)}
            while (self.pool.of_role(role) or speaking) and time.monotonic() < until:
                self.push()
                self.pool.wait(0.05 if self.pool.of_role(role) else 0.001)
                for report in self.reports():
                    match report:
                        case Stats(name, _, last):
                            if last:
                                speaking.discard(name)
                            yield report
                        case ResultsWritten():
                            yield report
                        case Died():
                            self.handle(report, time.monotonic())
                if speaking and not self.pool.of_role(role):
                    until = min(until, time.monotonic() + _LAST_FIGURES)

    def last_reports(self, seconds: float) -> Iterator[ResultsWritten | Stats]:
        """Yield what is still on the way when no process is left, until nothing has come for `seconds`."""
        milliseconds = round(seconds * 1000)
        while self.pool.reports.poll(milliseconds):
            try:
                self._read()
            except SchemaError as error:
                self.refuse(str(error), error.sender)
        while self._arrived:
            report = self._arrived.popleft()
            if isinstance(report, ResultsWritten | Stats):
                yield report


def _tickets(released: messages.Released) -> NDArray[np.uint32]:
    """Tickets of the inputs that move with a shard. Firewall checks are left out: they carry the ticket of
    their flow, which may have ended.
    """
    flows = released.flows[released.flows["state"] != FlowState.FIREWALL_CHECK]
    return np.concatenate((flows["ticket"], released.targets["ticket"]))
