"""A stretch leaves over its time, whole, in order, and no quicker."""

from __future__ import annotations

import pytest

from lzr.sweep.spread import LATE, SLICE, Spread

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


def watched(spread: Spread[str], moments: list[int]) -> list[tuple[int, int]]:
    """How many are taken at each of these moments, by somebody who says when it looks."""
    found = []
    for now in moments:
        spread.note_time(now)
        due, taken = spread.due(now), 0
        while (part := spread.take(1 << 30, now)) is not None:
            taken += part[2]
        assert taken == due
        found.append((now, taken))
    return found


def test_who_was_held_up_sends_no_burst_and_catches_up() -> None:
    """Ten pairs a ms; held up for 300 ms after the first 100. Then 20 ms' worth leaves, and 15 a ms."""
    spread = Spread[str]()
    for at in range(0, 1500, 50):
        spread.put("a", 500, 50 * MS, at * MS)
    taken = watched(spread, [at * MS for at in (*range(100), *range(400, 1500))])
    assert {count for at, count in taken if at < 100 * MS} == {10}
    late, caught_up = LATE // MS * 10 + 20, 10
    assert max(count for _, count in taken) <= late
    for begin in range(400, 1400):
        came = sum(count for at, count in taken if begin * MS <= at < (begin + 100) * MS)
        assert came <= 1500 + late
    assert {count for at, count in taken if at >= 1100 * MS} == {caught_up}
    assert spread.waiting == 0


def test_who_is_held_up_again_and_again_keeps_the_rate() -> None:
    """For 30 ms of each 100: no more is missing in the end than was lost last."""
    spread = Spread[str]()
    for at in range(0, 3000, 100):
        spread.put("a", 1000, 100 * MS, at * MS)
    taken = watched(spread, [at * MS for at in range(3000) if at % 100 >= 30])
    assert sum(count for _, count in taken) >= 30_000 - 300
    assert max(count for _, count in taken) <= LATE // MS * 10 + 20


def test_what_has_no_time_of_its_own_is_never_late() -> None:
    spread = Spread[str]()
    for at in range(10):
        spread.put("a", 100, 0, at * MS)
    spread.note_time(900 * MS)
    assert spread.due(900 * MS) == 1000
    spread.put("b", 100, 10 * MS, 10 * MS)
    spread.note_time(1000 * MS)
    assert len(played(spread, [1000 * MS])) == 11  # the last is behind those, and does not wait for them


@pytest.mark.parametrize("limited", [True, False])
def test_who_has_a_limit_of_its_own_waits_for_that_alone(limited: bool) -> None:
    """Half as much as is due: who does not say so waits between two parts until it is behind no longer."""
    spread = Spread[str]()
    spread.put("a", 1000, 100 * MS, 0)
    spread.put("b", 1000, 100 * MS, 150 * MS)
    now = turns = 0
    while spread.waiting:
        spread.note_time(now, limited=limited)
        spread.take(5, now)
        now += MS
        turns += 1
    assert (turns == 400) is limited


def test_whoever_sleeps_while_it_is_behind_wakes_in_time() -> None:
    spread = Spread[str]()
    spread.put("a", 40, 400 * MS, 0)
    now = 200 * MS
    spread.note_time(now)
    turns = 0
    while spread.waiting:
        while spread.take(1 << 30, now) is not None:
            pass
        due = spread.next_due(now)
        assert spread.waiting == 0 or (due is not None and now < due <= now + 10 * MS)
        now = due or now
        spread.note_time(now)
        assert not spread.waiting or spread.due(now) == 1
        turns += 1
    assert turns < 45


def test_who_is_slower_than_the_rate_never_waits() -> None:
    """It sends 8 pairs a ms where 80 are asked for, and is given more, for at once, as room becomes."""
    spread = Spread[str]()
    sent, looks, seconds = 0, 0, 4
    for now in range(0, seconds * 1000 * MS, MS):
        while spread.waiting < 4000:
            spread.put("a", 800, 10 * MS, now)
        spread.note_time(now)
        taken = spread.take(8, now)
        sent += 0 if taken is None else taken[2]
        looks += 1
    assert sent >= 0.99 * 8 * looks


def test_who_was_slower_keeps_a_lower_rate_from_then_on() -> None:
    """What comes at 2 pairs a ms leaves at that, whatever was behind before."""
    spread = Spread[str]()
    for at in range(0, 2000, 10):
        spread.put("a", 800, 10 * MS, at * MS)
        spread.note_time(at * MS)
        spread.take(80, at * MS)
    left = []
    for at in range(2000, 32_000):
        if at % 100 == 0:
            spread.put("b", 200, 100 * MS, at * MS)
        spread.note_time(at * MS)
        while (taken := spread.take(1 << 30, at * MS)) is not None:
            left += [at] * taken[2] if taken[0] == "b" else []
    begun = left[0]
    for at in range(begun, 31_000, 500):
        assert sum(at <= one < at + 1000 for one in left) <= 2000 + LATE // MS * 2 + 1000, at
    assert len(left) >= 0.95 * 2 * (31_000 - begun)
