"""Within how long hosts answer: what nearly all took, and what was long ago does not count."""

from __future__ import annotations

import numpy as np
import pytest

from lzr.flow.tcp import note_ages
from lzr.layout import AGES
from workers.flow.outstanding import prompt

MS = 1_000_000


def answers(*groups: tuple[int, int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Ages of so many answers that took so many ns."""
    ages = np.zeros(AGES, np.int64)
    for count, took in groups:
        sent = np.full(count, 10**18, np.uint64)
        note_ages(ages, sent, sent + np.uint64(took))
    return ages


@pytest.mark.parametrize("took", [50, 120, 300, 800])
def test_it_is_one_to_two_times_what_they_took(took: int) -> None:
    found = prompt(answers((1000, took * MS)))
    assert found is not None
    assert took * MS < found <= 2 * took * MS


def test_a_few_slow_ones_do_not_count_and_more_do() -> None:
    assert prompt(answers((990, 50 * MS), (10, 900 * MS))) == 1 << 26
    assert prompt(answers((950, 50 * MS), (50, 900 * MS))) == 1 << 30


def test_of_a_few_answers_nothing_is_concluded() -> None:
    assert prompt(answers((100, MS))) is None


def test_it_is_not_less_than_a_busy_machine_takes_to_look() -> None:
    assert prompt(answers((1000, MS // 10))) == 1 << 25


def test_it_is_about_the_last_few_thousand() -> None:
    ages = answers((8192, MS))
    slow = answers((1000, 700 * MS))
    turns = 0
    while prompt(ages) == 1 << 25:
        ages += slow
        turns += 1
    assert turns <= 2
    while prompt(ages) != 1 << 25:
        ages += answers((1000, MS))
        turns += 1
    assert turns < 60
    assert ages.sum() < 10_000


def test_a_clock_that_was_set_back_counts_as_at_once() -> None:
    ages = np.zeros(AGES, np.int64)
    note_ages(ages, np.array([100], np.uint64), np.array([50], np.uint64))
    assert ages.tolist() == [1] + [0] * (AGES - 1)
