"""The collector: takes the workers' outcomes, identifies and encodes them, writes and acknowledges the lines.

Collector 0 writes. Further ones identify and encode, and send it finished lines. When the lines of a batch
are written, its tickets, its number and the length of the file go to the coordinator in one message. What is
not acknowledged in this way can be made again if a process dies: a successor first cuts the file back to the
acknowledged length, and a batch that comes a second time is known by its number. Once there is a fence for a
worker that died, its batches are dropped, as its flows are tried again by another worker.
"""

from __future__ import annotations

import resource
import select
import time
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from lzr.ipc import messages, packing
from lzr.ipc.credentials import Sender, mark, verified
from lzr.ipc.inbox import InvalidMessage
from lzr.ipc.job import Job, Spawn
from lzr.ipc.packing import Received
from lzr.ipc.schema import Buffer, Message, SchemaError
from workers.collect.bounds import Bounds
from workers.collect.label import Labelled, Labeller
from workers.collect.pauses import pause
from workers.collect.sink import OutputFull, OutputGone, Sink
from workers.ipc import channels

_STUCK = 0.002
"""Seconds until the next attempt, where the writing collector has no room. A judgement."""
_MOST_REFUSED = 1000
"""Most refused messages that are reported; more would only flood the coordinator."""
_TURN = 4096
"""Records written together, or a few more; none is acknowledged before all are written. `benchmarks.endtoend`
(100,000 flows, three rounds) has 2.4, 2.0 and 2.1 times the floor for 1,024, 4,096 and 16,384, each within
1.5 and 2.8: no difference that can be told from the noise, so it is small, for a shard waits for it when it
changes hands."""
_TURN_OCTETS = 1 << 24  # bytes of messages, likewise: a judgement, twice as many as one message may have


Batch = messages.Outcomes | messages.Lines


