"""The base of all input readers: chunks of bytes in, cut anywhere; targets and refused inputs out.

A reader is fed chunks as they arrive and gives back a `Batch` for each: the targets whose lines are complete,
and the inputs it refused, with a reason. It holds at most one unfinished line, and of a line that does not
end only the beginning. An *input* is a line that is neither blank nor a comment; inputs are numbered from 0
in order (`rows["line"]`), and that number identifies the input for the rest of the run.

A line may name many targets (a network, a range of ports). Then each of them is an input with a number of its
own; they are expanded a few at a time, when `more` is called.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from lzr import addresses
from lzr.rows import TARGET, V4_MAPPED, Opening, join, pick
from lzr.safetext import excerpt
from lzr.targets.expand import Block, Expansion, Folded
from lzr.targets.lines import BLANK, LONGEST_LINE, Scan

SHOWN = 10
"""Most refused inputs whose text is kept, over the life of a reader; the others are only counted."""

UNFOLDED = 8192
"""Targets expanded from lines that name many, in one batch."""

_MARK = b"\xef\xbb\xbf"

_PACK = struct.Struct("<QQQQQIIIHHHBB")  # rows.TARGET
assert _PACK.size == TARGET.itemsize


class Refused(Exception):
    """An input is no target; the message says why, in words that do not quote the input."""


class Rejected(NamedTuple):
    """An input that was refused: its line in the file (from 1, as editors count), why, and what it said."""

    number: int
    reason: str
    excerpt: str


class Batch(Struct):
    """What came of one chunk.

    rows: the targets, TARGET rows in input order. refused: numbers of the refused inputs, counted as
    `rows["line"]`. rejected: the first few refused inputs of the run, to be shown. reasons: how many were
    refused, by reason; the sum is ``len(refused)``. names: inputs whose address has to be looked up; they
    have their numbers already.
    """

    rows: NDArray[Any]
    refused: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    rejected: list[Rejected] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    names: list[Expansion] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        """How many inputs of this batch have become a row, a refusal or a name."""
        found = len(self.rows) + len(self.refused)
        return found + sum(one.left for one in self.names) if self.names else found


class Target(NamedTuple):
    """One target as plain numbers, before it becomes a row."""

    peer: addresses.Halves
    peer_port: int
    own: addresses.Halves = (0, 0)
    own_port: int = 0
    seq: int = 0
    ack: int = 0
    window: int = 0
    syn: int = Opening.OURS
    ttl: int = 0


def host(text: str, refusal: str) -> addresses.Halves:
    """The address of one host. Raises Refused: `refusal` if it is no address at all."""
    v4 = addresses.v4_number(text)
    if v4 >= 0:
        halves = 0, V4_MAPPED | v4
    else:
        try:
            halves = addresses.parse(text)
        except ValueError:
            raise Refused(refusal) from None
    refuse_many(*halves)
    return halves


def refuse_many(hi: int, lo: int) -> None:
    """Refuse an address that is not one host's: unspecified, multicast, limited broadcast."""
    v4 = addresses.is_v4(hi, lo)
    if hi == 0 and lo in (0, V4_MAPPED):
        raise Refused("the unspecified address")
    if hi >> 56 == 0xFF or (v4 and lo >> 28 & 15 == 14):
        raise Refused("a multicast address")
    if v4 and lo & 0xFFFFFFFF == 0xFFFFFFFF:
        raise Refused("the broadcast address")


class RefusedInputs:
    """Collects the refusals of one batch; keeps texts only while the run has shown few."""

    __slots__ = ("ordinals", "reasons", "rejected", "shown")

    def __init__(self, shown: int) -> None:
        self.shown = shown
        self.ordinals: list[int] = []
        self.rejected: list[Rejected] = []
        self.reasons: dict[str, int] = {}

    def refuse(self, ordinal: int, number: int, reason: str, text: bytes) -> None:
        """Count a refused input, and keep its text while few are kept. number: of its line."""
        self.ordinals.append(ordinal)
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self.show(number, reason, text)

    def show(self, number: int, reason: str, text: bytes) -> None:
        """Keep a bad line, to be shown: the first few of all. text: of the line."""
        if self.shown < SHOWN:
            self.shown += 1
            self.rejected.append(Rejected(number, reason, excerpt(text)))

    def batch(self, rows: NDArray[Any]) -> Batch:
        """A batch of these rows and the refusals so far."""
        return Batch(rows, np.array(self.ordinals, np.uint64), self.rejected, self.reasons)


class Reader(ABC):
    """Bytes in, batches out."""

    def __init__(self) -> None:
        self._inputs = 0
        self._shown = 0
        self._folded = Folded()

    @abstractmethod
    def feed(self, chunk: bytes) -> Batch:
        """Take the next bytes of the input; give the targets that are complete with them."""

    @abstractmethod
    def finish(self) -> Batch:
        """The input has ended: give what an unfinished last line holds."""

    @property
    def pending(self) -> bool:
        """Whether targets of lines that were fed are still to be expanded, by `more`."""
        return bool(self._folded)

    @property
    def coming(self) -> int:
        """How many targets are still to be expanded."""
        return self._folded.count

    @property
    def named(self) -> bool:
        """Whether a name is among the lines that are `pending`."""
        return self._folded.named

    def more(self) -> Batch:
        """The next targets of those that are `pending`."""
        batch = Batch(np.empty(0, TARGET))
        self._unfold(batch)
        return batch

    def forget(self) -> None:
        """Drop everything that is `pending`."""
        self._folded.clear()

    def _unfold(self, batch: Batch) -> None:
        """Add to the batch the next targets of what was set aside."""
        rows, refused, names = self._folded.take(UNFOLDED)
        batch.rows = join([batch.rows, rows])
        batch.names += names
        for reason, numbers in refused:
            batch.refused = np.concatenate([batch.refused, numbers])
            batch.reasons[reason] = batch.reasons.get(reason, 0) + len(numbers)


