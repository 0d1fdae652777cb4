"""Every pair is asked and has one end, whoever dies when; its first answer counts and no other."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lzr.sweep.scheduler import AGAIN, AGAIN_DROPPED, SETTLED, Scheduler
from lzr.sweep.verdict import Verdict

ANSWERED, REFUSED = Verdict.ANSWERED, Verdict.REFUSED
COOLDOWN = 8.0


def given(scheduler: Scheduler, worker: str, now: float, most: int = 10) -> tuple[int, int, list[int]]:
    """What is assigned: number of the stretch, its first place, and the places that are asked."""
    taken = scheduler.take(most, worker, now)
    assert taken is not None
    stretch, skip = taken
    asked = (np.flatnonzero(~skip) + stretch.first).tolist()
    return stretch.number, stretch.first, asked


def hear(scheduler: Scheduler, verdict: int, *places: int) -> list[int]:
    news = scheduler.hear(np.array(places, np.int64), np.full(len(places), verdict, np.uint8))
    return [place for place, new in zip(places, news.tolist(), strict=True) if new]


def closed(scheduler: Scheduler, now: float) -> list[list[int]]:
    return [each.verdicts.tolist() for each in scheduler.close(now)]


def test_a_stretch_is_over_when_its_cooldown_is() -> None:
    scheduler = Scheduler(15, cooldown=COOLDOWN)
    number, first, asked = given(scheduler, "flow-0.1", 0.0)
    assert (first, asked) == (0, list(range(10)))
    assert not scheduler.sent(number, "flow-1.1", 1.0)
    assert scheduler.sent(number, "flow-0.1", 1.0)
    assert not scheduler.sent(number, "flow-0.1", 2.0)
    assert hear(scheduler, ANSWERED, 3, 3, 12, -1) == [3]
    assert (scheduler.repeats, scheduler.late) == (1, 2)
    assert hear(scheduler, REFUSED, 4) == [4]
    assert hear(scheduler, ANSWERED, 4) == [4]  # after all
    assert closed(scheduler, 1.0 + COOLDOWN - 0.01) == []
    assert scheduler.wait(5.0) == scheduler.left_to_wait(5.0) == 4.0
    assert closed(scheduler, 1.0 + COOLDOWN) == [[0, 0, 0, 1, 1, 0, 0, 0, 0, 0]]
    assert hear(scheduler, ANSWERED, 5) == []
    assert scheduler.late == 3
    assert not scheduler.finished


def test_nobody_is_waited_for_where_all_have_answered() -> None:
    scheduler = Scheduler(3, cooldown=COOLDOWN)
    number, *_ = given(scheduler, "flow-0.1", 0.0)
    hear(scheduler, ANSWERED, 0, 1)
    hear(scheduler, REFUSED, 2)
    assert closed(scheduler, 0.1) == []  # its SYNs have not left, for all we know
    scheduler.sent(number, "flow-0.1", 0.2)
    assert closed(scheduler, 0.2) == [[1, 1, 2]]
    assert scheduler.finished


def test_a_hosts_own_word_counts_for_more_than_a_routers() -> None:
    net, port = Verdict.UNREACHABLE, Verdict.UNREACHABLE + 3
    scheduler = Scheduler(6, cooldown=COOLDOWN, probes=2)
    number, *_ = given(scheduler, "flow-0.1", 0.0)
    assert hear(scheduler, net, 0, 1, 2, 2) == [0, 1, 2]
    assert hear(scheduler, port, 0, 1) == []  # the first router's word stands
    assert hear(scheduler, REFUSED, 1) == [1]
    assert hear(scheduler, ANSWERED, 0) == [0]
    assert hear(scheduler, net, 0, 1) == []
    assert scheduler.repeats == 5
    both = scheduler.hear(np.array([3, 3], np.int64), np.array([port, ANSWERED], np.uint8))
    assert both.tolist() == [False, True]
    scheduler.sent(number, "flow-0.1", 0.1)
    assert given(scheduler, "flow-0.1", 2.0)[2] == [4, 5]  # nor is asked again who is out of reach
    scheduler.sent(number, "flow-0.1", 2.0)
    assert closed(scheduler, 2.0 + COOLDOWN) == [[ANSWERED, REFUSED, net, ANSWERED, 0, 0]]


def test_after_a_death_what_may_be_lost_is_asked_again_and_who_answered_is_not() -> None:
    scheduler = Scheduler(50, cooldown=COOLDOWN)
    numbers = [given(scheduler, "flow-0.1", 0.0)[0]]
    numbers += [given(scheduler, name, 5.0)[0] for name in ("flow-0.1", "flow-1.1", "flow-1.1")]
    scheduler.sent(numbers[0], "flow-0.1", 4.9 - AGAIN)
    scheduler.sent(numbers[2], "flow-1.1", 4.9)
    hear(scheduler, ANSWERED, 11, 25)
    assert scheduler.left("flow-0.1", 5.0, lost=True) == 18
    assert not scheduler.sent(numbers[1], "flow-0.1", 5.0)  # a late report
    assert given(scheduler, "flow-0.2", 5.1)[2] == [10, *range(12, 20)]
    assert given(scheduler, "flow-0.2", 5.1)[2] == [*range(20, 25), *range(26, 30)]
    assert given(scheduler, "flow-0.2", 5.1)[2] == list(range(40, 50))
    assert scheduler.take(10, "flow-0.2", 5.1) is None


def test_who_was_told_to_end_has_lost_nothing() -> None:
    scheduler = Scheduler(20, cooldown=COOLDOWN)
    numbers = [given(scheduler, "flow-0.1", 0.0)[0] for _ in range(2)]
    scheduler.sent(numbers[0], "flow-0.1", 0.0)
    assert scheduler.left("flow-0.1", 0.0, lost=False) == 10
    assert given(scheduler, "flow-1.1", 0.0)[2] == list(range(10, 20))


def test_several_syns_until_there_is_an_answer() -> None:
    scheduler = Scheduler(3, cooldown=COOLDOWN, probes=3, pause=1.0)
    number, *_ = given(scheduler, "flow-0.1", 0.0)
    scheduler.sent(number, "flow-0.1", 0.0)
    assert scheduler.take(10, "flow-0.1", 0.9) is None
    assert not scheduler.due(0.9)
    assert scheduler.wait(0.9) == 1.0 - 0.9
    hear(scheduler, ANSWERED, 1)
    assert scheduler.due(1.0)
    assert given(scheduler, "flow-1.1", 1.0) == (number, 0, [0, 2])
    scheduler.sent(number, "flow-1.1", 1.0)
    assert given(scheduler, "flow-1.1", 2.0)[2] == [0, 2]
    scheduler.sent(number, "flow-1.1", 2.0)
    assert scheduler.take(10, "flow-0.1", 9.0) is None
    assert closed(scheduler, 9.9) == []
    assert closed(scheduler, 10.0) == [[0, 1, 0]]


def test_a_resumed_sweep_leaves_out_who_had_his_fate() -> None:
    done = {3, 4, 5, 8, 9}
    scheduler = Scheduler(
        10,
        cooldown=COOLDOWN,
        begin=3,
        done=lambda first, count: np.array([at in done for at in range(first, first + count)]),
    )
    number, first, asked = given(scheduler, "flow-0.1", 0.0, most=4)
    assert (first, asked) == (3, [6])
    scheduler.sent(number, "flow-0.1", 0.0)
    assert hear(scheduler, ANSWERED, 3, 6) == [6]
    number, _, asked = given(scheduler, "flow-0.1", 0.0)
    assert asked == [7]
    assert closed(scheduler, 0.0) == [[Verdict.BEFORE] * 3 + [Verdict.ANSWERED]]


def test_what_a_checkpoint_takes_for_done() -> None:
    scheduler = Scheduler(20, cooldown=COOLDOWN)
    numbers = [given(scheduler, "flow-0.1", 0.0)[0] for _ in range(2)]
    scheduler.sent(numbers[0], "flow-0.1", 1.0)
    hear(scheduler, ANSWERED, 2)
    assert len(scheduler.quiet(1.0 + SETTLED - 0.01).verdicts) == 0
    assert scheduler.quiet(1.0 + SETTLED).verdicts.tolist() == [0, 0, 1, *[0] * 7]
    scheduler.stop()
    assert scheduler.all_assigned
    assert not scheduler.finished


class Sweep(RuleBasedStateMachine):
    """Workers that send, hear, tell and die as chance has it; hosts that answer once or twice, or not."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.scheduler = Scheduler(200, cooldown=COOLDOWN, probes=2)
        self.given: dict[str, list[tuple[int, list[int]]]] = {"0": [], "1": []}
        self.names = {"0": "flow-0.1", "1": "flow-1.1"}
        self.asked: Counter[int] = Counter()
        self.last: dict[int, float] = {}
        self.news: Counter[int] = Counter()
        self.ends: dict[int, int] = {}
        self.deaths = self.drops = 0
        self.everywhere: set[int] = set()  # places whose hosts are known to answer on any port

    @rule(place=st.sampled_from("01"), most=st.integers(1, 30))
    def assign(self, place: str, most: int) -> None:
        taken = self.scheduler.take(most, self.names[place], self.now)
        if taken is not None:
            stretch, skip = taken
            asked = (np.flatnonzero(~skip) + stretch.first).tolist()
            self.given[place].append((stretch.number, asked))

    @rule(place=st.sampled_from("01"))
    def send(self, place: str) -> None:
        if self.given[place]:
            number, asked = self.given[place].pop(0)
            asked = self.spared(asked)
            self.asked.update(asked)
            self.last.update(dict.fromkeys(asked, self.now))
            assert self.scheduler.sent(number, self.names[place], self.now)

    @rule(place=st.sampled_from("01"), again=st.booleans())
    def die(self, place: str, again: bool) -> None:
        if self.deaths >= 3:
            return
        self.deaths += 1
        old, self.given[place] = self.given[place], []
        if again and old:  # the SYNs left, and nobody was told
            self.asked.update(self.spared(old[0][1]))
        dead = self.names[place]
        self.names[place] = f"{dead[:-1]}{int(dead[-1]) + 1}"
        self.scheduler.left(dead, self.now, lost=True)
        for number, _ in old:
            assert not self.scheduler.sent(number, dead, self.now)

    def spared(self, places: list[int]) -> list[int]:
        """Those that the worker does ask; of the others it tells."""
        left = [place for place in places if place in self.everywhere]
        for place in hear(self.scheduler, Verdict.FIREWALL, *left):
            assert not self.asked[place]
        return [place for place in places if place not in self.everywhere]

    @rule(places=st.sets(st.integers(0, 199), max_size=20))
    def find(self, places: set[int]) -> None:
        self.everywhere |= places

    @rule(before=st.sampled_from((0.0, 0.1, 1.0)))
    def drop(self, before: float) -> None:
        if self.drops < 3:
            self.drops += 1
            self.scheduler.dropped(self.now - before)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), verdict=st.sampled_from((ANSWERED, REFUSED)))
    def answer(self, data: Any, verdict: int) -> None:
        places = data.draw(st.lists(st.sampled_from(sorted(self.asked)), max_size=6))
        for place in hear(self.scheduler, verdict, *places):
            if verdict == ANSWERED:
                self.news[place] += 1
            assert place not in self.ends

    @rule(seconds=st.sampled_from((0.1, 0.5, 1.0, 4.0)))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.close()

    def close(self) -> None:
        for each in self.scheduler.close(self.now):
            for at, verdict in enumerate(each.verdicts.tolist(), each.first):
                assert at not in self.ends
                self.ends[at] = verdict
                assert verdict != Verdict.FIREWALL or not self.asked[at]
                in_time = self.asked[at] and self.last.get(at, 0.0) + COOLDOWN <= self.now
                assert verdict or in_time or at in self.everywhere

    @invariant()
    def an_answer_counts_once(self) -> None:
        assert not self.news or max(self.news.values()) == 1

    def teardown(self) -> None:
        for _ in range(2000):
            self.now += 0.25
            for place in "01":
                self.assign(place, 30)
                self.send(place)
            self.close()
            if self.scheduler.finished:
                break
        assert self.scheduler.finished
        assert sorted(self.ends) == list(range(200))
        assert self.scheduler.not_asked == sum(end == Verdict.FIREWALL for end in self.ends.values())
        assert {place for place, verdict in self.ends.items() if verdict == ANSWERED} == set(self.news)
        assert max(self.asked.values()) <= 2 + 2 * self.deaths + self.drops


