"""How many pairs of a sweep are assigned, and what is said of why no more were."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from coordinator.scan import runningsweep
from coordinator.scan.reading import Seen
from coordinator.scan.runningsweep import RunningSweep
from coordinator.scan.upkeep import judge
from lzr.ipc import messages, packing
from lzr.pacing.maxrate import Budget
from lzr.pacing.pacer import Pacer
from lzr.packet import ways
from lzr.rows import FRAME, TARGET
from lzr.sweep.permutation import Permutation
from lzr.sweep.scheduler import Scheduler
from lzr.sweep.share import Share
from lzr.sweep.space import Space
from lzr.sweep.spread import Spread
from lzr.sweep.verdict import Verdict
from tests.unit.coordinator.scan.test_feeder import SHARDS, Feeding


class Workers:
    """Flow workers with room for so many messages in all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self.children: list[Any] = [SimpleNamespace(name="flow-0.1"), SimpleNamespace(name="flow-1.1")]
        self.given: list[tuple[str, messages.Stretch]] = []
        monkeypatch.setattr(runningsweep, "try_feed", self.take)

    def take(self, child: Any, parts: Any) -> bool:
        message = packing.unpack(parts, messages.FEED).message
        assert isinstance(message, messages.Stretch)
        self.given.append((child.name, message))
        self.room -= 1
        return self.room >= 0


def made(feeder: Any, workers: Workers, addresses: int, accounts: Any = None, ports: int = 1) -> RunningSweep:
    space = Space([(0xFFFF_0A00_0000, 0xFFFF_0A00_0000 + addresses - 1)], [(80, 79 + ports)])
    share = Share(space, Permutation.of(space.pairs, (1, 2)))
    routes: Any = SimpleNamespace(
        routing=SimpleNamespace(
            ways=ways.everywhere(), admit=lambda rows, seen: ways.everywhere().kinds(rows)
        )
    )
    feeder.feeds = lambda: list(workers.children)
    return RunningSweep(
        share,
        Scheduler(space.pairs, cooldown=8.0),
        ledger=SimpleNamespace(),  # type: ignore[arg-type]
        feeder=feeder,
        accounts=accounts,
        routes=routes,
        shards=SHARDS,
        longest_stride=runningsweep.LONG_STRIDE,
    )


RATE = 10_000.0


def assigned(swept: RunningSweep, feeder: Any, seconds: float, begin: float = 0.0) -> Any:
    """What is said of that time, in which the loop turned every 5 ms."""
    feeder.take_paced()
    for turn in range(round(seconds / 0.005)):
        swept.assign(begin + turn * 0.005)
    rate = feeder.pacer.rate
    return judge(Seen(), feeder.take_paced(), rate=rate, seconds=seconds, ended=False, step=swept.step)


def test_it_is_the_rate_that_holds_a_sweep_back(monkeypatch: pytest.MonkeyPatch) -> None:
    feeding = Feeding(0, RATE)
    feeding.feeder.pacer = Pacer(RATE, 0.0, runningsweep.DEPTH)
    feeding.open_all()
    swept = made(feeding.feeder, Workers(monkeypatch, 1 << 20), 1 << 16)
    said = assigned(swept, feeding.feeder, 0.5)
    assert (said.paced, said.late, said.input_waiting) == (True, False, False)
    assert 0.8 * RATE / 2 < swept.scheduler.next < 1.1 * RATE / 2


