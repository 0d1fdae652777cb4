"""What may leave leaves in order; what may not waits, and the timers with it."""

from __future__ import annotations

import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lzr.pacing.maxrate import Budget
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import Builder, LinkHeader
from lzr.rows import FRAME
from lzr.targets.blocklist import Blocklist, Prefixes
from workers.flow import transmit
from workers.flow.transmit import Transmit
from workers.flow.transmitring import SendFailure

SECOND = 10**9


class Wire:
    """A ring with so much room; while it is shut, the kernel takes nothing of it."""

    def __init__(self, room: int = 1000) -> None:
        self.room, self.shut, self.gone = room, False, False
        self.placed, self.sent = list[int](), list[int]()
        self.placed_octets, self.retry_at = 0, 0
        self.stuck = False
        self.errors: Counter[str] = Counter()
        self.policy: Blocklist | None = None

    def send(self, burst: Any, builder: Builder) -> int:
        count = min(len(burst), self.room - len(self.placed))
        self.placed += burst["seq"][:count].tolist()
        self.placed_octets += 60 * count
        return count

    def block(self, policy: Blocklist) -> None:
        self.policy = policy

    def spread(self, burst: Any, builder: Builder, parts: Any) -> tuple[int, int]:
        return 0, 0  # as where it cannot; what it does itself: test_transmitrows.py

    @property
    def empty(self) -> bool:
        return not self.placed

    def flush(self) -> bool:
        if self.gone:
            raise SendFailure("the interface is gone")
        if not self.shut:
            self.sent += self.placed
            self.placed.clear()
        self.stuck = bool(self.placed)
        return not self.stuck


class Sending:
    """A transmitter over wires, and what it said to the timers."""

    def __init__(self, *wires: Wire, budget: Budget | None = None, shards: int = 1) -> None:
        self.postponed: list[tuple[int, int]] = []
        builder = Builder(LinkHeader(bytes(6), bytes(6), bytes(6)), (ProbeTemplate((b"x",)),))
        self.transmit = Transmit(builder, lambda by, now: self.postponed.append((by, now)), budget, shards)
        for wire in wires:
            self.transmit.add(wire, 0)  # type: ignore[arg-type]

    def send(self, *numbers: int, now: int = 0, all_of_it: bool = False) -> None:
        burst = np.zeros(len(numbers), FRAME)
        burst["seq"] = numbers
        self.transmit.send([burst] if numbers else [], now, all_of_it=all_of_it)


def test_everything_leaves_at_once_where_nothing_holds_it() -> None:
    wire = Wire()
    sending = Sending(wire)
    sending.send(1, 2, 3)
    assert wire.sent == [1, 2, 3]
    assert not sending.transmit.held
    assert sending.transmit.wait(0) is None
    assert sending.postponed == []


def test_a_stuck_ring_holds_back_in_order_and_the_timers_wait_as_long() -> None:
    wire = Wire(room=2)
    sending = Sending(wire)
    wire.shut = True
    sending.send(1, 2, 3, now=SECOND)
    assert (wire.placed, wire.sent) == ([1, 2], [])
    assert sending.transmit.held
    wire.retry_at = SECOND + SECOND // 2
    assert sending.transmit.wait(SECOND) == 0.5
    sending.send(4, now=2 * SECOND)
    assert (wire.placed, sending.postponed) == ([1, 2], [])
    wire.shut = False
    for _ in range(3):  # a ring with little room gives it back as it sends
        sending.send(now=3 * SECOND)
    assert wire.sent == [1, 2, 3, 4]
    assert not sending.transmit.held
    assert sending.postponed == [(2 * SECOND, 3 * SECOND)]


@pytest.mark.parametrize(("one_in", "most"), [(1, 256), (4, 1024), (1 << 30, 4096)])
def test_as_many_syns_leave_together_as_the_kernel_may_have_to_wait_with(one_in: int, most: int) -> None:
    """Of those that it routes 256, however many leave by the ring beside them."""
    sending = Sending(Wire(room=1 << 30))
    transmit = sending.transmit
    assert transmit.room > 1 << 20  # all by the ring

    def divert(burst: Any, routed: Any) -> tuple[Any, int]:
        routed.made += len(burst) // one_in
        return burst, 0

    transmit._paths = SimpleNamespace(  # type: ignore[assignment]
        plain=False, all_by_rings=lambda burst: False, divert=divert, builder=None
    )
    assert transmit.room == 256
    for _ in range(10):
        room = transmit.room
        assert room <= most
        transmit.spread(np.zeros(room, FRAME), 0, 0, first=room)
    assert transmit.room == most


def test_a_moment_postpones_nothing() -> None:
    wire = Wire()
    sending = Sending(wire)
    wire.shut = True
    sending.send(1, now=0)
    wire.shut = False
    sending.send(now=1_000_000)
    assert (wire.sent, sending.postponed) == ([1], [])


