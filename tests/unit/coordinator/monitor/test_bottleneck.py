"""The sentence that names what holds a scan back, and the flag that would change it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from coordinator.monitor.bottleneck import bottleneck
from coordinator.monitor.snapshot import Phase, ProcessView, Snapshot, WorkerView
from tests.rows import every_row

CALM = Snapshot(
    phase=Phase.RUNNING,
    backlog=100,
    workers=(WorkerView("flow 0", busy=0.3), WorkerView("flow 1", busy=0.3)),
    collectors=(ProcessView("collect 0", busy=0.2),),
    wanted_flow=2,
    shards=8,
    cores=8,
)


@every_row(
    [
        ({}, "nothing stands out"),
        ({"collectors": (ProcessView("collect 0", busy=0.97),)}, "collector 97% busy: -w collect=2 (or >"),
        (
            {"collectors": (ProcessView("collect 0", busy=0.97), ProcessView("collect 1"))},
            "collect 0 97% busy, the others less: -w flow=3,collect=3 (or + > here)",
        ),
        (
            {"collectors": (ProcessView("collect 0", busy=0.97),), "wanted_collect": 3},
            "collector 97% busy: -w flow=3 (or + here) gives the others work",
        ),
        (
            {"collectors": (ProcessView("collect 0", busy=0.97),), "cores": 1},
            "collector 97% busy: the core is taken, more would help",
        ),
        (
            {"workers": (WorkerView("flow 0", cpu=0.99), WorkerView("flow 1", busy=0.95))},
            "all 2 flow workers 97% busy: -w flow=3",
        ),
        (
            {"workers": (WorkerView("flow 0", busy=0.99), WorkerView("flow 1"))},
            "flow 0 99% busy, the others less",
        ),
        ({"workers": (WorkerView("flow 0", busy=0.99),), "wanted_flow": 8}, "this run has 8 shards"),
        (
            {"workers": (WorkerView("flow 0", busy=0.99, cpu=0.98),), "cores": 2},
            "flow worker 99% busy: -w flow=3 (or + here)",
        ),
        (
            {
                "workers": (WorkerView("flow 0", busy=0.99, cpu=0.98),),
                "collectors": (ProcessView("collect 0", busy=0.8, cpu=0.8),),
                "cores": 2,
            },
            "flow worker 99% busy: the 2 cores are taken, more would help",
        ),
        (
            {"workers": (WorkerView("flow 0", busy=0.98, cpu=0.25),)},
            "flow 0 lacks a core (98% busy, 25% cpu)",
        ),
        ({"coordinator": ProcessView("coordinator", cpu=0.93)}, "coordinator 93% busy"),
        (
            {"coordinator": ProcessView("coordinator", busy=0.9, cpu=0.22)},
            "coordinator lacks a core (90% busy, 22% cpu): others use this machine",
        ),
        ({"backlog": 0, "rate_in": 1234.0}, "input slower than workers (1.23K/s)"),
        ({"input_waiting": True}, "input slower than workers"),
        ({"paced": True, "rate_limit": 5000.0}, "paced by -rate 5,000/s"),
        (
            {"paced": True, "packet_limit": 900.0, "tx_rate": 890.0, "rate_limit": 5000.0},
            "paced by --max-rate 900",
        ),
        ({"packet_limit": 900.0, "tx_rate": 890.0, "rate_limit": 5000.0}, "paced by --max-rate 900"),
        ({"packet_limit": 900.0, "tx_rate": 890.0, "input_ended": True, "backlog": 0}, "by --max-rate 900"),
        ({"packet_limit": 900.0, "tx_rate": 400.0}, "nothing stands out"),
        ({"bit_limit": 1e6, "tx_bits": 1e6, "tx_rate": 100.0}, "paced by --bandwidth 1.00 Mb/s"),
        # 60 bytes a packet, which are 84 on the wire
        ({"bit_limit": 1e6, "tx_bits": 700e3, "tx_rate": 1460.0}, "paced by --bandwidth 1.00 Mb/s"),
        ({"paced": True, "rate_limit": 0.5}, "paced by -rate 0.5/s"),
        (
            {"window_full": True},
            "as many answers awaited as rings take: a lower -t, or -w flow=3 (or + here)",
        ),
        ({"late": True, "input_waiting": True, "rate_limit": 5000.0}, "input slower than workers"),
        ({"late": True, "rate_limit": 5000.0}, "-rate 5,000/s is not reached: the coordinator waits"),
        ({"output_blocked": True}, "slow reader of the results"),
        ({"drops": 5, "recent_drops": 5}, "receive rings overflow"),
        ({"workers": (WorkerView("flow 0", ring=0.9),)}, "flow 0's receive ring is 90% full"),
        ({"paused": True}, "paused"),
        ({"phase": Phase.COOLDOWN, "cooldown_left": 3.0}, "late answers, 3 s left"),
        ({"input_ended": True, "in_flight": 12, "backlog": 0}, "the input has ended: waiting for 12 flows"),
        ({"draining": True, "in_flight": 12, "backlog": 0}, "asked to end: waiting for 12 flows"),
        ({"phase": Phase.STARTING}, "starting"),
        ({"phase": Phase.DONE}, "done"),
    ]
)
def test_each_cause_is_named(changes: dict[str, Any], said: str) -> None:
    sentence = bottleneck(replace(CALM, **changes))
    assert said in sentence
    assert "\n" not in sentence


def test_nothing_known_is_no_error() -> None:
    assert bottleneck(Snapshot()) == "starting"
    assert bottleneck(Snapshot(phase=Phase.RUNNING))
