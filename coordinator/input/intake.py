"""The intake: text in, admitted targets out. Every input gets its fate or a ticket here.

In order: parse, leave out what ZMap says took no connection, this box's share of the input (--shards), widen
the guard, blocklist, screen, duplicates, --max-targets, what a resumed scan has done, ticket. Nothing is read
that cannot be kept: the caller of `feed` stops while `backlog` is long enough.

Two kinds of targets come later than their line: those of a line that names many (`more`), and those of a
name, which are `parked` until its address is known (`look_up`). Both have their input numbers from the start.
"""

from __future__ import annotations

import secrets
from collections import deque

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coordinator.checkpoint.checkpoint import Checkpoint
from coordinator.checkpoint.hashes import InputHash
from coordinator.guard.widening import Widening
from coordinator.input.fates import Fates
from coordinator.input.resolve import Resolved, Resolver
from lzr import addresses
from lzr.ownership.ledger import Ledger
from lzr.ranges import Range
from lzr.rows import Opening, Rows, copied, join, pick
from lzr.targets.blocklist import Blocklist
from lzr.targets.dedup import RecentTargets
from lzr.targets.expand import Expansion
from lzr.targets.inputshards import input_shard_of_name, input_shards
from lzr.targets.reader import SHOWN, UNFOLDED, Batch, Reader
from lzr.targets.screen import FOREIGN, PRINTERS, SPARED, overview, screen

_DUPLICATES = 1 << 20
"""Inputs within which the same target is scanned once. ZMap's default of --dedup-window is the same 10^6; it
takes up to 64 MB (`RecentTargets`)."""
EARLY = 0.25
"""Seconds after our start within which a line may be about a SYN-ACK that came before the guard was up. A
judgement: the guard stands 5 ms after bin/lzr began, 15 to 40 ms without it (docs/rst-guard.md), several
times later on a busy host. If this is too long, a connection that is reset is opened anew, at the cost of one
SYN."""
_CROWD = 1 << 14
"""Lines whose name is being looked up, at which no more input is read. A judgement: it bounds memory, and is
512 names for each of the threads that look them up."""
_ANY = (0, 65535)  # ports


class Admission(Struct, frozen=True):
    """Which inputs this box scans.

    blocklist: addresses that are not scanned. shards: into how many the inputs are divided among boxes
    (`lzr.targets.inputshards`); shard: those that are this box's. max_targets: the most that are admitted,
    None for no limit. allow_printers: also on ports where whatever comes is printed. reopen: open ZMap's
    connections anew.
    """

    blocklist: Blocklist | None = None
    shards: int = 1
    shard: tuple[int, ...] = (0,)
    max_targets: int | None = None
    allow_printers: bool = False
    reopen: bool = False


ALL = Admission()
"""Of a scan by one box without a blocklist."""


