"""What is said at the end where nobody answered, and that it is not said where somebody did."""

from __future__ import annotations

from msgspec.structs import replace

from coordinator.monitor.snapshot import Snapshot
from coordinator.network.discover import Network
from coordinator.scan.wording import unanswered

NET = Network("lo", 1, 65536, True, bytes(6), ("127.0.0.1",), (), None, None, None, None)


def test_who_is_silent_in_a_sweep_has_answered() -> None:
    swept = Snapshot(sweep=True, tx=100, rx=4, outcomes={"no_syn_ack": 96, "silent": 4})
    assert not unanswered(swept, NET, opening=True)
    assert "nobody answered" in unanswered(replace(swept, outcomes={"no_syn_ack": 100}), NET, opening=True)
    assert "nobody answered" in unanswered(replace(swept, sweep=False), NET, opening=False)
    assert "1 packet left lo" in unanswered(Snapshot(tx=1, outcomes={"no_syn_ack": 1}), NET, opening=True)


def test_a_gateway_that_the_user_has_named_is_doubted() -> None:
    silent = Snapshot(tx=2, outcomes={"no_syn_ack": 1})
    named = replace(NET, gateway_v4="10.1.0.1")
    assert "does the gateway 10.1.0.1 forward" in unanswered(silent, named, opening=True)
    said = unanswered(silent, named, opening=True, given_mac="02:00:00:00:00:09")
    assert "is 02:00:00:00:00:09 the gateway's MAC?" in said
    assert "10.1.0.1" not in said
