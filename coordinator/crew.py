"""The crew: which worker has which shard, who collects from whom, and what happens when one ends or is added.

A shard is a socket, its flows and their timers. It has one owner; while it changes hands it is closed, and
what would be fed to it waits with the coordinator. Two ways to change hands:

* Released: its worker waits until all it reported is written, and sends the flows; the next adopts them.
* Lost: its worker died. The collector is told to drop what may still come from it (a fence); once the fence
  stands and a successor has adopted the same socket, the ledger's flows of the shard are tried again.

Collector 0 writes; a new one cuts the output back to what is acknowledged, and the flow workers send the rest
again, after the other collectors have been told where to send now.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from coordinator.fleet import Child, Fleet, try_feed
from coordinator.meter import Meter
from coordinator.recovery import Deaths
from coordinator.snapshot import State
from lzr import messages
from lzr.job import Output
from lzr.messages import Message

_LAST_WORDS = 0.25
"""Seconds that the figures of a process that has ended may still be on their way."""


@dataclass
class Place:
    """Where a shard is."""

    owner: str = ""  # name of the child that has it, or is to adopt it
    adopted: bool = False
    fence: int = 0  # the dead worker whose results must be fenced off first
    moving_to: int = -1  # index of the worker that gets it, once it is released
    crashed: bool = False
    state: tuple[tuple[Any, ...], list[Any]] | None = None  # flows and timers, pieces: to be adopted
    closed_at: float | None = None  # when it began to change hands

    @property
    def open(self) -> bool:
        return self.adopted and not self.fence and self.moving_to < 0


@dataclass
class Crew:
    """outputs: what a new collector is told of the outputs, as far as they are acknowledged now."""

    fleet: Fleet
    shards: int
    outputs: Callable[[], list[Output]]
    meter: Meter
    note: Callable[[str], None]
    wanted_flow: int = 1
    wanted_collect: int = 1
    deaths: Deaths = field(default_factory=Deaths)
    ending: bool = False
    tell: Callable[[str], None] = lambda _: None  # what only who debugs wants to know

    def __post_init__(self) -> None:
        self.places = [Place() for _ in range(self.shards)]
        self.moves, self.slowest_move = 0, 0.0  # shards that have changed hands, and the longest it took (s)
        self.changed = True  # a shard was opened or closed since the coordinator looked
        self.crashed: deque[int] = deque()  # shards that are open again after a crash
        self._dead: list[int] = []
        self._markers: deque[tuple[str, list[messages.Buffer]]] = deque()
        self._collector_of: dict[str, str] = {}  # flow worker -> its collector
        self._to_link: set[str] = set()  # collectors that have been told where the writer is, and not said so
        self._relink = False  # the writer is a new one
        self.writer = ""  # name of the collector that writes, or wrote last

    # --- who there is ----------------------------------------------------------------------------------

    def flow(self, index: int) -> Child | None:
        return next((c for c in self.fleet.of_role("flow") if c.index == index and not c.leaving), None)

    def collector(self, index: int) -> Child | None:
        return next((c for c in self.fleet.of_role("collect") if c.index == index and not c.leaving), None)

    def owner(self, shard: int) -> Child | None:
        """The worker that may be fed flows of this shard now."""
        place = self.places[shard]
        return self.fleet.children.get(place.owner) if place.open else None

    @property
    def moving(self) -> bool:
        """Whether a worker has been asked for a shard: it gives it when its results are written."""
        return any(place.moving_to >= 0 for place in self.places)

    def start(self, flow: int, collect: int) -> None:
        self.wanted_flow, self.wanted_collect = min(flow, self.shards), collect
        for index in range(self.wanted_collect):
            self._spawn_collector(index)
        children = [self.fleet.spawn("flow", index) for index in range(self.wanted_flow)]
        for shard, place in enumerate(self.places):
            place.owner = children[shard % len(children)].name

    def want(self, flow: int, collect: int) -> None:
        """Set the worker counts; shards move by themselves."""
        self.wanted_flow, self.wanted_collect = max(1, min(flow, self.shards)), max(1, collect)
        for index in range(self.wanted_collect):
            if self.collector(index) is None:
                self._spawn_collector(index)
        for index in range(self.wanted_flow):
            if self.flow(index) is None:
                self.fleet.spawn("flow", index)
        for child in self.fleet.children.values():
            wanted = self.wanted_flow if child.role == "flow" else self.wanted_collect
            if not child.leaving:
                state = State.LEAVING if child.index >= wanted else ""
                self.meter.mark(time.monotonic(), child.role, child.index, state)
        self._assign_collectors()
        self.balance()

    def balance(self) -> None:
        """Release shards to where they belong: to workers that are wanted, and evenly."""
        ready = [c for i in range(self.wanted_flow) if (c := self.flow(i)) is not None and c.ready]
        if not ready:
            return
        load = Counter({child.index: 0 for child in ready})
        by_name = {child.name: child.index for child in ready}
        share, over = divmod(self.shards, len(ready))  # so many each, and one more for so many of them
        homeless = []
        for shard, place in enumerate(self.places):
            index = place.moving_to if place.moving_to >= 0 else by_name.get(place.owner, -1)
            if index in load and load[index] < share + (over > 0):
                over -= load[index] == share
                load[index] += 1
            elif place.open:
                homeless.append(shard)
        for shard in homeless:
            index = min(load, key=lambda i: (load[i], i))
            if by_name.get(self.places[shard].owner) == index:
                load[index] += 1
                continue
            load[index] += 1
            self._release(shard, index)

    def dismiss(self) -> None:
        """Let children end that are no longer wanted and have nothing left."""
        for child in self.fleet.children.values():
            flow = child.role == "flow"
            if child.index < (self.wanted_flow if flow else self.wanted_collect):
                continue
            has_shards = flow and any(place.owner == child.name for place in self.places)
            if child.ready and not has_shards and not child.leaving:
                self._dismiss(child)

    def _dismiss(self, child: Child) -> None:
        child.leaving = True
        child.order("stop")
        self.meter.mark(time.monotonic(), child.role, child.index, State.LEAVING)

    # --- what happens ----------------------------------------------------------------------------------

    def handle_events(self, now: float, before: Callable[[], None]) -> None:
        """Deaths and births. `before` reads what a dead child had still reported."""
        for event in self.fleet.events():
            child = self.fleet.children.get(event["name"])
            if child is None:
                continue
            self.tell(f"{child.name} {event['event']}: pid {event['pid']}")
            if event["event"] == "spawned":
                self.meter.launched(now, child.role, child.index, child.pid)
            elif child.leaving or self.ending:
                before()
                self.fleet.bury(child.name)
                if child.name in self._to_link and not self.ending:
                    self._to_link.discard(child.name)
                    self._linked()
                if not self.ending and self._at(child.role, child.index) is None:
                    self.meter.removed(child.role, child.index)
            else:
                before()
                self._replace(child, event["status"], now)

    def _at(self, role: str, index: int) -> Child | None:
        return self.flow(index) if role == "flow" else self.collector(index)

    def take(self, message: Message, now: float) -> bool:
        """Act on a report about the crew; False if it is about something else."""
        header = message.header
        if message.kind == "ready":
            self._greet(header, now)
        elif message.kind == "adopted":
            self._adopted(header["shard"], header["pid"])
        elif message.kind == "released":
            self._released(message)
        elif message.kind == "fenced":
            for shard, place in enumerate(self.places):
                if place.fence == header["source"]:
                    place.fence = 0
                    self._opened(shard)
        elif message.kind == "linked":
            writer = self.collector(0)
            if writer is not None and header["to"] == writer.endpoint:  # not to one that has died since
                self._to_link.discard(header["name"])
                self._linked()
        else:
            return False
        return True

    def push_markers(self) -> None:
        """Orders that found no taker yet, and those that must stay behind the targets on the way."""
        for every in self.fleet.children.values():
            every.push_orders()
        for _ in range(len(self._markers)):
            name, parts = self._markers.popleft()
            child = self.fleet.children.get(name)
            if child is not None and not try_feed(child, parts):
                self._markers.append((name, parts))

    def _greet(self, header: dict[str, Any], now: float) -> None:
        """A child is ready: tell it what it owns, and whom it sends to."""
        child = self.fleet.children.get(header["name"])
        if child is None:
            return
        child.pid, child.ready = header["pid"], True
        (self.meter.restarted if child.replaces else self.meter.launched)(
            now, child.role, child.index, child.pid
        )
        if child.role == "flow":
            self._connect(child)
            for shard, place in enumerate(self.places):
                if place.owner == child.name:
                    self._order_adoption(shard, child)
            self.balance()
            return
        child.endpoint = header["endpoint"]
        if child.index == 0:
            for source in self._dead:
                child.order("fence", source=source)
            self._relink = True
            for other in self.fleet.of_role("collect"):
                if other.index and other.ready:
                    self._link(other, child)
        elif (writer := self.collector(0)) is not None and writer.ready:
            self._link(child, writer)
        self._linked()

    def _link(self, child: Child, writer: Child) -> None:
        self._to_link.add(child.name)
        child.order("resend", endpoint=writer.endpoint)

    def _linked(self) -> None:
        """Once every collector knows where the writer is, the flow workers may send (again)."""
        if self._to_link:
            return
        if self._relink:
            self._relink = False
            self._collector_of.clear()
        self._assign_collectors()

    # --- shards ----------------------------------------------------------------------------------------

    def _release(self, shard: int, index: int) -> None:
        place = self.places[shard]
        place.moving_to = index
        place.closed_at = time.monotonic()
        self.changed = True
        self._markers.append((place.owner, messages.pack("release", {"shard": shard})))
        self.fleet.children[place.owner].order("hurry")

    def _released(self, message: Message) -> None:
        shard, name = message.header["shard"], message.header["name"]
        place = self.places[shard]
        if place.owner != name or place.moving_to < 0:
            return  # its worker has died since, and the shard went another way
        child = self.flow(place.moving_to) or self._any_worker()
        place.owner, place.adopted, place.moving_to = child.name, False, -1
        arrays = tuple(array.copy() for array in message.arrays)
        place.state = arrays, message.header["pieces"]
        if child.ready:
            self._order_adoption(shard, child)

    def _any_worker(self) -> Child:
        """A worker that stays; there is always one, or one on its way."""
        return next(c for i in range(self.wanted_flow) if (c := self.flow(i)) is not None)

    def _order_adoption(self, shard: int, child: Child) -> None:
        place = self.places[shard]
        arrays, pieces = place.state if place.state is not None else ((), [])
        place.state = None
        child.order("adopt", *arrays, shard=shard, pieces=pieces)

    def _adopted(self, shard: int, pid: int) -> None:
        place = self.places[shard]
        child = self.fleet.children.get(place.owner)
        if child is not None and child.pid == pid:
            place.adopted = True
            self._opened(shard)

    def _opened(self, shard: int) -> None:
        place = self.places[shard]
        if not place.open:
            return
        self.changed = True
        if place.closed_at is not None:
            took, place.closed_at = time.monotonic() - place.closed_at, None
            self.moves, self.slowest_move = self.moves + 1, max(self.slowest_move, took)
            self.tell(f"shard {shard} is with {place.owner} after {took * 1000:.0f} ms")
        if place.crashed:
            place.crashed = False
            self.crashed.append(shard)
        self.balance()

    # --- collectors ------------------------------------------------------------------------------------

    def _spawn_collector(self, index: int, *, replaces: bool = False) -> None:
        child = self.fleet.spawn("collect", index, self.outputs(), fenced=self._dead, replaces=replaces)
        if index == 0:
            self.writer = child.name

    def _assign_collectors(self) -> None:
        """Spread the flow workers over the collectors that are ready."""
        for worker in self.fleet.of_role("flow"):
            if worker.ready and self._collector_of.get(worker.name) != self._collector_for(worker):
                self._connect(worker)

    def _collector_for(self, worker: Child) -> str:
        every = [c for i in range(self.wanted_collect) if (c := self.collector(i)) is not None]
        ready = [c for c in every if c.ready and c.name not in self._to_link]
        if not every or every[0].index or not every[0].ready:
            return ""  # nobody writes just now
        return ready[worker.index % len(ready)].name if ready else ""

    def _connect(self, worker: Child) -> None:
        name = self._collector_for(worker)
        if name:
            self._collector_of[worker.name] = name
            worker.tell_written()  # first: what a former collector wrote must not be sent again
            worker.order("resend", endpoint=self.fleet.children[name].endpoint)

    # --- death -----------------------------------------------------------------------------------------

    def _replace(self, child: Child, status: int, now: float) -> None:
        """A child ended unasked: a successor, and whatever it owed. Raises KeepsDying."""
        self.note(f"{child.name} (pid {child.pid}) ended with status {status}; a successor takes over")
        self.fleet.bury(child.name)
        self.meter.mark(now, child.role, child.index, State.DEAD)
        self.deaths.note(child.role, child.index, now)
        if child.role == "collect":
            self._collector_of = {w: c for w, c in self._collector_of.items() if c != child.name}
            self._to_link.discard(child.name)
            if child.index < self.wanted_collect:
                self._spawn_collector(child.index, replaces=True)
            self._linked()
            return
        self._dead.append(child.number)
        writer = self.collector(0)
        if writer is not None and writer.ready:
            writer.order("fence", source=child.number)
        if child.index < self.wanted_flow:
            successor = self.fleet.spawn("flow", child.index, replaces=True)
        else:
            successor = self._any_worker()
        for shard, place in enumerate(self.places):
            if place.owner == child.name:
                self.places[shard] = Place(successor.name, fence=child.number, crashed=True, closed_at=now)
                if successor.ready:
                    self._order_adoption(shard, successor)
        self.changed = True

    # --- the end ---------------------------------------------------------------------------------------

    def end(self, seconds: float, take: Callable[[Message], None]) -> None:
        """Ask all to end and wait for them, at most so long for each kind. `take` gets their reports."""
        self.ending = True
        for role in ("flow", "collect"):
            for child in self.fleet.of_role(role):
                child.order("stop")
            until = time.monotonic() + seconds
            speaking = {child.name for child in self.fleet.of_role(role)}
            while (self.fleet.of_role(role) or speaking) and time.monotonic() < until:
                self.push_markers()
                self.fleet.wait(0.05 if self.fleet.of_role(role) else 0.001)
                self.handle_events(time.monotonic(), lambda: None)
                while (message := self.fleet.receive()) is not None:
                    take(message)
                    if message.kind == "stats":
                        self.meter.feed(time.monotonic(), message.header)
                        if message.header.get("last"):
                            speaking.discard(message.header["name"])
                if speaking and not self.fleet.of_role(role):
                    until = min(until, time.monotonic() + _LAST_WORDS)
