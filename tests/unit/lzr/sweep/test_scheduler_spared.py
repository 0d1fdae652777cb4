"""Pairs of hosts that answer on any port: they have their fate unasked, and take nothing of the rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lzr.sweep.scheduler import Scheduler
from lzr.sweep.verdict import Verdict

COOLDOWN = 8.0


def all_but(every: int) -> NDArray[np.bool_]:
    """Which of many places are spared: all but every so many."""
    return np.arange(1 << 12) % every != 0


def take(scheduler: Scheduler, spared: NDArray[np.bool_], most: int, look: int) -> list[int] | None:
    """The places that are asked; None if there is no stretch."""
    taken = scheduler.take(most, "a", 0.0, spared=lambda first, n: spared[first : first + n], look=look)
    if taken is None:
        return None
    stretch, skip = taken
    assert stretch.asked == np.count_nonzero(~skip)
    return (np.flatnonzero(~skip) + stretch.first).tolist()


def test_as_many_are_asked_as_may_be_and_no_place_is_left_out() -> None:
    scheduler = Scheduler(1000, cooldown=COOLDOWN)
    spared, asked = all_but(10), list[int]()
    while (part := take(scheduler, spared, 7, 300)) is not None:
        assert len(part) <= 7
        asked += part
    assert asked == list(range(0, 1000, 10))
    assert scheduler.all_assigned
    assert scheduler.unsent == 100
    verdicts = np.full(1000, Verdict.FIREWALL)
    verdicts[::10] = Verdict.NOTHING
    assert scheduler.not_asked == 900
    assert np.array_equal(scheduler.open_verdicts, verdicts)


def test_no_more_is_looked_at_than_may_be_and_the_next_go_on_from_there() -> None:
    scheduler = Scheduler(1000, cooldown=COOLDOWN)
    spared = np.ones(1000, bool)
    spared[950] = False
    looked = []
    while take(scheduler, spared, 5, 100) is None:
        looked.append(scheduler.next)
    assert looked == list(range(100, 1000, 100))
    assert take(scheduler, spared, 5, 100) is None
    assert scheduler.next == 1000
    scheduler.sent(10, "a", 0.5)
    closed = np.concatenate([part.verdicts for part in scheduler.close(0.5 + COOLDOWN)])
    assert np.bincount(closed).tolist() == [1, *[0] * (Verdict.FIREWALL - 1), 999]
    assert scheduler.finished


def test_who_has_a_fate_from_before_keeps_it() -> None:
    """A resumed sweep finds such hosts anew; what it has counted, it counts no more."""

    def done(first: int, count: int) -> NDArray[np.bool_]:
        return np.arange(first, first + count) % 3 == 0

    scheduler = Scheduler(90, cooldown=COOLDOWN, done=done)
    spared = np.arange(90) % 2 == 0
    asked = [*(take(scheduler, spared, 4, 90) or []), *(take(scheduler, spared, 90, 90) or [])]
    assert asked == [place for place in range(90) if place % 3 and place % 2]
    counts = np.bincount(scheduler.open_verdicts)
    assert (counts[Verdict.BEFORE], counts[Verdict.FIREWALL], counts[Verdict.NOTHING]) == (30, 30, 30)


def test_what_a_worker_had_no_room_for_comes_next_with_its_pairs_left_out() -> None:
    scheduler = Scheduler(100, cooldown=COOLDOWN)
    spared = all_but(4)
    taken = scheduler.take(10, "a", 0.0, spared=lambda first, n: spared[first : first + n], look=100)
    assert taken is not None
    scheduler.give_back(taken[0])
    assert scheduler.unsent == 0
    assert take(scheduler, spared, 3, 100) == list(range(0, 40, 4))
    assert scheduler.unsent == 10
    assert scheduler.left("a", 1.0, lost=False) == 10
    assert scheduler.unsent == 0
