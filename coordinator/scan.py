"""The coordinator's loop: input to shards, reports to the ledger, and an end when everything has its fate.

It never blocks on one thing. Input is read only while there is room for it: the backlog here and the
high-water marks on the way push back to stdin. A batch for a shard waits here until its worker has room.
"""

from __future__ import annotations

import os
import select
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from coordinator.commands import Command
from coordinator.fleet import Child, Fleet, try_feed
from coordinator.intake import Intake, Sources
from coordinator.ledger import Ledger
from coordinator.pacer import Pacer
from coordinator.recovery import Deaths, ShardState
from coordinator.snapshot import Identified, Phase, State
from coordinator.watch import Watch
from lzr import messages
from lzr.job import Job, Output
from lzr.messages import Message
from lzr.sharding import shard_of
from lzr.summary import Summary

CHUNK = 1 << 18
_BATCH = 2048  # targets in one message
_BACKLOG = 16384  # targets read ahead of the workers
_SMALL = 1 << 14  # bytes; after less, let more gather before the next read
_PAUSE = 0.004
_STUCK = 0.002
_IDLE = 0.25

Rows = NDArray[Any]


class ScanError(Exception):
    """The scan cannot go on; the sentence says why. What is written stays."""


@dataclass
class Outputs:
    """Descriptors (as the nursery numbers them) and what is acknowledged of each."""

    descriptors: list[int]
    forms: list[str]
    offsets: list[int]
    fresh: list[bool] = field(default_factory=list)

    def for_collector(self) -> list[Output]:
        return [
            Output(number, form, offset, fresh)
            for number, (form, offset, fresh) in enumerate(
                zip(self.forms, self.offsets, self.fresh, strict=True)
            )
        ]


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
        source: int | None,
        workers: int,
    ) -> None:
        """source: the descriptor of the input, None when it has ended already."""
        self.job = job
        self.fleet = fleet
        self.intake = intake
        self.ledger = ledger
        self.sources = sources
        self.outputs = outputs
        self.watch = watch
        self.totals = watch.totals
        self.meter = watch.meter
        self.summary = Summary()
        self.deaths = Deaths()
        self.quitting = False
        self.gone = False  # the reader of our output has gone
        self._source = source
        self._read_at = 0.0
        self._shards = [ShardState() for _ in range(job.shards)]
        self._queues: list[deque[Rows]] = [deque() for _ in range(job.shards)]
        self._queued = 0
        self._late_duplicates = 0  # found by a flow worker: the 4-tuple was in flight
        options = job.options
        paced = options.rate if options.send_syns else None
        self.pacer = Pacer(paced, time.monotonic())
        self._workers = workers
        self._collector: Child | None = None
        self._acks: dict[str, dict[int, int]] = {}
        self._stop_at: float | None = None
        self._busy = 0
        self.totals.shards = job.shards
        self.totals.wanted_flow = workers
        self.totals.rate_limit = paced
        self._deadline = (
            None if options.max_runtime is None else time.monotonic() + float(options.max_runtime)
        )

    # --- life ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Fork the first collector and flow workers."""
        self._spawn_collector()
        for index in range(self._workers):
            self._spawn_flow(
                index, {shard for shard in range(self.job.shards) if shard % self._workers == index}
            )
        self.totals.phase = Phase.RUNNING

    def step(self, extra: list[int], patience: float = _IDLE) -> None:
        """One turn of the loop; then waits at most `patience` seconds, or until something happens.

        extra: descriptors of others to wait for as well.
        """
        now = time.monotonic()
        self._handle_events(now)
        self._handle_reports(now)
        worked = self._read(now)
        worked |= self._dispatch(now)
        worked |= self._feed()
        self._acknowledge()
        self._limits(now)
        for sentence in self.intake.refused:
            self.watch.note(sentence)
        self.intake.refused.clear()
        self._update_totals()
        self._busy += int((time.monotonic() - now) * 1e9)
        self._wait(extra, min(patience, _IDLE), now, worked)

    @property
    def finished(self) -> bool:
        """Nothing will come any more, and everything that came has its fate, written."""
        return self.input_ended and not self.intake.backlog and not self.ledger.open

    @property
    def input_ended(self) -> bool:
        return self._source is None

    def end_input(self) -> None:
        """Read no more; what is in flight is finished."""
        self._source = None

    def interrupt(self) -> None:
        """Read no more and give up what no worker has begun."""
        self.end_input()
        tickets = [self.intake.abandon()]
        for queue in self._queues:
            tickets += [rows["ticket"] for rows in queue]
            queue.clear()
        self._queued = 0
        given_up = np.concatenate(tickets)
        self.settled(self.ledger.withdraw(given_up))
        self.totals.interrupted += len(given_up)

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
            self.end_input()
        elif command.kind == "quit":
            self.quitting = True

    def abandon(self) -> None:
        """Give up everything without a fate, at once."""
        self.interrupt()
        self.totals.interrupted += self.ledger.open

    def close(self) -> None:
        """Ask the children to end and wait for them, within bounds; the rest is ended by the fleet."""
        for role in ("flow", "collect"):
            for child in self.fleet.of_role(role):
                child.leaving = True
                child.order("stop")
            until = time.monotonic() + 2.0
            while self.fleet.of_role(role) and time.monotonic() < until:
                select.select([self.fleet.nursery], [], [], 0.1)
                for event in self.fleet.events():
                    if event["event"] == "died":
                        self.fleet.bury(event["name"])
                while (message := self.fleet.receive()) is not None:
                    if message.kind == "stats":
                        self.meter.feed(time.monotonic(), message.header)
        self.fleet.close()

    # --- children --------------------------------------------------------------------------------------

    def _spawn_flow(self, index: int, shards: set[int]) -> None:
        child = self.fleet.spawn("flow", index)
        child.shards = shards
        for shard in shards:
            self._shards[shard].owner = child.name

    def _spawn_collector(self) -> None:
        self._collector = self.fleet.spawn("collect", 0, self.outputs.for_collector())

    def _handle_events(self, now: float) -> None:
        for event in self.fleet.events():
            name = event["name"]
            child = self.fleet.children.get(name)
            if child is None:
                continue
            if event["event"] == "spawned":
                self.meter.launched(now, child.role, child.index, child.pid)
            elif not child.leaving:
                self._replace(child, event["status"], now)

    def _replace(self, child: Child, status: int, now: float) -> None:
        """A child ended unasked: a successor, and whatever it owed."""
        self._handle_reports(now)  # what it had reported still counts
        if self.gone:
            return
        self.watch.note(f"{child.name} (pid {child.pid}) ended with status {status}; a successor takes over")
        self.fleet.bury(child.name)
        self.meter.mark(now, child.role, child.index, State.DEAD)
        self.deaths.note(child.role, child.index, now)
        if child.role == "flow":
            for shard in child.shards:
                self._shards[shard].lost()
                if self._collector is not None and self._collector.ready:
                    self._collector.order("fence", shard=shard, epoch=self._shards[shard].epoch)
            self._spawn_flow(child.index, child.shards)
        else:
            self._spawn_collector()

    def _handle_reports(self, now: float) -> None:
        for _ in range(1000):
            message = self.fleet.receive()
            if message is None:
                return
            header = message.header
            if message.kind == "stats":
                self.meter.feed(now, header)
            elif message.kind == "written":
                self._take_written(message)
            elif message.kind == "ready":
                self._greet(header, now)
            elif message.kind == "adopted":
                state = self._shards[header["shard"]]
                if header["epoch"] == state.epoch:
                    state.adopted = True
                    self._try_again(header["shard"])
            elif message.kind == "fenced":
                state = self._shards[header["shard"]]
                if header["epoch"] == state.epoch:
                    state.fenced = True
                    self._try_again(header["shard"])
            elif message.kind == "fault":
                self.gone |= bool(header.get("gone"))
                if header.get("reason"):
                    raise ScanError(header["reason"])
            else:
                raise messages.SchemaError(f"the coordinator cannot take {message.kind!r}")

    def _child_of(self, header: dict[str, Any]) -> Child | None:
        for child in self.fleet.of_role(header["role"]):
            if child.pid == header["pid"] or (child.pid == 0 and child.index == header["index"]):
                return child
        return None

    def _greet(self, header: dict[str, Any], now: float) -> None:
        """A child is ready: tell it what it owns, and whom it sends to."""
        child = self._child_of(header)
        if child is None:
            return
        again = self.fleet.incarnation(child) > 1
        child.pid, child.ready = header["pid"], True
        (self.meter.restarted if again else self.meter.launched)(now, child.role, child.index, child.pid)
        if child.role == "flow":
            if self._collector is not None and self._collector.ready:
                child.order("resend", endpoint=self._collector.endpoint)
            for shard in sorted(child.shards):
                child.order("adopt", shard=shard, epoch=self._shards[shard].epoch)
            return
        child.endpoint = header["endpoint"]
        for shard, state in enumerate(self._shards):
            if state.epoch:
                child.order("fence", shard=shard, epoch=state.epoch)
        for worker in self.fleet.of_role("flow"):
            if worker.ready:
                worker.order("resend", endpoint=child.endpoint)

    def _take_written(self, message: Message) -> None:
        """Outcomes are on disk: the one message that settles anything."""
        header = message.header
        if self._collector is None or header["pid"] != self._collector.pid:
            return  # of a collector that is gone: its successor writes these again
        lines = self.ledger.settle(message.arrays[0])
        self.settled(lines)
        self.outputs.offsets = list(header["offsets"])
        self.outputs.fresh = [False] * len(self.outputs.offsets)
        part = Summary.from_dict(header["summary"])
        self.summary.merge(part)
        totals = self.totals
        self._late_duplicates += header["duplicates"]
        totals.done += len(lines) - header["duplicates"]
        totals.outcomes.update(part.reasons)
        for handshake, label, count in header["found"]:
            totals.found[handshake, label] += count
        for peer, port, label, handshake, banner in header["latest"]:
            totals.latest.append(Identified(peer, port, label, handshake, banner))
        for shard, epoch, sequence in header["batches"]:
            state = self._shards[shard]
            if epoch == state.epoch and state.owner:
                self._acks.setdefault(state.owner, {})[shard] = sequence
        limit = self.job.options.max_results
        if limit is not None and part.counters["Data"] and self.summary.counters["Data"] >= limit:
            self.interrupt()

    def settled(self, lines: NDArray[np.uint64]) -> None:
        """These input lines have their fate (a checkpoint may want to know)."""

    def _try_again(self, shard: int) -> None:
        """A shard is back after a crash: what it owed goes out again, on connections of our own."""
        state = self._shards[shard]
        if not state.open or not state.owes:
            return
        state.owes = False
        rows = self.ledger.take_back(shard)
        if not len(rows):
            return
        rows["syn"], rows["seq"], rows["ack"], rows["window"] = 1, 0, 0, 0
        own = rows[["own_hi", "own_lo"]].copy()
        self.sources.choose(rows, attempt=state.epoch)
        given = own["own_lo"] != 0  # ZMap's flows keep the address they came to
        for name in ("own_hi", "own_lo"):
            rows[name][given] = own[name][given]
        self.watch.note(f"shard {shard}: {len(rows)} flows are tried again")
        self._enqueue(rows)

    # --- input to workers ------------------------------------------------------------------------------

    def _read(self, now: float) -> bool:
        """Read a chunk if there is any, and room for it."""
        if self._source is None or self.totals.paused or not self._has_room() or now < self._read_at:
            return False
        if not select.select([self._source], [], [], 0)[0]:
            self.totals.input_waiting = True
            return False
        self.totals.input_waiting = False
        chunk = os.read(self._source, CHUNK)
        if chunk:
            self.intake.feed(chunk)
            if len(chunk) < _SMALL:
                self._read_at = now + _PAUSE
        else:
            self.intake.finish()
            self.end_input()
        if self.intake.full:
            self.end_input()
        return True

    def _has_room(self) -> bool:
        return self.intake.waiting + self._queued < _BACKLOG

    def _dispatch(self, now: float) -> bool:
        """From the backlog to the shards' queues, as fast as the pace allows."""
        if self.totals.paused or self._queued >= _BACKLOG:
            return False
        allowance = self.pacer.allowance(now)
        rows = self.intake.take(min(allowance, _BACKLOG))
        if rows is None:
            if self.intake.waiting:
                self.pacer.held = True
            return False
        self.pacer.spend(len(rows))
        opening = rows["syn"] != 0
        if opening.any():
            rows = self._address(rows, opening)
        self._enqueue(rows)
        return True

    def _address(self, rows: Rows, opening: NDArray[np.bool_]) -> Rows:
        """Give the connections that we open a source address and port."""
        chosen = rows[opening]
        routable = self.sources.choose(chosen)
        rows[opening] = chosen
        if routable.all():
            return rows
        lost = np.flatnonzero(opening)[~routable]
        tickets = rows["ticket"][lost]
        self.settled(self.ledger.withdraw(tickets))
        self.intake.fates.unroutable += len(lost)
        keep = np.ones(len(rows), bool)
        keep[lost] = False
        return rows[keep]

    def _enqueue(self, rows: Rows) -> None:
        count = self.job.shards
        if count == 1:
            self._queues[0].append(rows)
        else:
            shards = shard_of(rows, self.job.hash_seed, count)
            for shard in np.flatnonzero(np.bincount(shards, minlength=count)).tolist():
                self._queues[shard].append(rows[shards == shard])
        self._queued += len(rows)

    def _feed(self) -> bool:
        """From the queues to the workers, batch by batch, while they have room."""
        worked = False
        for shard, queue in enumerate(self._queues):
            state = self._shards[shard]
            while queue and state.open:
                batch = _merge(queue, _BATCH)
                child = self.fleet.children[state.owner]
                if not try_feed(child, messages.pack("targets", {"shard": shard}, batch)):
                    queue.appendleft(batch)
                    break
                self.ledger.give(batch, shard)
                self._queued -= len(batch)
                worked = True
        return worked

    def _acknowledge(self) -> None:
        for name, batches in self._acks.items():
            child = self.fleet.children.get(name)
            if child is not None:
                child.order("acked", batches=list(batches.items()))
        self._acks.clear()

    # --- bounds, figures, waiting ----------------------------------------------------------------------

    def _limits(self, now: float) -> None:
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self.watch.note("--max-runtime is over: what is in flight is finished")
            self.interrupt()

    def _update_totals(self) -> None:
        totals, fates = self.totals, self.intake.fates
        totals.read = fates.read
        totals.rejected = fates.rejected
        totals.blocklisted = fates.blocklisted
        totals.duplicates = fates.duplicates + self._late_duplicates
        totals.in_flight = self.ledger.open
        totals.backlog = self.intake.waiting + self._queued
        totals.input_ended = self.input_ended
        totals.paced = self.pacer.held
        if self.input_ended:
            totals.phase = Phase.FINISHING

    def _wait(self, extra: list[int], seconds: float, now: float, worked: bool) -> None:
        """Until something happens; descriptors that cannot do anything useful now are left out."""
        poller = zmq.Poller()
        poller.register(self.fleet.reports, zmq.POLLIN)
        poller.register(self.fleet.nursery, zmq.POLLIN)
        for fd in extra:
            poller.register(fd, zmq.POLLIN)
        if self._source is not None and not self.totals.paused and self._has_room():
            if now < self._read_at:
                seconds = min(seconds, self._read_at - now)
            else:
                poller.register(self._source, zmq.POLLIN)
        if self.intake.backlog and not self.totals.paused:
            seconds = min(seconds, max(self.pacer.wait(now), 0.0005))
        if self._queued:
            seconds = min(seconds, _STUCK)
        if worked:
            seconds = 0.0
        poller.poll(max(0, round(seconds * 1000 + 0.4)))


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
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
