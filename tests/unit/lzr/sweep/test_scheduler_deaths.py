"""Who answers is found, though workers die with answers that they have not told, to whoever's SYNs."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lzr.sweep.hearduntil import HeardUntil
from lzr.sweep.scheduler import AGAIN, Scheduler
from lzr.sweep.verdict import Verdict

COOLDOWN = 8.0
PLACES = 120


def test_what_another_is_sending_is_asked_again_when_it_is_sent() -> None:
    """Of a stretch that one worker has not sent to its end, another may have heard answers, and died."""
    scheduler = Scheduler(10, cooldown=COOLDOWN)
    taken = scheduler.take(10, "flow-0.1", 0.0)
    assert taken is not None
    number = taken[0].number
    assert scheduler.left("flow-1.1", 0.1, lost=True) == 0  # not before its first SYNs have all left
    assert scheduler.take(10, "flow-1.2", 0.1) is None
    assert scheduler.hear(np.array([3]), np.array([Verdict.ANSWERED], np.uint8)).all()
    assert scheduler.sent(number, "flow-0.1", 0.2)
    assert scheduler.unsent == 0
    assert not scheduler.all_assigned
    again = scheduler.take(10, "flow-1.2", 0.2)
    assert again is not None
    assert np.flatnonzero(again[1]).tolist() == [3]
    assert scheduler.unsent == 9
    assert scheduler.sent(number, "flow-1.2", 0.3)
    assert scheduler.all_assigned  # once is enough
    assert not scheduler.close(0.3 + COOLDOWN - 0.01)
    assert len(scheduler.close(0.3 + COOLDOWN)) == 1


def test_a_host_is_asked_again_that_a_router_speaks_for() -> None:
    """Its own answer may be what went with the worker; a SYN that `probes` asks for is not."""
    scheduler = Scheduler(6, cooldown=COOLDOWN, probes=2)
    verdicts = np.array([Verdict.UNREACHABLE, Verdict.ANSWERED, Verdict.REFUSED], np.uint8)

    def asked(now: float) -> list[int]:
        taken = scheduler.take(6, "flow-0.1", now)
        assert taken is not None
        return np.flatnonzero(~taken[1]).tolist()

    assert asked(0.0) == [0, 1, 2, 3, 4, 5]
    scheduler.hear(np.array([0, 1, 2]), verdicts)
    scheduler.left("flow-1.1", 0.1, lost=True)
    scheduler.sent(1, "flow-0.1", 0.2)
    assert asked(0.2) == [0, 3, 4, 5]
    scheduler.sent(1, "flow-0.1", 0.3)
    assert asked(2.0) == [3, 4, 5]
    scheduler.sent(1, "flow-0.1", 2.0)
    assert scheduler.left("flow-1.2", 2.1, lost=True) == 3
    assert asked(2.2) == [0, 3, 4, 5]
    assert scheduler.left("flow-0.1", 2.3, lost=False) == 3  # and did not send it
    assert asked(2.4) == [0, 3, 4, 5]


def test_what_waits_to_be_assigned_again_is_asked_once() -> None:
    scheduler = Scheduler(20, cooldown=COOLDOWN)
    taken = [scheduler.take(10, "flow-0.1", 0.0) for _ in range(2)]
    assert scheduler.left("flow-0.1", 0.1, lost=True) == 20
    assert taken[1] is not None
    scheduler.take(10, "flow-1.1", 0.1)
    assert scheduler.left("flow-0.2", 0.1, lost=True) == 0
    assert scheduler.sent(1, "flow-1.1", 0.2)
    numbers = [scheduler.take(10, "flow-1.1", 0.3) for _ in range(3)]
    assert [one[0].number for one in numbers if one is not None] == [2, 1]


def test_who_was_told_to_end_leaves_no_doubt() -> None:
    scheduler = Scheduler(10, cooldown=COOLDOWN)
    scheduler.take(10, "flow-0.1", 0.0)
    scheduler.left("flow-1.1", 0.1, lost=False)
    assert scheduler.sent(1, "flow-0.1", 0.2)
    assert scheduler.all_assigned


class Deaths:
    """Two workers with a shard each, and hosts that answer every SYN, once, soon, to one of the two."""

    def __init__(self) -> None:
        self.now = 100.0
        self.scheduler = Scheduler(PLACES, cooldown=COOLDOWN)
        self.heard_until = HeardUntil(2)
        self.names = ["flow-0.1", "flow-1.1"]
        self.given: list[list[tuple[int, list[int]]]] = [[], []]
        self.ring: list[list[tuple[float, int]]] = [[], []]  # by shard: when an answer comes, of which place
        self.read: list[list[int]] = [[], []]  # by worker: answers that it has not told
        self.looked = [self.now, self.now]
        self.ends: dict[int, int] = {}
        self.deaths = 0
        for at, name in enumerate(self.names):
            self.heard_until.open(at, name)
            self.heard_until.note(name, self.now)

    def assign(self, at: int, most: int) -> None:
        taken = self.scheduler.take(most, self.names[at], self.now)
        if taken is not None:
            stretch, skip = taken
            self.given[at].append((stretch.number, (np.flatnonzero(~skip) + stretch.first).tolist()))

    def send(self, at: int, most: int, late: float) -> None:
        """Some SYNs of the first stretch, which is not told before the rest of them has left."""
        if self.given[at]:
            left = self.given[at][0][1]
            for place in left[:most]:
                self.ring[place % 2].append((self.now + late, place))
            del left[:most]

    def say_sent(self, at: int) -> None:
        if self.given[at] and not self.given[at][0][1]:
            self.tell(at)
            assert self.scheduler.sent(self.given[at].pop(0)[0], self.names[at], self.now)

    def look(self, at: int) -> None:
        self.read[at] += [place for when, place in self.ring[at] if when <= self.now]
        self.ring[at] = [one for one in self.ring[at] if one[0] > self.now]
        self.looked[at] = self.now

    def tell(self, at: int) -> None:
        places = np.array(self.read[at], np.int64)
        self.scheduler.hear(places, np.full(len(places), Verdict.ANSWERED, np.uint8))
        self.read[at] = []
        self.heard_until.note(self.names[at], self.looked[at])

    def die(self, at: int) -> None:
        if self.deaths < 6:
            self.deaths += 1
            dead = self.names[at]
            self.given[at], self.read[at], self.looked[at] = [], [], 0.0
            self.names[at] = f"{dead[:-1]}{int(dead[-1]) + 1}"
            self.heard_until.close(at)
            told = self.heard_until.of([at])
            assert told is not None
            self.scheduler.left(dead, told, lost=True)
            self.heard_until.open(at, self.names[at])

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.close()

    def close(self) -> None:
        for each in self.scheduler.close(min(self.now, self.heard_until.all)):
            self.ends.update(enumerate(each.verdicts.tolist(), each.first))

    def end(self) -> list[int]:
        """Whom nobody has heard, when all is over."""
        for _ in range(400):
            for at in (0, 1):
                self.assign(at, 20)
                self.send(at, 20, 0.0)
                self.look(at)
                self.say_sent(at)
                self.tell(at)
            self.now += 0.25
            self.close()
            if self.scheduler.finished:
                break
        assert self.scheduler.finished
        return [place for place in range(PLACES) if self.ends[place] != Verdict.ANSWERED]


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_whoever_dies_when_nobody_who_answers_is_called_silent(first: int) -> None:
    """One play in forty called somebody silent while what another was sending was not asked again."""
    for seed in range(first, first + 100):
        chance, play = random.Random(seed), Deaths()
        for _ in range(60):
            at = chance.randrange(2)
            match chance.randrange(7):
                case 0:
                    play.assign(at, chance.randint(1, 20))
                case 1:
                    play.send(at, chance.randint(1, 20), chance.choice((0.0, 0.1, AGAIN - 0.01)))
                case 2:
                    play.say_sent(at)
                case 3:
                    play.look(at)
                case 4:
                    play.tell(at)
                case 5:
                    play.die(at)
                case _:
                    play.pass_time(chance.choice((0.05, 0.3, 1.0, 5.0)))
        assert not play.end(), f"seed {seed}"


def test_who_was_told_to_end_does_not_take_a_doubt_with_it() -> None:
    """Frames that found no room may have been the host's own answer, whoever sends the next SYN."""
    scheduler = Scheduler(2, cooldown=COOLDOWN)
    assert scheduler.take(2, "flow-0.1", 0.0) is not None
    scheduler.hear(np.array([0]), np.array([Verdict.UNREACHABLE], np.uint8))
    assert scheduler.dropped(0.0) == (1, 0)
    scheduler.left("flow-0.1", 0.1, lost=False)
    again = scheduler.take(2, "flow-1.1", 0.2)
    assert again is not None
    assert not again[1].any()
