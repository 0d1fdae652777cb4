"""Counters in, snapshots out: rates, sums and history, by traces with made-up times."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.monitor.meter import Meter, Rate
from coordinator.monitor.snapshot import HISTORY_SECONDS, Identified, Phase, ProcessState, Snapshot, Totals


def flow(index: int = 0, pid: int = 100, **counters: Any) -> dict[str, Any]:
    return {"role": "flow", "index": index, "pid": pid, **counters}


def test_rates_are_those_of_the_last_seconds() -> None:
    rate = Rate(window=3)
    assert rate.per_second() == 0
    for t in range(10):
        rate.add(t, 100 * t)
    assert rate.per_second() == pytest.approx(100)
    for t in range(10, 14):
        rate.add(t, 900 + 500 * (t - 9))
    assert rate.per_second() == pytest.approx(500)


def test_an_idle_rate_falls_to_zero() -> None:
    rate = Rate(window=3)
    rate.add(0, 0)
    rate.add(1, 1000)
    for t in range(2, 8):
        rate.add(t, 1000)
    assert rate.per_second() == 0


def test_worker_figures() -> None:
    meter = Meter(started=1000.0)
    for t in range(5):
        meter.feed(
            1000 + t,
            flow(
                rx=2000 * t,
                tx=3000 * t,
                rx_bytes=100_000 * t,
                cpu_ns=500_000_000 * t,
                busy_ns=600_000_000 * t,
                in_flight=77,
                ring_used=512,
                ring_size=2048,
                queue=3,
                retransmits=t,
                shards=2,
                ignored={"checksum": t},
            ),
        )
    snapshot = meter.snapshot(1004.0, Totals())
    (worker,) = snapshot.workers
    assert (worker.name, worker.pid, worker.in_flight, worker.queue, worker.shards) == (
        "flow 0",
        100,
        77,
        3,
        2,
    )
    assert worker.rx == pytest.approx(2000)
    assert worker.tx == pytest.approx(3000)
    assert worker.rx_bits == pytest.approx(800_000)
    assert worker.cpu == pytest.approx(0.5)
    assert worker.load == pytest.approx(0.6)
    assert worker.ring == pytest.approx(0.25)
    assert worker.state == ProcessState.RUNNING
    assert (snapshot.rx, snapshot.tx, snapshot.retransmits) == (8000, 12000, 4)
    assert snapshot.ignored == {"checksum": 4}


def test_a_successor_starts_at_zero_and_nothing_is_lost() -> None:
    meter = Meter(started=0.0)
    meter.feed(0, flow(rx=0, drops=0, ignored={"junk": 2}))
    meter.feed(1, flow(rx=1000, drops=5, ignored={"junk": 3}))
    meter.mark(1.2, "flow", 0, ProcessState.DEAD)
    assert meter.snapshot(1.3, Totals()).workers[0].state == ProcessState.DEAD
    assert "flow 0 died" in meter.snapshot(1.3, Totals()).warnings[0]
    meter.restarted(1.5, "flow", 0, 101)
    assert meter.snapshot(1.6, Totals()).workers[0].state == ProcessState.STARTING
    meter.feed(2, flow(pid=101, rx=10, drops=0, ignored={"junk": 1}))
    snapshot = meter.snapshot(2, Totals())
    assert (snapshot.rx, snapshot.drops, snapshot.restarts) == (1010, 5, 1)
    assert snapshot.ignored == {"junk": 4}
    assert snapshot.workers[0].rx >= 0
    assert snapshot.workers[0].restarts == 1


def test_what_is_counted_while_shards_come_and_go_is_kept() -> None:
    """A worker's counters only grow: it goes on counting what rings had seen that it has given away."""
    meter = Meter(started=0.0)
    meter.feed(0, flow(shards=0))
    meter.feed(1, flow(shards=8, rx=448, tx=640))
    meter.feed(2, flow(shards=4, rx=448, tx=736))
    snapshot = meter.snapshot(2, Totals())
    assert (snapshot.rx, snapshot.tx) == (448, 736)


def test_a_removed_worker_stays_in_the_sums() -> None:
    meter = Meter(started=0.0)
    meter.feed(1, flow(0, rx=1000))
    meter.feed(1, flow(1, 101, rx=500, ignored={"junk": 1}))
    meter.removed("flow", 1)
    snapshot = meter.snapshot(2, Totals())
    assert [worker.name for worker in snapshot.workers] == ["flow 0"]
    assert snapshot.rx == 1500
    assert snapshot.ignored == {"junk": 1}
    meter.removed("flow", 7)


