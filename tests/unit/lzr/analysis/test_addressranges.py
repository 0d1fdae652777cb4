"""Sets of ranges as columns: the same addresses as sets of pairs of numbers."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lzr.addresses import v4_number
from lzr.analysis.addressranges import AddressRanges, Collected, plain_lines
from lzr.ranges import Range, union
from lzr.rows import V4_MAPPED
from tests.rows import every_row

LAST = V4_MAPPED | 0xFFFFFFFF
EVERY = (1 << 128) - 1


def some(rng: random.Random, count: int) -> list[Range]:
    """Ranges that often touch or hold one another, at the borders of IPv4 and of everything, too."""
    borders = (V4_MAPPED, V4_MAPPED + 500, LAST - 30, 1 << 64, 5 << 64 | (1 << 64) - 20, 0, EVERY - 60)
    found = []
    for _ in range(count):
        first = min(max(0, rng.choice(borders) + rng.randrange(-30, 60)), EVERY)
        found.append((first, min(first + rng.choice((0, 0, 1, 5, 40, 1 << 66)), EVERY)))
    return found


def split(ranges: list[Range]) -> list[Range]:
    """With IPv4 apart from what lies around it."""
    parts = ((0, V4_MAPPED - 1), (V4_MAPPED, LAST), (LAST + 1, EVERY))
    return [
        (max(first, low), min(last, high))
        for low, high in parts
        for first, last in ranges
        if first <= high and last >= low
    ]


@every_row(range(30))
def test_ranges_hold_the_addresses_that_they_were_made_of(seed: int) -> None:
    rng = random.Random(seed)
    ranges = some(rng, rng.choice((0, 1, 3, 20, 200)))
    found = AddressRanges.of(ranges)
    assert sorted(found) == split(union(ranges))
    assert len(found) == len(split(union(ranges)))
    addresses = {min(max(one + near, 0), EVERY) for pair in ranges for one in pair for near in (-1, 0, 1)}
    for address in [*addresses, 0, EVERY, V4_MAPPED, LAST]:
        assert (address in found) == any(first <= address <= last for first, last in ranges)


def test_joining_on_the_way_changes_nothing() -> None:
    rng = random.Random(7)
    one, other = Collected(), Collected()
    for number, (first, last) in enumerate(some(rng, 500)):
        one.add(first, last)
        other.add(first, last)
        if number % 50 == 0:
            other.unite()
    assert len(other) < len(one)
    assert list(one.united()) == list(other.united())


def test_a_range_that_ends_before_it_begins_is_none() -> None:
    with pytest.raises(ValueError, match="ends before"):
        AddressRanges.of([(2, 1)])


def test_lines_that_are_an_address_alone_are_read_as_one_by_one() -> None:
    rng = random.Random(3)
    lines = ["", "1.2.3.4", "01.2.3.4", "1.2.3.256", "1.2.3", "1.2.3.4.5", "1..3.4", "1.2.3.4 ", "a.b.c.d",
             "1.2.3.4:80", "10.0.0.0/8", "0.0.0.0", "255.255.255.255", "1234.1.1.1", "::1", "1.2.3.4#",
             "\u0661.2.3.4", "00.0.0.0", "1.2.3.", ".1.2.3", "1.2.3.4\r", "-1.2.3.4", "."]  # fmt: skip
    lines += [".".join(str(rng.randrange(0, 300)) for _ in range(4)) for _ in range(500)]
    rng.shuffle(lines)
    numbers, which = plain_lines("".join(f"{line}\n" for line in lines).encode())
    expected = [v4_number(line) for line in lines]
    assert which.tolist() == [number >= 0 for number in expected]
    assert numbers.tolist() == [number for number in expected if number >= 0]
    assert [part.tolist() for part in plain_lines(b"\n")] == [[], [False]]


def test_a_range_of_ipv4_costs_eight_bytes() -> None:
    collected = Collected()
    collected.add_four(np.arange(0, 200_000, 2, dtype=np.uint64))
    found = collected.united()
    assert len(found) == 100_000
    assert found.first4.nbytes + found.last4.nbytes == 800_000