def test_the_budget_lets_through_its_share() -> None:
    wire = Wire()
    sending = Sending(wire, budget=Budget(1000, None, 0), shards=1)
    sending.send(*range(1000), now=0)
    first = len(wire.sent)
    assert first < 1000
    assert sending.transmit.held
    wait = sending.transmit.wait(0)
    assert wait is not None
    assert 0 < wait <= 1
    sending.send(now=SECOND // 2)
    assert first < len(wire.sent) <= first + 500 + 100
    assert wire.sent == list(range(len(wire.sent)))
    sending.send(now=SECOND // 2, all_of_it=True)  # a shard leaves: its frames come first
    assert wire.sent == list(range(1000))


def test_another_ring_is_the_way_out_when_one_leaves() -> None:
    one, other = Wire(), Wire()
    sending = Sending(one, other, shards=2)
    sending.send(1)
    sending.transmit.remove(other, 0)  # type: ignore[arg-type]
    sending.send(2)
    assert (one.sent, other.sent) == ([2], [1])


def test_frames_without_a_ring_are_counted_as_refused() -> None:
    wire = Wire(room=1)
    sending = Sending(wire)
    wire.shut = True
    sending.send(1, 2, 3)
    sending.transmit.remove(wire, 0)  # type: ignore[arg-type]
    assert wire.errors == {"no room": 2}
    assert not sending.transmit.held


@pytest.mark.parametrize("gone", [False, True])
def test_the_end_does_not_wait_for_an_interface_that_takes_nothing(
    monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    monkeypatch.setattr(transmit, "_LAST_TRIES", 0.05)
    wire = Wire()
    sending = Sending(wire)
    wire.shut = True
    sending.send(1)
    wire.gone = gone
    began = time.monotonic()
    sending.transmit.finish()
    assert time.monotonic() - began < 5
    assert wire.sent == []


def test_nothing_leaves_for_whom_nobody_may_contact() -> None:
    """What waits, what comes later, and what a ring brings along."""
    wire = Wire(room=1)
    sending = Sending(wire)
    wire.shut = True
    burst = np.zeros(4, FRAME)
    burst["seq"], burst["peer_lo"] = [1, 2, 3, 4], [7, 7, 8, 9]
    sending.transmit.send([burst], 0)
    sending.transmit.block(Blocklist(Prefixes([(8, 8)])))
    sending.transmit.queue(burst[2:3])
    assert wire.policy is sending.transmit.policy
    wire.shut = False
    sending.transmit.send([burst[2:3], burst[3:]], SECOND)
    for _ in range(8):
        sending.transmit.send([burst[2:3]], SECOND)
    assert wire.sent == [1, 2, 4, 4]
    assert not sending.transmit.held
    other = Wire()
    sending.transmit.add(other, 0)  # type: ignore[arg-type]
    assert other.policy is sending.transmit.policy


def _spread(sending: Sending, count: int, over: int, first: int) -> tuple[list[int], list[int]]:
    """Spreads so many frames; the numbers that leave together, and when, from the first on."""
    wire, parts, moments = sending.transmit._rings[0], list[int](), list[int]()
    flush = wire.flush

    def noted() -> bool:
        parts.append(len(wire.placed))  # type: ignore[arg-type]
        moments.append(time.monotonic_ns())
        return flush()

    wire.flush = noted  # type: ignore[method-assign]
    burst = np.zeros(count, FRAME)
    burst["seq"] = range(count)
    begun = time.monotonic_ns()
    sending.transmit.spread(burst, begun, over, first=first)
    return parts, [moment - begun for moment in moments]


def test_a_burst_is_spread_over_its_time_and_what_is_late_leaves_at_once() -> None:
    wire = Wire(room=5000)
    sending = Sending(wire)
    parts, moments = _spread(sending, 1100, 10_000_000, 100)
    assert wire.sent == list(range(1100))
    assert parts == [200, *9 * [100]]
    assert all(moment >= number * 1_000_000 - 50_000 for number, moment in enumerate(moments))
    assert sending.transmit.slept > 0


def test_little_is_spread_in_few_parts() -> None:
    wire = Wire()
    parts, _ = _spread(Sending(wire), 10, 12_000_000, 1)
    assert len(parts) == 4
    assert wire.sent == list(range(10))
    assert _spread(Sending(Wire()), 10, 0, 10)[0] == [10]


def test_a_burst_that_is_due_as_a_whole_waits_for_nothing() -> None:
    sending = Sending(Wire(room=5000))
    parts, _ = _spread(sending, 1024, 12_000_000, 1024)
    assert parts == [1024]
    assert sending.transmit.slept == 0


def test_what_a_ring_does_not_take_of_a_burst_waits_in_order() -> None:
    wire = Wire(room=150)
    sending = Sending(wire)
    wire.shut = True
    burst = np.zeros(400, FRAME)
    burst["seq"] = range(400)
    sending.transmit.spread(burst, time.monotonic_ns(), 4_000_000, first=0)
    assert wire.placed == list(range(100))
    assert sending.transmit.held
    wire.shut = False
    for _ in range(5):
        sending.send(now=SECOND)
    assert wire.sent == list(range(400))


def test_a_budget_holds_a_spread_burst_back_too() -> None:
    wire = Wire(room=5000)
    sending = Sending(wire, budget=Budget(1000, None, time.monotonic_ns()), shards=1)
    burst = np.zeros(1000, FRAME)
    sending.transmit.spread(burst, time.monotonic_ns(), 4_000_000, first=0)
    assert len(wire.sent) < 200
    assert sending.transmit.held
