"""The supervisor of the workers and collectors: turns what they say into events, and performs the orders.

What is to be done is decided by `lzr.ownership`, which is pure; here is what that takes: forking, sending
orders, the marker behind which a shard is released, and the figures of who there is. What concerns who feeds
the shards comes back from `handle` as values.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from coordinator.fleet import Child, Fleet, try_feed
from coordinator.meter import Meter
from coordinator.snapshot import State
from lzr import messages
from lzr.job import Output
from lzr.messages import Message
from lzr.ownership import Machine
from lzr.ownership import orders as do
from lzr.ownership.events import Adopted, Died, Ending, Event, Fenced, Linked, Ready, Released, Want
from lzr.ownership.orders import News
from lzr.ownership.processes import COLLECT, FLOW

_LAST_WORDS = 0.25
"""Seconds that the figures of a process that has ended may still be on their way."""
_REPORTS = 1000
"""Taken at a time: whoever waits for us is not to wait for all there are."""


@dataclass(frozen=True, slots=True)
class Spawned:
    """The nursery has forked a process."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class Written:
    """Outcomes are on disk, says a collector."""

    message: Message


@dataclass(frozen=True, slots=True)
class Stats:
    """A process's figures."""

    header: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """A process cannot go on. gone: the reader of the output has gone; reason: a sentence, or nothing to
    say."""

    reason: str
    gone: bool


Report = Event | Spawned | Written | Stats | Fault


