"""What a flow worker hosts: its shards' rings, one flow table over all, results not yet acknowledged."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from lzr import messages
from lzr.flows import FlowTable
from lzr.messages import Buffer
from lzr.segments import MALFORMED, Builder, parse
from workers.ring import Ring

TAKE = 1024
"""Frames looked at together: large enough to amortise a batch, small enough to stay in the cache."""


class Hosted:
    """Packets in, packets and outcome messages out. source: this worker's incarnation."""

    def __init__(self, source: int, table: FlowTable, builder: Builder) -> None:
        self.source = source
        self.table = table
        self.rings: dict[int, Ring] = {}
        self._builder = builder
        self._way_out: Ring | None = None
        self.sequence = 0
        self.pending: deque[list[Buffer]] = deque()  # not yet handed to ZeroMQ
        self.unacknowledged: deque[tuple[int, list[Buffer]]] = deque()
        self.malformed = np.zeros(len(MALFORMED), np.int64)

    def add(self, shard: int, ring: Ring) -> None:
        self.rings[shard] = ring
        self._way_out = ring

    def remove(self, shard: int) -> Ring:
        ring = self.rings.pop(shard)
        self._way_out = next(iter(self.rings.values()), None)
        return ring

    def turn(self, now: int) -> int:
        """Receive, expire, send: one round of work. Returns how many frames had arrived."""
        taken = 0
        for ring in self.rings.values():
            arrivals = ring.take(TAKE)
            if arrivals is None:
                continue
            taken += len(arrivals.at)
            segments, faults = parse(
                arrivals.buffer, arrivals.at, arrivals.captured, arrivals.ts, arrivals.checked
            )
            if len(segments) < len(arrivals.at):
                self.malformed += faults
            self.table.receive(segments, arrivals.buffer, now)
            ring.done()
        due = self.table.next_due
        if due is not None and due <= now:
            self.table.expire(now)
        self.flush()
        return taken

    def open(self, targets: Any, now: int, wall: int) -> None:
        self.table.open(targets, now, wall)
        self.flush()

    def flush(self) -> None:
        """Put frames on the wire and outcomes in the outbox."""
        for burst in self.table.take_frames():
            assert self._way_out is not None  # flows come only after a shard has been adopted
            self._way_out.send(burst, self._builder.build)
        rows, payloads = self.table.take_outcomes()
        if len(rows):
            self.sequence += 1
            header = {"source": self.source, "seq": self.sequence}
            message = messages.pack("outcomes", header, rows, payloads)
            self.pending.append(message)
            self.unacknowledged.append((self.sequence, message))

    def acknowledge(self, sequence: int) -> None:
        """The collector has written everything up to `sequence`."""
        while self.unacknowledged and self.unacknowledged[0][0] <= sequence:
            self.unacknowledged.popleft()

    def resend(self) -> None:
        """A new collector: it gets all that has not been acknowledged."""
        self.pending = deque(message for _, message in self.unacknowledged)
