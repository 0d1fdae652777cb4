"""Handles replies: bytes in order, segments beyond a gap, and when a reply is enough to be judged.

Most replies are one segment that is enough, and end their flow at once; parts of the others are held in
`lzr.flow.reassembly`. slots: rows of the flows, (n,) int32. segments: (n,) SEGMENT rows, one for each flow,
whose payloads are in `buffer`. now: monotonic ns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lzr.flow import tcp
from lzr.flow.connections import Connections
from lzr.flow.output import Output
from lzr.flow.reassembly import Reassembly
from lzr.flow.store import FlowStore
from lzr.flow.tcp import Rows, Slots
from lzr.flow.timers import SETTLE, Timers
from lzr.protocols import _firstreply
from lzr.rows import ACK, FIN, FlowState, Number, Reason

Mask = NDArray[np.bool_]

_MAX_ANSWERS = 32
"""Most ACKs that a host gets for segments of one reply (docs/faults.md); after that the reply ends the flow
as it is."""


class Replies:
    """The replies to the flows in `store`."""

    def __init__(
        self,
        store: FlowStore,
        timers: Timers,
        output: Output,
        reassembly: Reassembly,
        connections: Connections,
    ) -> None:
        self._config = store.config
        self._store, self._timers, self._output = store, timers, output
        self._reassembly, self._connections = reassembly, connections

    def take_data(self, slots: Slots, segments: Rows, buffer: memoryview, now: int) -> None:
        """Take segments that are the next in order."""
        start, length, done = tcp.take_data(
            self._store.rows, slots, segments, buffer, _firstreply.ENOUGH, _firstreply.LINE
        )
        if self._reassembly:
            done &= np.fromiter((slot not in self._reassembly for slot in slots.tolist()), bool, len(slots))
        if done.all():
            self._finish_whole(slots, start, length, buffer, now)
            return
        if done.any():
            self._finish_whole(slots[done], start[done], length[done], buffer, now)
        rest = np.flatnonzero(~done)
        fin = segments["flags"][rest] & FIN != 0
        self._take_part(slots[rest], start[rest], start[rest] + length[rest], fin, buffer, now)

    def _finish_whole(self, slots: Slots, start: Rows, length: Rows, buffer: memoryview, now: int) -> None:
        """End flows whose first segment is enough; start, length: (n,) where its data is in the buffer."""
        most = self._config.max_data
        cut = None
        if int(length.max()) > most:
            cut, length = length > most, np.minimum(length, np.uint32(most))
        self._connections.finish(slots, Reason.DATA, now, length, tcp.gather(buffer, start, length), cut)

    def _take_part(
        self, slots: Slots, start: Rows, end: Rows, fin: Mask, buffer: memoryview, now: int
    ) -> None:
        """Keep segments of replies, acknowledge them, and wait for more unless the reply is enough by now."""
        complete = fin.copy()
        awaited = self._store.rows["rcv"][slots]
        spans = zip(slots.tolist(), start.tolist(), end.tolist(), strict=True)
        for at, (slot, a, b) in enumerate(spans):
            held, moved = self._reassembly.append(slot, int(awaited[at]), bytes(buffer[a:b]))
            awaited[at] = int(awaited[at]) + moved & 0xFFFFFFFF
            complete[at] |= _firstreply.complete(held)
        self._store.rows["rcv"][slots] = awaited
        self._store.rows["answers"][slots] += 1
        complete |= self._store.rows["answers"][slots] >= _MAX_ANSWERS
        if complete.any():
            self.finish_parts(slots[complete], now)
        waiting = slots[~complete]
        if len(waiting):
            self._output.send(waiting, Number.NXT, ACK)
            self._store.rows["state"][waiting] = FlowState.SETTLING
            self._timers.arm(SETTLE, waiting, now)

    def keep_early(self, slots: Slots, segments: Rows, buffer: memoryview) -> None:
        """Keep data beyond a gap, and acknowledge what is in order, which makes the peer send the rest
        again.
        """
        fields = (segments[name].tolist() for name in ("seq", "data_at", "data_len"))
        for slot, sequence, start, length in zip(slots.tolist(), *fields, strict=True):
            self._reassembly.keep_early(slot, sequence, bytes(buffer[start : start + length]))
        slots = slots[self._store.rows["answers"][slots] < _MAX_ANSWERS]  # no more than so many answers
        if len(slots):
            self._store.rows["answers"][slots] += 1
            self._output.send(slots, Number.NXT, ACK)

    def finish_parts(self, slots: Slots, now: int, *, early: bool = False) -> None:
        """End flows with the part of their reply that has come. early: before `settle` was over, as memory is
        short.
        """
        payloads = [self._reassembly.take(slot) for slot in slots.tolist()]
        lengths = np.fromiter(map(len, payloads), np.uint32, len(payloads))
        most = self._config.max_data
        cut = (lengths > most) | early
        joined = b"".join([payload[:most] for payload in payloads])
        self._connections.finish(slots, Reason.DATA, now, np.minimum(lengths, np.uint32(most)), joined, cut)

    def stay_within(self, now: int) -> None:
        """Where flows hold more memory than `most_held`, end those that hold most with what has come.

        This frees a quarter at once, so that it is not needed for every segment. Segments beyond a gap are
        dropped; the peer sends them again.
        """
        excess = self._reassembly.cost + self._output.held_bytes - self._config.most_held
        if excess <= 0:
            return
        excess += self._config.most_held // 4
        if self._output.held_bytes:
            self._output.shorten_held(excess)
            excess = self._reassembly.cost + self._output.held_bytes - self._config.most_held
            if excess <= 0:
                return
        begun, early = self._reassembly.largest(excess)
        self._reassembly.forget(early)
        if begun:
            self.finish_parts(np.array(begun, np.int32), now, early=True)
