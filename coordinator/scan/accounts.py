"""Counts what has become of each input; the only place where a written result gives an input its fate. The
flow workers are told then that it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from coordinator.checkpoint.checkpoint import Checkpoint
from coordinator.input.intake import Intake
from coordinator.monitor.findings import Findings
from coordinator.monitor.snapshot import Identified, Totals
from coordinator.processes.pool import Pool
from coordinator.results.outputs import Outputs
from lzr.ipc import messages
from lzr.ipc.counts import Counts, Names
from lzr.ipc.schema import SchemaError
from lzr.ownership.ledger import Ledger
from lzr.records.summary import Summary
from lzr.rows import Rows

_SOON = 0.25
"""Seconds within which a flow worker is told what is written, at the latest."""
_MANY, _MUCH = 4, 256
"""From so many messages, or inputs of a batch, on workers are told at once. With _SOON: a worker keeps what
it was not told of, and telling costs it a turn of some 100 µs (`python -m benchmarks.calm` shows the CPU)."""


class NotTheirs(Exception):
    """Flow workers have reported inputs that they were not given. numbers: those workers'."""

    def __init__(self, numbers: set[int]) -> None:
        super().__init__("results of inputs that it was not given")
        self.numbers = numbers


class Accounts:
    """Keeps fates and counts of the inputs in ledger, figures (`totals`), summary and checkpoint.

    findings: shows services as they are found, where that is wanted. handshakes: those of the scan.
    """

    def __init__(
        self,
        ledger: Ledger,
        intake: Intake,
        outputs: Outputs,
        totals: Totals,
        *,
        checkpoint: Checkpoint | None = None,
        findings: Findings | None = None,
        max_results: int | None = None,
        handshakes: Sequence[str] = (),
    ) -> None:
        self.summary = Summary()
        if checkpoint is not None and checkpoint.resumed is not None and checkpoint.resumed.summary:
            self.summary.merge(Summary.from_dict(checkpoint.resumed.summary))
        self.outputs = outputs
        self.enough = max_results is not None and outputs.lines[0] >= max_results
        """As many results are recorded as were asked for."""
        self._ledger = ledger
        self._intake = intake
        self._totals = totals
        self._checkpoint = checkpoint
        self._findings = findings
        self._names = Names(handshakes)
        self._late_duplicates = 0  # found by a flow worker: the 4-tuple was in flight

    @property
    def open(self) -> int:
        """Inputs that were admitted and have no fate yet."""
        return self._ledger.open

    @property
    def interrupted(self) -> int:
        """Inputs that were given up because the scan was told to end."""
        return self._totals.interrupted

    def take(self, written: messages.Written) -> int:
        """Take a collector's report that outcomes are written. Returns how many inputs got their fate.

        Raises SchemaError or NotTheirs, and counts nothing, if the report cannot be true.
        """
        outputs = self.outputs
        if not len(written.offsets) == len(written.lines) == len(outputs.offsets):
            raise SchemaError("it is of other outputs than there are")
        for counts in written.counts:
            self._names.check(counts)
        if strangers := self._ledger.not_theirs(written.tickets, written.shares):
            raise NotTheirs(strangers)
        try:
            lines = self._ledger.settle(written.tickets)
        except ValueError as error:
            raise SchemaError(str(error)) from error
        self.settled(lines)
        outputs.offsets = list(written.offsets)
        outputs.fresh = [False] * len(outputs.offsets)
        outputs.lines = list(written.lines)
        self._totals.done += len(lines)
        for counts in written.counts:
            self._count(counts)
        self.enough |= written.enough
        return len(lines)

    def _count(self, counts: Counts) -> None:
        """Add the counts of a batch of results to the figures."""
        totals = self._totals
        part = Summary.from_dict(msgspec.structs.asdict(counts.summary))
        self.summary.merge(part)
        totals.outcomes.update(part.reasons)
        self._late_duplicates += counts.duplicates
        totals.done -= counts.duplicates + counts.blocked
        self._intake.fates.blocked += counts.blocked
        for handshake, label, count in counts.found:
            totals.found[handshake, label] += count
        if self._findings is not None:
            self._findings.add(counts.findings, counts.omitted)
        for peer, port, label, handshake, banner in counts.latest:
            totals.latest.append(Identified(peer, port, label, handshake, banner))

    def settled(self, lines: NDArray[np.uint64]) -> None:
        """Note in the checkpoint that these input lines have their fate."""
        if self._checkpoint is not None:
            self._checkpoint.settled(lines)

    def presume(self, first: int, done: NDArray[np.bool_]) -> None:
        """Note which pairs from `first` on, (n,) bool, have their fate in the next checkpoint, if not in the
        one after it.
        """
        if self._checkpoint is not None:
            self._checkpoint.presume(first, done)

    def blocked(self, lines: NDArray[np.uint64]) -> None:
        """Count pairs of a sweep that are blocked; that is their fate."""
        self._intake.fates.blocked += len(lines)
        self.settled(lines)

    def unanswered(self, reasons: dict[str, int], first: int, done: NDArray[np.bool_]) -> None:
        """Count pairs of a sweep whose time is over without a record, by reason; that is their fate. done:
        (n,) bool, which of those from `first` on they are.
        """
        count = sum(reasons.values())
        self._totals.done += count
        self._totals.outcomes.update(reasons)
        self.summary.reasons.update(reasons)
        self.summary.resolved += count
        if self._checkpoint is not None:
            self._checkpoint.settled_from(first, done)

    def unroutable(self, lines: NDArray[np.uint64], kinds: NDArray[np.uint8], rows: Rows) -> None:
        """Count inputs that cannot be reached; that is their fate. lines: their numbers. rows: TARGET rows of
        them; kinds: each one's `ways.WayKind`.
        """
        self.settled(lines)
        self._intake.fates.lose(rows, kinds)

    def swept(self, asked: int, before: int) -> None:
        """Set how many pairs of a sweep were taken up. before: those done in the run that is resumed."""
        self._intake.fates.read, self._intake.fates.resumed = asked, before

    def settle_ended(self) -> None:
        """Note in the checkpoint the lines that got their fate while they were read."""
        for lines in self._intake.ended:
            self.settled(lines)
        self._intake.ended.clear()

    def interrupt(self, tickets: NDArray[np.uint32]) -> None:
        """Count these inputs as interrupted; a resumed scan takes them up again."""
        self._ledger.withdraw(tickets)
        self._totals.interrupted += len(tickets) + self._intake.give_up()

    def abandon_open(self, more: int = 0) -> None:
        """Count every input without a fate as interrupted, as nobody works on it any more.

        more: pairs of a sweep that are not in the ledger.
        """
        self._totals.interrupted += self._ledger.open + more

    def update(self, backlog: int) -> None:
        """Bring the figures up to date. backlog: targets that were not sent to a worker yet."""
        totals, fates = self._totals, self._intake.fates
        totals.read = fates.read
        totals.rejected = fates.rejected
        totals.blocklisted = fates.blocklisted
        totals.other = fates.other()
        totals.duplicates = fates.duplicates + self._late_duplicates
        totals.backlog = backlog
        totals.in_flight = max(0, self._ledger.open - backlog)


