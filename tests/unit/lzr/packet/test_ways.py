"""The table of ways: what lies between two boundaries, at them, and at both ends of the address space."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.packet import ways
from lzr.packet.ways import Way, WayKind
from lzr.rows import FRAME, TARGET, V4_MAPPED
from tests.effort import examples
from tests.unit.lzr.test_kernels import both

RING = Way(WayKind.RING)


def rows(*numbers: int) -> np.ndarray:
    made = np.zeros(len(numbers), TARGET)
    for at, number in enumerate(numbers):
        made["peer_hi"][at], made["peer_lo"][at] = number >> 64, number & (1 << 64) - 1
    return made


def at(text: str) -> int:
    return ways.number(ipaddress.ip_address(text).packed)


@given(
    st.lists(st.integers(0, ways.END - 1) | st.integers(0, 1 << 34).map(lambda n: V4_MAPPED + n), max_size=30)
)
@settings(max_examples=examples(60), deadline=None)
def test_each_address_has_the_answer_of_its_interval(starts: list[int]) -> None:
    def answer(first: int, last: int) -> Way:
        return Way(first % 3, source=(0, first % 5))

    table = ways.make(starts, answer, RING)
    asked = [
        0,
        ways.END - 1,
        *starts,
        *(max(0, start - 1) for start in starts),
        *(s + 1 for s in starts if s + 1 < ways.END),
    ]
    edges = sorted({0, *starts})
    native, python = both(lambda: table.of(rows(*asked)))
    assert np.array_equal(native, python)
    for number, code in zip(asked, native.tolist(), strict=True):
        first = max(edge for edge in edges if edge <= number)
        way = table.ways[code]
        assert (int(way["kind"]), int(way["source_lo"])) == (first % 3, first % 5)


def test_prefixes() -> None:
    assert ways.bounds(ipaddress.ip_address("10.1.2.3").packed, 24) == (at("10.1.2.0"), at("10.1.3.0"))
    assert ways.bounds(ipaddress.ip_address("fd00::5").packed, 128) == (at("fd00::5"), at("fd00::6"))
    assert ways.bounds(bytes(4), 0) == (V4_MAPPED, V4_MAPPED + (1 << 32))
    assert ways.bounds(bytes(16), 0) == (0, ways.END)


def test_neighbours_alike_are_one_interval_and_one_way_is_simple() -> None:
    table = ways.make(range(0, 1000, 10), lambda first, last: RING, RING)
    assert len(table.intervals) == 1
    assert table.simple
    assert ways.everywhere().simple
    assert not ways.everywhere(WayKind.KERNEL).simple


def test_more_ways_than_numbers_are_left_to_the_kernel() -> None:
    table = ways.make(range(1000), lambda first, last: Way(WayKind.NONE, source=(0, first + 1)), RING)
    assert len(table.ways) == ways.MOST_WAYS
    assert set(table.kinds(rows(*range(ways.MOST_WAYS, 1000))).tolist()) == {WayKind.KERNEL}


def test_sources_are_those_of_the_way_where_none_is_given() -> None:
    table = ways.make(
        [0, 10], lambda first, last: RING if first else Way(WayKind.KERNEL, source=(7, 8)), RING
    )
    asked = rows(3, 4, 12)
    asked["own_lo"][1] = 99
    assert ways.sources(asked, table.of(asked), table).tolist() == [True, False, False]
    assert asked["own_hi"].tolist() == [7, 0, 0]
    assert asked["own_lo"].tolist() == [8, 99, 0]


@pytest.mark.parametrize(
    ("mtu", "v4", "expected"),
    [(1500, True, 1460), (1500, False, 1440), (1400, True, 1360), (9000, True, 1460), (50, True, 64)],
)
def test_mss(mtu: int, v4: bool, expected: int) -> None:
    assert ways.mss(mtu, v4) == expected


def test_frames_are_looked_up_as_targets_are() -> None:
    frames = np.zeros(2, FRAME)
    frames["peer_lo"] = 5, 15
    table = ways.make([0, 10], lambda first, last: Way(WayKind.KERNEL) if first else RING, RING)
    called: Callable[[], np.ndarray] = lambda: table.of(frames)  # noqa: E731
    native, python = both(called)
    assert native.tolist() == python.tolist() == [0, 1]


def test_the_one_way_of_a_batch_and_the_ways_that_lead_somewhere() -> None:
    for codes, only in (([], None), ([3], 3), ([3, 3, 3], 3), ([3, 3, 0], None), ([0, 0], 0)):
        assert ways.only(np.array(codes, np.uint8)) == only
    kinds = (WayKind.RING, WayKind.KERNEL, *WayKind.WHY)
    table = ways.make(range(len(kinds)), lambda first, last: Way(kinds[min(first, len(kinds) - 1)]), RING)
    assert table.leading == {0, 1}
