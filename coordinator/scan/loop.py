"""The coordinator's loop: feeds the input to the workers, takes their reports, ends when every input has its
fate.

It never blocks on one thing. Input is read only while there is room for it: the backlog here and the
high-water marks on the way push back to stdin.
"""

from __future__ import annotations

import contextlib
import signal
import time

from msgspec import Struct

from coordinator.checkpoint.hashes import InputDiffers
from coordinator.console.signals import Signals
from coordinator.endpoints import ctlcommands
from coordinator.endpoints.ctlcommands import Command
from coordinator.guard.watch import GuardWatch
from coordinator.monitor.snapshot import BlockOrder
from coordinator.scan.blocks import ranges, to_plain
from coordinator.scan.childreports import Reports, ScanError
from coordinator.scan.parts import assemble
from coordinator.scan.prepare import Prepared
from coordinator.scan.upkeep import Upkeep
from coordinator.scan.waiting import Waiting
from lzr.exitstatus import FAILED, MISTAKE, OK
from lzr.fleet import lease
from lzr.fleet.lease import Lease
from lzr.ownership.events import Want

_END_SECONDS = 2.0
"""Seconds that workers have to end by themselves. A judgement: they first write what they have."""
_PROFILE_SECONDS = 60.0
"""The same where they add their profiles first: of memory that takes seconds, on a busy machine many."""
_LAST_REPORTS = 0.05
"""Seconds to wait for last reports. A judgement: they are in the socket already, unless the machine is
busy."""
READER_GONE = 128 + signal.SIGPIPE
"""The status that a shell shows for any program ended by SIGPIPE: ``lzr -f - | head``."""
_NOT_SHOWN = "the terminal takes nothing any more: results are missing on it (-f FILE keeps them)"
_FINISHING = "no more is begun, what is in flight is finished; once more ends it now"
_ENOUGH = "done, with as many results as asked for"


class ScanEnding(Struct, frozen=True):
    """status: for the shell. failure: a sentence if the scan failed. unfinished: --resume could do the
    rest.
    """

    status: int
    failure: str
    unfinished: bool


