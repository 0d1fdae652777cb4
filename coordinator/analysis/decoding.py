"""Lines of results into batches of columns: JSON of ours and of the reference, CSV, the feed for ZGrab2.

A line that is no record, or in which something cannot be (an address that is none, a port of 70000), is left
out and counted; the first one is told by its number. Of a key that stands twice the last value counts, as
everywhere in Python.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from coordinator.analysis import arrowstream as arrow
from coordinator.analysis.source import LONGEST
from coordinator.analysis.values import AT, FALSE, READ, WRONG, columns_of
from lzr.analysis.columns import KEYS, Column
from lzr.kernels import prepared
from lzr.safetext import plain

Row = tuple[Any, ...]
Rows = tuple[list[Row], Callable[[], Sequence[int]]]
"""Rows, and what gives the numbers of their lines, which are only looked for where one is wrong."""


@dataclass
class Decoded:
    """What has been read so far: records; lines that were none, and the first of them in a sentence.

    unit: what such a line is called.
    """

    unit: str = "line"
    records: int = 0
    lines: int = 0
    unreadable: int = 0
    first: str = ""

    def wrong(self, line: bytes, why: str, number: int) -> None:
        """Count a line that cannot be read; the first is kept, to be shown."""
        self.unreadable += 1
        if not self.first:
            self.first = f"{self.unit} {number}: {why}: {plain(line[:80].decode('latin-1'), 40, mark='...')}"


def _type(column: Column) -> Any:
    if column.high:
        return Annotated[int, msgspec.Meta(ge=column.low, le=column.high)] | None
    return (bool if column.sql == "BOOLEAN" else str) | None


_NOTHING = msgspec.Raw()
_Record = msgspec.defstruct(
    "_Record",
    [(c.name, msgspec.Raw, _NOTHING) if c.name == "data" else (c.name, _type(c), None) for c in READ],
    gc=False,
)
_DECODER: Any = msgspec.json.Decoder(_Record)
_EMPTY: Row = tuple(None for _ in READ)
_SADDR, _DATA = AT["saddr"], AT["data"]


# --- rows of a chunk of lines -------------------------------------------------------------------------------


def _json(chunk: bytes, counts: Decoded) -> Rows:
    """The rows of a chunk, `data` as Latin-1 text of JSON still."""
    before = counts.lines
    counts.lines += chunk.count(b"\n")
    found: list[Any]
    of: list[int] | None = None
    try:
        found = _DECODER.decode_lines(chunk)
    except WRONG:
        found, of = _one_by_one(chunk, counts, before)
    rows = list(map(msgspec.structs.astuple, found))
    empty = {at for at, row in enumerate(rows) if row[_SADDR] is None and not any(map(_given, row))}
    if empty:
        numbers, lines = of or _one_by_one(chunk, Decoded(), before)[1], chunk.split(b"\n")
        for at in sorted(empty):
            counts.wrong(lines[numbers[at] - before - 1], "no field of a record", numbers[at])
        kept = [at for at in range(len(rows)) if at not in empty]
        rows, of = [rows[at] for at in kept], [numbers[at] for at in kept]
    return rows, lambda: _one_by_one(chunk, Decoded(), before)[1] if of is None else of


def _one_by_one(chunk: bytes, counts: Decoded, before: int) -> tuple[list[Any], list[int]]:
    """The records of each line for itself, and the numbers of their lines, of which `before` come before."""
    found: list[Any] = []
    numbers: list[int] = []
    for number, line in enumerate(chunk.split(b"\n"), before + 1):
        if line.strip():
            try:
                found += _DECODER.decode_lines(line)
            except WRONG as error:
                counts.wrong(line, _reason(error), number)
        numbers += [number] * (len(found) - len(numbers))
    return found, numbers


def _given(value: Any) -> bool:
    return value is not None and value is not _NOTHING and value != _NOTHING


def _reason(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError):
        return "no record"
    return "not JSON" if not isinstance(error, RecursionError) else "too deep"


class _Csv:
    """Rows of our CSV. The heading says which columns there are; it may come again, with others."""

    def __init__(self) -> None:
        self._columns: tuple[str, ...] = ()
        csv.field_size_limit(LONGEST)  # a reply of 33 KB may be longer than the module's own limit

    def __call__(self, chunk: bytes, counts: Decoded) -> Rows:
        rows: list[Row] = []
        numbers: list[int] = []
        for line in chunk.replace(b"\r\n", b"\n").split(b"\n"):
            counts.lines += 1
            if not line.strip():
                continue
            try:
                cells = next(csv.reader([line.decode("latin-1")], strict=True))
                if heading(cells):
                    self._columns = tuple(cells)
                    continue
                rows.append(self._row(cells))
                numbers.append(counts.lines)
            except (csv.Error, ValueError) as error:
                counts.wrong(line, f"no row of this CSV ({error})", counts.lines)
        counts.lines -= 1  # what follows the last line feed
        return rows, lambda: numbers

    def _row(self, cells: list[str]) -> Row:
        if len(cells) != len(self._columns):
            raise ValueError(f"{len(cells)} cells for {len(self._columns)} columns")
        row = list(_EMPTY)
        for name, cell in zip(self._columns, cells, strict=True):
            at = AT.get(name)
            if cell and at is not None:
                row[at] = _cell(READ[at], cell)
        return tuple(row)


_BRACES = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}]', re.S)
"""Texts of JSON, as they may hold braces, and braces."""


def places(line: bytes, records: int) -> list[tuple[int, int]]:
    """Where in a line of JSON objects its records, so many, begin and end.

    There are several where files were put together of which one had no end of its last line.
    """
    if records == 1 and line.count(b"{") == 1:
        return [(0, len(line))]
    found, depth, begin = [], 0, 0
    for match in _BRACES.finditer(line):
        if match[0] == b"{":
            begin = begin if depth else match.start()
            depth += 1
        elif match[0] == b"}":
            depth -= 1
            if not depth:
                found.append((begin, match.end()))
    if len(found) > records:
        found = [(at, end) for at, end in found if Decoder("json").batch(line[at:end]) is not None]
    return found


def keys(line: bytes) -> list[str]:
    """The keys of a JSON object; none where it is none."""
    try:
        found = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except WRONG:
        return []
    return list(found)


def heading(cells: Sequence[str]) -> bool:
    """Whether these are names of columns."""
    return bool(cells) and all(cell in AT or cell in KEYS for cell in cells) and len(set(cells)) == len(cells)


def _cell(column: Column, cell: str) -> Any:
    if column.high:
        if not (cell.isascii() and cell.isdigit() and column.low <= int(cell[:20]) <= column.high):
            raise ValueError(f"{column.name} out of range")
        return int(cell)
    if column.sql == "BOOLEAN":
        if cell not in ("true", "false"):
            raise ValueError(f"{column.name} is neither true nor false")
        return cell == "true"
    if "\\" in cell:
        cell = codecs.unicode_escape_decode(cell.encode("latin-1"))[0]
    return cell.encode("latin-1", "replace") if column.sql == "BLOB" else cell


_FEED = re.compile(rb"([0-9A-Fa-f.:]+),[^,]*,([\w./+-]*)(?:,[^,]*)*,(\d{1,5})\r?", re.A)


def _feed(chunk: bytes, counts: Decoded) -> Rows:
    """``address,,fingerprint,port``, a line each."""
    rows: list[Row] = []
    numbers: list[int] = []
    for line in chunk.split(b"\n"):
        counts.lines += 1
        if not line.strip():
            continue
        match = _FEED.fullmatch(line)
        if match is None or int(match[3]) > 65535:
            counts.wrong(line, "not address,,fingerprint,port", counts.lines)
            continue
        row = list(_EMPTY)
        row[_SADDR], row[AT["sport"]] = match[1].decode("ascii"), int(match[3])
        row[AT["fingerprint"]] = match[2].decode("ascii") or None
        rows.append(tuple(row))
        numbers.append(counts.lines)
    counts.lines -= 1
    return rows, lambda: numbers


def is_feed(line: bytes) -> bool:
    """Whether this is a line of the ZGrab feed (ip,,fingerprint,port)."""
    match = _FEED.fullmatch(line)
    return match is not None and match[1].count(b".") + match[1].count(b":") >= 2


_QUICK: Any = prepared(lambda native: native.table_lines, None)
"""The function in C that reads lines exactly as we write them."""


def _kind(column: Column) -> str:
    if column.name in KEYS.values():
        return "a"
    if column.high:
        return "n"
    if column.sql == "BOOLEAN":
        return "B" if column.name in FALSE else "b"
    return {"BLOB": "d", "TIMESTAMP_NS": "w"}.get(column.sql, "t")


_WIDTHS = {"C": 1, "S": 2, "I": 4}
_KINDS = tuple((c.name, _kind(c), _WIDTHS.get(c.arrow, 0), c.high) for c in READ)


class Decoder:
    """Chunks of lines into batches. form: "json", "csv" or "feed". counts: what was found in them."""

    def __init__(self, form: str) -> None:
        self.counts = Decoded()
        forms: dict[str, Callable[[bytes, Decoded], Rows]] = {
            "json": _json,
            "csv": _Csv(),
            "feed": _feed,
        }
        self._rows = forms[form]
        self._json = form == "json"

    def batches(self, chunk: bytes) -> Iterator[arrow.ColumnBatch]:
        """The records of whole lines, in their order."""
        # Within a text of JSON it is escaped. One byte is looked for ten times as fast as two.
        if self._json and b"\r" in chunk and b"\r\n" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n")
        for _, batch, _ in self.pieces(chunk):
            if batch is not None:
                yield batch

    def pieces(self, chunk: bytes) -> Iterator[tuple[bytes, arrow.ColumnBatch | None, bool]]:
        """Some lines, the records in them, and whether each of the lines is one, just as we write it."""
        at, lines = 0, 1
        while at < len(chunk):
            if self._json and _QUICK is not None:
                end, rows, made = _QUICK(chunk, at, _KINDS)
                if rows:
                    self.counts.records += rows
                    self.counts.lines += rows
                    columns = [arrow.Values(buffers, nulls) for nulls, *buffers in made]
                    yield chunk[at:end], arrow.ColumnBatch(rows, columns), True
                    at, lines = end, 1 if rows >= lines else lines
                if at == len(chunk):
                    return
            else:
                lines = len(chunk)
            end = at
            for _ in range(lines):  # more each time: a file may be none of ours from here on
                end = chunk.find(b"\n", end) + 1
                if not end:
                    end = len(chunk)
                    break
            piece = chunk[at:end] if lines < len(chunk) else chunk[at:]
            yield piece, self.batch(piece), False
            at, lines = at + len(piece), min(lines * 2, 4096)

    def batch(self, chunk: bytes) -> arrow.ColumnBatch | None:
        """The records of whole lines; None where there are none."""
        rows, numbers_of = self._rows(chunk, self.counts)
        numbers: Sequence[int] = ()
        while rows:
            columns = list(zip(*rows, strict=True))
            bad: dict[int, str] = {}
            made = columns_of(columns, bad, self._json)
            if not bad:
                self.counts.records += len(rows)
                return arrow.ColumnBatch(len(rows), made)
            if not self.counts.first:
                numbers = numbers or numbers_of()
            for at, why in sorted(bad.items()):
                number = numbers[at] if numbers else 0  # of the first alone it is said
                self.counts.wrong(str(rows[at][_SADDR]).encode("utf-8", "replace"), why, number)
            rows, numbers = [row for at, row in enumerate(rows) if at not in bad], ()
        return None
