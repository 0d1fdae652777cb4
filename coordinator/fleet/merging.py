"""Merges the results of many runs into one file: reads the files of a fleet's boxes, judges them, and writes
one.

Of each record a row is kept in memory (`lzr.fleet.keptrecords.RECORD`); its line is read again, by its place,
when it is written, so the files may be larger than the memory. Compressed files and pipes are first written
uncompressed to a temporary file. What cannot be taken (an invalid line, one that was cut off, a record that
no run of the plan has asked for) is counted by file, with the first of each in words.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from coordinator.analysis import arrowstream as arrow
from coordinator.analysis import reading
from coordinator.analysis.decoding import Decoder, places
from coordinator.analysis.source import CHUNK, LONGEST, Progress
from coordinator.commandline.wholefile import write_whole
from lzr import addresses
from lzr.analysis.columns import NAMES
from lzr.errors import UsageError, printable
from lzr.fleet.audit import many
from lzr.fleet.keptrecords import FOREIGN, RECORD, Chosen, Generations, by_box, chosen
from lzr.fleet.lock import Run
from lzr.rows import Rows

MOST_FILES = 65_535
"""Most files: a record's row has two bytes for the number of its file."""
_AT = {name: at for at, name in enumerate(NAMES)}
_ASKED = ("saddr_key", "daddr_key", "sport", "HandshakeNum")
_WRITTEN = 1 << 20  # bytes of lines that are written at once


@dataclass
class OfFile:
    """What came of reading a file.

    box: the only box whose records it may hold, where that is known. records: taken. foreign: records for
    which no run of the plan has asked, or of another box. unreadable: lines that are no record, or lack what
    identifies one. cut: its last line has no end, and is no record. damage: what is wrong with its
    compression. first_foreign, first_unreadable: the first of them in words.
    """

    name: str
    box: str | None = None
    records: int = 0
    foreign: int = 0
    unreadable: int = 0
    cut: int = 0
    damage: str = ""
    first_foreign: str = ""
    first_unreadable: str = ""

    @property
    def whole(self) -> bool:
        return not (self.foreign or self.unreadable or self.cut or self.damage)

    def trouble(self) -> list[str]:
        """Sentences; none where all of it was taken."""
        found = []
        if self.foreign:
            found.append(
                f"{many(self.foreign, 'record')} of {self.name} left out that "
                + (f"no run of {self.box}" if self.box else "no run of this plan")
                + f" has asked for (the first: {self.first_foreign})"
            )
        if self.unreadable:
            found.append(
                f"{many(self.unreadable, 'line')} of {self.name} could not be read ({self.first_unreadable})"
            )
        if self.cut:
            found.append(f"{self.name} is cut: its last line has no end")
        if self.damage:
            found.append(f"{self.name} was read up to where {self.damage}")
        return found