class Loop:
    """Runs the parts of a scan in turns, and does what people ask for meanwhile."""

    def __init__(self, ready: Prepared, signals: Signals, guarded: GuardWatch) -> None:
        now = time.monotonic()
        most = ready.job.options.max_runtime
        parts = assemble(ready, guarded)
        self.accounts = parts.accounts
        self._parts = parts
        self._reports = Reports(parts)
        self._upkeep = Upkeep(parts, now)
        self._waiting = Waiting(parts, (signals.fileno, *parts.console.filenos(), *guarded.filenos()))
        self._signals = signals
        self._interrupted = 0  # signals that have been heeded
        self._quitting = False
        self._abandoned = False
        self._lease = Lease(ready.job.options.lease_until)
        self._deadline = None if most is None else now + float(most)

    # --- life ------------------------------------------------------------------------------------------

    def run(self) -> ScanEnding:
        """Run the scan until every input has its fate or somebody ends it; then end the other processes."""
        failure, mistaken = "", False
        try:
            self._start()
            self._turns()
            self._upkeep.update(time.monotonic())  # a signal may have ended it before a turn had done so
            gone = self._reports.reader_gone
            if gone or self.accounts.enough:
                self._parts.state.ending = "the reader of the output has gone" if gone else _ENOUGH
                self._abandon()
        except (ScanError, ChildProcessError, InputDiffers) as error:
            failure, mistaken = str(error), isinstance(error, InputDiffers)
            self._abandon()
        self._close()
        failure = failure or self.accounts.outputs.unkept()
        if not failure and self._lease.over(_uptime()) and self._abandoned:
            failure, status = lease.OVER, lease.INTERRUPTED
        elif failure:
            status = MISTAKE if mistaken else FAILED
        elif self._interrupted:
            status = 128 + self._signals.number
        else:
            status = READER_GONE if self._reports.reader_gone else OK
        return ScanEnding(status, failure, self._unfinished)

    def _start(self) -> None:
        """Fork the first collectors and flow workers."""
        if not self.accounts.enough:
            workers = self._parts.ready.workers
            want = Want(workers.flow, workers.collect)
            self._reports.apply(self._parts.supervisor.handle(want, time.monotonic()))
            self._parts.state.begun = True

    def _turns(self) -> None:
        touched, console = True, self._parts.console
        while not (self._finished or self._reports.reader_gone or self.accounts.enough):
            if self._lease.over(_uptime()):
                self._quitting = True
            elif self._signals.count > self._interrupted:
                self._handle_signal()
            else:
                self._stop_if_asked()
                now = time.monotonic()
                if console.wait(now) <= 0.0:
                    self._upkeep.update(now)  # so that what is shown is of this moment
                elif touched:
                    self._upkeep.count()  # cheap, as anybody may ask for figures
                for command in console.tick(now, time.time(), touched=touched):
                    self._obey(command, now)
                    self._upkeep.update(now)  # who asks next is shown what it did
                if not self._quitting:
                    touched = self._turn(console.wait(now))
            if self._quitting:
                self._abandon()
                return

    def _turn(self, longest: float) -> bool:
        """One turn; then wait at most `longest` seconds, or until something happens.

        Returns whether a signal, the guard or the console has something to be handled.
        """
        parts, reports, others_ready = self._parts, self._reports, self._waiting.others_ready
        now = time.monotonic()
        if others_ready or self._waiting.reported:
            reports.take(now, others_ready=others_ready)
        reports.sort()  # before anything is fed: shards may have changed hands just now
        if others_ready or self._upkeep.due(now) or (self._deadline is not None and now >= self._deadline):
            self._look_around(now)
        worked = False
        if not parts.state.paused:
            room = parts.feeder.has_room
            worked = parts.reading.unfold(room) or parts.reading.read(now, room)
            worked |= parts.feeder.dispatch(now)
            if parts.sweeping is not None:
                worked |= parts.sweeping.assign(now)
        if parts.feeder.feed():
            worked = True
            parts.reading.stop_reading_ahead()
        if parts.sweeping is not None:
            parts.sweeping.close(now)
        if parts.acknowledgements.pending:
            parts.acknowledgements.tell(now, urgent=parts.supervisor.machine.moving)
        finished = self._finished
        if finished:
            self._look_around(now)
        parts.state.busy_ns += int((time.monotonic() - now) * 1e9)
        return not finished and self._waiting.wait(longest, now, worked=worked, upkeep=self._upkeep.wait(now))

    def _look_around(self, now: float) -> None:
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self._parts.console.note("--max-runtime is over: what is in flight is finished")
            self._finish()
        self._upkeep.look(now)

    @property
    def _finished(self) -> bool:
        """Whether the input has ended and every input has its fate."""
        parts = self._parts
        if not parts.reading.ended:
            return False
        coming = parts.intake.backlog or parts.intake.pending or parts.intake.parked
        swept = parts.sweeping is None or parts.sweeping.scheduler.finished
        return not coming and swept and not parts.accounts.open

    @property
    def _unfinished(self) -> bool:
        """Whether something is left that --resume could do."""
        given_up = self._abandoned or self._parts.state.cut_short or self.accounts.interrupted > 0
        return self._parts.checkpoint is not None and given_up and not self.accounts.enough

    def _close(self) -> None:
        """Order the children to end, wait for a bounded time, and end those that are left."""
        parts, supervisor = self._parts, self._parts.supervisor
        outputs = self.accounts.outputs
        self._upkeep.say_refused()
        with contextlib.suppress(ChildProcessError):  # the fork server has died: its children do too
            profiled = parts.ready.opened.profiles.descriptors
            for report in supervisor.end(_PROFILE_SECONDS if profiled else _END_SECONDS):
                self._reports.take_last(report)
        parts.pool.end()
        for report in supervisor.last_reports(_LAST_REPORTS):
            self._reports.take_last(report)
        if not parts.ready.relay.finish():
            parts.console.alert("terminal", _NOT_SHOWN, lost=True)
        outputs.cut_back()
        if self._abandoned:
            self.accounts.abandon_open(0 if parts.sweeping is None else parts.sweeping.abandon())
        parts.pool.close()
        self._close_files(supervisor.unrecorded + len(parts.pool.children))
        self._upkeep.finish(time.monotonic())
        tail = self.accounts.summary.lines()
        parts.console.close(time.monotonic(), time.time(), tail, outputs.closing(), outputs.name)

    def _close_files(self, unrecorded: int) -> None:
        """Write the rest of trace and profiles; what is missing in them is said. unrecorded: how many
        processes have not added their profiles.
        """
        ready, console = self._parts.ready, self._parts.console
        if ready.trace is not None:
            ready.trace.close()
        if ready.opened.profiles.descriptors:
            console.miss("profile", ready.opened.profiles.finish())
            if unrecorded:
                without = "1 process has" if unrecorded == 1 else f"{unrecorded} processes have"
                console.miss("profile", f"a profile is not whole: {without} not added to it")

    # --- what people ask for ---------------------------------------------------------------------------

    def _handle_signal(self) -> None:
        self._interrupted = self._signals.count
        self._signals.drain()
        if self._interrupted > 1:
            self._quitting = True
            return
        self._parts.state.draining = True
        self._finish()
        self._parts.console.acknowledge(f"{signal.Signals(self._signals.number).name}: {_FINISHING}")

    def _stop_if_asked(self) -> None:
        """Stop on Ctrl-Z. The workers finish what is in flight meanwhile."""
        if self._signals.to_stop:
            self._parts.console.suspend()
            self._signals.stop()
            self._parts.console.resume()

    def _obey(self, command: Command, now: float) -> None:
        """Carry out a command from a key or the control socket."""
        match command.kind:
            case "pause" | "resume":
                self._parts.state.paused = command.kind == "pause"
            case "rate":
                pacer = self._parts.pacer
                pacer.set_rate(command.wanted_rate(pacer.rate), now)
            case "drain":
                self._parts.state.draining = True
                self._parts.state.paused = False
                self._cut_short()
            case "quit":
                self._quitting = True
            case "block":
                self._block(command)
            case "lease":
                self._lease.renew(command.seconds, command.since, _uptime())
            case "workers":
                self._set_workers(command, now)

    def _set_workers(self, command: Command, now: float) -> None:
        """Have as many workers and collectors as that, unless there cannot be so many."""
        supervisor, most = self._parts.supervisor, self._parts.totals.most_processes
        before = supervisor.machine.wanted
        flow, collect = command.wanted(*before, self._parts.ready.job.shards)
        leaving = sum(process.leaving for process in supervisor.machine.processes)
        if flow + collect > sum(before) and flow + collect + leaving > most:
            self._parts.console.note(f"flow={flow}, collect={collect}: {ctlcommands.too_many(most)}")
        else:
            self._reports.apply(supervisor.want(flow, collect, now))

    def _block(self, command: Command) -> None:
        """Block these networks, in this scan and in one that resumes it."""
        block = BlockOrder(command.networks, command.reason, command.by, time.time())
        self._parts.blocks.add(block)
        self._parts.intake.block(ranges(block.networks))
        for child in self._parts.pool.of_role("flow"):
            child.order(self._parts.blocks.order())
        if self._parts.checkpoint is not None:
            self._parts.checkpoint.blocks.append(to_plain(block))
            self._parts.checkpoint.save_soon()
        why = f": {block.reason}" if block.reason else ""
        self._parts.console.note(f"blocked {', '.join(block.networks)} (by {block.by or 'somebody'}{why})")

    def _cut_short(self) -> None:
        """Read no more of the input; the known or estimated total stays."""
        if not self._parts.reading.ended:
            self._upkeep.estimate()
            self._parts.state.cut_short = True
        self._parts.reading.end()
        if self._parts.sweeping is not None and not self._parts.sweeping.scheduler.all_assigned:
            self._parts.state.cut_short = True
            self._parts.sweeping.stop()

    def _finish(self) -> None:
        """Begin nothing new. Whoever has answered a sweep is gone on with, where no worker has it too, and
        has its further SYNs (--probes), also where the scan was paused.
        """
        self._parts.state.paused = False
        if self._parts.sweeping is None:
            self._interrupt()
        else:
            self._cut_short()

    def _interrupt(self) -> None:
        """Read no more, and give up targets that were not sent to a worker yet."""
        self._cut_short()
        self.accounts.interrupt(self._parts.feeder.give_up())

    def _abandon(self) -> None:
        """Give up everything without a fate, at once."""
        self._interrupt()
        self._abandoned = True
        self._upkeep.update(time.monotonic())  # what broke off may have read more before it did


def _uptime() -> float:
    """Seconds since the machine was booted, time in suspend included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