@pytest.mark.parametrize("rate", [0.5, 1.0, 30.0, 500.0, 3000.0])
def test_at_each_time_it_is_the_rate(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    """Also where a stride is long, or nothing is due in that time."""
    feeding, workers = Feeding(0, rate), Workers(monkeypatch, 1 << 20)
    feeding.feeder.pacer = Pacer(rate, 0.0, runningsweep.DEPTH)
    feeding.open_all()
    swept = made(feeding.feeder, workers, 1 << 16)
    for at in range(0, 20, 2):
        said = assigned(swept, feeding.feeder, 2.0, at)
        for name, stretch in workers.given:
            swept.scheduler.sent(stretch.number, name, at)
        workers.given.clear()
        assert (said.paced, said.late) == (True, False), at


def test_a_coordinator_that_is_late_each_time_keeps_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """By 50 ms, at a rate where it turns seldom."""
    feeding, workers = Feeding(0), Workers(monkeypatch, 1 << 20)
    rate, now = 2000.0, 0.0
    feeding.feeder.pacer = Pacer(rate, now, runningsweep.DEPTH)
    feeding.open_all()
    swept = made(feeding.feeder, workers, 1 << 20)
    while now < 20.0:
        swept.assign(now)
        for name, stretch in workers.given:
            swept.scheduler.sent(stretch.number, name, now)
        workers.given.clear()
        now += runningsweep.LONG_STRIDE + 0.05
    assert 0.97 * rate < swept.scheduler.next / now < 1.01 * rate


def test_workers_without_room_are_not_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    feeding = Feeding(0, RATE)
    feeding.open_all()
    swept = made(feeding.feeder, Workers(monkeypatch, 3), 1 << 16)
    said = assigned(swept, feeding.feeder, 0.5)
    assert (said.paced, said.late, said.input_waiting) == (False, False, False)
    assert swept.clogged
    assert not swept.assign(1.0)
    assert swept.resting(1.01)  # what is reported meanwhile can wait as long
    assert 0.0 < (swept.wait(1.01) or 0.0) < 0.1


@pytest.mark.parametrize("rate", [None, RATE])
@pytest.mark.parametrize("limit", [1.0, 1488.0])
def test_workers_get_a_second_of_what_packets_or_bits_let_leave(
    monkeypatch: pytest.MonkeyPatch, limit: float, rate: float | None
) -> None:
    """A sweep that is told to end or to pause sends no more than that; and each worker has some to send."""
    feeding, workers = Feeding(0), Workers(monkeypatch, 1 << 20)
    feeding.feeder.pacer = Pacer(rate, 0.0, runningsweep.DEPTH)
    feeding.open_all()
    swept = made(feeding.feeder, workers, 1 << 20)
    swept.limit = limit
    most = max(limit, 8)
    for begin in (0.0, 3.0):
        assigned(swept, feeding.feeder, 3.0, begin)
        assert 0.5 * most <= swept.scheduler.unsent <= most
        sizes = [
            sum(one.count for who, one in workers.given if who == name) for name in ("flow-0.1", "flow-1.1")
        ]
        assert min(sizes) > 0.3 * sum(sizes)
        for name, stretch in workers.given:
            assert swept.scheduler.sent(stretch.number, name, begin + 3.0)
        workers.given.clear()


@pytest.mark.parametrize("rate", [None, 3100.0, RATE, 1e6])
def test_a_limit_on_packets_below_the_rate_is_reached(
    monkeypatch: pytest.MonkeyPatch, rate: float | None
) -> None:
    """Each worker sends what is due and its share of the limit lets leave."""
    feeding, workers, limit = Feeding(0), Workers(monkeypatch, 1 << 20), 3000.0
    feeding.feeder.pacer = Pacer(rate, 0.0, runningsweep.DEPTH)
    feeding.open_all()
    swept = made(feeding.feeder, workers, 1 << 20)
    swept.limit = limit
    sending = {one.name: (Spread[int](), Budget(limit, None, 0)) for one in workers.children}
    for _, budget in sending.values():
        budget.set_share(1 / len(sending), 0)
    limited = dict.fromkeys(sending, False)
    count, seconds = 0, 20
    for now in range(0, seconds * 1_000_000_000, 2_000_000):
        swept.assign(now / 1e9)
        for name, stretch in workers.given:
            sending[name][0].put(stretch.number, stretch.count, stretch.span, stretch.begin)
        workers.given.clear()
        for name, (spread, budget) in sending.items():
            room = budget.frames(now, 54)
            spread.note_time(now, limited=limited[name])
            limited[name] = room < spread.due(now)
            while room > 0 and (taken := spread.take(room, now + 10_000_000)):
                number, _, some, over = taken
                budget.spend(some, 54 * some)
                room, count = room - some, count + some
                if over:
                    swept.scheduler.sent(number, name, now / 1e9)
    assert 0.95 * limit < count / seconds < 1.01 * limit


def test_several_reports_are_heard_together_and_a_pair_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    feeding, opened = Feeding(0), list[Any]()
    feeding.open_all()
    swept = made(feeding.feeder, Workers(monkeypatch, 1 << 20), 50)
    swept.assign(0.0)
    monkeypatch.setattr(swept, "_ledger", SimpleNamespace(admit=lambda rows: None))
    monkeypatch.setattr(swept, "_feeder", SimpleNamespace(put=opened.append))
    rows = np.zeros(50, FRAME)
    swept._share.pairs(0, rows)
    targets = np.zeros(50, TARGET)
    for name in ("peer_hi", "peer_lo", "peer_port"):
        targets[name] = rows[name]
    verdicts = np.full(50, Verdict.ANSWERED, np.uint8)
    reports = [
        ("flow-0.1", messages.SweepAnswers([], targets[:30], verdicts[:30])),
        ("flow-1.1", messages.SweepAnswers([1], targets[20:40], verdicts[20:40])),
    ]
    swept.hear(reports, 1.0)
    assert np.concatenate(opened)["line"].tolist() == list(range(40))
    assert swept.scheduler.repeats == 10


def test_where_many_answer_stretches_are_assigned_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has answered is waited for; where few do, reports may lie until the next stretches."""
    feeding = Feeding(0, RATE)
    feeding.feeder.pacer = Pacer(RATE, 0.0, runningsweep.DEPTH)
    feeding.open_all()
    workers = Workers(monkeypatch, 1 << 20)
    swept = made(feeding.feeder, workers, 1 << 16)
    monkeypatch.setattr(swept, "_ledger", SimpleNamespace(admit=lambda rows: None))
    rows = np.zeros(runningsweep._MANY, TARGET)
    answers = messages.SweepAnswers([], rows, np.full(len(rows), Verdict.REFUSED, np.uint8))
    assert swept.assign(1.0)
    assert swept.resting(1.0 + 0.9 * runningsweep.STRIDE)
    swept.hear([("flow-0.1", answers)], 2.0)
    assert swept.assign(2.0)
    assert swept.resting(2.0 + 0.4 * runningsweep.STRIDE)
    assert not swept.resting(2.0 + 0.6 * runningsweep.STRIDE)
    workers.room = 0
    swept.hear([("flow-0.1", answers)], 3.0)
    assert not swept.assign(3.0)
    assert swept.clogged
    assert not swept.resting(3.0)


def test_when_all_is_dealt_nothing_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    feeding = Feeding(0, RATE)
    feeding.open_all()
    swept = made(feeding.feeder, Workers(monkeypatch, 1 << 20), 50)
    assigned(swept, feeding.feeder, 0.5)
    assert swept.scheduler.all_assigned
    said = assigned(swept, feeding.feeder, 0.5)
    assert (said.paced, said.late) == (False, False)


def test_nobody_is_silent_whose_answer_may_lie_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    feeding, silent = Feeding(0), list[int]()
    feeding.open_all()
    accounts = SimpleNamespace(
        unanswered=lambda reasons, first, done: silent.extend((np.flatnonzero(done) + first).tolist())
    )
    workers = Workers(monkeypatch, 1 << 20)
    swept = made(feeding.feeder, workers, 50, accounts)
    for shard in range(SHARDS):
        swept.heard_until.open(shard, f"flow-{shard % 2}.1")
    swept.assign(0.0)
    nobody = np.zeros(0, TARGET), np.zeros(0, np.uint8)
    swept.hear([("flow-0.1", messages.SweepAnswers([1], *nobody))], 1.0)

    def closed(*, one: float, other: float, now: float = 100.0) -> int:
        swept.heard_until.note("flow-0.1", one)
        swept.heard_until.note("flow-1.1", other)
        swept.close(now)
        return len(silent)

    swept.close(100.0)  # a worker that was stopped, say, has told nothing yet
    assert not silent
    assert 0.0 < (swept.wait(100.0) or 0.0) < 0.5
    assert not closed(one=8.5, other=8.9)
    swept.heard_until.close(2)
    assert not closed(one=20.0, other=20.0)  # nobody reads a ring
    swept.heard_until.open(2, "flow-0.2")
    swept.close(100.0)
    assert not silent  # who has it now has not looked
    assert not closed(one=20.1, other=20.1)
    workers.children.clear()  # all have died, and nobody follows
    assert not closed(one=20.1, other=20.1)
    swept.heard_until.note("flow-0.2", 9.1)
    swept.close(8.9)
    assert not silent  # nobody may look ahead
    assert closed(one=20.2, other=20.2) == 50
    assert swept.scheduler.finished


def test_stretches_are_spread_over_the_time_that_the_rate_gives_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few messages, each asked in slices until about the next comes; without a rate all goes at once."""
    strides = ((RATE, 80, runningsweep.STRIDE), (2000, 8, runningsweep.LONG_STRIDE), (None, 1 << 20, 0))
    for rate, most, stride in strides:
        feeding, given = Feeding(0, rate), list[Any]()
        feeding.feeder.pacer = Pacer(rate, 0.0, runningsweep.DEPTH)
        feeding.open_all()
        workers = Workers(monkeypatch, 1 << 20)
        swept = made(feeding.feeder, workers, 1 << 14)
        monkeypatch.setattr(
            runningsweep,
            "try_feed",
            lambda _, parts, given=given: not given.append(packing.unpack(parts, messages.FEED).message),
        )
        for turn in range(1000):
            swept.assign(turn * 0.001)
        assert 0 < len(given) < most
        spans = [one.span for one in given[1:]]
        if rate is None:
            assert not any(spans)
        else:
            assert all(0.8e9 < span / stride < 1.1e9 for span in spans)


def test_the_rate_holds_where_the_loop_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    feeding = Feeding(0, RATE)
    feeding.feeder.pacer = Pacer(RATE, 0.0, runningsweep.DEPTH)
    feeding.open_all()
    swept = made(feeding.feeder, Workers(monkeypatch, 1 << 20), 1 << 16)
    for turn in range(100):
        swept.assign(turn * 0.05)
        for stretch in [one for one in swept.scheduler._open if one.sent_at is None]:
            assert swept.scheduler.sent(stretch.number, stretch.worker, turn * 0.05)
    assert 0.95 * RATE * 5 < swept.scheduler.next < 1.02 * RATE * 5


def test_workers_that_have_enough_get_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is assigned and not sent is some tenths of a second's worth, however much workers would take."""
    feeding = Feeding(0, RATE * 10)
    feeding.feeder.pacer = Pacer(RATE * 10, 0.0, runningsweep.DEPTH)
    feeding.open_all()
    swept = made(feeding.feeder, Workers(monkeypatch, 1 << 20), 1 << 20)
    for turn in range(200):
        swept.assign(turn * 0.02)
    assert swept.clogged
    assert RATE < swept.scheduler.unsent < RATE * 10


def test_what_is_assigned_at_once_leaves_one_after_the_other_at_the_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a hold-up several stretches are assigned together, to two workers, each over its own time."""
    rate = RATE * 10
    feeding, given = Feeding(0, rate), list[Any]()
    feeding.feeder.pacer = Pacer(rate, 0.0, runningsweep.DEPTH)
    feeding.open_all()
    swept = made(feeding.feeder, Workers(monkeypatch, 1 << 20), 1 << 20)
    monkeypatch.setattr(
        runningsweep,
        "try_feed",
        lambda _, parts: not given.append(packing.unpack(parts, messages.FEED).message),
    )
    swept.assign(5.0)
    assert len(given) > 1
    for one, following in itertools.pairwise(given):
        assert abs(one.begin + one.span - following.begin) < 1_000_000
    pairs = sum(one.count for one in given)
    assert 0.9 < (given[-1].begin + given[-1].span - given[0].begin) / 1e9 * rate / pairs < 1.0


def test_frames_that_found_no_room_have_pairs_asked_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    feeding = Feeding(0)
    feeding.open_all()
    workers = Workers(monkeypatch, 1 << 20)
    swept = made(feeding.feeder, workers, 50, SimpleNamespace(unanswered=lambda *_: None))
    for shard in range(SHARDS):
        swept.heard_until.open(shard, f"flow-{shard % 2}.1")
    swept.assign(0.0)
    nobody = np.zeros(0, TARGET), np.zeros(0, np.uint8)
    swept.hear([("flow-0.1", messages.SweepAnswers([1], *nobody))], 1.0)
    mine = range(1, SHARDS, 2)
    assert swept.note_drops("flow-1.1", mine, 0) == (0, 0)
    swept.heard_until.note("flow-1.1", 1.5)
    assert swept.note_drops("flow-1.1", mine, 7) == (50, 0)
    swept.assign(2.0)
    swept.hear([("flow-1.1", messages.SweepAnswers([1], *nobody))], 2.0)
    swept.heard_until.note("flow-1.1", 3.0)
    assert swept.note_drops("flow-1.1", mine, 7) == (0, 0)  # they are no news
    assert swept.note_drops("flow-1.1", mine, 8) == (0, 0)  # all that was asked was heard of, or is late
    assert swept.note_drops("flow-0.1", range(0, SHARDS, 2), 1) == (50, 0)  # it has told nothing yet