@dataclass
class Merger:
    """Files are read with `read`, then `settle` says what is kept, and `write` writes it.

    files: what came of each.
    """

    generations: Generations
    files: list[OfFile] = field(default_factory=list)
    _parts: list[Rows] = field(default_factory=list)
    _open: list[IO[bytes]] = field(default_factory=list)
    _rows: Rows | None = None

    def close(self) -> None:
        for file in self._open:
            file.close()

    def __enter__(self) -> Merger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def whole(self) -> bool:
        """Whether every line of every file was taken."""
        return all(file.whole for file in self.files)

    def read(self, path: str, progress: Progress | None = None, box: str | None = None) -> None:
        """Take the records of a file (``-``: standard input). Raises UsageError where it holds no results.

        box: where it comes from, if that is known: a box may say what it likes, but not in another's name.
        Its lines are taken as they lie there, or counted: whatever it gives keeps no other box's out.
        """
        if len(self.files) >= MOST_FILES:
            raise UsageError(f"more than {MOST_FILES} files at once: merge some of them first")
        if box is not None and path.endswith(".json") and os.path.isfile(path):
            try:
                plain: IO[bytes] = open(path, "rb", 0)  # noqa: SIM115
            except OSError as error:
                raise UsageError(f"cannot read {printable(path)}: {error.strerror}") from error
            self._lines_of(plain, OfFile(printable(path), box), progress)
            return
        with reading.Records(path, progress) as records:
            name = records.source.name
            if records.form != "json":
                raise UsageError(
                    f"{name} holds results as {records.form}: what is merged are JSON lines, as boxes write "
                    "them"
                )
            of_file = OfFile(name, box)
            if records.source.plain:
                file: IO[bytes] = open(os.dup(records.source.fileno()), "rb", 0)  # noqa: SIM115
            else:
                file = _spooled(records)
            self._lines_of(file, of_file, progress)
            of_file.damage = records.source.damage
            if records.source.too_long:
                of_file.unreadable += records.source.too_long
                of_file.first_unreadable = of_file.first_unreadable or f"longer than {LONGEST >> 20} MiB"
            if of_file.unreadable and not of_file.records and not of_file.foreign:
                raise UsageError(f"{name} holds no results of lzr ({of_file.first_unreadable})")

    def _lines_of(self, file: IO[bytes], of_file: OfFile, progress: Progress | None) -> None:
        """Take the lines of a plain file, which is open until `close`."""
        self._open.append(file)
        number = len(self.files)
        self.files.append(of_file)
        for start, chunk, too_long in _chunks(file, progress):
            if too_long:
                of_file.unreadable += 1
                of_file.first_unreadable = of_file.first_unreadable or f"longer than {LONGEST >> 20} MiB"
            else:
                self._take(start, chunk, number, of_file)

    def _take(self, start: int, chunk: bytes, file: int, of_file: OfFile) -> None:
        """Whole lines, the last of which may have no end. start: where in the file they are."""
        decoder, bad = Decoder("json"), 0
        for piece, batch, exact in decoder.pieces(chunk):
            starts, ends = _lines(piece)
            sound, bad = decoder.counts.unreadable == bad, decoder.counts.unreadable
            if not exact and (batch is None or batch.rows != len(starts) or not sound):
                self._take_singly(start, piece, file, of_file)
            elif batch is not None:
                self._enter(batch, start, piece, starts, ends, file, of_file)
            start += len(piece)

    def _take_singly(self, start: int, piece: bytes, file: int, of_file: OfFile) -> None:
        """Lines of which some are no records."""
        for begin, end in zip(*_lines(piece), strict=True):
            decoder = Decoder("json")
            batch = decoder.batch(piece[begin:end])
            if batch is not None:
                where = begin + np.array(places(piece[begin:end], batch.rows), np.int64)
                self._enter(batch, start, piece, where[:, 0], where[:, 1], file, of_file)
            elif end == len(piece):
                of_file.cut += 1
                continue
            if batch is None or decoder.counts.unreadable:
                of_file.unreadable += max(1, decoder.counts.unreadable)
                why = decoder.counts.first.partition(": ")[2] or "no record"
                of_file.first_unreadable = of_file.first_unreadable or why

    def _enter(
        self,
        batch: arrow.ColumnBatch,
        start: int,
        piece: bytes,
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        file: int,
        of_file: OfFile,
    ) -> None:
        """Rows of a batch, each with its line."""
        rows = np.zeros(batch.rows, RECORD)
        known = _fill(rows, batch)
        rows["at"], rows["length"], rows["file"] = start + starts, ends - starts, file
        spans = zip(starts.tolist(), ends.tolist(), strict=True)
        rows["digest"] = np.frombuffer(b"".join([_digest(piece[one:end]) for one, end in spans]), "<u8")
        if not known.all():
            of_file.unreadable += int(np.count_nonzero(~known))
            of_file.first_unreadable = of_file.first_unreadable or "a record without " + ", ".join(
                ("saddr", "daddr", "sport", "HandshakeNum or Timestamp")
            )
            rows = rows[known]
        self.generations.enter(rows, of_file.box)
        foreign = rows["generation"] == FOREIGN
        if foreign.any():
            of_file.foreign += int(np.count_nonzero(foreign))
            of_file.first_foreign = of_file.first_foreign or _shown(rows[foreign][0])
            rows = rows[~foreign]
        of_file.records += len(rows)
        self._parts.append(rows)

    def settle(self) -> Chosen:
        """Decide which of the records that were read are kept."""
        rows = np.concatenate([np.empty(0, RECORD), *self._parts])
        self._parts.clear()
        self._rows = rows
        return chosen(rows)

    def by_box(self, runs: Sequence[Run], kept: Chosen) -> dict[str, int]:
        """How many distinct lines there are of each box."""
        assert self._rows is not None
        return by_box(runs, self._rows, kept.lines)

    def write(self, descriptor: int, kept: Chosen, progress: Progress | None = None) -> None:
        """The lines that are kept, in order. Raises UsageError where a file has changed since; OSError."""
        assert self._rows is not None
        files = [file.fileno() for file in self._open]
        written = 0
        for begin in range(0, len(kept.rows), 4096):
            part = self._rows[kept.rows[begin : begin + 4096]]
            lines = []
            columns = (part[name].tolist() for name in ("file", "at", "length", "digest"))
            for file, at, length, digest in zip(*columns, strict=True):
                line = os.pread(files[file], length, at)
                if int.from_bytes(_digest(line), "little") != digest:
                    raise UsageError(f"{self.files[file].name} was changed while it was being merged")
                lines.append(line)
            lines.append(b"")
            data = b"\n".join(lines)
            write_whole(descriptor, data)
            written += len(data)
            if progress is not None:
                progress(written)