class Supervisor:
    """outputs: what a new collector is told of the outputs, as far as they are acknowledged now.

    note: takes a sentence for the user. tell: takes one for who debugs.
    """

    def __init__(
        self,
        fleet: Fleet,
        shards: int,
        outputs: Callable[[], list[Output]],
        meter: Meter,
        note: Callable[[str], None],
        tell: Callable[[str], None],
    ) -> None:
        self.fleet = fleet
        self.machine = Machine(shards)
        self.unread = False  # there were more reports than are taken at a time
        self._outputs = outputs
        self._meter = meter
        self._note = note
        self._tell = tell
        self._arrived: deque[Report] = deque()
        self._markers: deque[tuple[str, list[messages.Buffer]]] = deque()

    @property
    def writer(self) -> str:
        """Name of the collector that writes, or is to: only its word counts for what is written."""
        return self.machine.succession.writer

    def worker(self, index: int) -> Child | None:
        """The flow worker at this place."""
        process = self.machine.processes.at(FLOW, index)
        return None if process is None else self.fleet.children.get(process.name)

    # --- what has happened ---------------------------------------------------------------------------------

    def reports(self, *, nursery: bool = True) -> Iterator[Report]:
        """What has happened, in an order in which it can be handled; what is not taken comes the next time.

        nursery: whether it may have something to tell. What a process had reported comes before its death.
        Raises ChildProcessError when the nursery is gone, SchemaError for a message that nobody sends.
        """
        deaths: list[Report] = []
        for event in self.fleet.events() if nursery else ():
            name, pid = event["name"], event["pid"]
            self._tell(f"{name} {event['event']}: pid {pid}")
            if event["event"] == "spawned":
                self._arrived.append(Spawned(name, pid))
            else:
                deaths.append(Died(name, event["status"]))
        self.unread = True
        for _ in range(_REPORTS):
            message = self.fleet.receive()
            if message is None:
                self.unread = False
                break
            self._arrived.append(self._report_of(message))
        self._arrived += deaths
        while self._arrived:
            yield self._arrived.popleft()

    def _report_of(self, message: Message) -> Report:
        header = message.header
        match message.kind:
            case "stats":
                return Stats(header)
            case "written":
                return Written(message)
            case "fault":
                return Fault(header.get("reason", ""), bool(header.get("gone")))
            case "ready":
                child = self.fleet.children.get(header["name"])
                if child is not None and not child.pid:
                    child.pid = header["pid"]  # quicker than the nursery
                return Ready(header["name"])
            case "adopted":
                return Adopted(header["name"], header["shard"])
            case "released":  # the arrays lie in memory that the message holds
                flows = tuple(array.copy() for array in message.arrays), header["pieces"]
                return Released(header["name"], header["shard"], flows)
            case "fenced":
                return Fenced(header["name"], header["source"])
            case "linked":
                names = (child.name for child in self.fleet.of_role(COLLECT))
                writer = next((name for name in names if self.fleet.endpoint(name) == header["to"]), "")
                return Linked(header["name"], writer)
        raise messages.SchemaError(f"the coordinator cannot take {message.kind!r}")

    # --- what is to be done --------------------------------------------------------------------------------

    def want(self, flow: int, collect: int, now: float) -> list[News]:
        """Set the worker counts; shards move by themselves."""
        news = self.handle(Want(flow, collect), now)
        for process in self.machine.processes:
            if not process.leaving:
                state = "" if self.machine.processes.is_wanted(process) else State.LEAVING
                self._meter.mark(now, process.role, process.index, state)
        return news

    def handle(self, event: Event | Spawned, now: float) -> list[News]:
        """Perform what is to be done about this; what concerns who feeds the shards is returned."""
        if isinstance(event, Spawned):
            child = self.fleet.children.get(event.name)
            if child is not None:
                self._meter.launched(now, child.role, child.index, event.pid)
            return []
        orders = self.machine.handle(event, now)
        if isinstance(event, Ready) and do.Ignored(event) not in orders:
            child = self.fleet.children[event.name]
            show = self._meter.restarted if child.replaces else self._meter.launched
            show(now, child.role, child.index, child.pid)
        news: list[News] = []
        for order in orders:
            if isinstance(order, News):
                news.append(order)
            else:
                self._perform(order, now)
        return news

    def _perform(self, order: do.Order, now: float) -> None:
        children = self.fleet.children
        match order:
            case do.Spawn(role, index, name, number, fenced, replaces):
                outputs = self._outputs() if role == COLLECT else ()
                self.fleet.spawn(role, index, name, number, outputs, fenced=fenced, replaces=replaces)
            case do.Adopt(name, shard, flows):
                arrays, pieces = flows if isinstance(flows, tuple) else ((), [])
                children[name].order("adopt", *arrays, shard=shard, pieces=pieces)
            case do.Release(name, shard):
                self._markers.append((name, messages.pack("release", {"shard": shard})))
                children[name].order("hurry")
            case do.Fence(name, source):
                children[name].order("fence", source=source)
            case do.Link(name, writer):
                children[name].order("resend", endpoint=self.fleet.endpoint(writer))
            case do.SendTo(name, collector):
                children[name].tell_written()  # first: what is written must not be sent again
                children[name].order("resend", endpoint=self.fleet.endpoint(collector))
            case do.Stop(name):
                child = children[name]
                child.order("stop")
                if not self.machine.ending:
                    self._meter.mark(now, child.role, child.index, State.LEAVING)
            case do.Bury():
                self._bury(order, now)
            case do.Ignored(event):
                self._tell(f"ignored, since it is not true or too late: {event}"[:200])

    def _bury(self, order: do.Bury, now: float) -> None:
        child = self.fleet.bury(order.name)
        if not order.asked:
            pid = 0 if child is None else child.pid
            self._note(f"{order.name} (pid {pid}) ended with status {order.status}; a successor takes over")
            self._meter.mark(now, order.role, order.index, State.DEAD)
        if order.vacant:
            self._meter.removed(order.role, order.index)

    def push(self) -> None:
        """Orders that found no taker yet, and the markers, which stay behind the targets on the way."""
        for child in self.fleet.children.values():
            child.push_orders()
        for _ in range(len(self._markers)):
            name, parts = self._markers.popleft()
            taker = self.fleet.children.get(name)
            if taker is not None and not try_feed(taker, parts):
                self._markers.append((name, parts))

    # --- the end -------------------------------------------------------------------------------------------

    def end(self, seconds: float) -> Iterator[Written | Stats]:
        """Ask all to end and wait for them, at most so long for each kind; gives what they still report."""
        for role in (FLOW, COLLECT):
            self.handle(Ending(role), time.monotonic())
            until = time.monotonic() + seconds
            speaking = {child.name for child in self.fleet.of_role(role)}
            while (self.fleet.of_role(role) or speaking) and time.monotonic() < until:
                self.push()
                self.fleet.wait(0.05 if self.fleet.of_role(role) else 0.001)
                for report in self.reports():
                    match report:
                        case Stats(header):
                            if header.get("last"):
                                speaking.discard(header["name"])
                            yield report
                        case Written():
                            yield report
                        case Died():
                            self.handle(report, time.monotonic())
                if speaking and not self.fleet.of_role(role):
                    until = min(until, time.monotonic() + _LAST_WORDS)

    def last_reports(self, seconds: float) -> Iterator[Written | Stats]:
        """What is still on the way when no process is left: no more once nothing has come for so long."""
        milliseconds = round(seconds * 1000)
        while self.fleet.reports.poll(milliseconds) and (message := self.fleet.receive()) is not None:
            self._arrived.append(self._report_of(message))
        while self._arrived:
            report = self._arrived.popleft()
            if isinstance(report, Written | Stats):
                yield report
