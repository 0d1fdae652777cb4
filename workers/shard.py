"""A shard at work: its ring, its flow table, and the results nobody has acknowledged yet."""

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


class Shard:
    """Owned by one process at a time. `epoch` grows whenever it changes hands after a crash."""

    def __init__(self, number: int, epoch: int, ring: Ring, table: FlowTable, builder: Builder) -> None:
        self.number = number
        self.epoch = epoch
        self.ring = ring
        self.table = table
        self._builder = builder
        self.sequence = 0
        self.pending: deque[list[Buffer]] = deque()  # not yet handed to ZeroMQ
        self.unacknowledged: deque[tuple[int, list[Buffer]]] = deque()
        self.malformed = np.zeros(len(MALFORMED), np.int64)

    def turn(self, now: int) -> int:
        """Receive, expire, send: one round of work. Returns how many frames had arrived."""
        taken = 0
        arrivals = self.ring.take(TAKE)
        if arrivals is not None:
            taken = len(arrivals.at)
            segments, faults = parse(
                arrivals.buffer, arrivals.at, arrivals.captured, arrivals.ts, arrivals.checked
            )
            if len(segments) < taken:
                self.malformed += faults
            self.table.receive(segments, arrivals.buffer, now)
            self.ring.done()
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
            self.ring.send(burst, self._builder.build)
        rows, payloads = self.table.take_outcomes()
        if len(rows):
            self.sequence += 1
            header = {"shard": self.number, "epoch": self.epoch, "seq": self.sequence}
            message = messages.pack("outcomes", header, rows, payloads)
            self.pending.append(message)
            self.unacknowledged.append((self.sequence, message))

    def acknowledge(self, sequence: int) -> None:
        """The collector has written everything up to `sequence`."""
        while self.unacknowledged and self.unacknowledged[0][0] <= sequence:
            self.unacknowledged.popleft()

    def resend(self) -> None:
        """A new collector: it gets all that the old one did not acknowledge."""
        self.pending = deque(message for _, message in self.unacknowledged)
