"""Each pair has one number and each number a pair; who is blocked has none."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.addresstext import ranges_of
from lzr.ranges import Range, difference, union
from lzr.rows import FRAME, V4_MAPPED
from lzr.sweep.space import MOST_PAIRS, Space

pytestmark = pytest.mark.usefixtures("kernels")

EDGES = [V4_MAPPED | 0x0A000000, 0x20010DB8 << 96, (0x20010DB8 << 96) + (1 << 64) - 4]
SOME = st.lists(
    st.tuples(st.sampled_from(EDGES), st.integers(0, 40), st.integers(0, 9)).map(
        lambda drawn: (drawn[0] + drawn[1], drawn[0] + drawn[1] + drawn[2])
    ),
    max_size=6,
)
PORTS = st.lists(st.sampled_from([(0, 0), (80, 80), (443, 445), (444, 450), (65530, 65535)]), max_size=4)


def pairs(space: Space, numbers: list[int]) -> list[tuple[int, int]]:
    rows = np.zeros(len(numbers), FRAME)
    space.place(np.array(numbers, np.uint64), rows)
    return [(int(row["peer_hi"]) << 64 | int(row["peer_lo"]), int(row["peer_port"])) for row in rows]


@given(SOME, SOME, PORTS)
@settings(deadline=None)
def test_by_number(allowed: list[Range], blocked: list[Range], ports: list[tuple[int, int]]) -> None:
    ranges = difference(union(allowed), union(blocked))
    space = Space(ranges, ports)
    wanted = [
        (address, port)
        for first, last in ranges
        for address in range(first, last + 1)
        for port in sorted({port for start, end in ports for port in range(start, end + 1)})
    ]
    assert space.pairs == len(wanted)
    assert pairs(space, list(range(space.pairs))) == wanted
    assert pairs(space, list(range(space.pairs))[::-1]) == wanted[::-1]
    with pytest.raises(ValueError, match="outside"):
        pairs(space, [space.pairs])


def test_all_of_ipv4_with_all_ports_takes_no_memory() -> None:
    tracemalloc.start()
    space = Space(ranges_of("0.0.0.0/0"), [(0, 65535)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert space.pairs == MOST_PAIRS
    assert peak < 2 << 20
    last = 2**32 - 1
    assert pairs(space, [0, 65536, MOST_PAIRS - 1]) == [
        (V4_MAPPED, 0),
        (V4_MAPPED | 1, 0),
        (V4_MAPPED | last, 65535),
    ]


def test_a_hole_is_not_counted() -> None:
    space = Space(difference(ranges_of("10.0.0.0/8"), ranges_of("10.1.0.0/16")), [(80, 80)])
    assert space.addresses == 2**24 - 2**16
    assert pairs(space, [2**16 - 1, 2**16]) == [(V4_MAPPED | 0x0A00FFFF, 80), (V4_MAPPED | 0x0A020000, 80)]


@pytest.mark.parametrize("prefix", ["2001:db8::/64", "::/0"])
def test_more_than_can_be_swept_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="are more than"):
        Space(ranges_of(prefix), [(80, 80)])