TestSweep = Sweep.TestCase
TestSweep.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_routers_word_is_waited_on() -> None:
    """Whoever a router calls unreachable may answer yet, so the time of all such pairs is waited for."""
    scheduler = Scheduler(4, cooldown=8.0)
    taken = scheduler.take(4, "a", 0.0)
    assert taken is not None
    scheduler.sent(taken[0].number, "a", 0.0)
    places = np.arange(4)
    assert scheduler.hear(places, np.full(4, Verdict.UNREACHABLE, np.uint8)).all()
    assert not scheduler.close(1.0)
    own = np.array([Verdict.ANSWERED, Verdict.REFUSED], np.uint8)
    assert scheduler.hear(places[:2], own).all()
    assert not scheduler.close(7.9)
    (closed,) = scheduler.close(8.0)
    assert closed.verdicts.tolist() == [*own.tolist(), Verdict.UNREACHABLE, Verdict.UNREACHABLE]


def test_after_a_death_all_is_asked_again_that_it_may_not_have_told() -> None:
    """A worker that had no processor for seconds dies with answers to what was sent before that."""
    scheduler = Scheduler(20, cooldown=COOLDOWN)
    numbers = [given(scheduler, "flow-0.1", 0.0)[0] for _ in range(2)]
    scheduler.sent(numbers[0], "flow-0.1", 1.9 - AGAIN)
    scheduler.sent(numbers[1], "flow-0.1", 2.1 - AGAIN)
    assert scheduler.left("flow-0.1", 2.0, lost=True) == 10
    assert given(scheduler, "flow-1.1", 5.0)[2] == list(range(10, 20))