def test_sends_that_were_refused_by_errno() -> None:
    meter = Meter(started=0.0)
    meter.snapshot(0, Totals())
    meter.feed(1, flow(0, send_failures=5, send_errors={"ENOBUFS": 5}))
    meter.feed(1, flow(1, 101, send_failures=2, send_errors={"ENETDOWN": 2}))
    meter.removed("flow", 1)
    snapshot = meter.snapshot(2, Totals())
    assert snapshot.send_failures == 7
    assert snapshot.send_errors == {"ENOBUFS": 5, "ENETDOWN": 2}
    assert any("7 sends refused" in line and "lower the rate" in line for line in snapshot.warnings)
    meter = Meter(started=0.0)
    meter.snapshot(0, Totals())
    meter.feed(1, flow(0, send_failures=5, send_errors={"ENETDOWN": 5}))
    assert any("is the interface down?" in line for line in meter.snapshot(2, Totals()).warnings)


def test_a_process_that_says_nothing_is_silent() -> None:
    meter = Meter(started=0.0)
    meter.launched(0, "collect", 0, 55)
    assert meter.snapshot(1, Totals()).collectors[0].state == ProcessState.STARTING
    assert meter.snapshot(9, Totals()).collectors[0].state == ProcessState.SILENT
    meter.feed(9.5, {"role": "collect", "index": 0, "pid": 55, "records": 10})
    assert meter.snapshot(10, Totals()).collectors[0].state == ProcessState.RUNNING


def test_history_is_one_entry_a_second_and_sums_up() -> None:
    meter = Meter(started=0.0)
    totals = Totals()
    for quarter in range(4 * 90 + 1):
        totals.done = 25 * quarter
        totals.read = 50 * quarter
        meter.feed(quarter / 4, flow(rx=10 * quarter, tx=20 * quarter))
        snapshot = meter.snapshot(quarter / 4, totals)
    assert len(snapshot.history) == HISTORY_SECONDS
    assert {second.done for second in snapshot.history} == {100}
    assert {second.read for second in snapshot.history} == {200}
    assert {second.packets for second in snapshot.history} == {120}


def test_a_late_look_spreads_over_the_seconds_it_missed() -> None:
    meter = Meter(started=0.0)
    meter.snapshot(0, Totals())
    snapshot = meter.snapshot(4.2, Totals(done=10))
    assert [second.done for second in snapshot.history] == [2, 3, 2, 3]


def test_totals_become_fingerprints_by_handshake() -> None:
    totals = Totals(
        found=Counter({("http", "http"): 5, ("tls", "http"): 2, ("wait", "ssh"): 3, ("wait", "unknown"): 1})
    )
    totals.latest.extend([Identified("192.0.2.1", 80, "http"), Identified("192.0.2.2", 22, "ssh")])
    snapshot = Meter(started=0.0).snapshot(1, totals)
    assert list(snapshot.fingerprints.items()) == [("http", 7), ("ssh", 3), ("unknown", 1)]
    assert snapshot.by_handshake == {
        "http": {"http": 5},
        "tls": {"http": 2},
        "wait": {"ssh": 3, "unknown": 1},
    }
    assert snapshot.identified == 10
    assert [service.fingerprint for service in snapshot.latest] == ["ssh", "http"]


def test_a_sweep_ends_when_its_last_pair_has_been_waited_for() -> None:
    meter = Meter(started=0.0)
    totals = Totals(total=1000, sweep_wait=8.0)
    assert meter.snapshot(0.0, totals).eta is None
    for t in range(5):
        totals.read = 100 * t  # nobody has answered, and none has been given up yet
        snapshot = meter.snapshot(float(t), totals)
    assert snapshot.eta == pytest.approx(6 + 8)


def test_eta_and_share() -> None:
    meter = Meter(started=0.0)
    totals = Totals(total=1000)
    for t in range(11):
        totals.done = 40 * t
        totals.rejected = 10 * t
        snapshot = meter.snapshot(float(t), totals)
    assert snapshot.share == pytest.approx(0.5)
    assert snapshot.eta == pytest.approx(500 / 40)
    totals.read, totals.input_ended = 800, True
    assert meter.snapshot(10.0, totals).total == 800
    assert Snapshot().eta is None
    assert Snapshot(total=0).share == 1.0
    assert Snapshot(total=5, done=7).share == 1.0
    assert Snapshot(phase=Phase.COOLDOWN, total=10, done=9, cooldown_left=3.0).eta == 3.0


def test_drops_warn_for_a_minute() -> None:
    meter = Meter(started=0.0)
    meter.feed(0, flow(drops=0))
    meter.snapshot(0, Totals())
    meter.feed(5, flow(drops=9))
    assert any("dropped 9 packets" in line for line in meter.snapshot(5, Totals()).warnings)
    for t in range(6, 70):
        meter.feed(t, flow(drops=9))
        snapshot = meter.snapshot(t, Totals())
    assert snapshot.drops == 9
    assert not any("dropped" in line for line in snapshot.warnings)


