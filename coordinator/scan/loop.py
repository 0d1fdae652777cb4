"""The coordinator's loop: feeds the input to the workers, takes their reports, ends when every input has its
fate.

It never blocks on one thing. Input is read only while there is room for it: the backlog here and the
high-water marks on the way push back to stdin.
"""

from __future__ import annotations

import contextlib
import select
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coordinator.checkpoint.hashes import InputDiffers
from coordinator.console.alerts import Alerts
from coordinator.console.signals import Signals
from coordinator.endpoints.requests import Command
from coordinator.guard.watch import GuardWatch
from coordinator.monitor.snapshot import Block, Phase
from coordinator.processes import heap
from coordinator.processes.acknowledge import Acknowledgements
from coordinator.processes.supervisor import Fault, Heard, Spawned, Stats, Supervisor, Written
from coordinator.scan import sweeping
from coordinator.scan.accounts import Accounts, NotTheirs
from coordinator.scan.blocks import Blocks, of_plain, plain, ranges
from coordinator.scan.feeder import Feeder
from coordinator.scan.judging import judge
from coordinator.scan.prepare import Prepared
from coordinator.scan.reading import Reading
from coordinator.scan.sweeping import Sweeping
from lzr.ipc import messages
from lzr.ipc.messages import SchemaError
from lzr.ownership.events import Adopted, Died, Fenced, Linked, Ready, Released, Want
from lzr.ownership.orders import GiveUp, News, ShardClosed, ShardOpened, TryAgain
from lzr.pacing.bucket import DEPTH
from lzr.pacing.pacer import Pacer
from lzr.records.summary import Summary
from lzr.sweep.dealing import Dealing

# Seconds. `python -m benchmarks.calm` shows what the first five cost and save: CPU when idle and with 1,000
# lines a second, and the time from a line to its ACK. With a _BREATH of 0.5, 3 and 15 ms that is 27, 26 and
# 21 % of a core (a busy machine) and 11.3, 11.2 and 19.6 ms in the median. The last three are judgements.
_BREATH = 0.003  # slept after being woken with little to do: what comes meanwhile costs no turn of its own
_STRIDE = 0.003  # between two batches of paced targets
_STUCK = 0.002  # until another try to feed a worker that had no room
_UPKEEP = 0.05  # between two rounds of `_look_around`: with 1,000 lines a second there are 75 turns a second
_IDLE = 0.25  # the longest wait
_JUDGED_OVER = 0.5  # over which it is judged what held work back
_END_SECONDS = 2.0  # for the workers to end by themselves
_LAST_REPORTS = 0.05  # for what they reported last
OK, FAILED, USAGE, LOST = 0, 1, 2, 3
READER_GONE = 128 + signal.SIGPIPE
"""As a shell sees any program that is ended by it: ``lzr -f - | head``."""
_FINISHING = "no more is begun, what is in flight is finished; once more ends it now"
_ENOUGH = "done, with as many results as asked for"


class ScanError(Exception):
    """The scan cannot go on; the sentence says why. What is written stays."""


@dataclass(frozen=True, slots=True)
class Ending:
    """status: for the shell. failure: a sentence, if it was one. unfinished: --resume could do the rest."""

    status: int
    failure: str
    unfinished: bool


