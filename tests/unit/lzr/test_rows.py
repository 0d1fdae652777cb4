"""Rows moved as bytes are the rows that numpy moves field by field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.rows import FLOW, OUTCOME, SEGMENT, TARGET, TIMER, among, copied, distinct, join, pick, put
from tests.effort import examples

SEEDS = st.integers(0, 2**32 - 1)


def some(draw: np.random.Generator, dtype: np.dtype[Any], count: int) -> Any:
    return np.frombuffer(draw.bytes(dtype.itemsize * count), dtype).copy()


@given(SEEDS, st.sampled_from([TARGET, OUTCOME, SEGMENT, FLOW, TIMER]), st.integers(0, 30))
@settings(max_examples=examples(60), deadline=None)
def test_as_numpy_would(seed: int, dtype: np.dtype[Any], count: int) -> None:
    draw = np.random.default_rng(seed)
    rows = some(draw, dtype, count)
    for seen in (rows, rows[::2], rows[3:]):
        mask = draw.random(len(seen)) < 0.5
        at = draw.permutation(len(seen)).astype(np.uint32)
        for which in (mask, at, np.flatnonzero(mask)):
            found = pick(seen, which)
            assert found.dtype == dtype
            assert found.tobytes() == seen[which].tobytes()
            assert found.flags.writeable
        new, expected = some(draw, dtype, int(np.count_nonzero(mask))), seen.copy()
        expected[mask] = new
        mine = seen.copy()
        put(mine, mask, new)
        assert mine.tobytes() == expected.tobytes()
        again = copied(seen)
        assert again.tobytes() == seen.tobytes()
        assert not np.shares_memory(again, seen)


@given(SEEDS, st.lists(st.integers(0, 9), min_size=1, max_size=5))
@settings(max_examples=examples(40), deadline=None)
def test_joined(seed: int, counts: list[int]) -> None:
    draw = np.random.default_rng(seed)
    parts = [some(draw, TARGET, 2 * count)[:: draw.integers(1, 3)] for count in counts]
    found = join(parts)
    assert found.tobytes() == np.concatenate(parts).tobytes()
    assert found.dtype == TARGET
    assert found.flags.writeable


def test_into_the_rows_themselves() -> None:
    rows = np.zeros(6, TARGET)
    new = np.zeros(1, TARGET)
    new["line"] = 7
    put(rows[::2], np.array([1]), new)
    assert rows["line"].tolist() == [0, 0, 7, 0, 0, 0]
    with pytest.raises(ValueError, match="broadcast"):
        put(rows, np.array([1, 2, 3]), np.zeros(2, TARGET))


@given(st.lists(st.integers(0, 9), max_size=12), st.lists(st.integers(0, 9), max_size=12))
@settings(max_examples=examples(100), deadline=None)
def test_distinct_and_among_are_those_of_numpy(values: list[int], these: list[int]) -> None:
    ours, others = np.array(values, np.uint32), np.array(these, np.uint32)
    assert distinct(ours).tolist() == np.unique(ours).tolist()
    assert distinct(ours).dtype == ours.dtype
    assert among(ours, others).tolist() == np.isin(ours, others).tolist()
