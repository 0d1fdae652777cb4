"""Traces of the ownership machine that read like a log: `>>` what happens, `<<` what is done about it.

    play = running(shards=2, flow=1)
    play >> Died("flow-0.1") << Forget("flow-0.1", ...) << Fence("collect-0.1", 2) << Spawn("flow", 0, ...)
    play.over()

A float is a moment in seconds. The play fails on any order that is not written down, and on any that is
written down and does not come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lzr.ownership.collectors import Collectors, CollectorTrigger
from lzr.ownership.events import Adopted, Event, Linked, Ready, Want
from lzr.ownership.machine import Machine
from lzr.ownership.orders import Order
from lzr.ownership.processes import Processes
from lzr.ownership.shards import Shard, Shards, ShardTrigger

Row = tuple[Any, Any]
"""A state and a trigger, of a shard or of a collector."""


class WatchedShards(Shards):
    """Notes every row of the table that is taken."""

    def __init__(self, count: int, processes: Processes) -> None:
        super().__init__(count, processes)
        self.rows: set[Row] = set()

    def _step(self, shard: Shard, trigger: ShardTrigger, now: float, **more: Any) -> Iterator[Order]:
        self.rows.add((shard.state, trigger))
        return super()._step(shard, trigger, now, **more)


class WatchedCollectors(Collectors):
    """The same for collectors."""

    def __init__(self, processes: Processes) -> None:
        super().__init__(processes)
        self.rows: set[Row] = set()

    def _step(self, name: str, trigger: CollectorTrigger) -> Iterator[Order]:
        self.rows.add((self.states[name], trigger))
        return super()._step(name, trigger)


class WatchedMachine(Machine):
    def __init__(self, shards: int) -> None:
        super().__init__(shards)
        self.shards: WatchedShards = WatchedShards(shards, self.processes)
        self.collectors: WatchedCollectors = WatchedCollectors(self.processes)

    @property
    def rows(self) -> set[Row]:
        return self.shards.rows | self.collectors.rows


class Play:
    def __init__(self, shards: int) -> None:
        self.machine = WatchedMachine(shards)
        self.now = 0.0
        self._orders: list[Order] = []

    def __rshift__(self, event: Event | float) -> Play:
        self.over()
        if isinstance(event, float):
            assert event >= self.now
            self.now = event
        else:
            self._orders = self.machine.handle(event, self.now)
        return self

    def __lshift__(self, order: Order) -> Play:
        assert self._orders, f"nothing more is done; {order} was to come"
        assert self._orders.pop(0) == order
        return self

    def over(self) -> None:
        assert not self._orders, f"also done: {self._orders}"

    def quietly(self, *events: Event) -> Play:
        """These happen, whatever is done about them."""
        self.over()
        for event in events:
            self.machine.handle(event, self.now)
        return self

    def states(self) -> str:
        """The states of the shards, in their order."""
        return " ".join(shard.state.name for shard in self.machine.shards.all)

    def owners(self) -> str:
        return " ".join(shard.owner for shard in self.machine.shards.all)


def running(shards: int, flow: int = 1, collect: int = 1) -> Play:
    """Everything has started: all shards are open, all collectors linked."""
    play = Play(shards).quietly(Want(flow, collect))
    for index in range(collect):
        play.quietly(Ready(f"collect-{index}.1"))
    for index in range(1, collect):
        play.quietly(Linked(f"collect-{index}.1", "collect-0.1"))
    for index in range(flow):
        play.quietly(Ready(f"flow-{index}.1"))
    for shard in play.machine.shards.all:
        play.quietly(Adopted(shard.owner, shard.number))
    assert play.states() == " ".join(["OPEN"] * shards)
    return play


Traces = dict[Row, list[Callable[[], Play]]]


def note_rows(traces: Traces) -> Callable[..., Callable[[Callable[[], Play]], Callable[[], None]]]:
    """The decorator `row(state, trigger)` of a test that is a trace: it takes a row and returns its play."""

    def row(*rows: Row) -> Callable[[Callable[[], Play]], Callable[[], None]]:
        def note(trace: Callable[[], Play]) -> Callable[[], None]:
            for each in rows:
                traces.setdefault(each, []).append(trace)

            def test() -> None:
                play = trace()
                play.over()
                assert set(rows) <= play.machine.rows

            return test

        return note

    return row
