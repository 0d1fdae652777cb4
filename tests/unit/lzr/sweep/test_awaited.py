"""How many answers a sweep expects, and how many it is owed, by what became of the SYNs before."""

from __future__ import annotations

import pytest

from lzr.sweep.awaited import Awaited

SECOND = 10**9
STEP = SECOND // 100
PROMPT = SECOND // 30


def play(
    awaited: Awaited, begin: int, steps: int, asked: int, answers: int, prompt: int | None = None
) -> int:
    """Each hundredth of a second so many are asked, and so many answer; when that ends."""
    for step in range(steps):
        now = begin + step * STEP
        awaited.note(now, asked, 0)
        awaited.note(now, 0, answers)
        awaited.note_time(now, prompt)
    return begin + steps * STEP


def expected(awaited: Awaited, now: int) -> int:
    awaited.note_time(now, None)
    return awaited.expected


@pytest.fixture
def awaited() -> Awaited:
    return Awaited(SECOND)


def test_all_may_answer_until_more_is_known(awaited: Awaited) -> None:
    now = play(awaited, 0, 50, 100, 0)
    assert expected(awaited, now) == awaited.fresh == 5000


def test_where_few_answer_few_are_expected(awaited: Awaited) -> None:
    now = play(awaited, 0, 300, 1000, 10)
    assert 90_000 < awaited.fresh <= 110_000
    assert awaited.fresh // 100 < expected(awaited, now) < awaited.fresh // 10


def test_where_all_answer_all_are_expected(awaited: Awaited) -> None:
    now = play(awaited, 0, 300, 100, 90)
    assert expected(awaited, now) == awaited.fresh


def test_a_network_that_begins_to_answer_is_known_at_once(awaited: Awaited) -> None:
    now = play(awaited, 0, 300, 1000, 0)
    assert expected(awaited, now) < awaited.fresh // 50
    now = play(awaited, now, 30, 1000, 1000)
    assert expected(awaited, now) > awaited.fresh // 2


def test_nobody_is_expected_when_the_time_of_all_is_over(awaited: Awaited) -> None:
    now = play(awaited, 0, 10, 1000, 0)
    assert expected(awaited, now + 2 * SECOND) == awaited.fresh == 0


@pytest.mark.parametrize("prompt", [None, PROMPT])
def test_answers_that_stay_out_are_owed_until_they_come(awaited: Awaited, prompt: int | None) -> None:
    now = play(awaited, 0, 300, 1000, 600, prompt)
    assert awaited.settled
    assert awaited.owed < 2000
    now = play(awaited, now, 20, 300, 0, prompt)  # whoever gives the answers is held up
    assert 20 * 300 * 0.6 * 0.9 < awaited.owed < 20 * 300 * 0.6 + 2000
    now = play(awaited, now, 1, 0, 3600, prompt)
    assert awaited.owed < 2000


@pytest.mark.parametrize("left", [0, 60])
@pytest.mark.parametrize("prompt", [None, PROMPT])
def test_a_network_that_stops_owes_nothing_for_long(awaited: Awaited, prompt: int | None, left: int) -> None:
    """A worker that waits while 8,192 answers are owed is held back for half a second at most."""
    now = play(awaited, 0, 300, 1000, 600, prompt)
    begun = now
    asked = most = 0
    while now < begun + SECOND:
        awaited.note_time(now, prompt)
        room = min(1000, max(0, 8192 - awaited.owed))
        most = max(most, awaited.owed)
        if now >= begun + SECOND // 2:
            assert room == 1000
        awaited.note(now, room, room * left // 1000)
        asked += room
        now += STEP
    assert most > 7000  # it was held back
    assert asked > 80_000


def test_whoever_answers_after_all_is_believed_at_once(awaited: Awaited) -> None:
    now = play(awaited, 0, 300, 1000, 600, PROMPT)
    now = play(awaited, now, 100, 1000, 0, PROMPT)
    assert awaited.owed < 100
    now = play(awaited, now, 50, 1000, 600, PROMPT)
    play(awaited, now, 20, 300, 0, PROMPT)
    assert awaited.owed > 3000


def test_all_are_owed_until_the_first_have_had_their_time(awaited: Awaited) -> None:
    now = play(awaited, 0, 25, 1000, 10)
    assert not awaited.settled
    assert awaited.owed == awaited.fresh
    play(awaited, now, 5, 1000, 10)
    assert awaited.settled
    assert 0 <= awaited.owed < awaited.fresh // 10


@pytest.mark.parametrize("asked", [1, 50])
def test_a_slow_sweep_is_settled_all_the_same_and_little_is_remembered(asked: int) -> None:
    awaited = Awaited(60 * SECOND)
    play(awaited, 0, 3000, asked, 0)
    assert awaited.settled
    assert awaited.owed <= asked * 30
    assert len(awaited._latest) <= 65


def test_a_pause_forgets_no_share(awaited: Awaited) -> None:
    now = play(awaited, 0, 300, 1000, 600, PROMPT)
    play(awaited, now + 60 * SECOND, 20, 300, 0, PROMPT)
    assert awaited.owed > 3000


def test_distant_hosts_hold_nobody_up(awaited: Awaited) -> None:
    """The round trip is 200 ms: 20 steps without an answer, then as many as are asked for."""
    now = play(awaited, 0, 20, 1000, 0)
    now = play(awaited, now, 10, 1000, 600)
    play(awaited, now, 200, 1000, 600, 268_435_456)
    assert awaited.owed < 2000


def test_what_is_likely_follows_what_was_answered(awaited: Awaited) -> None:
    """Where few answer a worker turns less often; until that is known, all may answer."""
    now = play(awaited, 0, 50, 1000, 10)
    assert awaited.likely == 1.0
    now = play(awaited, now, 300, 1000, 10)
    assert awaited.likely < 0.1
    play(awaited, now, 30, 1000, 1000)
    assert awaited.likely > 0.5