class Collector:
    """One collector process: takes outcomes, identifies and encodes them, writes or passes on the lines."""

    def __init__(
        self, job: Job, spawn: Spawn, outputs: list[int], whole: NDArray[np.int64], listener: int
    ) -> None:
        """outputs: open descriptors, in the order of `spawn.outputs`, in the collector that writes. listener:
        the listening socket for results.

        whole: by output, its length at the end of the last whole line, in memory that outlives this process.
        """
        self._name, self._token, self._key = spawn.name, spawn.token, spawn.results
        self._sender = Sender(spawn.name, spawn.number)
        self._writes = spawn.index == 0
        self._labeller = Labeller(
            job.options, [output.form for output in spawn.outputs], findings=job.findings
        )
        self._sinks = (
            [
                Sink(
                    outputs[output.number],
                    output.offset,
                    whole[output.number : output.number + 1],
                    output.shared,
                    self._wait_for_reader,
                )
                for output in spawn.outputs
            ]
            if self._writes
            else []
        )
        self._fresh = [output.fresh for output in spawn.outputs]
        self._lines = [output.lines for output in spawn.outputs]
        self._limit = job.options.max_results
        self._enough = False  # so many are written
        self._fenced = set(spawn.fenced)
        self._last = dict(spawn.written)  # by incarnation: the last message taken
        self._records = self._octets = self._busy = self._blocked = 0
        self._next_stats = 0
        self._report_every = round(job.report_every * 1e9)
        self._context: zmq.Context[Any] = zmq.Context(io_threads=1)
        self._job = job
        self._refused = 0  # messages that were none
        self._distrusted: set[str] = set()  # who sent some: nothing more of them is believed
        self._results = channels.inbox(listener)
        self._bounds = Bounds(job.options, len(spawn.outputs))
        self._orders = channels.pull(
            self._context, job.endpoint(f"orders-{spawn.name}"), mark=channels.REPORT_MARK
        )
        self._reports = channels.push(self._context, job.endpoint("reports"), mark=channels.REPORT_MARK)
        self._writer: zmq.Socket[bytes] | None = None  # where finished lines go, if we do not write
        self._waiting: list[list[Buffer]] = []
        self._order_poller = select.poll()
        self._order_poller.register(channels.descriptor(self._orders), select.POLLIN)
        self._stopping = False
        self._report(messages.Ready())

    def run(self) -> None:
        """Work until the coordinator orders to stop, or no output can be written any more."""
        try:
            if self._writes:
                for sink, fresh, encoder in zip(
                    self._sinks, self._fresh, self._labeller.encoders, strict=True
                ):
                    sink.cut_back()
                    if fresh:
                        sink.write(encoder.header())
            self._loop()
        except OutputGone:
            self._report(messages.Fault("", gone=True))
            self._context.destroy(linger=1000)
        except OutputFull as full:
            self._report(messages.Fault(f"cannot write results: {full}"))
            self._context.destroy(linger=1000)

    def _loop(self) -> None:
        poller = zmq.Poller()
        poller.register(self._results.fileno(), zmq.POLLIN)
        poller.register(self._orders, zmq.POLLIN)
        readers = [sink.descriptor for sink in self._sinks if sink.is_pipe]
        for descriptor in readers:
            poller.register(descriptor, zmq.POLLERR)  # its reader has gone: known before the next line
        while True:
            start, blocked = time.monotonic_ns(), self._blocked
            batches: list[Batch] = []
            records = octets = 0
            drained = bool(self._waiting)  # or held up by the one that writes
            while not drained and records < _TURN and octets < _TURN_OCTETS:
                try:
                    received = self._results.receive()
                    if received is None:
                        drained = True
                        break
                    parts = received[1]
                    octets += sum(map(len, parts))
                    batch = self._checked(packing.unpack(parts, messages.RESULTS))
                except SchemaError as error:
                    octets += _TURN_OCTETS >> 10  # who sends what is none without end does not hold us up
                    self._refuse(error)
                    continue
                batches.append(batch)
                records += _records_of(batch)
            if batches:
                self._take(batches)
            self._hand_over()
            # A fence is obeyed only when all that had come is taken: what the dead worker sent is among it.
            while (
                drained and (order := channels.try_receive(self._orders, messages.COLLECT_ORDERS)) is not None
            ):
                self._obey(order)
            now = time.monotonic_ns()
            self._busy += now - start - (self._blocked - blocked)
            self._send_stats_when_due(now)
            if self._stopping and not batches and not self._waiting:
                self._send_stats(last=True)
                self._context.destroy(linger=2000)
                return
            if drained:
                rests = pause(records, now - start, begun=self._results.begun)
                self._rest(poller, readers, start + rests)

    def _rest(self, poller: zmq.Poller, readers: list[int], until: int) -> None:
        """Wait for results or orders; after a turn, pause so that more gather, unless an order comes."""
        if self._stopping and not self._waiting:
            return
        while (now := time.monotonic_ns()) < until:
            if self._order_poller.poll((until - now) / 1e6) and channels.has_message(self._orders):
                return
        if self._waiting:
            time.sleep(_STUCK)
            return
        events = dict(poller.poll(max(0, (self._next_stats - now) // 1_000_000)))
        if any(descriptor in events for descriptor in readers):
            raise OutputGone

    def _take(self, batches: list[Batch]) -> None:
        if self._writes:
            self._write([batch for batch in batches if self._is_new(batch)])
            return
        for batch in batches:
            each = self._label(batch)
            # Where results are counted, who writes may need a part of them only, and makes it anew.
            rows, payloads = (batch.rows, batch.payloads) if self._limit is not None else (b"", b"")
            lines = messages.Lines(
                batch.incarnation,
                batch.seq,
                each.records,
                each.counts,
                each.tickets,
                rows,
                payloads,
                tuple(each.lines),
            )
            self._waiting.append(packing.pack(lines, self._sender.text, mark(self._key, self._sender)))
            self._records += each.records

    def _is_new(self, batch: Batch) -> bool:
        incarnation, sequence = batch.incarnation, batch.seq
        # One that is not the next has come another way before, or one before it was lost with the process it
        # was in: then its worker sends both again.
        if incarnation in self._fenced or sequence != self._last.get(incarnation, 0) + 1:
            return False
        self._last[incarnation] = sequence
        return True

    def _label(self, batch: Batch) -> Labelled:
        if isinstance(batch, messages.Lines):
            return Labelled(list(batch.lines), batch.tickets, batch.records, batch.counts)
        return self._labeller.make(batch.rows, batch.payloads.tobytes())

    def _write(self, batches: list[Batch]) -> None:
        """Write the lines of these batches, then report that they are written."""
        if not batches:
            return
        labelled = [self._label(batch) for batch in batches]
        if self._limit is not None:
            batches, labelled = self._wanted(self._limit, batches, labelled)
        if not batches:
            return
        try:
            self._put(batches, labelled)
        except OutputFull:
            if not all(sink.can_cut for sink in self._sinks):
                raise
            for batch, each in zip(batches, labelled, strict=True):
                self._put_what_fits(batch, each)

    def _wanted(
        self, limit: int, batches: list[Batch], labelled: list[Labelled]
    ) -> tuple[list[Batch], list[Labelled]]:
        """The batches, the last perhaps in part, that bring the records in all to `limit` (-N)."""
        wanted: list[Labelled] = []
        room = limit - self._lines[0]
        for batch, each in zip(batches, labelled, strict=True):
            count = each.counts.lines[0]
            if count >= room:
                self._enough = True
            if room <= 0:
                break
            wanted.append(each if count <= room else self._part(batch, room))
            room -= count
        return batches[: len(wanted)], wanted

    def _part(self, batch: Batch, records: int) -> Labelled:
        return self._labeller.part(batch.rows, batch.payloads.tobytes(), records)

    def _put_what_fits(self, batch: Batch, each: Labelled) -> None:
        """Write a batch as far as the disk has room, half by half. Raises OutputFull for the rest."""
        try:
            self._put([batch], [each])
            return
        except OutputFull as error:
            full = error
        there = isinstance(batch, messages.Outcomes) or self._limit is not None
        records = each.counts.lines[0] if there else 0
        while records := records // 2:
            try:
                self._put([batch], [self._part(batch, records)])
                break
            except OutputFull as error:
                full = error
        raise full

    def _put(self, batches: list[Batch], labelled: list[Labelled]) -> None:
        """Write and report all of it. Raises OutputFull; then none of it counts."""
        before = [sink.end() for sink in self._sinks]
        try:
            self._put_lines(batches, labelled)
        except OutputFull:
            for sink, offset in zip(self._sinks, before, strict=True):
                if sink.can_cut:
                    sink.offset = offset
                    sink.cut_back()
            raise

    def _put_lines(self, batches: list[Batch], labelled: list[Labelled]) -> None:
        for number, sink in enumerate(self._sinks):
            sink.write(b"".join(each.lines[number] for each in labelled))
        self._lines = [
            had + sum(each.counts.lines[number] for each in labelled)
            for number, had in enumerate(self._lines)
        ]
        self._records += sum(each.records for each in labelled)
        self._octets += sum(len(part) for each in labelled for part in each.lines)
        last: dict[int, int] = {}
        for batch in batches:
            last[batch.incarnation] = batch.seq
        written = messages.Written(
            last=list(last.items()),
            offsets=[sink.offset for sink in self._sinks],
            lines=self._lines,
            enough=self._enough,
            counts=[each.counts for each in labelled],
            shares=[
                (batch.incarnation, len(each.tickets)) for batch, each in zip(batches, labelled, strict=True)
            ],
            tickets=np.concatenate([each.tickets for each in labelled]),
        )
        self._report(written)

    def _wait_for_reader(self, seconds: float) -> None:
        """Count time in which a slow reader of an output keeps us waiting as waiting, not as work; keep
        reporting.
        """
        self._blocked += round(seconds * 1e9)
        self._send_stats_when_due(time.monotonic_ns())

    def _hand_over(self) -> None:
        """Send finished lines to the writing collector; what it has no room for waits here."""
        while (
            self._waiting and self._writer is not None and channels.try_send(self._writer, self._waiting[0])
        ):
            self._waiting.pop(0)

    def _checked(self, received: Received) -> Batch:
        """The batch in a message, checked against this scan's options and processes. Raises SchemaError."""
        message, text, shown = received
        assert isinstance(message, Batch)
        sender = verified(self._key, text, shown)
        if sender is None:
            raise SchemaError(f"{type(message).__name__} in the name of {text[:40]!r}, by somebody else")
        if sender.name in self._distrusted:
            raise SchemaError("more of what is not believed", text, shown)
        own = sender.number == message.incarnation if isinstance(message, messages.Outcomes) else True
        if not own or (sender.role == "flow") != isinstance(message, messages.Outcomes):
            raise SchemaError(f"{type(message).__name__} of another's", text, shown)
        try:
            self._bounds.check(message)
        except SchemaError as error:
            error.sender, error.token = text, shown
            raise
        return message

    def _refuse(self, error: SchemaError) -> None:
        """Report an invalid message. If its sender is certain, nothing more is accepted from it: the
        coordinator kills it, and its successor does its flows again.
        """
        self._refused += 1
        sender = verified(self._key, error.sender, error.token)
        name = "" if sender is None else sender.name
        pid = error.pid if isinstance(error, InvalidMessage) else 0
        if name not in self._distrusted and self._refused <= _MOST_REFUSED:
            self._report(messages.RefusedMessage(str(error)[:200], name, pid))
        if name:
            self._distrusted.add(name)

    def _obey(self, order: Message) -> None:
        match order:
            case messages.Fence(incarnation=incarnation):
                self._fenced.add(incarnation)
                self._report(messages.Fenced(incarnation))
            case messages.SendTo(collector=collector):
                if self._writer is not None:
                    self._writer.close(linger=0)
                endpoint = self._job.endpoint(f"results-{collector}")
                self._writer = channels.push(self._context, endpoint, mark=channels.RESULT_MARK)
                self._waiting.clear()  # the flow workers send all of it again
                self._report(messages.Linked(collector))
            case messages.Stop():
                self._stopping = True

    def _report(self, report: Message) -> None:
        packing.send(self._reports, packing.pack(report, self._name, self._token))

    def _send_stats_when_due(self, now: int) -> None:
        if now >= self._next_stats:
            self._next_stats = channels.next_report(now, self._report_every)
            self._send_stats()

    def _send_stats(self, *, last: bool = False) -> None:
        """Report the figures. last: the process is about to end."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        stats = messages.CollectStats(
            last=last,
            cpu_ns=round((usage.ru_utime + usage.ru_stime) * 1e9),
            busy_ns=self._busy,
            blocked_ns=self._blocked,
            records=self._records,
            bytes=self._octets,
            queue=len(self._waiting),
            refused=self._refused,
        )
        self._report(stats)


def _records_of(batch: Batch) -> int:
    return batch.records if isinstance(batch, messages.Lines) else len(batch.rows)
