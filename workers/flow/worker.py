"""The flow worker: owns its shards' sockets, flow tables and retransmit queues; no other process touches
them.

One loop, no threads: packets, timers, new targets, results. It takes new targets only while its results find
room, so a slow collector pushes back through here to stdin. When little happens it pauses between two turns,
so that batches grow with the load and an idle worker costs nothing. Targets do not wait for that: they are
begun in light turns, which do nothing else.
"""

from __future__ import annotations

import os
import resource
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from lzr.flow.handover import ShardFlows
from lzr.flow.table import FlowTable
from lzr.flow.trace import Traced
from lzr.ipc import messages, packing
from lzr.ipc.credentials import Sender
from lzr.ipc.job import Job, Spawn
from lzr.ipc.schema import FEED_MARK, Message
from lzr.layout import MALFORMED
from lzr.pacing.maxrate import Budget
from lzr.packet.segments import Builder, LinkHeader
from lzr.targets.blocklist import Blocklist, Prefixes
from workers.flow.engine import SMALL, FlowEngine
from workers.flow.icmperrors import ICMPErrors
from workers.flow.outbox import Outbox
from workers.flow.ring import OtherRings, Ring
from workers.flow.sendpaths import Routed
from workers.flow.transmit import Transmit
from workers.flow.transmitring import SendFailure
from workers.ipc import channels

_PAUSE = 120_000_000
"""ns between two turns with little to do: packets and timers that come meanwhile are dealt with together. At
1,000 lines a second (`python -m benchmarks.calm`, a busy machine) all processes took 36, 27 and 24 % of a
core with 20, 80 and 320 ms, and the median from line to ACK stayed at 11.5 ms, since new targets are begun in
light turns."""
_SHORT_PAUSE = 10_000_000
"""The same where fewer than _FEW flows are open, which may be all there are: a scan of one target waits for
it with each packet. With 2, 10 and 40 ms the same benchmark has 25, 27 and 22 % of a core and 11.2, 11.2 and
12.3 ms."""
_FEW = 64
"""Flows. A judgement: a scan of a single target, or of a few, and the last ones of any."""
_STRIDE = 5_000_000
"""ns between two batches of packets that --max-rate or --bandwidth holds back: a quarter of the burst that a
`TokenBucket` may hold (20 ms)."""
_STUCK = 2_000_000
"""ns until another try where results or targets wait for room. A judgement: 500 short turns a second at
most."""
# `python -m benchmarks.endtoend` shows what these bounds do at full speed.
_MAX_OUTBOX = 1 << 23  # bytes of results that are not written yet, from which on no new target is taken
_FULL_OUTBOX = 1 << 19  # the same where the oldest of them waits for longer than _LATE: a shard can change
_LATE = 200_000_000  # hands only when its results are written, so a slow collector gets no longer queue (ns)
_RING_COUNTS = ("received", "received_octets", "kernel_drops", "out.sent", "out.sent_octets")