def test_what_is_given_and_not_sent_is_counted() -> None:
    scheduler = Scheduler(100, cooldown=8.0)
    first, second, third = (scheduler.take(10, worker, 0.0) for worker in "aba")
    assert first is not None
    assert second is not None
    assert third is not None
    assert scheduler.unsent == 30
    scheduler.give_back(third[0])
    assert scheduler.unsent == 20
    assert scheduler.sent(first[0].number, "a", 0.0)
    assert not scheduler.sent(first[0].number, "a", 0.0)
    assert scheduler.unsent == 10
    scheduler.left("b", 0.1, lost=True)  # and what "a" sent is asked again too
    assert scheduler.unsent == 0
    again = [scheduler.take(10, "a", 0.2) for _ in range(3)]
    assert scheduler.unsent == 30
    assert {taken[0].number for taken in again if taken is not None} == {1, 2, 3}


def test_where_frames_found_no_room_who_has_not_answered_is_asked_again() -> None:
    scheduler = Scheduler(40, cooldown=COOLDOWN)
    numbers = [given(scheduler, name, 0.0)[0] for name in ("a", "a", "b", "b")]
    scheduler.sent(numbers[0], "a", 1.9 - AGAIN)
    scheduler.sent(numbers[1], "a", 2.1 - AGAIN)
    hear(scheduler, ANSWERED, *range(12, 20))
    hear(scheduler, Verdict.UNREACHABLE, 10)  # its own answer may be what was lost
    assert scheduler.dropped(2.0) == (1 + 10 + 10, 0)
    assert scheduler.sent(numbers[2], "b", 2.1)  # only now are all of its SYNs known to have left
    assert scheduler.wait(2.1) is not None
    assert given(scheduler, "a", 2.2)[::2] == (numbers[1], [10, 11])
    assert given(scheduler, "a", 2.2)[::2] == (numbers[2], list(range(20, 30)))
    assert scheduler.take(10, "a", 2.2) is None
    assert closed(scheduler, 2.0 + COOLDOWN) == [[0] * 10]


