"""The rings of a worker are served in turn, whoever shouts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.flow.config import Plan
from lzr.flow.table import FlowTable
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import Builder, Link
from lzr.rows import ACK, SEGMENT, TARGET
from workers.flow.arrivals import Arrivals
from workers.flow.engine import TAKE, Engine
from workers.flow.outbox import Outbox
from workers.flow.refused import Refused


class Queue:
    """A ring that holds frames, of which only the number is looked at: they belong to no flow."""

    rx_frames, stuck = 4096, False

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        self.refused = Refused()

    def take(self, limit: int, arrivals: Arrivals) -> int:
        count = min(limit, self.waiting, 2 * TAKE - len(arrivals.segments))
        arrivals._made += count
        self.waiting -= count
        return count


def test_a_flood_at_some_rings_starves_no_other() -> None:
    probes = (ProbeTemplate((b"x",)),)
    table = FlowTable(Plan(probes))
    engine = Engine(Outbox(1), table, Builder(Link(bytes(6), bytes(6), bytes(6)), probes))
    rings: list[Any] = [Queue(1 << 30), Queue(1 << 30), Queue(100), Queue(1 << 30)]
    for shard, ring in enumerate(rings):
        engine.add(shard, ring)
    taken = engine.turn(0, 0)
    assert taken > TAKE
    assert rings[2].waiting == 0
    assert table.ignored["stray"] == taken


class Recorded:
    """A ring that holds these segments, in order."""

    rx_frames, stuck = 65536, False

    def __init__(self, segments: NDArray[Any]) -> None:
        self.segments = segments
        self.refused = Refused()

    def take(self, limit: int, arrivals: Arrivals) -> int:
        count = min(limit, len(self.segments), 2 * TAKE - len(arrivals.segments))
        arrivals._segments[arrivals._made : arrivals._made + count] = self.segments[:count]
        arrivals._made += count
        self.segments = self.segments[count:]
        return count


def test_nobody_is_called_silent_whose_answer_is_still_in_the_ring() -> None:
    """A worker that had no processor for seconds finds a full ring, and the answer at its end."""
    second, epoch = 10**9, 1_700_000_000 * 10**9
    probes = (ProbeTemplate((b"hello",)),)
    table = FlowTable(Plan(probes, retransmit_number=0, timeout=1.0))
    engine = Engine(Outbox(1), table, Builder(Link(bytes(6), bytes(6), bytes(6)), probes))
    target = np.zeros(1, TARGET)
    target["peer_lo"], target["own_lo"], target["peer_port"], target["own_port"] = 7, 9, 80, 40000
    target["window"], target["seq"], target["ack"] = 1000, 100, 200
    table.open(target, 0, epoch)
    engine.table.take_frames()
    segments = np.zeros(30_000, SEGMENT)
    segments["ts"] = epoch + np.linspace(0.1, 0.9, len(segments)) * second
    answer = segments[-1:]
    for name in ("peer_lo", "own_lo", "peer_port", "own_port"):
        answer[name] = target[name]
    answer["seq"], answer["ack"], answer["flags"], answer["window"] = 101, 205, ACK, 1000
    answer["data_len"] = 64
    ring: Any = Recorded(segments)
    engine.add(0, ring)
    engine.flush = lambda **_: None  # type: ignore[method-assign]
    for turn in range(5):
        engine.turn(3 * second + turn, epoch + 3 * second + turn)
    assert not len(ring.segments)
    engine.hand_over_outcomes()
    assert table.in_flight == 0
    assert table.silent == 0


def test_a_flood_does_not_stop_the_clock() -> None:
    """Frames that never end are looked at in the order in which they came, so time goes on with them."""
    second, epoch = 10**9, 1_700_000_000 * 10**9
    probes = (ProbeTemplate((b"hello",)),)
    table = FlowTable(Plan(probes, retransmit_number=0, timeout=1.0))
    engine = Engine(Outbox(1), table, Builder(Link(bytes(6), bytes(6), bytes(6)), probes))
    target = np.zeros(1, TARGET)
    target["window"] = 1000
    table.open(target, 0, epoch)
    segments = np.zeros(200_000, SEGMENT)
    segments["ts"] = epoch + np.linspace(0.1, 4.0, len(segments)) * second
    ring: Any = Recorded(segments)
    engine.add(0, ring)
    engine.flush = lambda **_: None  # type: ignore[method-assign]
    for turn in range(12):
        engine.turn(4 * second + turn, epoch + 4 * second + turn)
    assert len(ring.segments) > TAKE, "it goes on"
    assert table.in_flight == 0
