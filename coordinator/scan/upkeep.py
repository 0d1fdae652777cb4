"""What a scan does now and then besides lines and results: routes, names, the checkpoint, alerts, figures."""

from __future__ import annotations

import time
from typing import Any

from msgspec import Struct

from coordinator.monitor.snapshot import Phase
from coordinator.processes import heap, ulimits
from coordinator.scan.feeder import Paced
from coordinator.scan.parts import Parts
from coordinator.scan.reading import Seen
from lzr.records.summary import Summary

_EVERY = 0.2
"""Seconds between two rounds where nothing calls for one: with 1,000 lines a second there are 75 turns of the
loop a second, and a round costs as much as a turn (`python -m benchmarks.calm`)."""
_JUDGED_OVER, _SWEPT_OVER = 0.5, 2.0
"""Seconds over which it is judged what held the scan back: of a list, of a sweep, which goes in strides of up
to 0.2 s. Judgements: as often as a person can read it, and so that a stride more or less is a tenth."""
_NEARLY = 0.8
"""Share of the rate from which it counts as reached. A judgement: over half a second a rate varies by a
tenth."""


class Upkeep:
    """Does these things in rounds, so that lines and results need not wait for them."""

    def __init__(self, parts: Parts, now: float) -> None:
        self._parts = parts
        self._due = 0.0
        self._routes_due = 0.0
        self._judged, self._rate = now, parts.pacer.rate
        self._trimmed = False
        self._most = ulimits.most_children()

    def due(self, now: float) -> bool:
        """Whether it is time for a round."""
        return now >= min(self._due, self._routes_due) or self._parts.routes.routing.changed

    def wait(self, now: float) -> float:
        """Seconds until the next round has to be made."""
        return max(0.0, self._routes_due - now)

    def look(self, now: float) -> None:
        """Make a round."""
        parts = self._parts
        self._due = now + _EVERY
        parts.alerts.look(now)
        self._look_at_routes(now)
        self._routes_due = now + parts.routes.routing.wait(now)
        self._look_up_names()
        if parts.pool.priority.lowered and parts.reading.ended:
            parts.pool.restore_priority()
        self._save(now)
        self.update(now)
        if parts.reading.ended and not parts.feeder.backlog and not self._trimmed:
            self._trimmed = True
            heap.give_back()  # of 400,000 lines, 5 MB

    def finish(self, now: float) -> None:
        """Make the last round: all other processes have ended, and every input has its fate or is given
        up.
        """
        parts = self._parts
        if parts.checkpoint is not None:
            parts.accounts.settle_ended()
            outputs = parts.accounts.outputs
            trouble = parts.checkpoint.finish(outputs.descriptors, outputs.state(), self._summary(now))
            parts.console.miss("checkpoint", trouble)
        self._count_refused()
        parts.alerts.look(now)

    def _look_at_routes(self, now: float) -> None:
        """Tell the workers of routes or neighbours that have changed."""
        order = self._parts.routes.look(now)
        if order is not None:
            if self._parts.sweeping is not None:
                self._parts.sweeping.cover()
            for child in self._parts.pool.of_role("flow"):
                child.order(order)
        for sentence in self._parts.routes.notes:
            self._parts.console.note(sentence)
        self._parts.routes.notes.clear()
        for kind, sentence in self._parts.routes.losses.items():
            self._parts.console.alert(kind, sentence, lost=True)
        self._parts.routes.losses.clear()

    def _look_up_names(self) -> None:
        """Admit targets whose names have been resolved, and log sentences about the input."""
        intake = self._parts.intake
        intake.look_up()
        for sentence in intake.sentences:
            self._parts.console.log.info(sentence)
        intake.sentences.clear()

    def _save(self, now: float) -> None:
        """Save a checkpoint, if it is time for one."""
        self._parts.accounts.settle_ended()
        outputs = self._parts.accounts.outputs
        if self._parts.checkpoint is not None:
            self._parts.checkpoint.tick(
                now, outputs.descriptors, outputs.state, lambda: self._summary(now), self._parts.console.note
            )
        self.say_refused()

    def say_refused(self) -> None:
        """Tell the user of the first inputs that were refused, a sentence each."""
        for sentence in self._parts.intake.refused:
            self._parts.console.note(sentence)
        self._parts.intake.refused.clear()

    def _summary(self, now: float) -> dict[str, Any]:
        """The summary for the checkpoint, with the pairs of a sweep that the checkpoint counts as done."""
        summary = self._parts.accounts.summary
        if self._parts.sweeping is None:
            return summary.to_dict()
        reasons = self._parts.sweeping.quiet(now)
        if self._parts.checkpoint is not None:
            self._parts.checkpoint.ackfirewalls = self._parts.sweeping.ackfirewalls.packed()
        whole = Summary.from_dict(summary.to_dict())
        whole.reasons.update(reasons)
        whole.resolved += sum(reasons.values())
        return whole.to_dict()

    def update(self, now: float) -> None:
        """Bring the figures up to date. Only `Accounts`, which counts, and the console, which warns, write to
        them besides.
        """
        totals, state, machine = self._parts.totals, self._parts.state, self._parts.supervisor.machine
        ended = self._parts.reading.ended
        if self._parts.sweeping is not None:
            self._parts.sweeping.update()
            totals.hit_rates = self._parts.sweeping.hit_rates.top(self._parts.sweeping.asked)
            totals.hit_rates_by = self._parts.sweeping.hit_rates.kind
            totals.sweep_wait = self._parts.sweeping.scheduler.longest
            ended &= self._parts.sweeping.scheduler.all_assigned
            idle = ended and not self._parts.accounts.open
            totals.sweep_left = (
                self._parts.sweeping.scheduler.left_to_wait(time.monotonic()) if idle else None
            )
        self._parts.accounts.update(self._parts.feeder.backlog)
        totals.input_ended = ended
        totals.wanted_flow, totals.wanted_collect = machine.wanted
        totals.most_processes, totals.full = self._most, machine.full
        totals.moves, totals.slowest_move = machine.shards.moves, machine.shards.slowest_move
        self._count_refused()
        checkpoint = self._parts.checkpoint
        totals.blocks = self._parts.blocks.look(
            (child.name for child in self._parts.pool.of_role("flow")),
            None if checkpoint is None else checkpoint.kept_blocks,
        )
        totals.shards, totals.rate_limit = self._parts.ready.job.shards, self._parts.pacer.rate
        totals.paused, totals.draining, totals.cut_short = state.paused, state.draining, state.cut_short
        totals.ending, totals.busy_ns = state.ending, state.busy_ns
        if totals.input_ended and not totals.backlog:
            totals.phase = Phase.FINISHING
        elif state.begun:
            totals.phase = Phase.RUNNING
        self._judge(now, ended=ended)

    def count(self) -> None:
        """Bring those figures up to date that change with every line, so that their sums are right."""
        if self._parts.sweeping is not None:
            self._parts.sweeping.update()
        self._parts.accounts.update(self._parts.feeder.backlog)

    def _judge(self, now: float, *, ended: bool) -> None:
        """Judge what held the scan back lately. ended: the input has ended."""
        totals, sweeping, rate = self._parts.totals, self._parts.sweeping, self._parts.pacer.rate
        over = _JUDGED_OVER if sweeping is None else _SWEPT_OVER
        if now < self._judged + over and rate == self._rate and not totals.paused:
            return
        seen, paced = self._parts.reading.take_seen(), self._parts.feeder.take_paced()
        seconds, self._judged = now - self._judged, now
        if rate != self._rate or totals.paused:  # nothing can be said of a time in which it was another
            self._rate = rate
            return
        step = 1.0 if sweeping is None else sweeping.step
        verdict = judge(seen, paced, rate=rate, seconds=seconds, ended=ended, step=step)
        totals.paced, totals.late = verdict.paced, verdict.late
        totals.input_waiting, totals.input_held = verdict.input_waiting, verdict.input_held
        self.estimate()

    def _count_refused(self) -> None:
        """Count messages that broke the protocol, and alert the user."""
        totals, refused = self._parts.totals, self._parts.supervisor.refused
        if refused != totals.refused:
            totals.refused = refused
            was = (
                "message between the processes was" if refused == 1 else "messages between the processes were"
            )
            self._parts.console.alert("messages", f"{refused:,} {was} not believed", lost=False)

    def estimate(self) -> None:
        """Estimate how many inputs there are, where the user has not said so."""
        options, totals, reading = self._parts.ready.job.options, self._parts.totals, self._parts.reading
        if reading.ended or options.targets_total is not None:
            return
        total = reading.total()
        if total is not None and isinstance(options.max_targets, int):
            total = max(totals.read, min(total, options.max_targets))
        totals.total, totals.total_estimated = total, True


class Judgement(Struct, frozen=True):
    """What held the scan back.

    paced: the rate. late: the rate, which was nevertheless not reached because the loop was late.
    input_waiting: the scan waited for the input. input_held: the input waited for the scan.
    """

    paced: bool
    late: bool
    input_waiting: bool
    input_held: bool


def judge(
    seen: Seen, paced: Paced, *, rate: float | None, seconds: float, ended: bool, step: float = 1.0
) -> Judgement:
    """Decide what held the scan back over some time: the rate, the input or the workers.

    rate: targets a second, None for no limit. seconds: the time judged. ended: the input has ended. step: how
    many targets are let through at once, of which one time may have more or less than another.
    """
    enough = paced.begun + step >= _NEARLY * (rate or 0.0) * seconds
    return Judgement(
        paced=paced.held and enough,
        late=paced.held and not enough and not paced.clogged,
        input_waiting=seen.starved and not (seen.filled or seen.held_up) and not ended,
        input_held=seen.held_up and not ended,
    )