class Loop:
    """What is prepared, and the parts that do the work: reading, feeder, accounts, supervisor."""

    def __init__(self, ready: Prepared, signals: Signals, guarded: GuardWatch) -> None:
        opened, begun, job = ready.opened, ready.begun, ready.job
        options = job.options
        now = time.monotonic()
        self.console = ready.console
        self.totals = ready.console.totals
        self.meter = ready.console.meter
        self.pool = opened.pool
        self.intake = begun.intake
        self.checkpoint = opened.checkpoint
        self.accounts = Accounts(
            begun.ledger,
            begun.intake,
            opened.outputs,
            self.totals,
            checkpoint=opened.checkpoint,
            findings=ready.console.findings,
            max_results=options.max_results,
            handshakes=options.handshakes,
        )
        self.supervisor = Supervisor(
            opened.pool,
            job.shards,
            opened.outputs.for_collector,
            self.meter,
            self.console.note,
            self.console.log.debug,
        )
        self.departure = ready.egress.departure
        self.supervisor.moved, self.supervisor.holds = begun.ledger.moved, begun.ledger.holds
        self.acknowledgements = Acknowledgements(opened.pool)
        self.pacer = Pacer(
            options.rate if options.send_syns or options.reopen else None,
            now,
            DEPTH if ready.opened.sweep is None else sweeping.DEPTH,
        )
        self.reading = Reading(
            begun.intake,
            opened.stream if begun.more else None,
            zmap_waits=not options.send_syns,
            note=self.console.note,
        )
        self.feeder = Feeder(
            begun.intake,
            begun.ledger,
            ready.sources,
            self.pacer,
            shard_key=job.secrets.shard,
            shards=job.shards,
            worker=self.supervisor.worker,
            settled=self.accounts.settled,
            admit=ready.egress.departure.admit,
        )
        self.sweeping = self._swept(ready)
        checkpoint = opened.checkpoint
        self.blocks = Blocks(
            [] if checkpoint is None else of_plain(checkpoint.blocks),
            lambda: (child.name for child in opened.pool.of_role("flow")),
            lambda: None if checkpoint is None else checkpoint.kept_blocks,
        )
        if self.blocks:
            self.intake.block(self.blocks.ranges)
        self.supervisor.greet = self._greet
        self._ready = ready
        self._signals = signals
        self._guarded = guarded
        self._alerts = Alerts(ready.console, guarded, ready.egress.departure.routing, begun.intake.fates)
        self._interrupted = 0  # signals that have been heeded
        self._quitting = False
        self._gone = False  # the reader of our output has gone
        self._abandoned = False
        self._deadline = None if options.max_runtime is None else now + float(options.max_runtime)
        self._upkeep_due = 0.0
        self._routes_due = 0.0
        self._judged = now
        self._busy = 0
        self._others: frozenset[int] = frozenset()  # descriptors of signals, console and guard
        self._telling: tuple[int, ...] = ()  # those, and all others but the input's and the reports'
        self._told = True  # one of `_telling` was readable
        self._trimmed = False
        self._polls: dict[tuple[int, ...], select.poll] = {}
        self.totals.shards = job.shards
        self.totals.sweep = bool(options.target_ports)
        self.totals.rate_limit = self.pacer.rate

    def _swept(self, ready: Prepared) -> Sweeping | None:
        """The sweep, if this is one."""
        sweep, options, begun = ready.opened.sweep, ready.job.options, ready.begun
        if sweep is None:
            return None
        done = None if self.checkpoint is None else self.checkpoint.done
        dealing = Dealing(
            sweep.total,
            cooldown=options.cooldown,
            probes=options.probes,
            begin=begun.low,
            done=None if done is None else done.among,
        )
        return Sweeping(
            sweep.share,
            sweep.key,
            dealing,
            ledger=begun.ledger,
            feeder=self.feeder,
            accounts=self.accounts,
            departure=self.departure,
            sources=ready.sources.pools,
            workers=self.feeder.feeds,
        )

    def _greet(self) -> list[messages.Message]:
        """What a new worker is told before anything else."""
        told: list[messages.Message] = [self.departure.order()]
        if self.sweeping is not None:
            told.append(self.sweeping.order())
        if self.blocks:
            told.append(self.blocks.order())
        return told

    # --- life ------------------------------------------------------------------------------------------

    def run(self) -> Ending:
        """Run the scan until every input has its fate or somebody ends it; then end the other processes."""
        failure, mistaken = "", False
        try:
            self._start()
            self._turns()
            if self._gone or self.accounts.enough:
                self.totals.ending = "the reader of the output has gone" if self._gone else _ENOUGH
                self._abandon()
        except (ScanError, ChildProcessError, InputDiffers) as error:
            failure, mistaken = str(error), isinstance(error, InputDiffers)
            self._abandon()
        self._close()
        if failure:
            status = USAGE if mistaken else FAILED
        elif self._interrupted:
            status = 128 + self._signals.number
        else:
            status = READER_GONE if self._gone else OK
        return Ending(status, failure, self._unfinished)

    def _start(self) -> None:
        """Fork the first collectors and flow workers."""
        if not self.accounts.enough:
            workers = self._ready.workers
            self._heed(self.supervisor.handle(Want(workers.flow, workers.collect), time.monotonic()))
            self.totals.phase = Phase.RUNNING

    def _turns(self) -> None:
        touched = True
        self._others = frozenset((self._signals.fileno, *self.console.filenos(), *self._guarded.filenos()))
        forkserver, printed = self.pool.forkserver.fileno(), self.pool.printed.descriptor
        self._telling = (forkserver, printed, self.departure.routing.fileno(), *self._others)
        while not (self._finished or self._gone or self.accounts.enough):
            if self._signals.count > self._interrupted:
                self._heed_signal()
            else:
                self._stop_if_asked()
                now = time.monotonic()
                for command in self.console.tick(now, time.time(), touched=touched):
                    self._obey(command, now)
                if not self._quitting:
                    touched = self._turn(self.console.patience(now))
            if self._quitting:
                self._abandon()
                return

    def _turn(self, patience: float) -> bool:
        """One turn; then wait at most `patience` seconds, or until something happens.

        Returns whether it is a signal, the guard, or somebody who asks the console.
        """
        now = time.monotonic()
        self._take_reports(now)
        self._look_at_shards()
        if self._told or self.departure.changed or now >= min(self._upkeep_due, self._routes_due):
            self._look_around(now)
        worked = False
        if not self.totals.paused:
            room = self.feeder.has_room
            worked = self.reading.unfold(room) or self.reading.read(now, room)
            worked |= self.feeder.dispatch(now)
            if self.sweeping is not None:
                worked |= self.sweeping.deal(now)
        if self.feeder.feed():
            worked = True
            self.reading.stop_reading_ahead()
        if self.sweeping is not None:
            self.sweeping.close(now)
        if self.acknowledgements.pending:
            self.acknowledgements.tell(now, urgent=self.supervisor.machine.moving)
        finished = self._finished
        if finished:
            self._look_around(now)
        self._busy += int((time.monotonic() - now) * 1e9)
        return not finished and self._wait(min(patience, _IDLE), now, worked)

    def _look_around(self, now: float) -> None:
        """Look after what lines and results do not wait for: alerts, routes, names, checkpoint, figures."""
        self._upkeep_due = now + _UPKEEP
        self._alerts.look(now)
        self._look_at_routes(now)
        self._routes_due = now + self.departure.routing.wait(now)
        self._look_up_names()
        if self.pool.priority.lowered and self.reading.ended:
            self.pool.restore_priority()
        self._save(now)
        self._keep_bounds(now)
        self._update_totals(now)
        if self.reading.ended and not self.feeder.backlog and not self._trimmed:
            self._trimmed = True
            heap.give_back()  # of 400,000 lines, 5 MB

    @property
    def _finished(self) -> bool:
        """Whether the input has ended and every input has its fate."""
        if not self.reading.ended:
            return False
        intake = self.intake
        coming = intake.backlog or intake.pending or intake.parked
        swept = self.sweeping is None or self.sweeping.dealing.finished
        return not coming and swept and not self.accounts.open

    @property
    def _unfinished(self) -> bool:
        """Whether something is left that --resume could do."""
        given_up = self._abandoned or self.totals.cut_short or self.totals.interrupted > 0
        return self.checkpoint is not None and given_up and not self.accounts.enough

    def _close(self) -> None:
        """Order the children to end and wait for them for a bounded time; the pool ends those that are
        left."""
        outputs = self.accounts.outputs
        self._say_refused()
        with contextlib.suppress(ChildProcessError):  # the fork server has died: its children do too
            for report in self.supervisor.end(_END_SECONDS):
                self._take_last(report)
        self.pool.end()
        for report in self.supervisor.last_reports(_LAST_REPORTS):
            self._take_last(report)
        self._ready.relay.finish()
        outputs.cut_back()
        if self._abandoned:
            self.accounts.abandon_open(0 if self.sweeping is None else self.sweeping.abandon())
        self.pool.close()
        if self.checkpoint is not None:
            self.accounts.settle_ended()
            summary = self._summary(time.monotonic())
            trouble = self.checkpoint.finish(outputs.descriptors, outputs.state(), summary)
            if trouble:
                self.console.note(trouble)
        self._count_refused()
        self._alerts.look(time.monotonic())
        tail = self.accounts.summary.lines()
        self.console.close(time.monotonic(), time.time(), tail, outputs.closing(), outputs.name)

    # --- what people ask for ---------------------------------------------------------------------------

    def _heed_signal(self) -> None:
        self._interrupted = self._signals.count
        self._signals.drain()
        if self._interrupted > 1:
            self._quitting = True
            return
        self.totals.draining = True
        self._interrupt()
        self.console.acknowledge(f"{signal.Signals(self._signals.number).name}: {_FINISHING}")

    def _stop_if_asked(self) -> None:
        """Ctrl-Z. The workers finish what is in flight meanwhile."""
        if self._signals.to_stop:
            self.console.suspend()
            self._signals.stop()
            self.console.resume()

    def _obey(self, command: Command, now: float) -> None:
        """Do what a key or the control socket asks for."""
        match command.kind:
            case "pause" | "resume":
                self.totals.paused = command.kind == "pause"
            case "rate":
                rate = command.wanted_rate(self.pacer.rate)
                self.pacer.set_rate(rate, now)
                self.totals.rate_limit = rate
            case "drain":
                self.totals.draining = True
                self.totals.paused = False
                self._cut_short()
            case "quit":
                self._quitting = True
            case "block":
                self._block(command)
            case "workers":
                shards = self._ready.job.shards
                flow, collect = command.wanted(*self.supervisor.machine.wanted, shards)
                self._heed(self.supervisor.want(flow, collect, now))

    def _block(self, command: Command) -> None:
        """Contact these networks no more, in this scan and in one that resumes it."""
        block = Block(command.networks, command.reason, command.by, time.time())
        self.blocks.add(block)
        self.intake.block(ranges(block.networks))
        for child in self.pool.of_role("flow"):
            child.order(self.blocks.order())
        if self.checkpoint is not None:
            self.checkpoint.blocks.append(plain(block))
            self.checkpoint.hurry()
        why = f": {block.reason}" if block.reason else ""
        self.console.note(f"blocked {', '.join(block.networks)} (by {block.by or 'somebody'}{why})")

    def _cut_short(self) -> None:
        """Read no more of the input; the total that was known or estimated stays as it is."""
        if not self.reading.ended:
            self._estimate()
            self.totals.cut_short = True
        self.reading.end()
        if self.sweeping is not None and not self.sweeping.dealing.all_dealt:
            self.totals.cut_short = True
            self.sweeping.stop()

    def _interrupt(self) -> None:
        """Read no more and give up what no worker has begun."""
        self._cut_short()
        self.accounts.interrupt(self.feeder.give_up())

    def _abandon(self) -> None:
        """Give up everything without a fate, at once."""
        self._interrupt()
        self._abandoned = True
        self._update_totals(time.monotonic())  # what broke off may have read more before it did

    def _keep_bounds(self, now: float) -> None:
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self.console.note("--max-runtime is over: what is in flight is finished")
            self._interrupt()

    # --- reports ---------------------------------------------------------------------------------------

    def _take_reports(self, now: float) -> None:
        for report in self.supervisor.reports(told=self._told):
            match report:
                case Stats(name, figures):
                    self._take_figures(figures, now)
                    self.blocks.note(name, figures.get("blocked", 0))
                    if self.sweeping is not None and "looked_ns" in figures:
                        self.sweeping.note_looked(name, figures["looked_ns"] / 1e9)
                case Written():
                    self._take_written(report)
                case Heard(name, heard):
                    if self.sweeping is None:
                        self.supervisor.refuse("it has heard answers to no sweep", name)
                    else:
                        self.sweeping.hear(name, heard, now)
                case Fault(reason, gone):
                    self._gone |= gone
                    if reason:
                        raise ScanError(reason)
                case Died(name) if self.sweeping is not None:
                    lost = not self.supervisor.leaves(name)
                    self._heed(self.supervisor.handle(report, now))
                    again = self.sweeping.left(name, now, lost=lost)
                    if again and lost:
                        self.console.note(f"{again} pairs of the sweep are asked again")
                case Spawned() | Ready() | Adopted() | Released() | Fenced() | Linked() | Died():
                    self._heed(self.supervisor.handle(report, now))

    def _take_last(self, report: Written | Stats) -> None:
        """Take a report that comes while all are ending: only what has been written and figures count."""
        match report:
            case Written():
                self._take_written(report)
            case Stats(_, figures):
                self._take_figures(figures, time.monotonic())

    def _take_figures(self, figures: Mapping[str, Any], now: float) -> None:
        self.meter.feed(now, figures)
        errors = figures.get("send_errors")
        if errors:
            self._alerts.note_unsent(errors)

    def _take_written(self, report: Written) -> None:
        if report.name != self.supervisor.writer:
            return  # of a collector that is gone: its successor writes these again
        try:
            settled = self.accounts.take(report.message)
        except SchemaError as error:
            self.supervisor.refuse(str(error), report.name)
            return
        except NotTheirs as error:
            self.supervisor.refuse_results(str(error), error.numbers, report.name)
            return
        self.acknowledgements.note(report.message.last, settled)

    def _heed(self, news: list[News]) -> None:
        """Tell the feeder which shards were opened or closed, or are to be sent again; end the scan on
        GiveUp.
        """
        for each in news:
            match each:
                case ShardOpened(shard, name, index, took):
                    self.feeder.open(shard, index)
                    if self.sweeping is not None:
                        self.sweeping.forget_looked()
                    if took is not None:
                        self.console.log.debug(f"shard {shard} is with {name} after {took * 1000:.0f} ms")
                case ShardClosed(shard):
                    self.feeder.close(shard)
                case TryAgain(shard):
                    self.feeder.try_again(shard)
                case GiveUp(reason):
                    raise ScanError(reason)

    def _look_at_shards(self) -> None:
        """Sort waiting targets anew after shards have changed hands, and tell of those that are sent
        again."""
        self.supervisor.push()
        for shard, flows in self.feeder.sort():
            self.console.note(f"shard {shard}: {flows} flows are tried again")

    def _look_at_routes(self, now: float) -> None:
        """Tell the workers of routes or neighbours that have changed."""
        order = self.departure.look(now)
        if order is not None:
            if self.sweeping is not None:
                self.sweeping.cover()
            for child in self.pool.of_role("flow"):
                child.order(order)
        for sentence in self.departure.notes:
            self.console.note(sentence)
        self.departure.notes.clear()
        for kind, sentence in self.departure.losses.items():
            self.console.alert(kind, sentence, lost=True)
        self.departure.losses.clear()

    def _look_up_names(self) -> None:
        """Admit targets of names whose address has come, and log sentences about the input."""
        intake = self.intake
        intake.look_up()
        for sentence in intake.told:
            self.console.log.info(sentence)
        intake.told.clear()

    # --- what is kept up to date -----------------------------------------------------------------------

    def _save(self, now: float) -> None:
        """Save a checkpoint, if it is time for one."""
        self.accounts.settle_ended()
        outputs = self.accounts.outputs
        if self.checkpoint is not None:
            self.checkpoint.tick(
                now, outputs.descriptors, outputs.state, lambda: self._summary(now), self.console.note
            )
        self._say_refused()

    def _say_refused(self) -> None:
        for sentence in self.intake.refused:
            self.console.note(sentence)
        self.intake.refused.clear()

    def _summary(self, now: float) -> dict[str, Any]:
        """For the checkpoint: with those pairs of a sweep that it takes for done."""
        summary = self.accounts.summary
        if self.sweeping is None:
            return summary.to_dict()
        reasons = self.sweeping.quiet(now)
        whole = Summary.from_dict(summary.to_dict())
        whole.reasons.update(reasons)
        whole.resolved += sum(reasons.values())
        return whole.to_dict()

    def _update_totals(self, now: float) -> None:
        totals, machine = self.totals, self.supervisor.machine
        ended = self.reading.ended
        if self.sweeping is not None:
            self.sweeping.update()
            totals.heat = self.sweeping.heat.top(self.sweeping.asked)
            totals.heat_by = self.sweeping.heat.kind
            ended &= self.sweeping.dealing.all_dealt
            idle = ended and not self.accounts.open
            totals.sweep_left = self.sweeping.dealing.left_to_wait(time.monotonic()) if idle else None
        self.accounts.update(self.feeder.backlog)
        totals.busy_ns = self._busy
        totals.input_ended = ended
        totals.wanted_flow, totals.wanted_collect = machine.wanted
        totals.moves, totals.slowest_move = machine.shards.moves, machine.shards.slowest_move
        self._count_refused()
        totals.blocks = self.blocks.look()
        if totals.input_ended and not totals.backlog:
            totals.phase = Phase.FINISHING
        if now >= self._judged + _JUDGED_OVER:
            verdict = judge(
                self.reading.look(),
                self.feeder.look(),
                rate=self.pacer.rate,
                seconds=now - self._judged,
                ended=ended,
            )
            totals.paced, totals.late = verdict.paced, verdict.late
            totals.input_waiting, totals.input_held = verdict.input_waiting, verdict.input_held
            self._judged = now
            self._estimate()

    def _count_refused(self) -> None:
        """Count the messages that were not believed, and alert the user."""
        totals, refused = self.totals, self.supervisor.refused
        if refused != totals.refused:
            totals.refused = refused
            was = (
                "message between the processes was" if refused == 1 else "messages between the processes were"
            )
            totals.alerts["messages"] = f"{refused:,} {was} not believed"

    def _estimate(self) -> None:
        options = self._ready.job.options
        if not self.reading.ended and options.targets_total is None:
            most = options.max_targets if isinstance(options.max_targets, int) else None
            self.accounts.estimate(self._ready.begun.size, most)

    # --- waiting ---------------------------------------------------------------------------------------

    def _wait(self, seconds: float, now: float, worked: bool) -> bool:
        """Wait at most `seconds` until something happens; whether one of `_others` is what happened.

        worked: the last turn did something. Descriptors are left out that would wake us for nothing now.
        """
        told = self._telling if not self.intake.parked else (*self._telling, *self.intake.awaited)
        awaited = told
        seconds = min(seconds, max(0.0, self._routes_due - now))
        rest, resting = self.reading.rest(now), 0.0
        if not self.totals.paused and self.feeder.has_room:
            resting = rest
            if resting:  # reports can wait as long
                seconds = min(seconds, resting)
            else:
                awaited = (*awaited, *self.reading.filenos())
                seconds = 0.0 if self.reading.pending else seconds
            seconds = 0.0 if self.intake.pending else seconds
        if not resting and not (self.sweeping is not None and self.sweeping.resting(now)):
            awaited = (*awaited, self.pool.wakeup)
        if self.intake.backlog and not self.totals.paused:
            seconds = min(seconds, max(self.pacer.wait(now), _STRIDE))
        if self.feeder.waiting:
            seconds = min(seconds, _STUCK)
        if self.sweeping is not None:
            waits = self.sweeping.wait(now)
            if waits is not None and not (self.totals.paused and not self.sweeping.dealing.all_dealt):
                seconds = min(seconds, waits)
        due = self.acknowledgements.wait(now)
        if due is not None:
            seconds = min(seconds, due)
        more = self.intake.backlog or self.feeder.waiting or not rest
        if self.sweeping is not None and self.pacer.rate is not None:
            more = self.feeder.waiting
        if self.supervisor.unread or (worked and more):
            seconds = 0.0
        ready = [descriptor for descriptor, _ in self._poll(awaited).poll(seconds * 1000)]
        if seconds > _BREATH and not resting:
            time.sleep(_BREATH)
        self._told = any(descriptor in told for descriptor in ready)
        return self._told and not self._others.isdisjoint(ready)

    def _poll(self, descriptors: tuple[int, ...]) -> select.poll:
        found = self._polls.get(descriptors)
        if found is None:
            found = self._polls[descriptors] = select.poll()
            for descriptor in descriptors:
                found.register(descriptor, select.POLLIN)
        return found
