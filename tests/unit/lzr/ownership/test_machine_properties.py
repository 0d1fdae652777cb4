"""The ownership machine among processes that die at any moment, late reports, forged ones and changing
counts.

`tests/simulated.py` checks each order as it is performed: nothing is ordered of the dead, never two write, a
shard is opened only when its owner has it and nobody else, and after a loss only when the dead are fenced
off and then tried again once; no result is written twice. At the end everybody lives: all shards are open
and spread evenly, and every input is written once.
"""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lzr.ownership.collectors import CollectorState as Place
from lzr.ownership.events import Adopted, Died, Fenced, Linked, Ready, Released
from lzr.ownership.processes import COLLECT, FLOW
from lzr.ownership.shards import ShardState
from tests.effort import examples
from tests.simulated import Pool, Written, alive

numbers = st.integers(0, 99)


class Scan(RuleBasedStateMachine):
    pool: Pool

    @initialize(
        shards=st.integers(1, 6), flow=st.integers(1, 3), collect=st.integers(1, 3), seed=st.integers(0, 9999)
    )
    def begin(self, shards: int, flow: int, collect: int, seed: int) -> None:
        self.pool = Pool(shards, Random(seed))
        self.pool.want(flow, collect)

    @rule(count=st.integers(1, 8))
    def inputs_come(self, count: int) -> None:
        self.pool.read(count)

    @rule(number=numbers)
    def a_process_works(self, number: int) -> None:
        names = list(self.pool.children)
        self.pool.step(names[number % len(names)])

    @rule(rounds=st.integers(1, 3))
    def all_work(self, rounds: int) -> None:
        for _ in range(rounds):
            for name in list(self.pool.children):
                self.pool.step(name)
            self.pool.turn(quick=True)

    @rule(quick=st.booleans())
    def the_coordinator_works(self, quick: bool) -> None:
        self.pool.turn(quick=quick)

    @precondition(lambda self: alive(self.pool))
    @rule(number=numbers)
    def a_process_dies(self, number: int) -> None:
        names = alive(self.pool)
        self.pool.kill(names[number % len(names)])

    @precondition(lambda self: any(map(self._fences, self.pool.children)))
    @rule()
    def the_writer_dies_before_a_fence_is_known(self) -> None:
        self.pool.kill(self.pool.machine.collectors.writer)

    def _fences(self, name: str) -> bool:
        return any(order[0] == "fence" for order in self.pool.children[name].orders)

    @rule(flow=st.integers(0, 7), collect=st.integers(0, 4))
    def counts_change(self, flow: int, collect: int) -> None:
        self.pool.want(flow, collect)

    @precondition(lambda self: self.pool.gone and self.pool.said)
    @rule(number=numbers)
    def the_dead_repeat_themselves(self, number: int) -> None:
        dead = {child.name for child in self.pool.gone}
        said = [report for report in self.pool.said if report.name in dead]
        if said:
            self.pool.say_again(said[number % len(said)])

    @precondition(lambda self: self.pool.said)
    @rule()
    def a_report_comes_twice(self) -> None:
        self.pool.say_again(self.pool.said[-1])

    @rule(number=numbers, shard=st.integers(-1, 6), incarnation=st.integers(0, 12))
    def somebody_lies(self, number: int, shard: int, incarnation: int) -> None:
        """About what is not its own: a worker that lies about its own shard loses only that."""
        pool, machine = self.pool, self.pool.machine
        names = [*pool.children, *(child.name for child in pool.gone), "nobody", ""]
        name = names[number % len(names)]
        process = machine.processes.get(name)
        if process is None or process.ready:
            pool.say_again(Ready(name))
        owner = 0 <= shard < len(machine.shards) and machine.shards.all[shard].owner == name
        if not owner:
            pool.say_again(Adopted(name, shard))
            pool.say_again(Released(name, shard, ("forged",)))
        if name != machine.collectors.writer:
            pool.say_again(Fenced(name, incarnation))
        if machine.collectors.states.get(name) is not Place.LINKING:
            pool.say_again(Linked(name, machine.collectors.writer))
        if process is None:
            pool.say_again(Died(name, 0))
        pool.say_again(Written(name + "?", (), {}, 0))

    @invariant()
    def a_shard_has_one_owner_that_has_it(self) -> None:
        """Who may be fed is there, has started and stays; the machine and who feeds agree on who that is."""
        if not hasattr(self, "pool"):
            return
        machine = self.pool.machine
        for shard in machine.shards.all:
            owner = machine.processes.get(shard.owner)
            assert owner is not None
            assert owner.role == FLOW
            assert not owner.leaving
            fed = self.pool.owners[shard.number]
            assert fed == (owner.index + 1 if shard.state is ShardState.OPEN else 0)
            assert bool(shard.fences) == (shard.state in (ShardState.LOST, ShardState.TAKEN))
            assert shard.flows is None or shard.state is ShardState.ASSIGNED

    @invariant()
    def nobody_sends_to_who_cannot_take_it(self) -> None:
        if not hasattr(self, "pool"):
            return
        collectors = self.pool.machine.collectors
        for worker, collector in collectors._collector_of.items():
            assert worker in self.pool.children
            assert collector in self.pool.children
        writing = [name for name, state in collectors.states.items() if state is Place.WRITING]
        assert writing in ([], [collectors.writer])
        if not collectors.writes:
            assert not {Place.LINKING, Place.LINKED} & set(collectors.states.values())
        assert collectors.states.keys() <= {each.name for each in self.pool.machine.processes.of(COLLECT)}

    def teardown(self) -> None:
        if hasattr(self, "pool"):
            self.pool.rest()
            self.pool.check_end()


def test_whatever_happens_every_input_is_written_once() -> None:
    run_state_machine_as_test(
        Scan, settings=settings(max_examples=examples(100), stateful_step_count=40, deadline=None)
    )