def test_frames_that_find_no_room_for_ever_end_no_sweep_late() -> None:
    scheduler = Scheduler(10, cooldown=COOLDOWN)
    now, found = 0.0, []
    number, *_ = given(scheduler, "a", now)
    for _ in range(AGAIN_DROPPED):
        scheduler.sent(number, "a", now)
        found.append(scheduler.dropped(now))
        now += 0.1
        assert given(scheduler, "a", now)[2] == list(range(10))
    scheduler.sent(number, "a", now)
    hear(scheduler, ANSWERED, 3)
    found += [scheduler.dropped(now), scheduler.dropped(now)]
    assert found == [(10, 0)] * AGAIN_DROPPED + [(0, 9), (0, 0)]
    assert scheduler.take(10, "a", now) is None
    assert len(closed(scheduler, now + COOLDOWN)) == 1


def test_while_a_stretch_is_asked_again_for_one_loss_another_counts_once() -> None:
    scheduler = Scheduler(10, cooldown=COOLDOWN)
    number, *_ = given(scheduler, "a", 0.0)
    assert scheduler.dropped(0.0) == (10, 0)
    assert scheduler.dropped(0.1) == (0, 0)
    scheduler.sent(number, "a", 0.2)
    assert scheduler.dropped(0.2) == (0, 0)  # it waits to be assigned again
    assert given(scheduler, "a", 0.3)[0] == number


