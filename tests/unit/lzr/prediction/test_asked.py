"""Sets of addresses, and who was asked, against Python's sets."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.prediction import asked as predictasked
from lzr.prediction.asked import BLIND, PORTS, Addresses, Asked, joined

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6)), max_size=8)


def made(ranges: list[tuple[int, int]]) -> tuple[Addresses, set[int]]:
    first = np.array([first for first, _ in ranges], np.int64)
    last = np.array([first + more for first, more in ranges], np.int64)
    return Addresses(first, last), {n for low, more in ranges for n in range(low, low + more + 1)}


@given(RANGES, RANGES)
def test_sets_are_sets(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    (a, of_a), (b, of_b) = made(one), made(other)
    every = np.arange(80)
    for found, wanted in (
        (a, of_a),
        (a.without(b), of_a - of_b),
        (a.common(b), of_a & of_b),
        (joined((a, b)), of_a | of_b),
        (a.within(10, 30), {n for n in of_a if 10 <= n <= 30}),
    ):
        assert found.size == len(wanted)
        assert set(every[found.contains(every)].tolist()) == wanted
        assert found.ranked(np.arange(found.size)).tolist() == sorted(wanted)
        assert found.below(every).tolist() == [sum(n < limit for n in wanted) for limit in every.tolist()]
        assert (found.first[1:] > found.last[:-1] + 1).all()


def test_pairs_are_known_as_asked_with_round_and_reason() -> None:
    asked = Asked()
    every = np.zeros(PORTS, bool)
    every[[22, 80]] = True
    asked.add_product(Addresses.of(np.array([1, 2])), every)
    asked.add_product(Addresses.of(np.array([2, 3])), every)  # the same ports: one product
    asked.add_pairs(np.array([5, 5, 6]), np.array([443, 80, 443]), np.array([BLIND, 2, BLIND]), round_=3)
    assert asked.cost == 6 + 3
    assert len(asked.products) == 1
    pairs = [(1, 22), (3, 80), (1, 443), (5, 443), (5, 80), (6, 80), (6, 443)]
    address, port = (np.array(column) for column in zip(*pairs, strict=True))
    assert asked.contains(address, port).tolist() == [True, True, False, True, True, False, True]
    singles = asked.singles(np.array([3, 5, 6]))
    rows = list(zip(*(column.tolist() for column in singles), strict=True))
    assert rows == [(1, 80, 2, 3), (1, 443, BLIND, 3), (2, 443, BLIND, 3)]
    assert asked.of_port(80).ranked(np.arange(4)).tolist() == [1, 2, 3, 5]


def test_what_is_assumed_counts_for_hosts_but_not_as_asked() -> None:
    asked = Asked()
    ports = np.zeros(PORTS, bool)
    ports[80] = True
    asked.assumed = Addresses.of(np.array([7])), ports
    assert not asked.contains(np.array([7]), np.array([80])).any()
    assert asked.covered(asked.masks(np.array([7, 8])))[:, 80].tolist() == [True, False]
    assert asked.cost == 0


def test_how_many_were_asked_on_each_port() -> None:
    asked = Asked()
    ports = np.zeros(PORTS, bool)
    ports[[22, 80, 443]] = True
    asked.add_product(Addresses(np.array([0]), np.array([99])), ports)
    asked.add_pairs(np.array([95, 150, 300]), np.array([80, 80, 8080]))
    asked.add_pairs(np.array([151]), np.array([443]), 0)
    space = Addresses(np.array([50]), np.array([199]))
    counted = asked.counted(np.array([22, 80, 443, 8080, 9]), space)
    assert counted.tolist() == [50, 51, 51, 0, 0]


def test_singles_of_thousands_of_ports_are_counted_beside_a_large_product() -> None:
    """Of each port only what was asked singly is looked at, not all that the product holds."""
    asked = Asked()
    asked.add_product(Addresses.of(np.arange(0, 500_000, 2)), np.ones(PORTS, bool))
    ports = np.arange(1, 3_001)
    asked.add_pairs(np.full(3_000, 2 * 5_000 + 1), ports)
    began = time.process_time()
    assert (asked.counted(ports, Addresses(np.array([0]), np.array([1 << 24]))) == 250_001).all()
    once = time.process_time()
    asked.counted(ports[:1], Addresses(np.array([0]), np.array([1 << 24])))
    assert once - began < 500 * max(time.process_time() - once, 0.01)


def test_single_pairs_are_looked_for_together_and_found_as_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A list of pairs has thousands of ports, and is looked through dozens of times."""
    rng = np.random.default_rng(3)
    number, port = rng.integers(0, 300, 2_000), rng.integers(1, 400, 2_000)
    asked = Asked()
    for round_ in (0, 1):
        mine = slice(round_, None, 2)
        asked.add_pairs(number[mine], port[mine], round_=round_)
    hosts = np.arange(0, 300, 3)
    looks: list[int] = []
    search = np.searchsorted

    def counted(*arguments: Any) -> Any:
        looks.append(1)
        return search(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(np, "searchsorted", counted)
        found = asked.singles(hosts)
    assert len(looks) < 10
    pairs = {
        (int(a), int(b), at % 2) for at, (a, b) in enumerate(zip(number, port, strict=True)) if a % 3 == 0
    }
    assert (
        set(zip((found.place * 3).tolist(), found.port.tolist(), found.round.tolist(), strict=True)) == pairs
    )
    assert len(found.place) == len(pairs)
    monkeypatch.setattr(predictasked, "_AT_ONCE", 7)
    for column, of in zip(found, asked.singles(hosts), strict=True):
        assert (column == of).all()
