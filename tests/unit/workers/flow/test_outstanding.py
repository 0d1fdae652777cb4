"""The limit on what is soon to answer: bursts shrink it, empty rings let it grow; silence counts not."""

from __future__ import annotations

from itertools import pairwise

import pytest

from workers.flow.outstanding import Outstanding

MS = 1_000_000
FRAMES = 2048
RINGS = 4


def held(outstanding: Outstanding, now: int) -> None:
    """The limit holds the scan back at this moment."""
    assert outstanding.room(1 << 30, now) == 0


def test_a_ring_half_full_halves_it() -> None:
    outstanding = Outstanding(FRAMES, RINGS, 1000 * MS)
    before = outstanding.limit
    outstanding.note_fill(FRAMES // 2, 0)
    assert outstanding.limit == before // 2
    for turn in range(10):
        outstanding.note_fill(FRAMES, turn)
    assert outstanding.limit == FRAMES // 4


def test_it_grows_only_while_it_holds_back() -> None:
    outstanding = Outstanding(FRAMES, RINGS, 1000 * MS)
    before = outstanding.limit
    for turn in range(1, 100):
        outstanding.note_fill(10, turn * 100 * MS)
    assert outstanding.limit == before
    held(outstanding, 10_000 * MS)
    outstanding.note_fill(10, 10_000 * MS)
    assert before < outstanding.limit <= 2 * before


def test_the_fuller_the_rings_the_slower_it_grows() -> None:
    sizes = []
    for fill in (0, FRAMES // 16, FRAMES // 6, FRAMES // 3):
        outstanding = Outstanding(FRAMES, RINGS, 1000 * MS)
        for turn in range(1, 11):
            held(outstanding, turn * 100 * MS)
            outstanding.note_fill(fill, turn * 100 * MS)
        sizes.append(outstanding.limit)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 500 * sizes[-1]


def test_it_begins_at_half_of_what_the_rings_hold_together() -> None:
    assert (
        Outstanding(FRAMES, RINGS, 1000 * MS).limit
        == RINGS * Outstanding(FRAMES, 1, 1000 * MS).limit
        == FRAMES * RINGS // 2
    )


def test_beyond_what_the_rings_hold_it_grows_evenly() -> None:
    outstanding = Outstanding(FRAMES, RINGS, 1000 * MS)
    sizes = []
    for turn in range(1, 21):
        held(outstanding, turn * 100 * MS)
        outstanding.note_fill(10, turn * 100 * MS)
        sizes.append(outstanding.limit)
    beyond = [size for size in sizes if size >= FRAMES * RINGS]
    assert len(beyond) > 10
    assert {after - before for before, after in pairwise(beyond)} == {FRAMES * RINGS // 8}


def test_what_prompt_hosts_have_not_answered_is_not_awaited() -> None:
    outstanding = Outstanding(FRAMES, RINGS, 1000 * MS)
    for turn in range(10):
        outstanding.note_begun(400, turn * 10 * MS)
    assert outstanding.room(4000, 100 * MS) == outstanding.limit - 4000
    outstanding.note_prompt(32 * MS)
    outstanding.note_fill(1, 100 * MS)
    assert outstanding.room(4000, 100 * MS) == outstanding.limit - 3 * 400  # begun at 70, 80 and 90 ms
    assert outstanding.room(500, 100 * MS) == outstanding.limit - 500
    outstanding.note_fill(1, 190 * MS)
    assert outstanding.room(4000, 200 * MS) == outstanding.limit
    outstanding.note_prompt(32 * MS, 2)
    assert outstanding.room(4000, 100 * MS) == outstanding.limit - 6 * 400
    outstanding.note_prompt(None)
    assert outstanding.room(4000, 200 * MS) == outstanding.limit - 4000


def test_while_nothing_comes_at_all_prompt_hosts_are_awaited_too() -> None:
    """They, or the way to them, are held up: what they owe will come at once."""
    outstanding = Outstanding(FRAMES, RINGS, 1000 * MS)
    outstanding.note_prompt(32 * MS)
    outstanding.note_begun(4000, 1000 * MS)
    outstanding.note_fill(1, 1090 * MS)
    assert outstanding.room(4000, 1100 * MS) == outstanding.limit
    assert outstanding.room(4000, 1130 * MS) == outstanding.limit - 4000
    outstanding.note_fill(0, 1140 * MS)
    assert outstanding.room(4000, 1150 * MS) == outstanding.limit - 4000
    outstanding.note_fill(1, 1160 * MS)
    assert outstanding.room(4000, 1170 * MS) == outstanding.limit


def test_where_hosts_were_prompt_silence_lets_it_grow_slowly() -> None:
    known, unknown = (Outstanding(FRAMES, RINGS, 1000 * MS) for _ in range(2))
    begun = known.limit
    known.note_prompt(32 * MS)
    for turn in range(10, 28):
        for outstanding in (known, unknown):
            held(outstanding, turn * 100 * MS)
            outstanding.note_fill(0, turn * 100 * MS)
    assert known.limit == 4 * begun  # at 1 and 2 s
    assert unknown.limit == begun << 18


def test_the_silent_are_not_waited_for() -> None:
    outstanding = Outstanding(FRAMES, RINGS, 1000 * MS)
    assert outstanding.room(outstanding.limit, 0) == 0
    outstanding.note_silent(300, 0)
    outstanding.note_silent(100, 20 * MS)
    assert outstanding.room(outstanding.limit, 30 * MS) == 400
    assert outstanding.room(0, 30 * MS) == outstanding.limit
    assert outstanding.room(outstanding.limit, 2000 * MS) == 0  # silent for too long to say anything of now


def test_where_another_worker_has_no_room_what_it_has_grown_by_is_given_up() -> None:
    outstanding = Outstanding(FRAMES, RINGS, 1000 * MS)
    begun = outstanding.limit
    outstanding.note_crowded(1000 * MS)
    assert outstanding.limit == begun
    for turn in range(50, 60):
        held(outstanding, turn * 100 * MS)
        outstanding.note_fill(0, turn * 100 * MS)
    grown = outstanding.limit
    assert grown > 8 * begun
    outstanding.note_crowded(5950 * MS)
    assert outstanding.limit == grown  # it has just grown; what is on its way is not more for that
    for turn in range(10):
        outstanding.note_crowded((6050 + turn) * MS)
    assert outstanding.limit == grown // 2
    for turn in range(70, 130):
        outstanding.note_crowded(turn * 100 * MS)
    assert outstanding.limit == begun


def test_answers_that_are_owed_are_waited_for_however_prompt_others_were() -> None:
    outstanding = Outstanding(FRAMES, RINGS, 1000 * MS)
    outstanding.note_prompt(32 * MS)
    outstanding.note_begun(4000, 0)
    outstanding.note_fill(1, 90 * MS)
    assert outstanding.room(4000, 100 * MS) == outstanding.limit
    assert outstanding.room(4000, 100 * MS, 2400) == outstanding.limit - 2400
    assert outstanding.room(4000, 100 * MS, outstanding.limit) == 0


def test_no_more_answers_are_owed_than_half_of_all_frames_hold_however_wide_it_is() -> None:
    outstanding = Outstanding(FRAMES, RINGS, 1000 * MS)
    begun = outstanding.limit
    for turn in range(1, 5):
        held(outstanding, turn * 100 * MS)
        outstanding.note_fill(0, turn * 100 * MS)
    assert outstanding.limit == 16 * begun
    assert outstanding.room(100, 500 * MS, 100) == begun - 100
    assert outstanding.room(100, 500 * MS, begun + 1) == 0
    assert outstanding.room(100, 500 * MS) == outstanding.limit - 100


@pytest.mark.parametrize(("owed", "live"), [(4096, 0), (0, 4096)])
def test_it_does_not_double_while_those_who_owe_answers_are_held_up(owed: int, live: int) -> None:
    waits, silent = (Outstanding(FRAMES, RINGS, 1000 * MS) for _ in range(2))
    begun = waits.limit
    for turn in range(1, 11):
        assert waits.room(1 << 30, turn * 100 * MS, owed, live=live) == 0
        held(silent, turn * 100 * MS)
        for outstanding in (waits, silent):
            outstanding.note_fill(0, turn * 100 * MS)
    assert waits.limit == begun < silent.limit


@pytest.mark.parametrize(("frames", "most"), [(10, FRAMES * RINGS // 2), (0, FRAMES * RINGS)])
def test_it_does_not_grow_by_silence_while_the_share_that_answers_is_not_known(
    frames: int, most: int
) -> None:
    outstanding = Outstanding(FRAMES, RINGS, 1000 * MS)
    for turn in range(1, 11):
        assert outstanding.room(1 << 30, turn * 100 * MS, settled=False) == 0
        outstanding.note_fill(frames, turn * 100 * MS)
    assert outstanding.limit == most
    held(outstanding, 2000 * MS)
    outstanding.note_fill(frames, 2000 * MS)
    assert outstanding.limit > most


def test_who_has_answered_does_not_wait_for_the_silent() -> None:
    outstanding = Outstanding(FRAMES, RINGS, 1000 * MS)
    assert outstanding.room(1 << 30, 0, 1 << 20) == 0
    assert outstanding.room_for_live(1000) == outstanding.limit // 2 - 1000
    assert outstanding.room_for_live(outstanding.limit) == 0


@pytest.mark.parametrize("wait", [1, MS, 3 * MS, 5 * MS])
def test_the_wait_may_be_shorter_than_what_counts_as_a_moment(wait: int) -> None:
    """-rt 1ms: flows that were begun at the same moment are over when the next ones are."""
    outstanding = Outstanding(FRAMES, RINGS, wait)
    for now in range(0, 50 * MS, 3 * MS):
        assert outstanding.room(0, now) == outstanding.limit
        outstanding.note_begun(5, now)
        outstanding.note_silent(5, now)
        outstanding.note_fill(1, now)