class Intake:
    """Takes text in, gives admitted targets out."""

    def __init__(
        self,
        reader: Reader,
        ledger: Ledger,
        admission: Admission = ALL,
        *,
        checkpoint: Checkpoint | None = None,
        input_hash: InputHash | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        """checkpoint: knows the lines that are done, where a scan is resumed. input_hash: hashes the input
        where there is no checkpoint (which has a hash). resolver: looks up names.
        """
        self._reader = reader
        self.ledger = ledger
        self._blocklist = admission.blocklist
        self._shards, self._ours = admission.shards, np.zeros(admission.shards, np.bool_)
        self._ours[list(admission.shard)] = True
        self._max_targets = admission.max_targets
        self._spared = (1, 0) if admission.allow_printers else PRINTERS
        self._checkpoint = checkpoint
        self._hash = checkpoint.input if checkpoint is not None else input_hash
        self._reopen = admission.reopen
        self._recent = RecentTargets(_DUPLICATES, secrets.randbits(64))
        self._admitted = 0
        self._resolver = Resolver() if resolver is None else resolver
        self._parked: dict[str, list[Expansion]] = {}
        self._parked_lines = 0
        self._found: deque[Expansion] = deque()  # of names whose address is known
        self._nameless = 0  # lines whose name has no address
        self.looked_up = 0  # names that were found
        self.sentences: list[str] = []  # sentences about names, for the log
        self._ports = _ANY  # our source ports, once they are known
        self._widening: Widening | None = None
        self.fates = Fates()
        self.backlog: deque[Rows] = deque()
        self.waiting = 0
        self.refused: list[str] = []  # sentences about bad lines, to be shown
        self.ended: list[NDArray[np.uint64]] = []  # lines that got their fate here, for the checkpoint
        self.full = False  # --max-targets is reached

    @property
    def first(self) -> bytes:
        """The text of the first input."""
        return getattr(self._reader, "first", b"")

    def listen_on(self, ports: tuple[int, int]) -> None:
        """Set our source ports; from here on half-open connections on other ports are not admitted."""
        self._ports = ports

    def widen_by(self, widening: Widening) -> None:
        """From here on pass every batch to `widening`, which also decides which ports are ours."""
        self._widening = widening
        self._ports = widening.ports

    def feed(self, chunk: bytes, *, early: bool = False) -> None:
        """Take the next bytes of the input. Raises InputDiffers where a resumed scan's input has changed.

        early: our kernel may have reset these half-open connections before the guard was up.
        """
        if self._hash is not None:
            self._hash.feed(chunk)
        self._take(self._reader.feed(chunk), early)

    def finish(self) -> None:
        """The input has ended. Raises InputDiffers, as `feed` does."""
        if self._hash is not None:
            self._hash.finish()
        self._take(self._reader.finish())

    # --- targets that come later than their line -----------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Whether `more` has targets to make."""
        return self._reader.pending or bool(self._found)

    @property
    def coming(self) -> int:
        """How many targets are known to come, from lines that name many and from names."""
        parked = sum(line.left for lines in self._parked.values() for line in lines)
        return self._reader.coming + sum(line.left for line in self._found) + parked

    @property
    def parked(self) -> bool:
        """Whether targets wait for the address of a name."""
        return bool(self._parked)

    @property
    def crowded(self) -> bool:
        """Whether so many names are being looked up that no more are to be read."""
        lines = self._parked_lines
        return lines > 0 and (lines >= _CROWD or self._resolver.crowded)

    @property
    def awaited(self) -> list[int]:
        """Descriptors that become readable when `look_up` has something to do."""
        return [self._resolver.fileno()] if self._parked else []

    def more(self) -> None:
        """Make and admit some of the targets that are `pending`."""
        if not self._found:
            self._take(self._reader.more())
            return
        parts, room = [], UNFOLDED
        while self._found and room:
            line = self._found[0]
            rows, _ = line.take(room)
            parts.append(rows)
            room -= len(rows)
            if not line.left:
                self._found.popleft()
        self._admit(join(parts))

    def look_up(self) -> None:
        """Take the answers about names that have come, and admit their targets."""
        if self._parked:
            for answer in self._resolver.answers():
                lines = self._parked.pop(answer.name, [])
                self._parked_lines -= len(lines)
                for number, line in enumerate(lines):
                    self._place(line, answer, again=number > 0)

    def forget(self) -> None:
        """Drop targets of lines that name many which were not made yet; they count as not read."""
        self._reader.forget()

    def _park(self, line: Expansion) -> None:
        name = line.block.name
        numbers = np.arange(line.ordinal, line.ordinal + line.left, dtype=np.uint64)
        if not self._ours[input_shard_of_name(name, self._shards)]:
            self.fates.elsewhere += len(numbers)  # by its name: other boxes may see another address
            self.ended.append(numbers)
            return
        answer = self._resolver.ask(name)
        if answer is None:
            self._parked.setdefault(name, []).append(line)
            self._parked_lines += 1
        else:
            self._place(line, answer, again=True)

    def _place(self, line: Expansion, answer: Resolved, *, again: bool = False) -> None:
        """Admit the targets of a name that was looked up. again: what became of this name was told before."""
        if answer.halves is None:
            self.fates.unresolved += line.left
            self.ended.append(np.arange(line.ordinal, line.ordinal + line.left, dtype=np.uint64))
            self._nameless += 1
            if self._nameless <= SHOWN:
                self.refused.append(f"line {line.number}: {answer.name}: {answer.why}")
            return
        if not again:
            self.looked_up += 1
            if self.looked_up <= SHOWN:
                self.sentences.append(f"{answer.name} is {addresses.text(*answer.halves)}")
            elif self.looked_up == SHOWN + 1:
                self.sentences.append("what addresses other names have is not told here")
        self._found.append(line.of(answer.halves))

    def _take(self, batch: Batch, early: bool = False) -> None:
        fates = self.fates
        fates.read += batch.inputs
        fates.rejected += len(batch.refused)
        if len(batch.refused):
            self.ended.append(np.asarray(batch.refused, np.uint64))
        for bad in batch.rejected:
            self.refused.append(f"line {bad.number}: {bad.reason}: {bad.excerpt}")
        for line in batch.names:
            self._park(line)
        rows = batch.rows
        if overview(rows).most > Opening.DOUBTFUL:
            for opening, fate in (
                (Opening.NO_SYN_ACK, "no_syn_ack"),
                (Opening.UNSUCCESSFUL, "unsuccessful"),
                (Opening.REPEATED, "repeated"),
            ):
                rows = self._keep(rows, rows["syn"] != opening, fate)
        if self._shards > 1:
            rows = self._keep(rows, self._ours[input_shards(rows, self._shards)], "elsewhere")
        self._admit(rows, early)

    def _admit(self, rows: Rows, early: bool = False) -> None:
        """Admit those of the targets that are in this box's share and may be scanned."""
        if self._widening is not None:
            early |= self._widening.take(rows)
            self._ports = self._widening.ports
        if self._blocklist is not None:
            rows = self._keep(rows, self._blocklist.allowed(rows["peer_hi"], rows["peer_lo"]), "blocklisted")
        verdicts = screen(rows, _ANY if self._reopen else self._ports, self._spared)
        if verdicts is not None:
            for verdict, fate in ((SPARED, "printers"), (FOREIGN, "foreign")):
                rows, verdicts = self._keep(rows, verdicts != verdict, fate), verdicts[verdicts != verdict]
        rows = self._keep(rows, self._recent.fresh(rows), "duplicates")
        if self._max_targets is not None and self._admitted + len(rows) >= self._max_targets:
            room = self._max_targets - self._admitted
            rows = self._keep(rows, np.arange(len(rows)) < room, "surplus")
            self.full = True
        self._admitted += len(rows)
        if self._checkpoint is not None and self._checkpoint.done is not None:
            # Only now: what is skipped still makes duplicates of what follows, and counts as a target.
            rows = self._keep(rows, ~self._checkpoint.done.contains(rows["line"]), "resumed")
        if len(rows):
            rows = copied(rows)
            if self._reopen:
                for name, value in (("syn", Opening.OURS), ("seq", 0), ("ack", 0), ("window", 0)):
                    rows[name] = value
            elif early:
                rows["syn"][rows["syn"] == Opening.TAKEN] = Opening.DOUBTFUL
            self.ledger.admit(rows)
            self.backlog.append(rows)
            self.waiting += len(rows)

    def _keep(self, rows: Rows, keep: NDArray[np.bool_], fate: str) -> Rows:
        kept = np.count_nonzero(keep)
        if kept == len(rows):
            return rows
        setattr(self.fates, fate, getattr(self.fates, fate) + len(rows) - int(kept))
        if fate != "surplus":  # a scan that is resumed may go on with those
            self.ended.append(rows["line"][~keep])
        return pick(rows, keep)

    def take(self, most: int) -> Rows | None:
        """At most `most` admitted targets, in order."""
        if not self.backlog or most <= 0:
            return None
        rows = self.backlog.popleft()
        if len(rows) > most:
            self.backlog.appendleft(rows[most:])
            rows = rows[:most]
        self.waiting -= len(rows)
        return rows

    def block(self, ranges: list[Range]) -> None:
        """Admit no target in these networks from now on."""
        self._blocklist = (self._blocklist or Blocklist()).without(ranges)

    def give_up(self) -> int:
        """Wait for names no longer; returns how many inputs are given up."""
        lines = [*self._found, *(line for lines in self._parked.values() for line in lines)]
        self._found.clear()
        self._parked.clear()
        self._parked_lines = 0
        return sum(line.left for line in lines)

    def abandon(self) -> NDArray[np.uint32]:
        """Drop the targets in the backlog; returns their tickets, (n,) uint32."""
        tickets = [rows["ticket"] for rows in self.backlog]
        self.backlog.clear()
        self.waiting = 0
        return np.concatenate(tickets) if tickets else np.empty(0, np.uint32)