class FlowWorker:
    """One flow worker process: a `FlowEngine`, and its messages to coordinator and collectors."""

    def __init__(
        self, job: Job, spawn: Spawn, sockets: list[socket.socket], positions: NDArray[np.int64]
    ) -> None:
        """sockets: by shard, then the raw IP ones, then those of ICMP errors. positions: (2 * shards,) int64,
        shared with other workers.

        A worker has all of them, and uses those whose shards the coordinator orders it to adopt.
        """
        self._job = job
        self._name, self._token = spawn.name, spawn.token
        self._sockets = sockets
        self._positions = positions
        config = job.flow_config()
        self._probes = config.probes
        builder = Builder(LinkHeader(job.own_mac, job.gateway_v4, job.gateway_v6), config.probes)
        table = Traced(config, job.options.handshakes, _tell) if job.options.debug else FlowTable(config)
        options = job.options
        budget = None
        if options.max_rate is not None or options.bandwidth is not None:
            budget = Budget(options.max_rate, options.bandwidth, time.monotonic_ns())
        outbox = Outbox(spawn.number, Sender(spawn.name, spawn.number).text, spawn.results)
        errors = [sock for sock in sockets[job.shards :] if sock.family == socket.AF_PACKET]
        routed = Routed([sock for sock in sockets[job.shards :] if sock not in errors])
        icmp = ICMPErrors(errors) if errors else None
        others = OtherRings(sockets[: job.shards], positions, job.frames)
        transmit = Transmit(builder, table.timers.postpone, budget, job.shards, routed)
        self._engine = FlowEngine(outbox, table, transmit, icmp, others)
        self._context: zmq.Context[Any] = zmq.Context(io_threads=1)
        self._feed = channels.pull(self._context, job.endpoint(f"feed-{spawn.name}"), mark=FEED_MARK)
        # Apart from the feed: an acknowledgement may be what makes room for the next targets.
        self._orders = channels.pull(
            self._context, job.endpoint(f"orders-{spawn.name}"), mark=channels.REPORT_MARK
        )
        self._reports = channels.push(self._context, job.endpoint("reports"), mark=channels.REPORT_MARK)
        self._results: zmq.Socket[bytes] | None = None
        self._releasing: deque[tuple[int, messages.Released]] = deque()  # after this batch, what
        self._releases_coming = 0  # shards to be released behind targets that are still on the way
        self._poller = select.poll()
        self._message_poller, self._order_poller = select.poll(), select.poll()
        for sock in (self._feed, self._orders):
            self._poller.register(channels.descriptor(sock), select.POLLIN)
            self._message_poller.register(channels.descriptor(sock), select.POLLIN)
        self._order_poller.register(channels.descriptor(self._orders), select.POLLIN)
        self._gone = dict.fromkeys(_RING_COUNTS, 0)  # by rings that have been released
        self._gone_errors: Counter[str] = Counter()
        self._stopping = False
        self._blocked = 0  # the number of the last order to contact somebody no more
        self._busy = 0
        self._next_stats = 0
        self._report_every = round(job.report_every * 1e9)
        self._light = False  # the next turn is for new targets only
        self._resting_until = 0
        self._fed = channels.descriptor(self._feed)
        self._ordered = True  # there may be orders; False only in a light turn, after a wait that says so
        self._drained = False  # the feed had no more
        self._fed_now = False  # the last wait has found something in the feed
        self._report(messages.Ready())

    def run(self) -> None:
        """Work until the scan ends or the interface is gone; report why, in that case."""
        try:
            self._loop()
        except SendFailure as failure:
            self._send_stats(last=True)
            self._report(messages.Fault(str(failure)))
            self._context.destroy(linger=1000)

    def _loop(self) -> None:
        engine = self._engine
        while not self._stopping:
            start, slept = time.monotonic_ns(), engine.transmit.slept
            if self._ordered:
                self._read_orders()
            self._ordered = True
            self._read_feed()
            if self._light:
                work = engine.begin(start, time.time_ns())
            else:
                few = engine.table.in_flight < _FEW and not engine.asking
                self._resting_until = start + (_SHORT_PAUSE if few else _PAUSE)
                work = engine.turn(start, time.time_ns())
                if (left := engine.errors_at) is not None:
                    self._resting_until = min(self._resting_until, left)
                self._push_results()
                for heard in engine.heard():
                    self._report(heard)
            now = time.monotonic_ns()
            self._busy += now - start - (engine.transmit.slept - slept)
            if now >= self._next_stats:
                self._next_stats = channels.next_report(now, self._report_every)
                self._send_stats()
            self._light = work < SMALL and not self._stopping and self._rest(now)
        if self._engine.rings:
            self._engine.finish()
        self._send_stats(last=True)
        self._context.destroy(linger=1000)

    def _rest(self, now: int) -> bool:
        """Wait for work. True if only targets came, so that the next turn can be a light one
        (`FlowEngine.begin`).

        After a turn it waits until `_resting_until`, so that packets gather; targets, orders, and SYNs of a
        sweep that are due end the wait.
        """
        # ZeroMQ's descriptors tell of changes only: look before waiting on one that was not read to its end.
        if (
            not self._drained
            and channels.has_message(self._feed)
            and (self._releases_coming > 0 or self._has_room())
        ):
            return now < self._resting_until and not self._engine.waiting
        held = self._engine.patience
        asked = None if held is not None else self._engine.next_asked
        if held is not None:
            until = now + min(max(round(held * 1e9), _STRIDE), self._report_every)
            self._resting_until = min(until, self._resting_until) if now < self._resting_until else until
        if now < self._resting_until:
            wait = self._resting_until - now
            if self._engine.outbox.pending or (self._engine.waiting and held is None):
                wait = min(wait, _STUCK)
            soon = asked is not None and asked <= now + wait
            if soon and asked is not None:
                wait = max(0, asked - now)
            # A feed that is not read now would wake us again and again.
            reads = self._releases_coming > 0 or self._has_room()
            poller = self._message_poller if reads else self._order_poller
            if ready := poller.poll(wait / 1e6):
                self._ordered = len(ready) > 1 or ready[0][0] != self._fed
                self._fed_now = not self._ordered
                return not self._engine.waiting
            if soon:
                self._ordered = False
                return not self._engine.waiting
            now = self._resting_until
        if held is not None:
            return False
        due = self._engine.next_due
        wait = (self._next_stats if due is None else min(due, self._next_stats)) - now
        if self._engine.outbox.pending or self._engine.waiting:
            wait = min(wait, _STUCK)
        if asked is not None:
            wait = min(wait, asked - now)
        if wait > 0:
            self._poller.poll(wait / 1e6)
        return False

    def _has_room(self) -> bool:
        """Whether more targets may be taken: all have been begun, and the collector is not behind."""
        outbox = self._engine.outbox
        if not self._engine.wants_targets or outbox.octets >= _MAX_OUTBOX:
            return False
        return outbox.octets < _FULL_OUTBOX or outbox.age(time.monotonic_ns()) < _LATE

    # --- messages --------------------------------------------------------------------------------------

    def _read_feed(self) -> None:
        self._drained = False
        likely, self._fed_now = self._fed_now, False
        while self._releases_coming > 0 or self._has_room():
            message = channels.try_receive(self._feed, messages.FEED, likely=likely)
            likely = False
            match message:
                case None:
                    self._drained = True
                    return
                case messages.Targets(rows=rows):
                    self._engine.backlog.put(rows)
                case messages.Release(shard=shard):
                    self._releases_coming -= 1
                    self._release(shard)
                case messages.Stretch() if self._engine.sweeper is not None:
                    self._engine.sweeper.put(message)

    def _read_orders(self) -> None:
        adopted: list[int] = []
        while (message := channels.try_receive(self._orders, messages.FLOW_ORDERS)) is not None:
            if isinstance(message, messages.Adopt):
                self._adopt(message)
                adopted.append(message.shard)
                continue
            self._report_adopted(adopted)  # before what another order makes of them
            adopted.clear()
            self._obey(message)
        self._report_adopted(adopted)

    def _obey(self, message: Message) -> None:
        match message:
            case messages.WrittenUpTo(seq=seq):
                self._engine.outbox.acknowledge(seq)
                self._finish_releases()
            case messages.ReleaseComing():
                self._releases_coming += 1
            case messages.SendTo(collector=collector):
                self._connect_results(collector)
            case messages.Routes():
                self._engine.transmit.take_routes(message, self._probes)
            case messages.Swept():
                self._engine.sweep(message)
            case messages.Firewalls(hosts=hosts):
                self._engine.table.firewall_checks.learn(hosts)
            case messages.Blocked(number=number, ranges=ranges):
                self._engine.block(Blocklist(Prefixes.of(ranges)))
                self._blocked = number
                self._send_stats()  # somebody waits to hear that it is so
            case messages.Stop():
                self._stopping = True

    def _adopt(self, order: messages.Adopt) -> None:
        number = order.shard
        at = self._positions[2 * number : 2 * number + 2]
        most = self._job.options.max_send_failures or 0
        transmit = self._engine.transmit
        ring = Ring(self._sockets[number], at, self._job.frames, most, transmit.link, transmit.policy)
        self._engine.add(number, ring)
        held = ShardFlows.held_of(order.held, order.octets.tobytes())
        self._engine.table.adopt(ShardFlows(order.flows, order.timers, order.asked, held))
        self._engine.end_blocked()
        self._engine.backlog.put(order.targets)
        self._poller.register(ring.fileno(), select.POLLIN)

    def _report_adopted(self, shards: list[int]) -> None:
        if shards:
            self._send_stats()  # first: who is told that a shard has moved may ask whose it is
            for shard in shards:
                self._report(messages.Adopted(shard))

    def _release(self, shard: int) -> None:
        """Stop using a shard: packets for it wait in its ring until the next worker adopts it."""
        engine = self._engine
        engine.flush(all_of_it=True)
        state = engine.extract(shard, time.time_ns())
        engine.hand_over_outcomes()
        self._push_results()  # the shard is handed over when they are written
        ring = engine.remove(shard)
        self._poller.unregister(ring.fileno())
        for name in self._gone:
            self._gone[name] += attrgetter(name)(ring)
        self._gone_errors += ring.out.errors
        ring.close()
        held, octets = state.plain_held()
        targets = engine.backlog.withdraw(shard)
        released = messages.Released(shard, state.flows, state.armed, state.asked, targets, held, octets)
        self._releasing.append((engine.outbox.sequence, released))
        self._finish_releases()

    def _finish_releases(self) -> None:
        """Report shards as released whose outcomes are written; until then they may have to be sent again."""
        while self._releasing:
            sequence, released = self._releasing[0]
            if not self._engine.outbox.is_written(sequence):
                return
            self._releasing.popleft()
            self._send_stats()
            self._report(released)

    def _connect_results(self, collector: str) -> None:
        if self._results is not None:
            self._results.close(linger=0)
        endpoint = self._job.endpoint(f"results-{collector}")
        self._results = channels.push(self._context, endpoint, mark=channels.RESULT_MARK)
        self._engine.outbox.resend()

    def _push_results(self) -> None:
        results = self._results
        if results is not None:
            self._engine.outbox.push(lambda message: channels.try_send(results, message))

    def _report(self, report: Message) -> None:
        packing.send(self._reports, packing.pack(report, self._name, self._token))

    def _send_stats(self, *, last: bool = False) -> None:
        """Report a sweep's answers, then the figures: their `looked_ns` states that these answers were
        reported.

        last: the process is about to end.
        """
        for heard in self._engine.heard(last=True):
            self._report(heard)
        engine, table = self._engine, self._engine.table
        rings = engine.rings.values()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cooling, until = table.timers.cooling()
        routed = self._engine.transmit.routed
        errors = sum((ring.out.errors for ring in rings), self._gone_errors) + routed.errors
        stats = messages.FlowStats(
            last=last,
            looked_ns=engine.looked,
            cpu_ns=round((usage.ru_utime + usage.ru_stime) * 1e9),
            busy_ns=self._busy,
            shards=len(rings),
            in_flight=table.in_flight,
            held=engine.at_limit,
            cooling=cooling,
            cooling_ns=max(0, until - time.monotonic_ns()),
            rx=sum(ring.received for ring in rings) + self._gone["received"],
            tx=sum(ring.out.sent for ring in rings) + self._gone["out.sent"] + routed.sent,
            rx_bytes=sum(ring.received_octets for ring in rings) + self._gone["received_octets"],
            tx_bytes=sum(ring.out.sent_octets for ring in rings)
            + self._gone["out.sent_octets"]
            + routed.sent_octets,
            retransmits=table.retransmits,
            drops=sum(ring.read_drops() for ring in rings) + self._gone["kernel_drops"],
            ring_used=max((ring.fill() for ring in rings), default=0),
            ring_size=max((ring.rx_frames for ring in rings), default=0),
            queue=engine.queue,
            outbox=len(engine.outbox),
            send_failures=errors.total(),
            send_errors=errors,
            ignored=engine.ignored | dict(zip(MALFORMED, engine.malformed.tolist(), strict=True)),
            blocked=self._blocked,
            unheard=engine.overflows.unheard,
            unsent=routed.lost,
        )
        self._report(stats)
        engine.at_limit = False


def _tell(lines: Iterator[str]) -> None:
    """Write the lines of -d to stderr, in one write, since other workers write there too."""
    text = "".join(f"{line}\n" for line in lines).encode()
    while text:
        try:
            text = text[os.write(2, text) :]
        except OSError:
            return  # nobody listens
