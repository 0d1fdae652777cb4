"""The coordinator's loop: input to shards, reports to the ledger, and an end when everything has its fate.

It never blocks on one thing. Input is read only while there is room for it: the backlog here and the
high-water marks on the way push back to stdin. A batch for a shard waits here until its worker has room.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from coordinator.endpoints.requests import Command
from coordinator.files.relay import Relay
from coordinator.files.resultfile import ResultFile
from coordinator.input.intake import EARLY, Intake, Sources
from coordinator.input.size import Extent
from coordinator.input.stream import CHUNK
from coordinator.input.unpack import Unpacked
from coordinator.monitor.snapshot import Identified, Phase
from coordinator.processes.fleet import Fleet, try_feed
from coordinator.processes.supervisor import Fault, Stats, Supervisor, Written
from coordinator.scan.checkpoint import Checkpoint, SavedOutput
from coordinator.scan.console import Watch
from coordinator.scan.ledger import Ledger
from coordinator.scan.pacer import Pacer
from lzr import messages
from lzr.job import Job, Output
from lzr.ownership.events import Want
from lzr.ownership.orders import GiveUp, News, ShardClosed, ShardOpened, TryAgain
from lzr.records.summary import Summary
from lzr.rows import Opening, join, pick, put

_BATCH = 2048  # targets in one message
_BACKLOG = 16384  # targets read ahead of the workers
_SMALL = 1 << 14  # bytes; after less, let more gather before the next read
_PAUSE = 0.0155
_STUCK = 0.002
_BREATH = 0.003  # after being woken with little to do: what comes meanwhile costs no turn of its own
_FIGURES = 0.05  # seconds between two looks at the figures
_TELL = 0.25  # seconds within which a flow worker is told that its results are written
_MANY, _MUCH = 4, 256  # messages, or inputs, after which it is told at once: until then it keeps them
_STRIDE = 0.003  # between two handfuls of paced targets
_IDLE = 0.25
_JUDGED_OVER = 0.5
_ASIDE = 0.1
"""Seconds of the rate that may wait for shards which have no worker just now. At the start that is all of
them: with all let through that the start took, 2,000 a second began with 1,700 within 0.2 s. A shard that
moves has an eighth of the targets or less, and is back before so much waits."""
_NEARLY = 0.8
_END_SECONDS = 2.0
_LAST_REPORTS = 0.05
_OVERTAKEN = (
    "the input comes faster than it is scanned, and its pipe is full: a ZMap that writes it loses answers "
    "from here on (drops in its own status; a lower rate there, more workers here)"
)

Rows = NDArray[Any]


class ScanError(Exception):
    """The scan cannot go on; the sentence says why. What is written stays."""


@dataclass
class Outputs:
    """Descriptors (as the nursery numbers them) and what is acknowledged of each.

    lines: records written to each by this scan. file: the result file, if it has a name; name: to call it by.
    """

    descriptors: list[int]
    forms: list[str]
    offsets: list[int]
    fresh: list[bool] = field(default_factory=list)
    shared: list[bool] = field(default_factory=list)  # others write there too: never cut
    lines: list[int] = field(default_factory=list)
    file: ResultFile | None = None
    name: str = ""

    def for_collector(self) -> list[Output]:
        return [
            Output(number, form, offset, fresh, shared, lines)
            for number, (form, offset, fresh, shared, lines) in enumerate(
                zip(self.forms, self.offsets, self.fresh, self.shared, self.lines, strict=True)
            )
        ]

    def state(self) -> list[SavedOutput]:
        """For the checkpoint."""
        return list(map(SavedOutput, self.forms, self.offsets, self.fresh, self.lines))

    def closing(self) -> list[str]:
        """Where the results are, for the end."""
        count = self.lines[0] if self.lines else 0
        return [f"results: {count:,} record{'' if count == 1 else 's'} of this scan in {self.name}"]

    def cut_back(self) -> None:
        """Drop what nobody has acknowledged: it is not counted either. Nobody writes any more."""
        for descriptor, offset, shared in zip(self.descriptors, self.offsets, self.shared, strict=True):
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and not shared and status.st_size > offset:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, offset)


class Scan:
    def __init__(
        self,
        job: Job,
        fleet: Fleet,
        intake: Intake,
        ledger: Ledger,
        sources: Sources,
        outputs: Outputs,
        watch: Watch,
        *,
        source: Unpacked | None,
        workers: int,
        collectors: int,
        checkpoint: Checkpoint | None = None,
        extent: Extent | None = None,
        relay: Relay | None = None,
    ) -> None:
        """source: the input, None when it has ended already; extent: how long it is.

        relay: carries results that go to a terminal.
        """
        self.job = job
        self.fleet = fleet
        self.intake = intake
        self.ledger = ledger
        self.sources = sources
        self.outputs = outputs
        self.watch = watch
        self.totals = watch.totals
        self.meter = watch.meter
        self.checkpoint = checkpoint
        self._relay = relay
        self.summary = Summary()
        if checkpoint is not None and checkpoint.resumed is not None and checkpoint.resumed.summary:
            self.summary.merge(Summary.from_dict(checkpoint.resumed.summary))
        self._attempt = 0
        self._abandoned = False
        self.quitting = False
        self.gone = False  # the reader of our output has gone
        self.enough = False  # as many results are recorded as were asked for
        self._source = source
        self._zmap_waits = not job.options.send_syns  # who writes the input loses what it cannot write
        self._extent = extent
        self._read_at = 0.0
        self._polls: dict[tuple[int, ...], select.poll] = {}
        self._born = True  # the nursery may have something to tell
        self._figures_due = 0.0
        self._queues: dict[str, deque[Rows]] = {}  # by flow worker
        self._parked: deque[Rows] = deque()  # for shards that are changing hands
        self._queued = 0
        self._aside = 0  # of these, parked
        self._late_duplicates = 0  # found by a flow worker: the 4-tuple was in flight
        options = job.options
        paced = options.rate if options.send_syns or options.reopen else None
        self.pacer = Pacer(paced, time.monotonic())
        self.supervisor = Supervisor(
            fleet, job.shards, outputs.for_collector, self.meter, watch.note, watch.log.debug
        )
        self._started_with = workers, collectors
        self._to_sort = False  # a shard was opened or closed: what waits may go another way
        self._to_try_again: list[int] = []  # shards that are open again after a loss
        self._owners = np.zeros(job.shards, np.uint16)  # by shard: 1 + index of its open worker, 0 none
        self._held = options.seed is not None
        self._much = False  # of which a good deal has been written in one go: they may be waiting to hear it
        self._to_tell = False  # more is written than the workers know
        self._tell_at = 0.0
        self._busy = 0
        self._starved = self._filled = False  # since `_judged`: the input had nothing, we had no room
        self._held_up = False  # since then: more waited in the input than we could take at once
        self._clogged = False  # since then: the workers did not take what the pace let through
        self._begun = 0  # targets, since then
        self._judged = time.monotonic()
        self.totals.shards = job.shards
        self.totals.rate_limit = paced
        self._deadline = (
            None if options.max_runtime is None else time.monotonic() + float(options.max_runtime)
        )

    # --- life ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Fork the first collectors and flow workers."""
        limit = self.job.options.max_results
        self.enough = limit is not None and self.outputs.lines[0] >= limit
        if self.enough:
            return
        self._heed(self.supervisor.handle(Want(*self._started_with), time.monotonic()))
        self.totals.phase = Phase.RUNNING

    def step(self, extra: list[int], patience: float = _IDLE) -> bool:
        """One turn of the loop; then waits at most `patience` seconds, or until something happens.

        extra: descriptors of others to wait for as well. Returns whether one of them is what happened.
        """
        now = time.monotonic()
        self._handle_reports(now)
        self._look_at_shards()
        self._look_up()
        worked = self._unfold() or self._read(now)
        worked |= self._dispatch(now)
        worked |= self._feed()
        self._acknowledge(now)
        self._keep_checkpoint(now)
        self._limits(now)
        for sentence in self.intake.refused:
            self.watch.note(sentence)
        self.intake.refused.clear()
        if self.finished or now >= self._figures_due:
            self._figures_due = now + _FIGURES
            self._update_totals(now)
        self._busy += int((time.monotonic() - now) * 1e9)
        return not self.finished and self._wait(extra, min(patience, _IDLE), now, worked)

    @property
    def finished(self) -> bool:
        """Nothing will come any more, and everything that came has its fate, written."""
        intake = self.intake
        coming = intake.backlog or intake.pending or intake.parked
        return self.input_ended and not coming and not self.ledger.open

    @property
    def unfinished(self) -> bool:
        """There is something left that --resume could do."""
        given_up = self._abandoned or self.totals.cut_short or self.totals.interrupted > 0
        return self.checkpoint is not None and given_up and not self.enough

    @property
    def input_ended(self) -> bool:
        return self._source is None

    def end_input(self) -> None:
        """Read no more; what is in flight is finished."""
        self._source = None
        self.intake.forget()

    def _cut_short(self) -> None:
        """The input is given up; how much there would have been is known as well as before."""
        if not self.input_ended:
            self._estimate()
            self.totals.cut_short = True
        self.end_input()

    def interrupt(self) -> None:
        """Read no more and give up what no worker has begun."""
        self._cut_short()
        tickets = [self.intake.abandon()]
        for queue in (*self._queues.values(), self._parked):
            tickets += [rows["ticket"] for rows in queue]
            queue.clear()
        self._queued = self._aside = 0
        given_up = np.concatenate(tickets)
        self.ledger.withdraw(given_up)  # no fate that lasts: a resumed scan takes them up again
        self.totals.interrupted += len(given_up) + self.intake.give_up()

    def obey(self, command: Command, now: float) -> None:
        """Do what a key or the control socket asks for."""
        if command.kind in ("pause", "resume"):
            self.totals.paused = command.kind == "pause"
        elif command.kind == "rate":
            rate = command.wanted_rate(self.pacer.rate)
            self.pacer.set_rate(rate, now)
            self.totals.rate_limit = rate
        elif command.kind == "drain":
            self.totals.draining = True
            self.totals.paused = False
            self._cut_short()
        elif command.kind == "quit":
            self.quitting = True
        elif command.kind == "workers":
            flow, collect = command.wanted(*self.supervisor.machine.wanted, self.job.shards)
            self._heed(self.supervisor.want(flow, collect, now))

    def abandon(self) -> None:
        """Give up everything without a fate, at once."""
        self.interrupt()
        self._abandoned = True
        self._update_totals(time.monotonic())  # what broke off may have read more before it did

    def close(self) -> None:
        """Ask the children to end and wait for them, within bounds; the rest is ended by the fleet."""
        with contextlib.suppress(ChildProcessError):  # the nursery has died: its children do too
            for report in self.supervisor.end(_END_SECONDS):
                self._take_last(report)
        self.fleet.end()
        for report in self.supervisor.last_reports(_LAST_REPORTS):
            self._take_last(report)
        if self._relay is not None:
            self._relay.finish()
        self.outputs.cut_back()
        if self._abandoned:
            self.totals.interrupted += self.ledger.open
        self.fleet.close()
        if self.checkpoint is not None:
            self._note_ended()
            trouble = self.checkpoint.finish(
                self.outputs.descriptors, self.outputs.state(), self.summary.to_dict()
            )
            if trouble:
                self.watch.note(trouble)

    # --- reports ---------------------------------------------------------------------------------------

    def _handle_reports(self, now: float) -> None:
        for report in self.supervisor.reports(nursery=self._born):
            match report:
                case Stats(_, figures):
                    self.meter.feed(now, figures)
                case Written():
                    self._take_written(report)
                case Fault(reason, gone):
                    self.gone |= gone
                    if reason:
                        raise ScanError(reason)
                case _:
                    self._heed(self.supervisor.handle(report, now))

    def _heed(self, news: list[News]) -> None:
        """What the supervisor has done that concerns what is fed to whom."""
        for each in news:
            match each:
                case ShardOpened(shard, name, index, took):
                    self._owners[shard] = index + 1
                    self._to_sort = True
                    if took is not None:
                        self.watch.log.debug(f"shard {shard} is with {name} after {took * 1000:.0f} ms")
                case ShardClosed(shard):
                    self._owners[shard] = 0
                    self._to_sort = True
                case TryAgain(shard):
                    self._to_try_again.append(shard)
                case GiveUp(reason):
                    raise ScanError(reason)

    def _take_last(self, report: Written | Stats) -> None:
        """What still counts when all are ending: what has been written, and the figures."""
        match report:
            case Written():
                self._take_written(report)
            case Stats(_, figures):
                self.meter.feed(time.monotonic(), figures)

    def _take_written(self, report: Written) -> None:
        """Outcomes are on disk: the one message that settles anything."""
        written = report.message
        if report.name != self.supervisor.writer:
            return  # of a collector that is gone: its successor writes these again
        try:
            if not len(written.offsets) == len(written.lines) == len(self.outputs.offsets):
                raise ValueError("it is of other outputs than there are")
            lines = self.ledger.settle(written.tickets)
        except ValueError as error:
            self.supervisor.refuse(str(error), report.name)
            return
        self.settled(lines)
        self.outputs.offsets = list(written.offsets)
        self.outputs.fresh = [False] * len(self.outputs.offsets)
        self.outputs.lines = list(written.lines)
        self.totals.done += len(lines)
        for counts in written.counts:
            self._count(counts)
        last = dict(written.last)
        for child in self.fleet.of_role("flow"):
            child.written = last.get(child.number, child.written)
        self._to_tell = True
        self._much |= len(lines) >= _MUCH
        self.enough |= written.enough

    def _count(self, counts: messages.Counts) -> None:
        """What a batch of results adds to the figures."""
        totals = self.totals
        part = Summary.from_dict(msgspec.structs.asdict(counts.summary))
        self.summary.merge(part)
        totals.outcomes.update(part.reasons)
        self._late_duplicates += counts.duplicates
        totals.done -= counts.duplicates
        for handshake, label, count in counts.found:
            totals.found[handshake, label] += count
        if self.watch.findings is not None:
            self.watch.findings.add(counts.findings, counts.omitted)
        for peer, port, label, handshake, banner in counts.latest:
            totals.latest.append(Identified(peer, port, label, handshake, banner))

    def settled(self, lines: NDArray[np.uint64]) -> None:
        """These input lines have their fate."""
        if self.checkpoint is not None:
            self.checkpoint.settled(lines)

    def _note_ended(self) -> None:
        """Lines that got their fate while they were read."""
        for lines in self.intake.ended:
            self.settled(lines)
        self.intake.ended.clear()

    def _keep_checkpoint(self, now: float) -> None:
        self._note_ended()
        if self.checkpoint is not None:
            self.checkpoint.tick(
                now, self.outputs.descriptors, self.outputs.state, self.summary.to_dict, self.watch.note
            )

    def _look_at_shards(self) -> None:
        """Who may be fed what, after a shard has changed hands."""
        self.supervisor.push()
        if not self._to_sort:
            return
        self._to_sort = False
        waiting = [rows for queue in (*self._queues.values(), self._parked) for rows in queue]
        self._queues.clear()
        self._parked.clear()
        self._aside = 0
        if waiting:
            rows = join(waiting)
            self._sort(pick(rows, np.argsort(rows["line"], kind="stable")))
        for shard in self._to_try_again:
            self._try_again(shard)
        self._to_try_again.clear()

    def _try_again(self, shard: int) -> None:
        """A shard is back after a crash: what it owed goes out again, on connections of our own."""
        rows = self.ledger.take_back(shard)
        if not len(rows):
            return
        rows["syn"], rows["seq"], rows["ack"], rows["window"] = 1, 0, 0, 0
        self._attempt += 1
        self.sources.choose(rows, attempt=self._attempt)
        self.watch.note(f"shard {shard}: {len(rows)} flows are tried again")
        self._enqueue(rows)

    # --- input to workers ------------------------------------------------------------------------------

    def _look_up(self) -> None:
        """Names whose address has come."""
        intake = self.intake
        intake.look_up()
        for sentence in intake.told:
            self.watch.log.info(sentence)
        intake.told.clear()

    def _unfold(self) -> bool:
        """Some more of lines that name many targets: before anything new is read."""
        if not self.intake.pending or self.totals.paused or not self._has_room():
            return False
        self.intake.more()
        if self.intake.full:
            self.end_input()
        return True

    def _read(self, now: float) -> bool:
        """Read a chunk if there is any, and room for it."""
        if self._source is None or self.totals.paused or now < self._read_at:
            return False
        if not self._has_room() or self.intake.pending:
            self._filled = True
            if self._zmap_waits:
                self._source.hoard()
                if self._source.overtaken:
                    self._zmap_waits = False
                    self.watch.note(_OVERTAKEN)
            return False
        source = self._source
        if not source.ready():
            self._starved = True
            return False
        chunk = source.read()
        if chunk is None:
            return False
        if chunk:
            self.intake.feed(chunk, early=source.age < EARLY)
            self._held_up |= source.full or source.behind
            self._starved |= len(chunk) < CHUNK and not source.pending  # that was all there was
            if len(chunk) < _SMALL and not source.pending:
                self._read_at = now + min(_PAUSE, source.patience)
        else:
            self.intake.finish()
            if not self.intake.pending:
                self.end_input()
        if self.intake.full:
            self.end_input()
        return True

    def _has_room(self) -> bool:
        return self.intake.waiting + self._queued < _BACKLOG and not self.intake.crowded

    def _dispatch(self, now: float) -> bool:
        """From the backlog to the shards' queues, as fast as the pace allows."""
        if self.totals.paused or self._queued >= _BACKLOG:
            return False
        rate = self.pacer.rate
        if rate is not None and (self._queued > self._aside or self._aside > _ASIDE * rate):
            self.pacer.rest(now)
            self._clogged = True
            return False  # what is let through and waits for a worker would leave in one burst
        allowance = self.pacer.allowance(now)
        rows = self.intake.take(min(allowance, _BACKLOG))
        if rows is None:
            if self.intake.waiting:
                self.pacer.held = True
            return False
        self.pacer.spend(len(rows))
        self.pacer.held |= self.intake.waiting > 0 and self.pacer.rate is not None
        self._begun += len(rows)
        opening = rows["syn"] == Opening.OURS
        if opening.any():
            rows = self._address(rows, opening)
        self._enqueue(rows)
        return True

    def _address(self, rows: Rows, opening: NDArray[np.bool_]) -> Rows:
        """Give the connections that we open a source address and port."""
        chosen = pick(rows, opening)
        routable = self.sources.choose(chosen)
        put(rows, opening, chosen)
        if routable.all():
            return rows
        lost = np.flatnonzero(opening)[~routable]
        tickets = rows["ticket"][lost]
        self.settled(self.ledger.withdraw(tickets))
        self.intake.fates.unroutable += len(lost)
        keep = np.ones(len(rows), bool)
        keep[lost] = False
        return pick(rows, keep)

    def _enqueue(self, rows: Rows) -> None:
        self._queued += len(rows)
        self._sort(rows)

    def _sort(self, rows: Rows) -> None:
        """Into the queue of each row's worker, or aside while its shard is changing hands."""
        for owner, part in self.ledger.deal(rows, self.job.secrets.shard, self._owners):
            child = self.supervisor.worker(owner - 1) if owner else None
            queue = self._parked if child is None else self._queues.setdefault(child.name, deque())
            queue.append(part)
            self._aside += len(part) if child is None else 0

    def _feed(self) -> bool:
        """From the queues to the workers, batch by batch, while they have room."""
        if self._held:  # until every shard has its worker: what waits for one would change the order
            self._held = not self._owners.all()
            return False
        worked = False
        for name, queue in self._queues.items():
            child = self.fleet.children.get(name)
            while queue and child is not None:
                batch = _merge(queue, _BATCH)
                if not try_feed(child, messages.pack(messages.Targets(batch))):
                    queue.appendleft(batch)
                    break
                self.ledger.give(batch)
                self._queued -= len(batch)
                worked = True
        if worked and self._source is not None and not self._source.behind:
            self._source.settle()  # the workers are there, and we are up with the input: now it can wait
        return worked

    def _acknowledge(self, now: float) -> None:
        """Tell the workers what is written: soon, or at once where they wait for it or keep much."""
        if not self._to_tell:
            return
        late = now >= self._tell_at or self._much or self.supervisor.machine.moving
        for child in self.fleet.of_role("flow"):
            if late or child.written - child.told >= _MANY:
                child.tell_written()
        if late:
            self._to_tell = self._much = False
            self._tell_at = now + _TELL

    # --- bounds, figures, waiting ----------------------------------------------------------------------

    def _limits(self, now: float) -> None:
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self.watch.note("--max-runtime is over: what is in flight is finished")
            self.interrupt()

    def _update_totals(self, now: float) -> None:
        totals, fates = self.totals, self.intake.fates
        totals.read = fates.read
        totals.rejected = fates.rejected
        totals.blocklisted = fates.blocklisted
        totals.other = fates.other()
        totals.busy_ns = self._busy
        totals.duplicates = fates.duplicates + self._late_duplicates
        totals.backlog = self.intake.waiting + self._queued
        totals.in_flight = max(0, self.ledger.open - totals.backlog)
        totals.input_ended = self.input_ended
        machine = self.supervisor.machine
        totals.wanted_flow, totals.wanted_collect = machine.wanted
        totals.moves, totals.slowest_move = machine.shards.moves, machine.shards.slowest_move
        if self.input_ended and not totals.backlog:
            totals.phase = Phase.FINISHING
        if now >= self._judged + _JUDGED_OVER:
            self._judge(now)

    def _judge(self, now: float) -> None:
        """What held work back since the last time."""
        totals = self.totals
        enough = self._begun >= _NEARLY * (self.pacer.rate or 0.0) * (now - self._judged)
        totals.paced = self.pacer.held and enough
        totals.late = self.pacer.held and not enough and not self._clogged
        self.pacer.held, self._begun, self._clogged = False, 0, False
        held = self._filled or self._held_up
        totals.input_waiting = self._starved and not held and not self.input_ended
        totals.input_held = self._held_up and not self.input_ended
        self._starved = self._filled = self._held_up = False
        self._judged = now
        self._estimate()

    def _estimate(self) -> None:
        """How many inputs there are in all."""
        totals, options = self.totals, self.job.options
        if self._extent is not None and not self.input_ended and options.targets_total is None:
            total = self._extent.total(self.intake.fates.read + self.intake.coming)
            if total is not None and options.max_targets is not None:
                total = max(totals.read, min(total, options.max_targets))
            totals.total, totals.total_estimated = total, True

    def _wait(self, extra: list[int], seconds: float, now: float, worked: bool) -> bool:
        """Until something happens; descriptors that cannot do anything useful now are left out."""
        nursery = self.fleet.nursery.fileno()
        awaited = [nursery, self.fleet.printed.descriptor, *extra, *self.intake.awaited]
        resting = False
        if self._source is not None and not self.totals.paused and self._has_room():
            resting = now < self._read_at
            if resting:  # reports can wait as long
                seconds = min(seconds, self._read_at - now)
            else:
                awaited.append(self._source.fileno())
                if self._source.pending:
                    seconds = 0.0
        if self.intake.pending and not self.totals.paused and self._has_room():
            seconds = 0.0
        if not resting:
            awaited.append(self.fleet.bell)
        if self.intake.backlog and not self.totals.paused:
            seconds = min(seconds, max(self.pacer.wait(now), _STRIDE))
        if self._queued > self._aside:
            seconds = min(seconds, _STUCK)
        if self._to_tell:
            seconds = min(seconds, max(0.0, self._tell_at - now))
        if self.supervisor.unread or (
            worked and (self.intake.backlog or self._queued > self._aside or now >= self._read_at)
        ):
            seconds = 0.0
        ready = {fd for fd, _ in self._poll(tuple(awaited)).poll(seconds * 1000)}
        if seconds > _BREATH and not resting:
            time.sleep(_BREATH)
        self._born = nursery in ready
        return not ready.isdisjoint(extra)

    def _poll(self, descriptors: tuple[int, ...]) -> select.poll:
        found = self._polls.get(descriptors)
        if found is None:
            found = self._polls[descriptors] = select.poll()
            for descriptor in descriptors:
                found.register(descriptor, select.POLLIN)
        return found


def _merge(queue: deque[Rows], most: int) -> Rows:
    """The first `most` rows of a queue, as one array."""
    parts, count = [], 0
    while queue and count < most:
        rows = queue.popleft()
        if count + len(rows) > most:
            queue.appendleft(rows[most - count :])
            rows = rows[: most - count]
        parts.append(rows)
        count += len(rows)
    return join(parts)
