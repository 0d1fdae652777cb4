"""The window over what is soon to answer: bursts shrink it, empty rings let it grow; silence counts not."""

from __future__ import annotations

from itertools import pairwise

import pytest

from workers.flow.window import Window

MS = 1_000_000
FRAMES = 2048
RINGS = 4


def held(window: Window, now: int) -> None:
    """The window holds the scan back at this moment."""
    assert window.room(1 << 30, now) == 0


def test_a_ring_half_full_halves_it() -> None:
    window = Window(FRAMES, RINGS, 1000 * MS)
    before = window.size
    window.note_fill(FRAMES // 2, 0)
    assert window.size == before // 2
    for turn in range(10):
        window.note_fill(FRAMES, turn)
    assert window.size == FRAMES // 4


def test_it_grows_only_while_it_holds_back() -> None:
    window = Window(FRAMES, RINGS, 1000 * MS)
    before = window.size
    for turn in range(1, 100):
        window.note_fill(10, turn * 100 * MS)
    assert window.size == before
    held(window, 10_000 * MS)
    window.note_fill(10, 10_000 * MS)
    assert before < window.size <= 2 * before


def test_the_fuller_the_rings_the_slower_it_grows() -> None:
    sizes = []
    for fill in (0, FRAMES // 16, FRAMES // 6, FRAMES // 3):
        window = Window(FRAMES, RINGS, 1000 * MS)
        for turn in range(1, 11):
            held(window, turn * 100 * MS)
            window.note_fill(fill, turn * 100 * MS)
        sizes.append(window.size)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 500 * sizes[-1]


def test_it_begins_at_half_of_what_the_rings_hold_together() -> None:
    assert (
        Window(FRAMES, RINGS, 1000 * MS).size
        == RINGS * Window(FRAMES, 1, 1000 * MS).size
        == FRAMES * RINGS // 2
    )


def test_beyond_what_the_rings_hold_it_grows_evenly() -> None:
    window = Window(FRAMES, RINGS, 1000 * MS)
    sizes = []
    for turn in range(1, 21):
        held(window, turn * 100 * MS)
        window.note_fill(10, turn * 100 * MS)
        sizes.append(window.size)
    beyond = [size for size in sizes if size >= FRAMES * RINGS]
    assert len(beyond) > 10
    assert {after - before for before, after in pairwise(beyond)} == {FRAMES * RINGS // 8}


def test_what_prompt_hosts_have_not_answered_is_not_awaited() -> None:
    window = Window(FRAMES, RINGS, 1000 * MS)
    for turn in range(10):
        window.note_begun(400, turn * 10 * MS)
    assert window.room(4000, 100 * MS) == window.size - 4000
    window.note_prompt(32 * MS)
    window.note_fill(1, 100 * MS)
    assert window.room(4000, 100 * MS) == window.size - 3 * 400  # begun at 70, 80 and 90 ms
    assert window.room(500, 100 * MS) == window.size - 500
    window.note_fill(1, 190 * MS)
    assert window.room(4000, 200 * MS) == window.size
    window.note_prompt(32 * MS, 2)
    assert window.room(4000, 100 * MS) == window.size - 6 * 400
    window.note_prompt(None)
    assert window.room(4000, 200 * MS) == window.size - 4000


def test_while_nothing_comes_at_all_prompt_hosts_are_awaited_too() -> None:
    """They, or the way to them, are held up: what they owe will come at once."""
    window = Window(FRAMES, RINGS, 1000 * MS)
    window.note_prompt(32 * MS)
    window.note_begun(4000, 1000 * MS)
    window.note_fill(1, 1090 * MS)
    assert window.room(4000, 1100 * MS) == window.size
    assert window.room(4000, 1130 * MS) == window.size - 4000
    window.note_fill(0, 1140 * MS)
    assert window.room(4000, 1150 * MS) == window.size - 4000
    window.note_fill(1, 1160 * MS)
    assert window.room(4000, 1170 * MS) == window.size


def test_where_hosts_were_prompt_silence_lets_it_grow_slowly() -> None:
    known, unknown = (Window(FRAMES, RINGS, 1000 * MS) for _ in range(2))
    begun = known.size
    known.note_prompt(32 * MS)
    for turn in range(10, 28):
        for window in (known, unknown):
            held(window, turn * 100 * MS)
            window.note_fill(0, turn * 100 * MS)
    assert known.size == 4 * begun  # at 1 and 2 s
    assert unknown.size == begun << 18


def test_the_silent_are_not_waited_for() -> None:
    window = Window(FRAMES, RINGS, 1000 * MS)
    assert window.room(window.size, 0) == 0
    window.note_silent(300, 0)
    window.note_silent(100, 20 * MS)
    assert window.room(window.size, 30 * MS) == 400
    assert window.room(0, 30 * MS) == window.size
    assert window.room(window.size, 2000 * MS) == 0  # they fell silent too long ago to say anything of now


def test_where_another_worker_has_no_room_what_it_has_grown_by_is_given_up() -> None:
    window = Window(FRAMES, RINGS, 1000 * MS)
    begun = window.size
    window.note_crowded(1000 * MS)
    assert window.size == begun
    for turn in range(50, 60):
        held(window, turn * 100 * MS)
        window.note_fill(0, turn * 100 * MS)
    grown = window.size
    assert grown > 8 * begun
    window.note_crowded(5950 * MS)
    assert window.size == grown  # it has just grown; what is on its way is not more for that
    for turn in range(10):
        window.note_crowded((6050 + turn) * MS)
    assert window.size == grown // 2
    for turn in range(70, 130):
        window.note_crowded(turn * 100 * MS)
    assert window.size == begun


def test_answers_that_are_owed_are_waited_for_however_prompt_others_were() -> None:
    window = Window(FRAMES, RINGS, 1000 * MS)
    window.note_prompt(32 * MS)
    window.note_begun(4000, 0)
    window.note_fill(1, 90 * MS)
    assert window.room(4000, 100 * MS) == window.size
    assert window.room(4000, 100 * MS, 2400) == window.size - 2400
    assert window.room(4000, 100 * MS, window.size) == 0


def test_no_more_answers_are_owed_than_half_of_all_frames_hold_however_wide_it_is() -> None:
    window = Window(FRAMES, RINGS, 1000 * MS)
    begun = window.size
    for turn in range(1, 5):
        held(window, turn * 100 * MS)
        window.note_fill(0, turn * 100 * MS)
    assert window.size == 16 * begun
    assert window.room(100, 500 * MS, 100) == begun - 100
    assert window.room(100, 500 * MS, begun + 1) == 0
    assert window.room(100, 500 * MS) == window.size - 100


@pytest.mark.parametrize(("owed", "live"), [(4096, 0), (0, 4096)])
def test_it_does_not_double_while_those_who_owe_answers_are_held_up(owed: int, live: int) -> None:
    waits, silent = (Window(FRAMES, RINGS, 1000 * MS) for _ in range(2))
    begun = waits.size
    for turn in range(1, 11):
        assert waits.room(1 << 30, turn * 100 * MS, owed, live=live) == 0
        held(silent, turn * 100 * MS)
        for window in (waits, silent):
            window.note_fill(0, turn * 100 * MS)
    assert waits.size == begun < silent.size


@pytest.mark.parametrize(("frames", "most"), [(10, FRAMES * RINGS // 2), (0, FRAMES * RINGS)])
def test_it_does_not_grow_by_silence_while_the_share_that_answers_is_not_known(
    frames: int, most: int
) -> None:
    window = Window(FRAMES, RINGS, 1000 * MS)
    for turn in range(1, 11):
        assert window.room(1 << 30, turn * 100 * MS, settled=False) == 0
        window.note_fill(frames, turn * 100 * MS)
    assert window.size == most
    held(window, 2000 * MS)
    window.note_fill(frames, 2000 * MS)
    assert window.size > most


def test_who_has_answered_does_not_wait_for_the_silent() -> None:
    window = Window(FRAMES, RINGS, 1000 * MS)
    assert window.room(1 << 30, 0, 1 << 20) == 0
    assert window.room_for_live(1000) == window.size // 2 - 1000
    assert window.room_for_live(window.size) == 0
