"""Traces through each row of the tables, and what they add up to."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product
from typing import Any

import pytest

from lzr.ownership import collectors, shards
from lzr.ownership.collectors import CollectorAction, CollectorState, CollectorTrigger
from lzr.ownership.events import Adopted, Died, Ending, Event, Fenced, Linked, Ready, Released, Want
from lzr.ownership.machine import MOST_DEATHS, WITHIN, Machine
from lzr.ownership.orders import (
    Adopt,
    Fence,
    Fewer,
    Forget,
    GiveUp,
    Ignored,
    Link,
    Release,
    SendTo,
    ShardClosed,
    ShardOpened,
    Spawn,
    Stop,
    TryAgain,
)
from lzr.ownership.shards import ShardAction, ShardState, ShardTrigger
from tests import ROOT
from tests.ownership import Play, Traces, note_rows, running
from tests.rows import every_row

ARCHITECTURE = ROOT / "ARCHITECTURE.md"

TRACES: Traces = {}
row = note_rows(TRACES)

C0, C1, F0, F1 = "collect-0.1", "collect-1.1", "flow-0.1", "flow-1.1"


def ended(name: str, *, asked: bool = False, vacant: bool = False, status: int = -9) -> Forget:
    role, index = re.split(r"[-.]", name)[:2]
    return Forget(name, status, role, int(index), asked, vacant)


# --- shards ------------------------------------------------------------------------------------------------


@row(
    (ShardState.ASSIGNED, ShardTrigger.READY),
    (ShardState.ADOPTING, ShardTrigger.ADOPTED),
    (CollectorState.STARTING, CollectorTrigger.READY_TO_WRITE),
)
def test_a_start() -> Play:
    play = Play(shards=2)
    play >> Want(1, 1) << Spawn("collect", 0, C0, 1) << Spawn("flow", 0, F0, 2)
    play >> Ready(F0) << Adopt(F0, 0) << Adopt(F0, 1)
    play >> Adopted(F0, 0) << ShardOpened(0, F0, 0, None)
    play >> Ready(C0) << SendTo(F0, C0)
    play >> Adopted(F0, 1) << ShardOpened(1, F0, 0, None)
    assert (play.machine.shards.moves, play.machine.wanted) == (0, (1, 1))
    return play


@row((ShardState.ASSIGNED, ShardTrigger.DIED))
def test_a_worker_that_dies_before_it_is_ready_has_nothing_to_be_fenced_for() -> Play:
    play = Play(shards=1).quietly(Want(1, 1), Ready(C0))
    play >> Died(F0, -9) << ended(F0) << Fence(C0, 2)
    play << Spawn("flow", 0, "flow-0.2", 3, replaces=True)
    play >> Ready("flow-0.2") << Adopt("flow-0.2", 0) << SendTo("flow-0.2", C0)
    play >> Adopted("flow-0.2", 0) << ShardOpened(0, "flow-0.2", 0, None)
    return play


@row((ShardState.OPEN, ShardTrigger.MOVE), (ShardState.RELEASING, ShardTrigger.RELEASED))
def test_a_worker_more_gets_its_share() -> Play:
    play = running(shards=2)
    play >> 5.0
    play >> Want(2, 1) << Spawn("flow", 1, F1, 3)
    play >> Ready(F1) << ShardClosed(1) << Release(F0, 1) << SendTo(F1, C0)
    assert play.machine.moving
    play >> 5.25
    play >> Released(F0, 1, "flows") << Adopt(F1, 1, "flows")
    assert not play.machine.moving
    play >> 5.5
    play >> Adopted(F1, 1) << ShardOpened(1, F1, 1, 0.5)
    assert (play.machine.shards.moves, play.machine.shards.slowest_move) == (1, 0.5)
    return play


def test_a_worker_less_ends_when_its_shards_are_gone() -> None:
    play = running(shards=2, flow=2)
    play >> Want(1, 1) << ShardClosed(1) << Release(F1, 1)
    play >> Released(F1, 1, "flows") << Adopt(F0, 1, "flows") << Stop(F1)
    play >> Adopted(F0, 1) << ShardOpened(1, F0, 0, 0.0)
    play >> Died(F1, 0) << ended(F1, asked=True, vacant=True, status=0)
    play.over()


def test_flows_wait_for_a_worker_that_has_not_started_and_outlive_it() -> None:
    """They were never given to it: its successor adopts them, nothing is tried again."""
    play = running(shards=2, flow=2).quietly(Want(1, 1))
    play >> Died(F0, -9) << ended(F0) << Fence(C0, 2)
    play << Spawn("flow", 0, "flow-0.2", 4, replaces=True) << ShardClosed(0)
    play >> Released(F1, 1, "flows") << Stop(F1)
    assert play.states() == "LOST ASSIGNED"
    play >> Died("flow-0.2", 1) << ended("flow-0.2", status=1) << Fence(C0, 4)
    play << Spawn("flow", 0, "flow-0.3", 5, replaces=True)
    (
        play
        >> Ready("flow-0.3")
        << Adopt("flow-0.3", 0)
        << Adopt("flow-0.3", 1, "flows")
        << SendTo("flow-0.3", C0)
    )
    play >> Adopted("flow-0.3", 1) << ShardOpened(1, "flow-0.3", 0, 0.0)
    play.over()


@row(
    (ShardState.OPEN, ShardTrigger.DIED),
    (ShardState.LOST, ShardTrigger.READY),
    (ShardState.LOST, ShardTrigger.ADOPTED),
    (ShardState.TAKEN, ShardTrigger.FENCED),
)
def test_a_death_adopted_first() -> Play:
    play = running(shards=1)
    play >> 7.0
    play >> Died(F0, -9) << ended(F0) << Fence(C0, 2)
    play << Spawn("flow", 0, "flow-0.2", 3, replaces=True) << ShardClosed(0)
    play >> Ready("flow-0.2") << Adopt("flow-0.2", 0) << SendTo("flow-0.2", C0)
    play >> Adopted("flow-0.2", 0)
    assert play.states() == "TAKEN"
    play >> 7.5
    play >> Fenced(C0, 2) << ShardOpened(0, "flow-0.2", 0, 0.5) << TryAgain(0)
    return play


@row(
    (ShardState.LOST, ShardTrigger.FENCED),
    (ShardState.FENCED, ShardTrigger.READY),
    (ShardState.FENCED, ShardTrigger.ADOPTED),
)
def test_a_death_fenced_first() -> Play:
    play = running(shards=1).quietly(Died(F0, -9))
    play >> Fenced(C0, 2)
    assert play.states() == "FENCED"
    play >> Ready("flow-0.2") << Adopt("flow-0.2", 0) << SendTo("flow-0.2", C0)
    play >> Adopted("flow-0.2", 0) << ShardOpened(0, "flow-0.2", 0, 0.0) << TryAgain(0)
    return play


@row((ShardState.ADOPTING, ShardTrigger.DIED))
def test_a_death_while_adopting() -> Play:
    """The flows went with it, so what the shard owes is tried again."""
    play = running(shards=2).quietly(Want(2, 1), Ready(F1), Released(F0, 1, "flows"))
    assert play.states() == "OPEN ADOPTING"
    play >> Died(F1, -9) << ended(F1) << Fence(C0, 3)
    play << Spawn("flow", 1, "flow-1.2", 4, replaces=True)
    play.quietly(Ready("flow-1.2"), Adopted("flow-1.2", 1))
    play >> Fenced(C0, 3) << ShardOpened(1, "flow-1.2", 1, 0.0) << TryAgain(1)
    return play


@row((ShardState.RELEASING, ShardTrigger.DIED))
def test_a_death_while_releasing() -> Play:
    play = running(shards=2, flow=2).quietly(Want(1, 1))
    assert play.states() == "OPEN RELEASING"
    play >> Died(F1, -9) << ended(F1) << Fence(C0, 3) << Adopt(F0, 1)
    play >> Released(F1, 1, "flows") << Ignored(Released(F1, 1, "flows"))  # it had said so, but too late
    play >> Adopted(F0, 1)
    play >> Fenced(C0, 3) << ShardOpened(1, F0, 0, 0.0) << TryAgain(1)
    return play


@row(
    (ShardState.LOST, ShardTrigger.DIED),
    (ShardState.TAKEN, ShardTrigger.DIED),
    (ShardState.FENCED, ShardTrigger.DIED),
)
def test_one_death_after_the_other() -> Play:
    """All who had it are fenced off, and what it owes is tried again once."""
    play = running(shards=1).quietly(Died(F0))
    play >> Died("flow-0.2", -9) << ended("flow-0.2") << Fence(C0, 3)
    play << Spawn("flow", 0, "flow-0.3", 4, replaces=True)
    play.quietly(Ready("flow-0.3"), Adopted("flow-0.3", 0))
    assert play.states() == "TAKEN"
    play >> Fenced(C0, 3)
    assert play.states() == "TAKEN"
    play >> Died("flow-0.3", -9) << ended("flow-0.3") << Fence(C0, 4)
    play << Spawn("flow", 0, "flow-0.4", 5, replaces=True)
    play >> Fenced(C0, 4)
    assert play.states() == "LOST"
    play >> Fenced(C0, 2)
    assert play.states() == "FENCED"
    play >> 100.0
    play >> Died("flow-0.4", -9) << ended("flow-0.4") << Fence(C0, 5)
    play << Spawn("flow", 0, "flow-0.5", 6, replaces=True)
    assert play.states() == "LOST"
    play.quietly(Ready("flow-0.5"), Fenced(C0, 5))
    play >> Adopted("flow-0.5", 0) << ShardOpened(0, "flow-0.5", 0, 100.0) << TryAgain(0)
    return play


def test_a_worker_that_is_not_wanted_has_no_successor() -> None:
    """Somebody else gets its shards."""
    play = running(shards=2, flow=2).quietly(Want(1, 1))
    play >> Died(F1, -9) << ended(F1) << Fence(C0, 3) << Adopt(F0, 1)
    assert play.owners() == f"{F0} {F0}"
    play.over()


def test_a_shard_goes_to_whoever_is_there_when_it_is_released() -> None:
    play = running(shards=2).quietly(Want(2, 1), Ready(F1))
    play >> Want(1, 1) << Stop(F1)
    play >> Released(F0, 1, "flows") << Adopt(F0, 1, "flows")
    play >> Died(F1, 0) << ended(F1, asked=True, vacant=True, status=0)
    play.over()


def test_wanted_again_while_it_leaves() -> None:
    """A process that was told to end is not counted on: another one is started in its place."""
    play = running(shards=2).quietly(Want(2, 1), Ready(F1))
    play >> Want(1, 1) << Stop(F1)
    play >> Want(2, 1) << Spawn("flow", 1, "flow-1.2", 4)
    play >> Died(F1, 0) << ended(F1, asked=True, status=0)
    play.over()


def settle(play: Play) -> None:
    """Every worker does what it was told."""
    while play.states() != "OPEN " * (len(play.machine.shards) - 1) + "OPEN":
        for shard in play.machine.shards.all:
            if shard.state is ShardState.RELEASING:
                play.quietly(Released(shard.owner, shard.number, None))
            if shard.state is ShardState.ADOPTING:
                play.quietly(Adopted(shard.owner, shard.number))


@every_row(product(range(1, 9), range(1, 9)))
def test_shards_are_spread_evenly(before: int, after: int) -> None:
    play = running(shards=8, flow=before)
    play.quietly(Want(after, 1), *(Ready(f"flow-{index}.1") for index in range(before, after)))
    settle(play)
    load = Counter(shard.owner for shard in play.machine.shards.all)
    assert len(load) == after
    assert max(load.values()) - min(load.values()) <= 1


@pytest.mark.parametrize("workers", range(1, 8))
def test_no_more_shards_move_than_have_to(workers: int) -> None:
    play = running(shards=8, flow=workers).quietly(Want(workers + 1, 1), Ready(f"flow-{workers}.1"))
    settle(play)
    assert play.machine.shards.moves == 8 // (workers + 1)


# --- reports that are not true, or too late -----------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        Ready("nobody"),
        Ready(F0),  # it has said so
        Adopted(F0, 0),  # it has said so
        Adopted(F1, 0),  # not its shard
        Adopted(C0, 0),  # not a flow worker
        Adopted("flow-0.0", 0),
        Adopted(F0, 2),
        Adopted(F0, -1),
        Released(F0, 0, "flows"),  # nobody asked for it
        Released(F1, 0, "flows"),
        Fenced(C0, 77),  # nobody who died
        Fenced(C0, 3),  # alive
        Fenced(F0, 3),
        Fenced(C1, 3),
        Linked(C1, C0),  # it has said so
        Linked(C1, C1),
        Linked(C0, C0),
        Linked(F0, C0),
        Died("nobody", 0),
    ],
)
def test_a_report_that_cannot_be_true_changes_nothing(event: Event) -> None:
    play = running(shards=2, flow=2, collect=2)
    before = play.states(), play.owners(), dict(play.machine.collectors.states)
    play >> event << Ignored(event)
    play.over()
    assert (play.states(), play.owners(), play.machine.collectors.states) == before
    assert play.machine.ignored == {type(event).__name__: 1}


def test_only_the_owner_can_say_that_it_has_released_or_adopted() -> None:
    play = running(shards=2, flow=2).quietly(Want(1, 1))
    assert play.states() == "OPEN RELEASING"
    for name in (F0, C0):
        play >> Released(name, 1, "forged") << Ignored(Released(name, 1, "forged"))
    play >> Released(F1, 1, "flows") << Adopt(F0, 1, "flows") << Stop(F1)
    for name in (F1, C0):
        play >> Adopted(name, 1) << Ignored(Adopted(name, 1))
    assert play.states() == "OPEN ADOPTING"


def test_a_successor_has_not_adopted_before_it_was_told_to() -> None:
    play = running(shards=1).quietly(Died(F0, -9))
    play >> Adopted("flow-0.2", 0) << Ignored(Adopted("flow-0.2", 0))
    assert play.states() == "LOST"


def test_only_the_one_that_writes_can_say_that_a_fence_stands() -> None:
    play = running(shards=1, collect=2).quietly(Died(F0, -9))
    for name in (C1, "flow-0.2", "collect-0.2"):
        play >> Fenced(name, 3) << Ignored(Fenced(name, 3))
    play >> Fenced(C0, 3)
    play >> Fenced(C0, 3) << Ignored(Fenced(C0, 3))
    assert play.states() == "FENCED"


# --- collectors --------------------------------------------------------------------------------------------


@row(
    (CollectorState.STARTING, CollectorTrigger.READY),
    (CollectorState.WAITING, CollectorTrigger.WRITER),
    (CollectorState.LINKING, CollectorTrigger.LINKED),
)
def test_collectors_start_in_any_order() -> Play:
    play = Play(shards=2)
    play >> Want(2, 2) << Spawn("collect", 0, C0, 1) << Spawn("collect", 1, C1, 2)
    play << Spawn("flow", 0, F0, 3) << Spawn("flow", 1, F1, 4)
    play.quietly(Ready(F0), Ready(F1))
    play >> Ready(C1)  # nobody writes yet
    play >> Ready(C0) << Link(C1, C0)  # nobody is to send before it is linked
    play >> Linked(C1, C0) << SendTo(F0, C0) << SendTo(F1, C1)
    return play


@row((CollectorState.LINKED, CollectorTrigger.WRITER_DIED))
def test_the_writer_dies() -> Play:
    """Its successor is told of the fences; the others link to it; then everybody sends again."""
    play = running(shards=2, flow=2, collect=2).quietly(Died(F1, -9), Fenced(C0, 4))
    play >> Died(C0, -9) << ended(C0)
    play << Spawn("collect", 0, "collect-0.2", 6, fenced=(4,), replaces=True)
    assert play.machine.collectors.writer == "collect-0.2"
    play >> Died(F0, -9) << ended(F0)  # nobody writes: nobody can fence
    play << Spawn("flow", 0, "flow-0.2", 7, replaces=True) << ShardClosed(0)
    play >> Ready("flow-0.2") << Adopt("flow-0.2", 0)
    play >> Adopted("flow-0.2", 0)
    play >> Ready("collect-0.2") << Fence("collect-0.2", 3) << Link(C1, "collect-0.2")
    play >> Fenced("collect-0.2", 3) << ShardOpened(0, "flow-0.2", 0, 0.0) << TryAgain(0)
    play >> Linked(C1, "collect-0.2") << SendTo("flow-0.2", "collect-0.2")
    play >> Ready("flow-1.2") << Adopt("flow-1.2", 1) << SendTo("flow-1.2", C1)
    return play


@row((CollectorState.LINKING, CollectorTrigger.WRITER_DIED))
def test_the_writer_dies_while_another_links_to_it() -> Play:
    play = Play(shards=1).quietly(Want(1, 2), Ready(F0), Ready(C0), Ready(C1))
    play >> Died(C0, -9) << ended(C0)
    play << Spawn("collect", 0, "collect-0.2", 4, replaces=True)
    play >> Linked(C1, C0) << Ignored(Linked(C1, C0))
    play >> Ready("collect-0.2") << Link(C1, "collect-0.2")
    play >> Linked(C1, C0) << Ignored(Linked(C1, C0))
    play >> Linked(C1, "collect-0.2") << SendTo(F0, "collect-0.2")
    return play


def test_a_fence_by_a_writer_that_died_since_is_asked_of_its_successor() -> None:
    play = running(shards=1).quietly(Died(F0, -9))
    play >> Died(C0, -9) << ended(C0)
    play << Spawn("collect", 0, "collect-0.2", 4, fenced=(2,), replaces=True)
    play >> Fenced(C0, 2) << Ignored(Fenced(C0, 2))
    play >> Ready("collect-0.2") << Fence("collect-0.2", 2)
    play >> Fenced("collect-0.2", 2)
    assert play.states() == "FENCED"


def test_a_collector_that_does_not_write_dies() -> None:
    """Who sent to it sends to another one, and again to its successor once that is linked."""
    play = running(shards=2, flow=2, collect=2)
    play >> Died(C1, -9) << ended(C1) << Spawn("collect", 1, "collect-1.2", 5, replaces=True)
    play << SendTo(F1, C0)
    play >> Ready("collect-1.2") << Link("collect-1.2", C0)
    play >> Linked("collect-1.2", C0) << SendTo(F1, "collect-1.2")
    play.over()


def test_one_that_dies_while_it_links_holds_nobody_up() -> None:
    play = running(shards=2, flow=2).quietly(Want(2, 2), Ready(C1 := "collect-1.1"))
    play.quietly(Died(F1, -9), Ready("flow-1.2"))  # waits to hear where to send
    play >> Died(C1, -9) << ended(C1)
    play << Spawn("collect", 1, "collect-1.2", 6, fenced=(3,), replaces=True) << SendTo("flow-1.2", C0)
    play.over()


def test_a_collector_less() -> None:
    """Who sent to it is told where to send before it may have ended."""
    play = running(shards=2, flow=2, collect=2)
    play >> Want(2, 1) << Stop(C1) << SendTo(F1, C0)
    play >> Died(C1, 0) << ended(C1, asked=True, vacant=True, status=0)
    play.over()


def test_a_collector_that_is_not_wanted_ends_when_it_has_started() -> None:
    play = running(shards=1).quietly(Want(1, 2))
    play >> Want(1, 1)
    play >> Ready(C1) << Link(C1, C0) << Stop(C1)
    play >> Linked(C1, C0) << Ignored(Linked(C1, C0))
    play.over()


# --- ends --------------------------------------------------------------------------------------------------


def test_a_process_that_keeps_dying_ends_the_scan() -> None:
    play = running(shards=1)
    for number in range(1, MOST_DEATHS):
        play >> float(number)
        play.quietly(Died(f"flow-0.{number}", -9), Ready(f"flow-0.{number + 1}"))
    play >> Died(f"flow-0.{MOST_DEATHS}", 1) << ended(f"flow-0.{MOST_DEATHS}", status=1)
    play << GiveUp("flow worker 0 ended 5 times within a minute: the scan cannot go on")
    play.over()


def test_a_worker_more_that_cannot_be_started_is_done_without() -> None:
    """Where there can be no more processes; one that has worked once is missed."""
    play = running(shards=4).quietly(Want(3, 2))
    for place, kind in (("flow-1", "flow worker 1"), ("collect-1", "collector 1")):
        for number in range(1, MOST_DEATHS):
            play.quietly(Died(f"{place}.{number}", 1))
        assert not play.machine.full or place == "collect-1"
        last = f"{place}.{MOST_DEATHS}"
        orders = play.machine.handle(Died(last, 1), play.now)
        assert orders[:2] == [
            ended(last, vacant=True, status=1),
            Fewer(f"{kind} cannot be started: the scan goes on without it"),
        ]
        assert not {GiveUp, Spawn} & {*map(type, orders)}
    assert (play.machine.wanted, play.machine.full, play.machine.ending) == ((1, 1), True, False)
    play >> Ready("flow-2.1") << Stop("flow-2.1")  # places are filled from the first on
    play.quietly(Want(2, 1))
    assert not play.machine.full
    assert play.machine.processes.at("flow", 1) is not None


def test_a_shard_of_a_worker_that_cannot_be_started_goes_to_another() -> None:
    play = Play(shards=2).quietly(Want(2, 1), Ready(C0), Ready(F0))
    for number in range(1, MOST_DEATHS + 1):
        play.quietly(Died(f"flow-1.{number}", 1))
    assert [shard.owner for shard in play.machine.shards.all] == [F0, F0]
    play.quietly(Adopted(F0, 0))
    play >> Adopted(F0, 1) << ShardOpened(1, F0, 0, None)
    assert play.machine.wanted == (1, 1)


def test_deaths_long_ago_and_elsewhere_do_not_count() -> None:
    play = running(shards=2, flow=2, collect=1)
    for number in range(1, 3 * MOST_DEATHS):
        play >> play.now + WITHIN / (MOST_DEATHS - 1)
        for place in ("flow-0", "flow-1", "collect-0"):
            orders = play.machine.handle(Died(f"{place}.{number}", -9), play.now)
            assert Spawn in map(type, orders)
            assert GiveUp not in map(type, orders)
            play.quietly(Ready(f"{place}.{number + 1}"))


def test_the_end() -> None:
    """All are told to end, flow workers first; nobody is replaced, whatever is reported does nothing."""
    play = running(shards=2, flow=2, collect=2)
    play >> Ending("flow") << Stop(F0) << Stop(F1)
    play >> Died(F0, 0) << ended(F0, asked=True, status=0)
    play >> Died(F1, -9) << ended(F1, asked=True)
    play >> Ending("collect") << Stop(C0) << Stop(C1)
    play >> Ready(C1) << Ignored(Ready(C1))
    play >> Died(C0, 0) << ended(C0, asked=True, status=0)
    play >> Died(C1, 0) << ended(C1, asked=True, status=0)
    assert not list(play.machine.processes)


@pytest.mark.parametrize(("asked", "given"), [((0, 0), (1, 1)), ((99, 3), (4, 3)), ((-5, -5), (1, 1))])
def test_there_is_always_one_of_each_and_no_more_workers_than_shards(
    asked: tuple[int, int], given: tuple[int, int]
) -> None:
    machine = Machine(4)
    machine.handle(Want(*asked), 0.0)
    assert machine.wanted == given


# --- the tables --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge", [*shards.TABLE, *collectors.TABLE], ids=lambda edge: f"{edge[0]}-{edge[1]}")
def test_every_row_has_its_trace(edge: tuple[Any, Any]) -> None:
    assert edge in TRACES


@pytest.mark.parametrize(("name", "module"), [("shard", shards), ("collector", collectors)])
def test_the_diagrams_in_the_documentation_are_the_tables(name: str, module: Any) -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    blocks = re.findall(rf"<!-- {name} diagram -->(.*?)<!-- end -->", text, re.DOTALL)
    assert len(blocks) == 1
    assert blocks[0].strip() == f"```mermaid\n{module.diagram().strip()}\n```"


@pytest.mark.parametrize(
    ("rows", "triggers", "actions"),
    [(shards.TABLE, ShardTrigger, ShardAction), (collectors.TABLE, CollectorTrigger, CollectorAction)],
)
def test_every_state_trigger_and_action_is_used_and_every_state_is_reached(
    rows: Any, triggers: Any, actions: Any
) -> None:
    assert {trigger for _, trigger in rows} == set(triggers)
    assert {action for action, _ in rows.values()} == set(actions)
    states = type(next(iter(rows))[0])
    reached = {next(iter(states))} | {after for _, after in rows.values()}
    assert reached == set(states)


def test_a_shard_is_opened_after_a_loss_only_by_trying_again_what_it_owes() -> None:
    """From LOST no way leads to OPEN but over both FENCED and ADOPTED, and never without TRY_AGAIN."""
    ways = [(ShardState.LOST, frozenset[ShardTrigger]())]
    seen = set()
    while ways:
        state, triggers = ways.pop()
        for (before, trigger), (action, after) in shards.TABLE.items():
            if before is not state or trigger is ShardTrigger.DIED or (after, triggers | {trigger}) in seen:
                continue
            seen.add((after, triggers | {trigger}))
            if after is ShardState.OPEN:
                assert {ShardTrigger.FENCED, ShardTrigger.ADOPTED} <= triggers | {trigger}
                assert action is ShardAction.TRY_AGAIN
            else:
                assert action not in (ShardAction.TRY_AGAIN, ShardAction.OPEN_UP)
                ways.append((after, triggers | {trigger}))
    assert any(after is ShardState.OPEN for after, _ in seen)


def test_the_owner_can_die_in_every_state_and_nobody_is_fed_then() -> None:
    for state in ShardState:
        assert shards.TABLE[state, ShardTrigger.DIED][1] in (ShardState.ASSIGNED, ShardState.LOST)
