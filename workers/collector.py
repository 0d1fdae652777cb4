"""The collector: merges the shards' outcomes, identifies, encodes, writes, and acknowledges what is written.

A batch counts as taken only when its lines are out: then its tickets, its number and the length of the file
go to the coordinator in one message. So whatever dies, what is not acknowledged can be made again, and a
successor cuts the file back to the acknowledged length first. Batches of a shard's former life (an older
epoch) are dropped: their flows have been given to somebody else.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import stat
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import zmq

from lzr import addresses, messages
from lzr.expressions import record_filter
from lzr.job import Job
from lzr.messages import Message
from lzr.protocols import Classifier, Identity, handshake
from lzr.results import ENCODERS, UNKNOWN, Encoder, ZgrabEncoder
from lzr.rows import Reason
from lzr.summary import Summary
from workers import link

_STATS_EVERY = 250_000_000
_PAUSE = 0.005
_TURN = 16  # batches written together
_LATEST = 8  # identified services told to the coordinator per turn, for people to watch


class OutputGone(Exception):
    """The reader of our output has gone (EPIPE): quiet, quick."""


class OutputFull(Exception):
    """The output cannot be written; the sentence says why."""


@dataclass
class Sink:
    """One output: where it goes and in which form. offset: bytes written, where it is a file."""

    descriptor: int
    encoder: Encoder
    offset: int = 0

    def cut_back(self) -> None:
        """Drop what a predecessor wrote and nobody acknowledged."""
        if stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            os.ftruncate(self.descriptor, self.offset)
            os.lseek(self.descriptor, self.offset, os.SEEK_SET)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                done = os.write(self.descriptor, view)
            except BlockingIOError:
                select.select([], [self.descriptor], [], 1.0)
                continue
            except BrokenPipeError as error:
                raise OutputGone from error
            except OSError as error:
                raise OutputFull(os.strerror(error.errno or errno.EIO)) from error
            self.offset += done
            view = view[done:]


class Collector:
    def __init__(self, job: Job, index: int, name: str, sinks: list[tuple[int, str, int, bool]]) -> None:
        """sinks: (descriptor, form, offset, fresh); form is a name in ENCODERS or `feed`."""
        options = job.options
        self._job = job
        self._index = index
        self._sinks = [Sink(fd, self._encoder(form), offset) for fd, form, offset, _ in sinks]
        self._fresh = [sink for sink, (_, _, _, fresh) in zip(self._sinks, sinks, strict=True) if fresh]
        self._classifier = Classifier(options.priority_fingerprint or options.handshakes)
        self._sent = [handshake(n) for n in options.handshakes]
        self._epochs: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._records = self._busy = 0
        self._context: zmq.Context[Any] = zmq.Context(io_threads=1)
        self._results = link.pull(
            self._context, job.endpoint(f"results-{name}"), bind=True, mark=link.RESULT_MARK
        )
        self._orders = link.pull(self._context, job.endpoint(f"orders-{name}"), mark=link.REPORT_MARK)
        self._reports = link.push(self._context, job.endpoint("reports"), mark=link.REPORT_MARK)
        self._stopping = False
        self._report("ready", endpoint=job.endpoint(f"results-{name}"))

    def _encoder(self, form: str) -> Encoder:
        options = self._job.options
        common: dict[str, Any] = {
            "handshakes": options.handshakes,
            "expanded": options.ipv6,
            "only_data": options.only_data_record,
            "wanted": record_filter(options.output_filter) if options.output_filter else None,
        }
        if form in ("feed", "zgrab"):
            return ZgrabEncoder(known_only=options.zgrab_only_known, **common)
        return ENCODERS[form](fields=options.output_fields, **common)

    def run(self) -> None:
        try:
            for sink in self._sinks:
                sink.cut_back()
            for sink in self._fresh:
                sink.write(sink.encoder.header())
            self._loop()
        except OutputGone:
            self._report("fault", reason="", gone=True)
            self._context.destroy(linger=1000)
        except OutputFull as full:
            self._report("fault", reason=f"cannot write results: {full}", gone=False)
            self._context.destroy(linger=1000)

    def _loop(self) -> None:
        poller = zmq.Poller()
        poller.register(self._results, zmq.POLLIN)
        poller.register(self._orders, zmq.POLLIN)
        next_stats = 0
        while True:
            start = time.monotonic_ns()
            batches: list[Message] = []
            while len(batches) < _TURN and (message := link.try_receive(self._results)) is not None:
                batches.append(message)
            if batches:
                self._take(batches)
            # A fence is obeyed only when nothing is waiting: what the dead worker sent has come by then.
            while not batches and (order := link.try_receive(self._orders)) is not None:
                self._obey(order)
            now = time.monotonic_ns()
            self._busy += now - start
            if now >= next_stats:
                next_stats = now + _STATS_EVERY
                self._send_stats()
            if self._stopping and not batches:
                self._context.destroy(linger=2000)
                return
            if len(batches) < _TURN:
                poller.poll(max(0, (next_stats - now) // 1_000_000))
                time.sleep(_PAUSE)

    def _take(self, batches: list[Message]) -> None:
        done, tickets = [], []
        summary = Summary()
        self._duplicates = 0
        self._found: Counter[tuple[str, str]] = Counter()
        latest: list[list[Any]] = []
        for message in batches:
            header = message.header
            shard, epoch, sequence = header["shard"], header["epoch"], header["seq"]
            if epoch < self._epochs.get(shard, 0) or sequence <= self._last.get(shard, 0):
                continue
            rows, payloads = message.arrays
            self._write(rows, payloads.tobytes(), summary, latest)
            self._last[shard] = sequence
            done.append((shard, epoch, sequence))
            tickets.append(rows["ticket"][rows["final"] != 0])
        if not done:
            return
        self._report(
            "written",
            np.concatenate(tickets),
            batches=done,
            offsets=[sink.offset for sink in self._sinks],
            summary=summary.to_dict(),
            duplicates=self._duplicates,
            found=[[*key, count] for key, count in self._found.items()],
            latest=latest[-_LATEST:],
        )

    def _write(self, rows: Any, blob: bytes, summary: Summary, latest: list[list[Any]]) -> None:
        names = self._identify(rows, blob)
        for sink in self._sinks:
            lines = sink.encoder.encode(rows, blob, names)
            if lines:
                sink.write(lines)
        self._records += len(rows)
        summary.add(rows, [name.label for name in names], self._job.options.handshakes)
        self._duplicates += int(np.count_nonzero(rows["reason"] == Reason.DUPLICATE))
        self._found.update(
            (self._job.options.handshakes[h], names[r].label)
            for r, h in enumerate(rows["handshake"].tolist())
            if names[r] is not UNKNOWN
        )
        self._tell(rows, blob, names, latest)

    def _identify(self, rows: Any, blob: bytes) -> list[Identity]:
        names: list[Identity] = [UNKNOWN] * len(rows)
        identify, sent = self._classifier.identify, self._sent
        at = 0
        lengths = rows["data_len"]
        for row in np.flatnonzero(lengths).tolist():
            end = at + int(lengths[row])
            names[row] = identify(blob[at:end], sent[rows["handshake"][row]])
            at = end
        return names

    def _tell(self, rows: Any, blob: bytes, names: list[Identity], latest: list[list[Any]]) -> None:
        """The last identified services of a batch, for people to watch."""
        chosen = np.flatnonzero(rows["reason"] == Reason.DATA)[-2:]
        if not len(chosen):
            return
        ends = np.cumsum(rows["data_len"])
        for row in chosen.tolist():
            end = int(ends[row])
            start = end - int(rows["data_len"][row])
            peer = addresses.text(int(rows["peer_hi"][row]), int(rows["peer_lo"][row]))
            by = self._job.options.handshakes[int(rows["handshake"][row])]
            banner = blob[start : min(end, start + 160)]
            latest.append([peer, int(rows["peer_port"][row]), names[row].label, by, banner])

    def _obey(self, message: Message) -> None:
        if message.kind == "fence":
            shard, epoch = message.header["shard"], message.header["epoch"]
            self._epochs[shard] = epoch
            self._last[shard] = 0
            self._report("fenced", shard=shard, epoch=epoch)
        elif message.kind == "stop":
            self._stopping = True
        else:
            raise messages.SchemaError(f"a collector cannot obey {message.kind!r}")

    def _report(self, kind: str, *arrays: Any, **header: Any) -> None:
        header |= {"role": "collect", "index": self._index, "pid": os.getpid()}
        self._reports.send_multipart(messages.pack(kind, header, *arrays))

    def _send_stats(self) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._report(
            "stats",
            cpu_ns=round((usage.ru_utime + usage.ru_stime) * 1e9),
            busy_ns=self._busy,
            records=self._records,
            bytes=sum(sink.offset for sink in self._sinks),
            queue=0,
        )
