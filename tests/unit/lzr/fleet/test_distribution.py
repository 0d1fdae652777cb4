"""Shards dealt by weight: all of them, once, and no more moved than has to be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lzr.fleet.distribution import distribute, moved, ranges, shares
from lzr.options.kinds.amounts import shard_list

WEIGHTS = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=12)


@given(st.integers(12, 2000), WEIGHTS)
def test_all_are_dealt_and_nobody_is_left_out(count: int, weights: list[float]) -> None:
    dealt = shares(count, weights)
    assert sum(dealt) == count
    assert min(dealt) >= 1


def test_by_weight() -> None:
    assert shares(64, [1, 1, 2]) == [16, 16, 32]
    assert shares(64, [1, 1, 1]) == [22, 21, 21]
    assert shares(3, [1000, 1, 1]) == [1, 1, 1]


@given(st.integers(12, 300), WEIGHTS, st.data())
def test_only_what_was_given_up_moves(count: int, weights: list[float], data: st.DataObject) -> None:
    boxes = [(f"b{at}", weight) for at, weight in enumerate(weights)]
    owner = distribute(count, boxes)
    lost = data.draw(st.lists(st.integers(0, count - 1), min_size=2, unique=True))
    after = moved(owner, lost, [("x", 1), ("y", 3)])
    assert {at for at in range(count) if after[at] != owner[at]} == set(lost)
    assert {after[at] for at in lost} == {"x", "y"}


@given(st.sets(st.integers(0, 500), min_size=1))
def test_ranges_read_back(shards: set[int]) -> None:
    assert {n for low, high in shard_list(ranges(sorted(shards))) for n in range(low, high + 1)} == shards
    assert ranges([3, 7, 8, 9]) == "3,7-9"