class Acknowledgements:
    """Tells flow workers which of their messages are written: at once where it is much, with a delay where it
    is little. Until then they keep them, to send them again.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._to_tell = False  # more is written than the workers know
        self._fresh = False  # `note` was told something since `tell` last looked
        self._much = False  # acknowledge at once: a large batch was written, and workers may wait for that
        self._due = 0.0

    @property
    def pending(self) -> bool:
        """Whether workers are to be told something, now or later."""
        return self._to_tell

    def note(self, written: Iterable[tuple[int, int]], inputs: int) -> None:
        """Note what is written. written: (a worker's number, its last message that is fully written). inputs:
        how many got their fate.
        """
        last = dict(written)
        for child in self._pool.of_role("flow"):
            child.written = last.get(child.number, child.written)
        self._to_tell = self._fresh = True
        self._much |= inputs >= _MUCH

    def tell(self, now: float, *, urgent: bool) -> None:
        """Tell the workers whose time has come. urgent: somebody waits for it, as when a shard changes
        hands.
        """
        late = now >= self._due or self._much or urgent
        if not self._to_tell or not (late or self._fresh):
            return
        self._fresh = False
        for child in self._pool.of_role("flow"):
            if late or child.written - child.acknowledged >= _MANY:
                child.tell_written()
        if late:
            self._to_tell = self._much = False
            self._due = now + _SOON

    def wait(self, now: float) -> float | None:
        """Seconds until `tell` has something to do; None if nothing is to be told."""
        return max(0.0, self._due - now) if self._to_tell else None
