"""Takes the reports of the processes and hands each to the part of the scan that it concerns."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from coordinator.processes.supervisor import (
    ProcessFault,
    Report,
    ResultsWritten,
    Spawned,
    Stats,
    SweepFound,
    SweepHeard,
)
from coordinator.scan.accounts import NotTheirs
from coordinator.scan.parts import Parts
from lzr.ipc import messages
from lzr.ipc.schema import SchemaError
from lzr.ownership.events import Adopted, Died, Fenced, Linked, Ready, Released
from lzr.ownership.orders import GiveUp, News, ShardClosed, ShardOpened, TryAgain

_TOGETHER = 1 << 15
"""Answers to a sweep that are taken together at most: one report may have as many."""


class ScanError(Exception):
    """The scan cannot go on; the sentence says why. What is written stays."""


class Reports:
    """Takes reports off the supervisor, and what they mean for shards to the feeder and the sweep.

    Every method may raise ScanError.
    """

    def __init__(self, parts: Parts) -> None:
        self.reader_gone = False
        """Whether the reader of our output has gone, as a collector says."""
        self._console, self._supervisor, self._accounts = parts.console, parts.supervisor, parts.accounts
        self._acknowledgements, self._feeder = parts.acknowledgements, parts.feeder
        self._sweeping, self._blocks, self._alerts = parts.sweeping, parts.blocks, parts.alerts

    def take(self, now: float, *, others_ready: bool) -> None:
        """Take what was reported. others_ready: the fork server, or a child's output, may be readable."""
        heard: list[tuple[str, messages.SweepAnswers]] = []
        try:
            for report in self._supervisor.reports(others_ready=others_ready):
                if isinstance(report, SweepHeard):
                    heard.append((report.name, report.message))
                    if sum(len(each.rows) for _, each in heard) > _TOGETHER:
                        self._hear(heard, now)
                    continue
                if not isinstance(report, ResultsWritten):  # what follows may build on it, but that
                    self._hear(heard, now)
                self._take(report, now)
        finally:
            self._hear(heard, now)

    def _hear(self, heard: list[tuple[str, messages.SweepAnswers]], now: float) -> None:
        """Take the answers of several reports together: many cost little more than a few."""
        if not heard:
            return
        if self._sweeping is None:
            for name, _ in heard:
                self._supervisor.refuse("it has heard answers to no sweep", name)
        else:
            self._sweeping.hear(heard, now)
        heard.clear()

    def _take(self, report: Report, now: float) -> None:
        match report:
            case Stats(name, figures):
                self._take_figures(figures, now)
                self._blocks.note(name, figures.get("blocked", 0))
                if self._sweeping is not None and "looked_ns" in figures:
                    news = self._sweeping.note_drops(name, self._supervisor.shards_of(name), figures["drops"])
                    self._alerts.note_dropped(*news)
                    self._sweeping.heard_until.note(name, figures["looked_ns"] / 1e9)
            case ResultsWritten():
                self._take_written(report)
            case ProcessFault(reason, gone):
                self.reader_gone |= gone
                if reason:
                    raise ScanError(reason)
            case SweepFound(name, hosts):
                if self._sweeping is None:
                    self._supervisor.refuse("it has found hosts of no sweep", name)
                else:
                    self._sweeping.ackfirewalls.recall(hosts.reshape(-1, 2))
            case Died(name) if self._sweeping is not None:
                lost, shards = not self._supervisor.leaves(name), self._supervisor.shards_of(name)
                self.apply(self._supervisor.handle(report, now))
                again = self._sweeping.left(name, shards, now, lost=lost)
                if again and lost:
                    self._console.note(f"{again} pairs of the sweep are asked again")
            case Spawned() | Ready() | Adopted() | Released() | Fenced() | Linked() | Died():
                self.apply(self._supervisor.handle(report, now))

    def take_last(self, report: ResultsWritten | Stats) -> None:
        """Take a report that comes while all processes are ending: only written results and figures count."""
        match report:
            case ResultsWritten():
                self._take_written(report)
            case Stats(_, figures):
                self._take_figures(figures, time.monotonic())

    def _take_figures(self, figures: Mapping[str, Any], now: float) -> None:
        self._console.meter.feed(now, figures)
        if errors := figures.get("unsent"):
            self._alerts.note_unsent(errors)
        if figures.get("unheard"):
            self._alerts.note_unheard()

    def _take_written(self, report: ResultsWritten) -> None:
        if report.name != self._supervisor.writer:
            return  # of a collector that is gone: its successor writes these again
        try:
            settled = self._accounts.take(report.message)
        except SchemaError as error:
            self._supervisor.refuse(str(error), report.name)
            return
        except NotTheirs as error:
            self._supervisor.refuse_results(str(error), error.numbers, report.name)
            return
        self._acknowledgements.note(report.message.last, settled)

    def apply(self, news: list[News]) -> None:
        """Tell the feeder which shards were opened or closed, and which are to be sent again.

        Raises ScanError if the machine gives up.
        """
        for each in news:
            match each:
                case ShardOpened(shard, name, index, took):
                    self._feeder.open(shard, index, self._supervisor.pool.children[name])
                    if self._sweeping is not None:
                        self._sweeping.heard_until.open(shard, name)
                    if took is not None:
                        self._console.log.debug(f"shard {shard} is with {name} after {took * 1000:.0f} ms")
                case ShardClosed(shard):
                    self._feeder.close(shard)
                    if self._sweeping is not None:
                        self._sweeping.heard_until.close(shard)
                case TryAgain(shard):
                    self._feeder.try_again(shard)
                case GiveUp(reason):
                    raise ScanError(reason)

    def sort(self) -> None:
        """Sort waiting targets anew after shards have changed hands; note how many are sent again."""
        self._supervisor.push()
        for shard, flows in self._feeder.sort():
            self._console.note(f"shard {shard}: {flows} flows are tried again")
