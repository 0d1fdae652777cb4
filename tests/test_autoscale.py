"""`--auto-workers` by traces: a load per second in, worker counts out."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.autoscale import LOWER_AFTER, RAISE_AFTER, SETTLE, Watch, step
from coordinator.snapshot import Phase, ProcessView, Snapshot, State, WorkerView


class Box:
    """A scan whose flow work and collector work (in cores) is spread over the workers there are."""

    def __init__(self, flow: int = 1, collect: int = 1, cores: int = 8, shards: int = 8) -> None:
        self.flow, self.collect, self.cores, self.shards = flow, collect, cores, shards
        self.watch = Watch()
        self.trace: list[tuple[int, int, int]] = []

    def run(
        self,
        seconds: range,
        flow_work: Callable[[int], float],
        collect_work: Callable[[int], float] = lambda _: 0.1,
        **changes: object,
    ) -> None:
        for t in seconds:
            flows = tuple(
                WorkerView(f"flow {i}", busy=min(1.0, flow_work(t) / self.flow)) for i in range(self.flow)
            )
            collects = tuple(
                ProcessView(f"collect {i}", busy=min(1.0, collect_work(t) / self.collect))
                for i in range(self.collect)
            )
            given_: dict[str, object] = {
                "now": float(t),
                "phase": Phase.RUNNING,
                "workers": flows,
                "collectors": collects,
                "wanted_flow": self.flow,
                "wanted_collect": self.collect,
                "cores": self.cores,
                "shards": self.shards,
            }
            self.watch, advice = step(self.watch, Snapshot(**given_ | changes))  # type: ignore[arg-type]
            if advice is not None:
                self.flow, self.collect = advice.flow, advice.collect
                self.trace.append((t, self.flow, self.collect))
                assert advice.reason


def test_a_busy_worker_gets_help_until_the_work_fits() -> None:
    box = Box()
    box.run(range(60), lambda _: 2.4)
    assert (box.flow, box.collect) == (3, 1)
    first, second = box.trace
    assert first[0] >= RAISE_AFTER
    assert second[0] - first[0] >= SETTLE
    box.run(range(60, 400), lambda _: 2.4)
    assert len(box.trace) == 2


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
    assert box.trace == [(5, 1, 2)]


def test_no_more_workers_than_cores_or_shards() -> None:
    box = Box(cores=4)
    box.run(range(300), lambda _: 50.0)
    assert box.flow + box.collect == 4
    box = Box(shards=2)
    box.run(range(300), lambda _: 50.0)
    assert box.flow == 2


def test_nothing_moves_while_the_scan_is_not_in_full_run() -> None:
    for changes in ({"paused": True}, {"draining": True}, {"phase": Phase.COOLDOWN}, {"wanted_flow": 2}):
        box = Box()
        box.run(range(60), lambda _: 5.0, **changes)
        assert box.trace == []
    box = Box()
    box.run(range(60), lambda _: 5.0, workers=(WorkerView("flow 0", busy=1.0, state=State.STARTING),))
    assert box.trace == []


def test_who_waits_for_a_core_gets_no_company() -> None:
    box = Box()
    box.run(range(60), lambda _: 1.0, workers=(WorkerView("flow 0", busy=1.0, cpu=0.3),))
    assert box.trace == []


def test_a_long_queue_counts_as_busy() -> None:
    box = Box()
    box.run(range(20), lambda _: 0.1, workers=(WorkerView("flow 0", queue=50),))
    assert box.trace


@settings(max_examples=50)
@given(st.floats(0, 10), st.floats(0, 3), st.integers(1, 8), st.integers(2, 16))
def test_steady_work_comes_to_rest(flow_work: float, collect_work: float, flow: int, cores: int) -> None:
    """It never swings: after a while, the counts stay."""
    box = Box(flow=flow, cores=cores)
    box.run(range(600), lambda _: flow_work, lambda _: collect_work)
    box.trace.clear()
    box.run(range(600, 900), lambda _: flow_work, lambda _: collect_work)
    assert box.trace == []


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
        box.watch, advice = step(box.watch, snapshot)
        if advice is not None:
            assert advice.flow == box.flow - 1
            box.flow = advice.flow
    assert box.flow == 2
