"""Hosts that answer on any port: their pairs take no part of the rate, and no worker long to hear of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from coordinator.scan import runningsweep
from coordinator.scan.runningsweep import RunningSweep
from lzr.ipc import messages
from lzr.pacing.pacer import Pacer
from lzr.rows import FRAME, TARGET
from lzr.sweep.ackfirewalls import LOOK
from lzr.sweep.verdict import Verdict
from tests.unit.coordinator.scan.test_feeder import SHARDS, Feeding
from tests.unit.coordinator.scan.test_runningsweep import RATE, Workers, made

ADDRESSES, PORTS = 128, 1 << 13


class Told(Workers):
    """Flow workers, each with what it is ordered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int = 1 << 20) -> None:
        super().__init__(monkeypatch, room)
        self.children = [self._child(0), self._child(1)]

    def _child(self, number: int) -> Any:
        orders: list[messages.Firewalls] = []
        return SimpleNamespace(name=f"flow-{number}.1", order=orders.append, orders=orders)

    def told(self) -> list[list[int]]:
        return [[int(low) for order in child.orders for low in order.hosts[1::2]] for child in self.children]


def begun(monkeypatch: pytest.MonkeyPatch, workers: Workers, rate: float | None = RATE) -> RunningSweep:
    feeding = Feeding(0, rate)
    feeding.feeder.pacer = Pacer(rate, 0.0, runningsweep.DEPTH)
    feeding.open_all()
    swept = made(feeding.feeder, workers, ADDRESSES, ports=PORTS)
    monkeypatch.setattr(swept, "_ledger", SimpleNamespace(admit=lambda rows: None))
    return swept


def not_asked(swept: RunningSweep, everywhere: NDArray[np.bool_]) -> None:
    """A worker reports that it has not asked a pair of each host that is marked."""
    rows = np.zeros(np.count_nonzero(everywhere), TARGET)
    rows["peer_lo"] = swept._share.space.lo[0] + np.flatnonzero(everywhere).astype(np.uint64)
    rows["peer_port"] = 80
    verdicts = np.full(len(rows), Verdict.FIREWALL, np.uint8)
    swept.hear([("flow-0.1", messages.SweepAnswers([], rows, verdicts))], 0.0)


def turns(swept: RunningSweep, begin: float, seconds: float) -> int:
    """Whose SYNs leave at once: the loop turns every 5 ms. Returns how many pairs are asked."""
    asked = 0
    for turn in range(round(seconds / 0.005)):
        now = begin + turn * 0.005
        before = swept.scheduler.next
        swept.assign(now)
        assert swept.scheduler.next - before <= LOOK
        for stretch in [one for one in swept.scheduler._open if one.sent_at is None]:
            asked += stretch.asked
            assert swept.scheduler.sent(stretch.number, stretch.worker, now)
    return asked


@pytest.mark.parametrize("every", [2, 16])
def test_the_others_are_asked_at_the_rate(monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    swept = begun(monkeypatch, Told(monkeypatch))
    everywhere = np.arange(ADDRESSES) % every != 0
    not_asked(swept, everywhere)
    turns(swept, 0.1, 1.0)
    before = swept.scheduler.next
    asked = turns(swept, 1.1, 2.0)
    assert 0.93 * RATE * 2 < asked < 1.05 * RATE * 2
    assert (swept.scheduler.next - before) * (1 - everywhere.mean()) == pytest.approx(asked, rel=0.05)


def test_where_only_such_hosts_are_left_they_are_gone_through_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swept = begun(monkeypatch, Told(monkeypatch), 100.0)
    not_asked(swept, np.ones(ADDRESSES, bool))
    turns = 0
    while not swept.scheduler.all_assigned:
        turns += 1
        swept.assign(turns * 0.005)
    assert turns <= ADDRESSES * PORTS // LOOK + 2
    assert swept.scheduler.unsent == 0
    assert (swept.scheduler.open_verdicts == Verdict.FIREWALL).all()


def test_pairs_that_got_no_syn_are_not_among_those_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    swept = begun(monkeypatch, Told(monkeypatch))
    not_asked(swept, np.arange(ADDRESSES) % 2 == 0)
    asked = turns(swept, 0.1, 1.0)
    assert swept.asked == asked < 0.6 * swept.scheduler.next


def test_who_answers_late_is_open_in_the_next_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent in one, answered and without a record in the next: killed then, it would have neither count nor
    record.
    """
    presumed: list[list[int]] = []
    swept = begun(monkeypatch, Told(monkeypatch))
    accounts = SimpleNamespace(
        presume=lambda first, done: presumed.append((np.flatnonzero(done) + first).tolist())
    )
    monkeypatch.setattr(swept, "_accounts", accounts)
    for shard in range(SHARDS):
        swept.heard_until.open(shard, "flow-0.1")
    turns(swept, 0.0, 0.5)
    swept.heard_until.note("flow-0.1", 3.0)
    pairs = swept.scheduler.next
    assert swept.quiet(3.0) == {"no_syn_ack": pairs}
    rows = np.zeros(10, TARGET)
    frames = np.zeros(10, FRAME)
    swept._share.pairs(100, frames)
    for name in ("peer_hi", "peer_lo", "peer_port"):
        rows[name] = frames[name]
    verdicts = np.full(10, Verdict.ANSWERED, np.uint8)
    swept.hear([("flow-0.1", messages.SweepAnswers([], rows, verdicts))], 3.0)
    assert swept.quiet(3.0) == {"no_syn_ack": pairs - 10}
    assert presumed == [[*range(pairs)], [*range(100), *range(110, pairs)]]


def test_where_few_hosts_are_such_the_coordinator_looks_at_no_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    swept = begun(monkeypatch, Told(monkeypatch))
    not_asked(swept, np.arange(ADDRESSES) == 7)
    monkeypatch.setattr(swept.ackfirewalls, "among", lambda first, count: pytest.fail("it looked"))
    turns(swept, 0.0, 0.5)


def test_each_worker_hears_of_each_host_once(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Told(monkeypatch)
    swept = begun(monkeypatch, workers)
    everywhere = np.arange(ADDRESSES) < 5
    not_asked(swept, everywhere)
    turns(swept, 0.1, 0.3)
    first = int(swept._share.space.lo[0])
    assert [sorted(told) for told in workers.told()] == [[first + at for at in range(5)]] * 2
    workers.children.append(workers._child(2))
    turns(swept, 0.5, 0.3)
    assert [len(told) for told in workers.told()] == [5, 5, 5]
