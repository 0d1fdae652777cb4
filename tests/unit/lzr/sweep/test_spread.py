"""A stretch leaves over its time, whole, in order, and no quicker."""

from __future__ import annotations

import pytest

from lzr.sweep.spread import SLICE, Spread

MS = 1_000_000


def played(
    spread: Spread[str], moments: list[int], most: int = 1 << 30
) -> list[tuple[int, str, int, int, bool]]:
    """What is taken at each of these moments."""
    found = []
    for now in moments:
        left = most
        while (taken := spread.take(left, now)) is not None:
            found.append((now, *taken))
            left -= taken[2]
    return found


@pytest.mark.parametrize("count", [1, 3, 100, 601])
@pytest.mark.parametrize("span", [0, MS, 10 * MS, 48 * MS])
def test_every_pair_once_and_evenly(count: int, span: int) -> None:
    spread = Spread[str]()
    spread.put("a", count, span, 5 * MS)
    taken = played(spread, [*range(0, 60 * MS, MS)])
    assert [before for *_, before, _, _ in taken] == [
        sum(one[3] for one in taken[:at]) for at in range(len(taken))
    ]
    assert sum(one[3] for one in taken) == count
    assert [one[4] for one in taken] == [False] * (len(taken) - 1) + [True]
    assert taken[0][0] == 5 * MS
    share = max(1, span // SLICE)
    assert all(one[3] <= -(-count // share) for one in taken)
    assert taken[-1][0] < 5 * MS + max(MS, span)
    assert (spread.waiting, spread.due(99 * MS), spread.next_due(99 * MS)) == (0, 0, None)


def test_one_after_the_other() -> None:
    """The second begins when the time of the first is over; one without a span waits for nothing."""
    spread = Spread[str]()
    spread.put("a", 10, 12 * MS, 0)
    spread.put("b", 10, 12 * MS, 2 * MS)
    assert spread.waiting == 20
    assert spread.due(0) == 1
    taken = played(spread, [*range(0, 40 * MS, MS)])
    assert {one[1] for one in taken if one[0] < 12 * MS} == {"a"}
    assert {one[1] for one in taken if one[0] >= 12 * MS} == {"b"}
    assert taken[-1][0] == 22 * MS
    spread.put("c", 2048, 0, 50 * MS)
    spread.put("d", 2048, 0, 50 * MS)
    assert spread.due(50 * MS) == 4096


def test_whoever_sleeps_until_it_is_due_misses_nothing() -> None:
    spread, now, turns = Spread[str](), 0, 0
    spread.put("a", 7, 30 * MS, 0)
    while spread.waiting:
        assert spread.next_due(now) is None  # something is due
        assert spread.take(1 << 30, now) is not None
        due = spread.next_due(now)
        assert spread.waiting == 0 or (due is not None and due > now)
        now = due or now
        turns += 1
    assert 5 <= turns <= 10


def test_no_more_than_there_is_room_for() -> None:
    spread = Spread[str]()
    spread.put("a", 10, 0, 0)
    assert spread.take(4, 0) == ("a", 0, 4, False)
    assert spread.take(0, 0) is None
    assert spread.next_due(0) is None  # some are due already
    assert spread.take(99, 0) == ("a", 4, 6, True)


def test_a_part_that_was_begun_is_begun_anew() -> None:
    spread = Spread[str]()
    spread.restart()
    spread.put("a", 100, 0, 0)
    spread.put("b", 10, 0, 0)
    assert spread.take(30, MS) == ("a", 0, 30, False)
    spread.restart()
    assert spread.waiting == 110
    assert played(spread, [MS]) == [(MS, "a", 0, 100, True), (MS, "b", 0, 10, True)]
