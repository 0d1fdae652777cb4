"""`--auto-workers` by traces: a load per second in, worker counts out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.monitor.autoscale import LOWER_AFTER, RAISE_AFTER, SETTLE, Observed, step
from coordinator.monitor.snapshot import Phase, ProcessState, ProcessView, Snapshot, WorkerView
from tests.effort import examples

OWN = 0.2  # cores' worth of the coordinator


def dealt(parts: int, places: int) -> list[float]:
    """Shares of the places among which so many equal parts are dealt out in turn."""
    return [len(range(place, parts, places)) / parts for place in range(places)]


class Box:
    """A scan whose flow work and collector work (in cores) is spread over the workers there are.

    Shards are dealt out to flow workers, and those to collectors. One process has at most one core; where all
    of them want more than there is, each gets its part of it.
    """

    def __init__(self, flow: int = 1, collect: int = 1, cores: int = 8, shards: int = 8) -> None:
        self.flow, self.collect, self.cores, self.shards = flow, collect, cores, shards
        self.observed = Observed()
        self.trace: list[tuple[int, int, int]] = []

    def run(
        self,
        seconds: range,
        flow_work: Callable[[int], float],
        collect_work: Callable[[int], float] = lambda _: 0.1,
        **changes: object,
    ) -> None:
        for t in seconds:
            sending = dealt(self.shards, self.flow)
            writing = [sum(sending[i :: self.collect]) for i in range(self.collect)]
            flows = [min(1.0, flow_work(t) * share) for share in sending]
            collectors = [min(1.0, collect_work(t) * share) for share in writing]
            had = min(1.0, self.cores / (sum(flows) + sum(collectors) + OWN))
            given_: dict[str, object] = {
                "now": float(t),
                "phase": Phase.RUNNING,
                "workers": tuple(
                    WorkerView(f"flow {i}", cpu=busy * had, busy=busy) for i, busy in enumerate(flows)
                ),
                "collectors": tuple(
                    ProcessView(f"collect {i}", cpu=busy * had, busy=busy)
                    for i, busy in enumerate(collectors)
                ),
                "coordinator": ProcessView("coordinator", cpu=OWN * had, busy=OWN),
                "wanted_flow": self.flow,
                "wanted_collect": self.collect,
                "cores": self.cores,
                "shards": self.shards,
            }
            self.observed, advice = step(self.observed, Snapshot(**given_ | changes))  # type: ignore[arg-type]
            if advice is not None:
                self.flow, self.collect = advice.flow, advice.collect
                self.trace.append((t, self.flow, self.collect))
                assert advice.reason


def test_a_busy_worker_gets_help_until_the_work_fits() -> None:
    box = Box()
    box.run(range(60), lambda _: 2.4)
    assert (box.flow, box.collect) == (4, 1)  # with three, two have three of the eight shards: 90 %
    first, second, _ = box.trace
    assert first[0] >= RAISE_AFTER
    assert second[0] - first[0] >= SETTLE
    box.run(range(60, 400), lambda _: 2.4)
    assert len(box.trace) == 3


def test_a_short_burst_changes_nothing() -> None:
    box = Box()
    box.run(range(120), lambda t: 1.0 if t % 10 < 4 else 0.2)
    assert box.trace == []


def test_an_idle_worker_leaves_after_a_while() -> None:
    box = Box(flow=4)
    box.run(range(200), lambda _: 0.5)
    assert box.flow == 1
    assert box.trace[0][0] >= LOWER_AFTER


def test_the_collector_comes_first() -> None:
    box = Box()
    box.run(range(8), lambda _: 1.0, lambda _: 1.0)
    assert box.trace == [(5, 2, 2)]  # a flow worker sends to one collector, so the second needs a second
    box = Box(flow=2)
    box.run(range(8), lambda _: 1.9, lambda _: 1.0)
    assert box.trace == [(5, 2, 2)]
    box = Box(collect=2)
    box.run(range(8), lambda _: 1.0, lambda _: 1.0)
    assert box.trace == [(5, 2, 2)]


def test_no_flow_worker_leaves_before_its_collector() -> None:
    box = Box(flow=2, collect=2)
    box.run(range(120), lambda _: 0.2, lambda _: 1.1)
    assert box.trace == []
    box.run(range(120, 240), lambda _: 0.2, lambda _: 0.4)
    assert [entry[1:] for entry in box.trace] == [(2, 1), (1, 1)]


def test_two_cores_are_shared_by_work_and_not_by_count() -> None:
    """One each on two cores, and one of them mostly waits: there is room for another of the busy kind."""
    box = Box(cores=2)
    box.run(range(60), lambda _: 1.3)
    assert (box.flow, box.collect) == (2, 1)
    box = Box(cores=2)
    box.run(range(60), lambda _: 0.3, lambda _: 1.3)
    assert (box.flow, box.collect) == (2, 2)
    box = Box(cores=2)
    box.run(range(300), lambda _: 1.0, lambda _: 0.7)
    assert box.trace == []


def test_no_more_workers_than_the_cores_can_drive() -> None:
    box = Box(cores=4)
    box.run(range(300), lambda _: 50.0)
    assert (box.flow, box.collect) == (4, 1)
    box = Box(shards=2)
    box.run(range(300), lambda _: 50.0)
    assert box.flow == 2
    box = Box(cores=1)
    box.run(range(300), lambda _: 50.0, lambda _: 50.0)
    assert box.trace == []


def test_flow_workers_wait_for_collectors_that_cannot_be_more() -> None:
    box = Box(flow=1, collect=2, cores=2)
    box.run(range(60), lambda _: 5.0, lambda _: 1.9, coordinator=ProcessView("coordinator"))
    assert box.trace == []


def test_somebody_else_s_change_is_left_alone_for_a_while() -> None:
    box = Box()
    box.run(range(40), lambda _: 0.5)
    box.flow = 3
    box.run(range(40, 40 + int(LOWER_AFTER)), lambda _: 0.5)
    assert box.trace == []
    box = Box()
    box.run(range(4), lambda _: 3.0)
    box.flow = 2
    box.run(range(4, 4 + int(SETTLE)), lambda _: 3.0)
    assert box.trace == []
    box.run(range(4 + int(SETTLE), 20), lambda _: 3.0)
    assert box.flow == 3


def test_nothing_moves_while_the_scan_is_not_in_full_run() -> None:
    for changes in ({"paused": True}, {"draining": True}, {"phase": Phase.COOLDOWN}, {"wanted_flow": 2}):
        box = Box()
        box.run(range(60), lambda _: 5.0, **changes)
        assert box.trace == []
    box = Box()
    box.run(range(60), lambda _: 5.0, workers=(WorkerView("flow 0", busy=1.0, state=ProcessState.STARTING),))
    assert box.trace == []


def test_a_worker_too_busy_to_report_stays_busy() -> None:
    box = Box()
    box.run(range(4), lambda _: 1.0)
    silent = (WorkerView("flow 0", state=ProcessState.SILENT),)
    box.run(range(4, 9), lambda _: 1.0, workers=silent)
    assert box.trace == []
    box.run(range(9, 10), lambda _: 1.0)
    assert box.flow == 2


def test_who_waits_for_a_core_gets_no_company() -> None:
    box = Box()
    box.run(range(60), lambda _: 1.0, workers=(WorkerView("flow 0", busy=1.0, cpu=0.3),))
    assert box.trace == []


def test_a_long_queue_before_collectors_that_work_counts_as_busy() -> None:
    def collectors(load: float, queue: int, **changes: object) -> list[tuple[int, int, int]]:
        box = Box()
        view = ProcessView("collect 0", cpu=load, busy=load, queue=queue)
        box.run(range(8), lambda _: 0.1, collectors=(view,), **changes)
        return box.trace

    assert collectors(0.75, 8) == [(5, 2, 2)]
    assert collectors(0.75, 7) == []
    assert collectors(0.6, 50) == []
    assert collectors(0.75, 50, output_blocked=True) == []  # nobody reads what they write


@settings(max_examples=examples(50), deadline=None)
@given(st.floats(0, 10), st.floats(0, 3), st.integers(1, 8), st.integers(1, 4), st.integers(1, 16))
def test_steady_work_comes_to_rest(
    flow_work: float, collect_work: float, flow: int, collect: int, cores: int
) -> None:
    """It never swings: what was raised is not lowered, what was lowered not raised; then the counts stay."""
    box = Box(flow=flow, collect=collect, cores=cores)
    box.run(range(700), lambda _: flow_work, lambda _: collect_work)
    for channel, first in ((1, flow), (2, collect)):
        counts = [first, *(entry[channel] for entry in box.trace)]
        assert counts in (sorted(counts), sorted(counts, reverse=True))
    assert box.trace == [] or box.trace[-1][0] < 600
    for (before, *_), (after, *_) in pairwise(box.trace):
        assert after - before >= SETTLE


def test_too_many_workers_for_the_cores_are_let_go() -> None:
    """Eight workers on two cores look busy by the clock, while what they do would fit into two."""
    box = Box(flow=8, cores=2)
    for second in range(600):
        share = 1.0 / box.flow  # of a core, for each
        flows = tuple(WorkerView(f"flow {i}", cpu=share, busy=0.7) for i in range(box.flow))
        snapshot = Snapshot(
            now=float(second),
            phase=Phase.RUNNING,
            workers=flows,
            collectors=(ProcessView("collect 0", cpu=0.2, busy=0.4),),
            wanted_flow=box.flow,
            cores=2,
            shards=16,
        )
        box.observed, advice = step(box.observed, snapshot)
        if advice is not None:
            assert advice.flow == box.flow - 1
            box.flow = advice.flow
    assert box.flow == 2
