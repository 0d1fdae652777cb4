"""The flow worker: owns its shards' sockets, flow tables and retransmit queues; nobody else touches them.

One loop, no threads: packets, timers, new targets, results. It takes new targets only while its results
find room, so a slow collector pushes back through here to stdin. When little happens it waits for a
descriptor and then lets a moment pass, so that batches grow with the load and an idle worker costs nothing.
"""

from __future__ import annotations

import os
import resource
import select
import socket
import time
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from lzr import messages
from lzr.flows import FlowTable
from lzr.job import Job
from lzr.kernels import make_index
from lzr.messages import Message
from lzr.segments import MALFORMED, Builder, Link
from workers import link
from workers.ring import RX_FRAMES, Ring, SendFailure
from workers.shard import Shard

_STATS_EVERY = 250_000_000
_PAUSE = 0.001  # after being woken: what arrives meanwhile is taken in the same batch
_SMALL = 64
_MAX_OUTBOX = 512  # unacknowledged result batches before new targets have to wait
_FEED_TURN = 4


class FlowWorker:
    def __init__(
        self, job: Job, index: int, name: str, sockets: list[socket.socket], positions: NDArray[np.int64]
    ) -> None:
        self._job = job
        self._index = index
        self._sockets = sockets
        self._positions = positions
        self._plan = job.plan()
        self._builder = Builder(Link(job.own_mac, job.gateway_v4, job.gateway_v6), self._plan.probes)
        self._context: zmq.Context[Any] = zmq.Context(io_threads=1)
        self._feed = link.pull(self._context, job.endpoint(f"feed-{name}"), mark=link.FEED_MARK)
        # Apart from the feed: an acknowledgement may be what makes room for the next targets.
        self._orders = link.pull(self._context, job.endpoint(f"orders-{name}"), mark=link.REPORT_MARK)
        self._reports = link.push(self._context, job.endpoint("reports"), mark=link.REPORT_MARK)
        self._results: zmq.Socket[bytes] | None = None
        self._shards: dict[int, Shard] = {}
        self._poller = select.poll()
        for sock in (self._feed, self._orders):
            self._poller.register(link.descriptor(sock), select.POLLIN)
        self._stopping = False
        self._busy = 0
        self._next_stats = 0
        self._report("ready")

    def run(self) -> None:
        try:
            self._loop()
        except SendFailure as failure:
            self._report("fault", reason=str(failure))
            self._context.destroy(linger=1000)

    def _loop(self) -> None:
        while not self._stopping:
            start = time.monotonic_ns()
            work = 0
            for shard in self._shards.values():
                work += shard.turn(start)
            self._read_orders()
            work += self._read_feed(start)
            self._push_results()
            now = time.monotonic_ns()
            self._busy += now - start
            if now >= self._next_stats:
                self._next_stats = now + _STATS_EVERY
                self._send_stats()
            if work < _SMALL:
                self._wait(now)

    def _wait(self, now: int) -> None:
        """Until something arrives or a timer is due; then a moment more."""
        # ZeroMQ's descriptors tell of changes only, so look before waiting on them.
        if link.has_message(self._orders) or (self._has_room() and link.has_message(self._feed)):
            return
        due = [self._next_stats]
        due += [shard.table.next_due for shard in self._shards.values() if shard.table.next_due is not None]
        seconds = (min(due) - now) / 1e9
        if any(shard.pending for shard in self._shards.values()):
            seconds = min(seconds, 0.002)
        if seconds > 0:
            self._poller.poll(seconds * 1000)
            time.sleep(_PAUSE)

    def _has_room(self) -> bool:
        return sum(len(shard.unacknowledged) for shard in self._shards.values()) < _MAX_OUTBOX

    # --- messages --------------------------------------------------------------------------------------

    def _read_feed(self, now: int) -> int:
        work = 0
        for _ in range(_FEED_TURN):
            message = link.try_receive(self._feed) if self._has_room() else None
            if message is None:
                break
            rows = message.arrays[0]
            self._shards[message.header["shard"]].open(rows, now, time.time_ns())
            work += len(rows)
        return work

    def _read_orders(self) -> None:
        while (message := link.try_receive(self._orders)) is not None:
            self._obey(message)

    def _obey(self, message: Message) -> None:
        header = message.header
        if message.kind == "acked":
            for number, sequence in header["batches"]:
                if number in self._shards:
                    self._shards[number].acknowledge(sequence)
        elif message.kind == "adopt":
            self._adopt(header["shard"], header["epoch"])
        elif message.kind == "resend":
            self._connect_results(header["endpoint"])
        elif message.kind == "stop":
            self._stopping = True
        else:
            raise messages.SchemaError(f"a flow worker cannot obey {message.kind!r}")

    def _adopt(self, number: int, epoch: int) -> None:
        at = self._positions[2 * number : 2 * number + 2]
        ring = Ring(self._sockets[number], at, self._job.options.max_send_failures or 0)
        table = FlowTable(self._plan, number, index=make_index())
        self._shards[number] = Shard(number, epoch, ring, table, self._builder)
        self._poller.register(ring.fileno(), select.POLLIN)
        self._report("adopted", shard=number, epoch=epoch)

    def _connect_results(self, endpoint: str) -> None:
        if self._results is not None:
            self._results.close(linger=0)
        self._results = link.push(self._context, endpoint, mark=link.RESULT_MARK)
        for shard in self._shards.values():
            shard.resend()

    def _push_results(self) -> None:
        if self._results is None:
            return
        for shard in self._shards.values():
            while shard.pending and link.try_send(self._results, shard.pending[0]):
                shard.pending.popleft()

    def _report(self, kind: str, **header: Any) -> None:
        header |= {"role": "flow", "index": self._index, "pid": os.getpid()}
        self._reports.send_multipart(messages.pack(kind, header))

    def _send_stats(self) -> None:
        shards = self._shards.values()
        rings = [shard.ring for shard in shards]
        ignored = dict.fromkeys(("stray", "out_of_turn", *MALFORMED), 0)
        for shard in shards:
            for kind, count in shard.table.ignored.items():
                ignored[kind] += count
            for kind, number in zip(MALFORMED, shard.malformed.tolist(), strict=True):
                ignored[kind] += number
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._report(
            "stats",
            cpu_ns=round((usage.ru_utime + usage.ru_stime) * 1e9),
            busy_ns=self._busy,
            shards=len(rings),
            in_flight=sum(shard.table.in_flight for shard in shards),
            rx=sum(ring.received for ring in rings),
            tx=sum(ring.sent for ring in rings),
            rx_bytes=sum(ring.received_octets for ring in rings),
            tx_bytes=sum(ring.sent_octets for ring in rings),
            retransmits=sum(shard.table.retransmits for shard in shards),
            drops=sum(ring.read_drops() for ring in rings),
            ring_used=sum(ring.fill() for ring in rings),
            ring_size=RX_FRAMES * len(rings),
            queue=sum(len(shard.pending) for shard in shards),
            outbox=sum(len(shard.unacknowledged) for shard in shards),
            send_failures=sum(ring.failures for ring in rings),
            ignored=ignored,
        )
