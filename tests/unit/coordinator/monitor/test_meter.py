"""A figure that is declared is shown: none is forgotten between the coordinator's and the snapshot's."""

from __future__ import annotations

from typing import Any

from msgspec.structs import fields

from coordinator.monitor.meter import Meter
from coordinator.monitor.snapshot import Snapshot, Totals
from lzr.ipc.messages import FlowStats

OF_THE_COORDINATOR_ONLY = {"found", "busy_ns", "sweep_left"}
MADE_OF = {"latest", "warnings", "alerts", "total_estimated"}  # shown in another form


def test_every_figure_of_the_coordinator_is_shown() -> None:
    totals, wanted = Totals(), dict[str, Any]()
    for number, each in enumerate(fields(Totals), 1):
        value = getattr(totals, each.name)
        if each.name in OF_THE_COORDINATOR_ONLY | MADE_OF:
            continue
        if isinstance(value, dict):
            wanted[each.name] = {"x": number}
        elif isinstance(value, bool):
            wanted[each.name] = each.name not in ("input_ended", "cut_short")
        else:
            wanted[each.name] = str(number) if isinstance(value, str) else number
        current = getattr(totals, each.name)
        setattr(
            totals,
            each.name,
            type(current)(wanted[each.name]) if isinstance(value, dict) else wanted[each.name],
        )
    snapshot = Meter(0).snapshot(1, totals)
    assert {name: getattr(snapshot, name) for name in wanted} == wanted


def test_every_sum_of_the_workers_is_shown() -> None:
    counts = {"rx": 1, "tx": 2, "retransmits": 3, "drops": 4, "send_failures": 5}
    assert set(counts) <= {each.name for each in fields(Snapshot)}
    assert set(counts) <= set(FlowStats.__struct_fields__)
    meter = Meter(0)
    for pid in (10, 11):
        meter.feed(1, {"role": "flow", "index": pid - 10, "pid": pid, **counts})
    snapshot = meter.snapshot(2, Totals())
    assert {name: getattr(snapshot, name) for name in counts} == {name: 2 * n for name, n in counts.items()}


def test_a_resumed_sweep_has_the_rate_of_what_it_asks_now() -> None:
    """Half of it was asked before: that was not done in this second."""
    half, rate, wait = 1_000_000_000, 100_000, 8.0
    totals = Totals(total=2 * half, sweep=True, sweep_wait=wait, other={"done before": half})
    meter = Meter(0.0)
    for second in range(1, 70):
        totals.read = half + rate * second
        snapshot = meter.snapshot(float(second), totals)
        assert snapshot.rate_in_average == rate
        assert snapshot.eta == (2 * half - totals.read) / rate + wait
    assert snapshot.rate_in == rate
    assert {entry.read for entry in snapshot.history} == {rate}


def test_the_first_report_of_a_scan_has_a_rate() -> None:
    """What was sent, read and done by then is shown as so much a second, not as nothing."""
    meter = Meter(100.0)
    meter.launched(100.0, "flow", 0, 7)
    meter.feed(101.0, {"role": "flow", "index": 0, "pid": 7, "tx": 500, "rx": 40})
    first = meter.snapshot(101.0, Totals(read=600, done=300))
    assert (first.tx_rate, first.rx_rate) == (500.0, 40.0)
    assert (first.rate_in, first.rate_done) == (600.0, 300.0)
    meter.feed(102.0, {"role": "flow", "index": 1, "pid": 8, "tx": 900})  # nobody said when it began
    assert meter.snapshot(102.0, Totals(read=600, done=300)).workers[1].tx == 0.0


def test_a_worker_that_is_not_heard_of_has_no_rate() -> None:
    """Stopped, or gone: what it did a moment before is not what it does."""
    meter = Meter(0.0)
    for role, counts in (("flow", {"tx": 500, "rx": 40, "rx_bytes": 60}), ("collect", {"records": 9})):
        meter.launched(0.0, role, 0, 7)
        meter.feed(1.0, {"role": role, "index": 0, "pid": 7, **counts})
    assert meter.snapshot(2.0, Totals()).tx_rate == 500.0
    later = meter.snapshot(9.0, Totals())
    assert (later.tx_rate, later.rx_rate, later.rx_bits, later.collectors[0].records_rate) == (0, 0, 0, 0)
    assert (later.tx, later.rx) == (500, 40)
