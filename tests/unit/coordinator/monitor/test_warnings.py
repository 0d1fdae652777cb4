"""Sentences that follow from the figures of a sweep."""

from __future__ import annotations

from msgspec.structs import replace

from coordinator.monitor.snapshot import Snapshot
from coordinator.monitor.warnings import warnings

SWEPT = Snapshot(sweep=True, tx=5000, done=5000, gateway_silent=True, outcomes={"no_syn_ack": 5000})


def test_whom_routers_call_unreachable_are_no_silence() -> None:
    assert any("nothing received" in text for text in warnings(SWEPT))
    assert any("hit rate" in text for text in warnings(SWEPT))
    heard = replace(SWEPT, outcomes={"unreachable_host": 10, "no_syn_ack": 4990})
    assert warnings(heard) == ()


def test_lost_errors_are_said() -> None:
    (said,) = warnings(replace(SWEPT, rx=1, gateway_silent=False, ignored={"icmp_lost": 1234}))
    assert said.startswith("1,234 ICMP errors found no room")
    assert not warnings(replace(SWEPT, rx=1, gateway_silent=False, ignored={"icmp_lost": 0}))