def test_who_is_not_asked_has_its_fate_and_may_still_answer() -> None:
    """A host behind an ACKing firewall was perhaps sent a SYN before that was known."""
    scheduler = Scheduler(4, cooldown=COOLDOWN, probes=2)
    number, *_ = given(scheduler, "flow-0.1", 0.0)
    assert hear(scheduler, Verdict.FIREWALL, 0, 1, 2) == [0, 1, 2]
    assert scheduler.not_asked == 3
    assert hear(scheduler, ANSWERED, 0) == [0]
    assert scheduler.not_asked == 2
    assert hear(scheduler, Verdict.FIREWALL, 0) == []
    scheduler.sent(number, "flow-0.1", 0.1)
    assert given(scheduler, "flow-0.1", 2.0)[2] == [3]
    scheduler.sent(number, "flow-0.1", 2.0)
    assert closed(scheduler, 2.0 + COOLDOWN) == [[ANSWERED, Verdict.FIREWALL, Verdict.FIREWALL, 0]]
    assert scheduler.not_asked == 2


def test_who_was_sent_a_syn_and_gets_no_other_is_waited_for() -> None:
    """Its host was found to answer on any port after its first SYN: that it was not asked would not be true,
    and an answer may be on its way.
    """
    scheduler = Scheduler(20, cooldown=COOLDOWN, probes=2)
    numbers = [given(scheduler, "flow-0.1", 0.0)[0] for _ in range(2)]
    scheduler.sent(numbers[0], "flow-0.1", 0.0)
    assert given(scheduler, "flow-0.1", 1.0)[2] == list(range(10))
    assert hear(scheduler, Verdict.FIREWALL, *range(20)) == list(range(10, 20))
    scheduler.sent(numbers[0], "flow-0.1", 1.0)
    scheduler.sent(numbers[1], "flow-0.1", 1.0)
    assert (scheduler.not_asked, scheduler.repeats) == (10, 0)
    assert closed(scheduler, 1.0) == []
    assert hear(scheduler, ANSWERED, 3) == [3]
    found = np.concatenate([each.verdicts for each in scheduler.close(1.0 + COOLDOWN)]).tolist()
    assert found == [0, 0, 0, ANSWERED, *[0] * 6, *[Verdict.FIREWALL] * 10]


def test_what_a_dead_worker_may_have_sent_was_asked() -> None:
    scheduler = Scheduler(20, cooldown=COOLDOWN)
    given(scheduler, "flow-0.1", 0.0)
    number, *_ = given(scheduler, "flow-1.1", 0.0)
    assert hear(scheduler, Verdict.FIREWALL, 10, 11) == [10, 11]
    scheduler.left("flow-1.1", 0.1, lost=True)
    assert given(scheduler, "flow-0.1", 0.2) == (number, 10, list(range(12, 20)))
    assert hear(scheduler, Verdict.FIREWALL, 12, 13, 5) == [5]
    assert scheduler.not_asked == 3