def _fill(rows: Rows, batch: arrow.ColumnBatch) -> NDArray[np.bool_]:
    """Set what a batch says of each row; (n,) bool: whether that is all that must be known of it."""
    known = np.ones(len(rows), np.bool_)
    for name in (*_ASKED, "Timestamp"):
        values = batch.columns[_AT[name]]
        if values.nulls:
            known &= _there(values, len(rows))
    for side, name in (("peer", "saddr_key"), ("own", "daddr_key")):
        halves = np.frombuffer(_bytes(batch.columns[_AT[name]].buffers[1]), ">u8", len(rows) * 2)
        rows[f"{side}_hi"], rows[f"{side}_lo"] = halves[::2], halves[1::2]
    for field_name, name, kind in (
        ("peer_port", "sport", "<u2"),
        ("handshake", "HandshakeNum", "<u2"),
        ("time", "Timestamp", "<i8"),
    ):
        rows[field_name] = np.frombuffer(_bytes(batch.columns[_AT[name]].buffers[1]), kind, len(rows))
    data = batch.columns[_AT["data"]]
    if data.buffers[1] is None or len(_bytes(data.buffers[1])) < 4 * (len(rows) + 1):
        rows["silent"] = True
    else:
        offsets = np.frombuffer(_bytes(data.buffers[1]), "<i4", len(rows) + 1)
        rows["silent"] = offsets[1:] == offsets[:-1]
    return known


def _there(values: arrow.Values, rows: int) -> NDArray[np.bool_]:
    """(rows,) bool: which of them has a value."""
    if values.nulls == rows or values.buffers[0] is None:
        return np.full(rows, values.nulls == 0)
    bits = np.frombuffer(_bytes(values.buffers[0]), np.uint8)
    return np.unpackbits(bits, bitorder="little")[:rows].astype(np.bool_)


def _bytes(buffer: arrow.Buffer) -> bytes:
    return b"" if buffer is None else buffer if isinstance(buffer, bytes) else buffer.tobytes()


def _digest(line: bytes) -> bytes:
    return blake2b(line, digest_size=8).digest()


def _lines(piece: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the lines of a piece begin and end, without their ends; empty ones are left out."""
    cells = np.frombuffer(piece, np.uint8)
    ends = np.flatnonzero(cells == 10)
    if not piece.endswith(b"\n"):
        ends = np.append(ends, len(piece))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])
    ends = ends - ((ends > starts) & (cells[np.maximum(ends - 1, 0)] == 13))
    if (ends - starts < 2).any():  # nothing, or nothing that is a record
        kept = np.array([bool(piece[a:b].strip()) for a, b in zip(starts, ends, strict=True)], np.bool_)
        starts, ends = starts[kept], ends[kept]
    return starts, ends


def _spooled(records: reading.Records) -> IO[bytes]:
    """The plain lines of a compressed file or a pipe, in a temporary file without a name."""
    file: IO[bytes] = tempfile.TemporaryFile(dir=reading.temporary(), buffering=0)  # noqa: SIM115
    for chunk in records.source.chunks():
        write_whole(file.fileno(), chunk)
    return file


def _chunks(file: IO[bytes], progress: Progress | None) -> Iterator[tuple[int, bytes, bool]]:
    """Whole lines of a file and where they begin; the last may have no end.

    Of a line beyond `LONGEST` nothing but that there is one: the third is True.
    """
    descriptor, at = file.fileno(), 0
    if os.pread(descriptor, 3, 0) == b"\xef\xbb\xbf":
        at = 3
    left, skipping = b"", False
    while True:
        data = os.pread(descriptor, CHUNK, at + len(left))
        if not data:
            if left and not skipping:
                yield at, left, False
            return
        if progress is not None:
            progress(at + len(left) + len(data))
        end = data.rfind(b"\n") + 1
        if skipping:
            begin = data.find(b"\n") + 1
            at += begin or len(data)
            skipping = not begin
            continue
        if end:
            yield at, left + data[:end], False
            at, left = at + len(left) + end, data[end:]
            continue
        left += data
        if len(left) > LONGEST:
            yield at, b"", True
            at, left, skipping = at + len(left), b"", True


def _shown(row: Any) -> str:
    peer = addresses.text(int(row["peer_hi"]), int(row["peer_lo"]))
    own = addresses.text(int(row["own_hi"]), int(row["own_lo"]))
    return f"{peer} port {row['peer_port']} from {own}"
