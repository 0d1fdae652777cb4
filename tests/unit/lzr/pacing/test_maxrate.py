"""Packets that surely fit into the bits that are left; tests/system/test_pace.py has the rates."""

from __future__ import annotations

import pytest

from lzr.pacing.maxrate import Budget, syns

SECOND = 1_000_000_000


def test_small_packets_are_not_taken_for_large_ones() -> None:
    budget = Budget(None, 10e6, 0)
    assert budget.frames(SECOND) == (12_304 + 200_000) // 12_304  # 20 ms' worth, and one of the largest
    assert budget.frames(SECOND, 82) == (12_304 + 200_000) // (8 * (82 + 24))
    assert budget.frames(SECOND, 40) == (12_304 + 200_000) // (8 * 84)  # the least on the wire


def test_who_sends_small_packets_each_millisecond_uses_its_bits() -> None:
    budget, sent = Budget(None, 10e6, 0), 0
    for ms in range(1000):
        room = budget.frames(ms * SECOND // 1000, 62)
        budget.spend(room, 62 * room)
        sent += room
    assert 0.97 * 10e6 < sent * 8 * 86 <= 1.04 * 10e6


def test_one_leaves_on_credit_and_is_paid_for() -> None:
    budget = Budget(None, 10_000, 0)
    assert budget.frames(SECOND, 1514) == 1
    budget.spend(1, 1514)
    assert budget.frames(SECOND, 1514) == 0
    assert budget.wait() > 0


@pytest.mark.parametrize(
    ("packets", "bits", "most"), [(None, None, None), (300.0, None, 300.0), (300.0, 67_200.0, 100.0)]
)
def test_how_many_syns_may_leave(packets: float | None, bits: float | None, most: float | None) -> None:
    assert syns(packets, bits) == most