def test_a_low_hit_rate_warns_with_its_likely_cause() -> None:
    totals = Totals(done=1000, outcomes=Counter(silent=995, data=5))
    meter = Meter(started=0.0)
    assert "no packet received" in meter.snapshot(1, totals).warnings[0]
    meter.feed(1, flow(rx=50))
    assert "too high for the path" in meter.snapshot(2, totals).warnings[0]
    totals.outcomes = Counter(rst=995, data=5)
    assert "RST guard" in meter.snapshot(3, totals).warnings[0]
    totals.outcomes, totals.sweep = Counter(no_syn_ack=995, data=5), True
    assert meter.snapshot(3, totals).warnings == ()
    totals.sweep = False
    totals.outcomes = Counter(data=500, silent=500)
    assert meter.snapshot(4, totals).warnings == ()


VALUES = st.one_of(
    st.integers(-5, 10**12), st.floats(allow_nan=False, allow_infinity=False), st.none(), st.text()
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["flow", "collect", "coordinator", "other", None]),
            st.integers(0, 3),
            st.dictionaries(
                st.sampled_from(["rx", "tx", "cpu_ns", "queue", "ring_size", "ring_used", "pid"]), VALUES
            ),
        ),
        max_size=20,
    )
)
def test_no_report_can_break_it_or_make_a_rate_negative(
    reports: list[tuple[Any, int, dict[str, Any]]],
) -> None:
    meter = Meter(started=0.0)
    for t, (role, index, counters) in enumerate(reports):
        meter.feed(t / 3, {"role": role, "index": index, **counters})
        snapshot = meter.snapshot(t / 3, Totals())
        for worker in snapshot.workers:
            assert worker.rx >= 0
            assert worker.cpu >= 0
            assert worker.ring <= 1


def test_two_may_speak_for_one_place_and_last_words_count() -> None:
    """A worker that is leaving goes on reporting beside the one that has come in its place."""
    meter = Meter(started=0.0)
    meter.feed(1, flow(0, 100, tx=50, in_flight=5))
    meter.launched(1.1, "flow", 0, 200)
    for second in range(2, 6):
        meter.feed(second, flow(0, 200, tx=10 * second, in_flight=7))
        meter.feed(second + 0.1, flow(0, 100, tx=50 + second, in_flight=1, ignored={"junk": 1}))
    snapshot = meter.snapshot(6, Totals())
    assert snapshot.tx == 50 + 55
    assert snapshot.ignored == {"junk": 1}
    (worker,) = snapshot.workers
    assert (worker.pid, worker.in_flight) == (200, 7)
    assert 0 < worker.tx < 100
    meter.removed("flow", 0)
    meter.feed(7, flow(0, 200, tx=60))  # was on its way
    snapshot = meter.snapshot(7, Totals())
    assert (snapshot.tx, snapshot.workers) == (115, ())
    for index in range(1, 100):  # the sums of those long gone stay
        meter.feed(8, flow(index, 1000 + index, tx=1))
        meter.removed("flow", index)
    assert meter.snapshot(9, Totals()).tx == 115 + 99


def test_silence_a_slow_reader_and_full_workers() -> None:
    meter = Meter(started=0.0)
    meter.feed(1, flow(tx=99))
    assert not meter.snapshot(1, Totals()).gateway_silent
    meter.feed(2, flow(tx=100, held=True))
    snapshot = meter.snapshot(2, Totals())
    assert snapshot.gateway_silent
    assert snapshot.window_full
    assert "nothing received, 100 packets sent" in snapshot.warnings[0]
    meter.feed(3, flow(tx=200, rx=1))
    assert not meter.snapshot(3, Totals()).gateway_silent
    for quarter in range(20):
        report = {"role": "collect", "index": 0, "pid": 9, "blocked_ns": int(quarter / 4 * 0.9e9)}
        meter.feed(3 + quarter / 4, report)
    assert meter.snapshot(8, Totals()).output_blocked
    meter.feed(20, {"role": "collect", "index": 0, "pid": 9, "blocked_ns": int(4.5e9)})
    assert not meter.snapshot(20, Totals()).output_blocked


def test_the_cool_down_is_when_nothing_else_is_waited_for() -> None:
    meter = Meter(started=0.0)
    totals = Totals(phase=Phase.FINISHING, input_ended=True, in_flight=30, read=100, done=70)
    meter.feed(1, flow(0, 1, in_flight=20, cooling=20, cooling_ns=int(4e9)))
    meter.feed(1, flow(1, 2, in_flight=10, cooling=9, cooling_ns=int(6e9)))
    assert meter.snapshot(1, totals).phase == Phase.FINISHING
    meter.feed(2, flow(1, 2, in_flight=9, cooling=9, cooling_ns=int(5e9)))
    snapshot = meter.snapshot(2.5, totals)
    assert snapshot.phase == Phase.COOLDOWN
    assert snapshot.cooldown_left == pytest.approx(4.5)
    assert snapshot.eta == pytest.approx(4.5)
    totals.backlog = 1
    assert meter.snapshot(2.5, totals).cooldown_left is None