class LineReader(Reader):
    """A reader of lines. A subclass says what one line means; `scan` makes rows of the lines it can read at
    once.
    """

    comments = False
    """Whether a line that starts with # is a comment."""

    def __init__(self, scan: Scan) -> None:
        super().__init__()
        self._scan = scan
        self._tail = bytearray()
        self._started = False
        self._numbers = 0
        self.first = b""
        """The first input, for whoever has to guess what kind of input this is."""

    @abstractmethod
    def target(self, text: bytes) -> Target | list[Block]:
        """The target that a line (without blanks around it) names, or its blocks of targets. Raises
        Refused.
        """

    def heading(self, text: bytes) -> bool:
        """Whether the first line of the input is a heading, not an input."""
        return False

    def feed(self, chunk: bytes) -> Batch:
        """Take the next bytes: whole lines become targets, and the rest is kept."""
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            self._hold(chunk)
            return Batch(np.empty(0, TARGET))
        if self._tail:
            first = chunk.find(b"\n")
            self._hold(chunk[:first])
            block = bytes(self._tail) + chunk[first:cut]
            self._tail.clear()
        else:
            block = chunk[:cut]
        self._hold(chunk[cut:])
        return self._block(block)

    def finish(self) -> Batch:
        block = bytes(self._tail)
        self._tail.clear()
        return self._block(block)

    def _hold(self, begun: bytes) -> None:
        """Keep the beginning of an unfinished line; one byte past the limit shows that it is too long."""
        self._tail += begun[: LONGEST_LINE + 1 - len(self._tail)]

    def _block(self, block: bytes) -> Batch:
        if not self._started:
            block = self._open(block)
        room = block.count(b"\n") + 1
        rows = np.empty(room, TARGET)
        count, left, numbers = self._scan(block, rows, self._inputs)
        tally = RefusedInputs(self._shown)
        bad = []
        folded: list[tuple[int, int, bytes, list[Block]]] = []
        view = rows.data.cast("B")
        for index, start, stop, number in left:
            text = block[start:stop]
            try:
                if stop - start > LONGEST_LINE:
                    raise Refused(f"longer than {LONGEST_LINE} bytes")
                it = self.target(text)
            except Refused as refusal:
                bad.append(index)
                tally.refuse(self._inputs + index, self._numbers + number, str(refusal), text)
                continue
            if isinstance(it, list):
                folded.append((index, number, text, it))
                for one in it:
                    if one.special:
                        tally.show(self._numbers + number, one.special, text)
                continue
            _PACK.pack_into(
                view,
                index * _PACK.size,
                self._inputs + index,
                *it.peer,
                *it.own,
                it.seq,
                it.ack,
                0,
                it.peer_port,
                it.own_port,
                it.window,
                it.syn,
                it.ttl,
            )
        if folded or self._folded:
            self._fold(rows[:count], bad, folded, tally)
            rows = np.empty(0, TARGET)
        elif bad:
            rows = np.delete(rows[:count], bad)
        else:
            rows = rows[:count]
        self._inputs += count
        self._numbers += numbers
        self._shown = tally.shown
        batch = tally.batch(rows)
        if self._folded:
            self._unfold(batch)
        return batch

    def _fold(
        self,
        rows: NDArray[Any],
        bad: list[int],
        folded: list[tuple[int, int, bytes, list[Block]]],
        tally: RefusedInputs,
    ) -> None:
        """Put a block's rows and its lines of several targets into input order, and number them."""
        good = np.ones(len(rows), np.bool_)
        good[bad] = False
        at = more = 0  # more: by how much numbers are greater than those of lines
        shifts = [0]
        for index, number, text, blocks in folded:
            self._folded.put(pick(rows[at:index], good[at:index]), more)
            ordinal = self._inputs + index + more
            for one in blocks:
                self._folded.expand(Expansion(one, ordinal, self._numbers + number, excerpt(text)))
                ordinal += one.total
            at, more = index + 1, ordinal - (self._inputs + index) - 1
            shifts.append(more)
        self._folded.put(pick(rows[at:], good[at:]), more)
        before = np.searchsorted([self._inputs + index for index, *_ in folded], tally.ordinals)
        tally.ordinals = [one + shifts[n] for one, n in zip(tally.ordinals, before.tolist(), strict=True)]
        self._inputs += more

    def _open(self, block: bytes) -> bytes:
        """Strip byte-order mark and heading from the first line that is not blank; line numbers stay the
        same.
        """
        start = 0
        while start < len(block):
            stop = block.find(b"\n", start)
            stop = len(block) if stop < 0 else stop
            if stop - start > LONGEST_LINE:
                self._started = True
                break
            if start == self._numbers == 0 and block.startswith(_MARK):
                block = block[len(_MARK) :]
                stop -= len(_MARK)
            text = block[start:stop].strip(BLANK)
            if text and not (self.comments and text.startswith(b"#")):
                self._started = True
                self.first = bytes(text[:LONGEST_LINE])
                return block[:start] + block[stop:] if self.heading(text) else block
            start = stop + 1
        return block
