"""A rate is held within two per cent, whoever turns the loop and however unevenly, and without bursts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.pacing.pacer import Pacer
from tests.effort import examples

RATES = [10, 37.5, 100, 1_000, 9_999, 10_000, 50_000, 100_000]


def let_out(rate: float, seconds: float, steps: list[float], most: int = 1 << 30) -> list[tuple[float, int]]:
    """What leaves when a loop that always has work turns every so often: (when, how much)."""
    pacer, now, gone, turn = Pacer(rate, 0.0), 0.0, [], 0
    while now < seconds:
        count = min(pacer.allowance(now), most)
        if count:
            pacer.spend(count)
            gone.append((now, count))
        now += steps[turn % len(steps)]
        turn += 1
    return gone


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    "steps",
    [[0.001], [0.0005, 0.015, 0.0001], [0.01], [0.019], [0.001] * 250 + [0.05]],
    ids=lambda s: str(s[-3:]),
)
def test_over_ten_seconds(rate: float, steps: list[float]) -> None:
    gone = let_out(rate, 10.0, steps)
    assert abs(sum(count for _, count in gone) - rate * 10) <= max(0.02 * rate * 10, 1.0)


@pytest.mark.parametrize("rate", RATES)
def test_over_any_second(rate: float) -> None:
    """Smooth: no window of a second holds more than a second's worth and what one turn may catch up."""
    rng = random.Random(1)
    gone = let_out(rate, 5.0, [rng.choice([0.0002, 0.001, 0.004, 0.03]) for _ in range(997)])
    start = held = 0
    for end, (when, count) in enumerate(gone):
        held += count
        while gone[start][0] <= when - 1.0:
            held -= gone[start][1]
            start += 1
        assert held <= rate * 1.125 + 1, gone[end]


@settings(max_examples=examples(200), deadline=None)
@given(
    st.floats(0.1, 1e6),
    st.lists(st.floats(0, 5) | st.floats(0, 0.01), min_size=1, max_size=40),
)
def test_never_a_burst_of_more_than_25_ms(rate: float, waits: list[float]) -> None:
    """However long the loop was away, a turn lets out 25 ms worth, or one, at most."""
    pacer, now, total = Pacer(rate, 0.0), 0.0, 0
    for wait in waits:
        now += wait
        count = pacer.allowance(now)
        assert 0 <= count <= max(1, 0.025 * rate) + 1
        pacer.spend(count)
        total += count
        assert pacer.allowance(now) == 0
    assert total <= rate * now + 1 + 1e-6


@settings(max_examples=examples(200), deadline=None)
@given(st.floats(0.1, 1e6), st.floats(0, 1e6))
def test_after_the_wait_there_is_one(rate: float, now: float) -> None:
    pacer = Pacer(rate, now)
    pacer.spend(pacer.allowance(now))
    wait = pacer.wait(now)
    assert 0 < wait <= 1 / rate * 1.001
    assert pacer.allowance(now + wait * 1.0001 + 1e-6) >= 1
    assert pacer.wait(now + wait * 1.0001 + 1e-6) == 0


def test_no_rate_is_no_limit() -> None:
    pacer = Pacer(None, 0.0)
    pacer.spend(1 << 20)
    assert pacer.allowance(0.0) == 1 << 30
    assert pacer.wait(0.0) == 0


def test_a_new_rate_holds_from_now_on() -> None:
    pacer = Pacer(10.0, 0.0)
    pacer.spend(pacer.allowance(0.0))
    pacer.set_rate(1000.0, 0.05)  # half a token was there
    assert pacer.allowance(0.05) == 0
    assert pacer.allowance(0.06) == 10
    pacer.set_rate(None, 0.06)
    assert pacer.allowance(0.06) == 1 << 30
    pacer.set_rate(100.0, 100.0)
    assert pacer.allowance(100.0) <= 3  # the time without a limit has earned nothing


def test_work_may_be_overdrawn_and_is_paid_back() -> None:
    """A batch that is larger than the allowance leaves a debt."""
    pacer = Pacer(100.0, 0.0)
    pacer.spend(51)
    assert pacer.wait(0.0) == pytest.approx(0.51)
    assert pacer.allowance(0.5) == 0
    assert pacer.allowance(0.515) == 1
