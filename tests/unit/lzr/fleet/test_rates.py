"""The rate for all, dealt: by weight, within caps, whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.fleet.rates import RateShare, distribute, most


def test_by_weight() -> None:
    assert distribute(6000, [RateShare("ams1", 1), RateShare("fra1", 2)]) == {"ams1": 2000, "fra1": 4000}


def test_what_a_cap_leaves_goes_to_the_others() -> None:
    boxes = [RateShare("a", 1, 1000), RateShare("b", 1), RateShare("c", 2)]
    assert distribute(10_000, boxes) == {"a": 1000, "b": 3000, "c": 6000}


def test_a_cap_that_binds_only_after_another() -> None:
    boxes = [RateShare("a", 1, 100), RateShare("b", 1, 4000), RateShare("c", 1)]
    assert distribute(9000, boxes) == {"a": 100, "b": 4000, "c": 4900}


def test_all_capped() -> None:
    boxes = [RateShare("a", 1, 10), RateShare("b", 5, 20)]
    assert distribute(1000, boxes) == {"a": 10, "b": 20}
    assert most(boxes) == 30
    assert most([*boxes, RateShare("c", 1)]) is None


def test_nobody_is_left() -> None:
    assert distribute(1000, []) == {}


shares = st.lists(
    st.tuples(st.floats(0.01, 1000), st.one_of(st.none(), st.integers(1, 10**6))), min_size=1, max_size=12
).map(lambda rows: [RateShare(f"box{at}", weight, cap) for at, (weight, cap) in enumerate(rows)])


@given(st.integers(1, 10**7), shares)
def test_sum_caps_and_order(rate: int, boxes: list[RateShare]) -> None:
    dealt = distribute(rate, boxes)
    assert set(dealt) == {box.name for box in boxes}
    assert all(dealt[box.name] <= box.cap for box in boxes if box.cap is not None)
    assert min(dealt.values()) >= 1
    capped = most(boxes)
    wanted = rate if capped is None else min(rate, capped)
    assert sum(dealt.values()) == pytest.approx(
        max(wanted, len(boxes)), abs=len(boxes) if wanted < 100 else 1
    )
    assert distribute(rate, boxes[::-1]) == dealt
