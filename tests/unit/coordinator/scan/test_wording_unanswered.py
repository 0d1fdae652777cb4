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
