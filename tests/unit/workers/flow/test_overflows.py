"""When flows are asked again because a receive ring had no room: once for all drops of a moment."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from workers.flow.overflows import Overflows, ahead

MS = 1_000_000


class Asked:
    """A flow table that notes which shards' flows are asked again, and when; of each one is too old."""

    def __init__(self) -> None:
        self.calls: list[tuple[set[int], int]] = []
        self.steps: list[int] = []

    def step_clock(self, by: int) -> None:
        self.steps.append(by)

    def ask_again(self, shards: set[int], now: int, wall: int) -> int:
        self.calls.append((set(shards), now))
        return len(shards)


def ring(*dropped: bool) -> Any:
    answers = list(dropped)
    return SimpleNamespace(rx_frames=2048, has_dropped=lambda: answers.pop(0))


def test_only_rings_that_may_have_been_full_are_looked_at() -> None:
    table: Any = Asked()
    overflows = Overflows(table)
    rings = [(0, ring()), (1, ring(False)), (2, ring(True))]
    overflows.look(rings, {0: 511, 1: 512, 2: 2048})
    assert overflows
    overflows.ask_again(1000 * MS, 0)
    assert table.calls == [({2}, 1000 * MS)]
    assert not overflows
    assert overflows.unheard == 1


def test_what_is_dropped_within_a_moment_is_one_reason() -> None:
    table: Any = Asked()
    overflows = Overflows(table)
    rings = [(0, ring(True, True, False)), (1, ring(False, True, False))]
    for now in (1000 * MS, 1050 * MS, 1100 * MS):
        overflows.look(rings, {0: 2048, 1: 2048})
        overflows.ask_again(now, 0)
    assert table.calls == [({0}, 1000 * MS), ({0, 1}, 1100 * MS)]


def test_a_shard_that_leaves_does_not_wait() -> None:
    table: Any = Asked()
    overflows = Overflows(table)
    overflows.look([(0, ring(True))], {0: 2048})
    overflows.ask_again(1000 * MS, 0)
    overflows.leave(3, ring(False), 1010 * MS, 0)
    assert len(table.calls) == 1
    overflows.leave(3, ring(True), 1010 * MS, 0)
    assert table.calls[1] == ({3}, 1010 * MS)
    assert not overflows


def test_a_clock_that_is_set_is_told_and_one_that_is_slowed_is_not() -> None:
    """By the hour, forth and back; chronyd slows or hurries by at most a tenth."""
    table: Any = Asked()
    clock = iter((0, 10 * MS, 3_600_010 * MS, 3_600_020 * MS, 20 * MS, 120 * MS))
    overflows = Overflows(table, lambda: next(clock))
    for _ in range(4):
        overflows.ask_again(0, 0)
    overflows.leave(0, ring(False), 0, 0)
    assert table.steps == [3_600_000 * MS, -3_600_000 * MS]


def test_how_far_the_clocks_are_apart() -> None:
    before = ahead()
    assert abs(ahead() - before) < 10_000 * MS
    assert before > 10**18 - time.monotonic_ns()
