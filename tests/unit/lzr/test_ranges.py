"""Sets of numbers against Python's own sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.ranges import Range, difference, intersection, size, union

SOME = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: (pair[0], sum(pair))))


def members(ranges: list[Range]) -> list[int]:
    return [number for first, last in ranges for number in range(first, last + 1)]


@given(SOME, SOME)
def test_they_are_sets_in_order_and_in_as_few_ranges_as_can_be(one: list[Range], other: list[Range]) -> None:
    a, b = union(one), union(other)
    assert members(a) == sorted(set(members(one)))
    for found, wanted in (
        (difference(a, b), set(members(a)) - set(members(b))),
        (intersection(a, b), set(members(a)) & set(members(b))),
    ):
        assert members(found) == sorted(wanted)
        assert size(found) == len(wanted)
        assert found == union(found)


def test_a_range_that_ends_before_it_begins_is_none() -> None:
    with pytest.raises(ValueError, match="ends before"):
        union([(2, 1)])
