"""The rings of a worker are served in turn, whoever shouts."""

from __future__ import annotations

from typing import Any

from lzr.flow.config import Plan
from lzr.flow.table import FlowTable
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import Builder, Link
from workers.flow.engine import TAKE, Engine
from workers.flow.ring import Arrivals


class Queue:
    """A ring that holds frames, of which only the number is looked at: they belong to no flow."""

    rx_frames, stuck = 4096, False

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting

    def take(self, limit: int, arrivals: Arrivals) -> int:
        count = min(limit, self.waiting, 2 * TAKE - len(arrivals.segments))
        arrivals._made += count
        self.waiting -= count
        return count


def test_a_flood_at_some_rings_starves_no_other() -> None:
    probes = (ProbeTemplate((b"x",)),)
    table = FlowTable(Plan(probes))
    engine = Engine(1, table, Builder(Link(bytes(6), bytes(6), bytes(6)), probes))
    rings: list[Any] = [Queue(1 << 30), Queue(1 << 30), Queue(100), Queue(1 << 30)]
    for shard, ring in enumerate(rings):
        engine.add(shard, ring)
    taken = engine.turn(0, 0)
    assert taken > TAKE
    assert rings[2].waiting == 0
    assert table.ignored["stray"] == taken
