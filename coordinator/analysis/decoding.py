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
from datetime import UTC, datetime
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from coordinator.analysis import arrowstream as arrow
from lzr.analysis.columns import COLUMNS, KEYS, Column
from lzr.kernels import prepared
from lzr.safetext import plain

_MAPPED = bytes(10) + b"\xff\xff"
_READ = tuple(column for column in COLUMNS if column.name not in KEYS)
"""The columns that stand in a file, in order."""
NAMES = tuple(column.name for column in _READ)
_AT = {name: at for at, name in enumerate(NAMES)}
_FALSE = frozenset(
    c.name for c in _READ if c.field is not None and c.field.kind == "bool" and c.field.optional
)
"""Truths that are left out of a JSON record where they are false."""
Row = tuple[Any, ...]
_WRONG = (msgspec.MsgspecError, UnicodeError, RecursionError)


@dataclass
class Decoded:
    """What has been read so far: records; lines that were none, and the first of them in a sentence."""

    records: int = 0
    lines: int = 0
    unreadable: int = 0
    first: str = ""

    def wrong(self, line: bytes, why: str, number: int) -> None:
        self.unreadable += 1
        if not self.first:
            self.first = f"line {number}: {why}: {plain(line[:80].decode('latin-1'), 40, mark='...')}"


def _type(column: Column) -> Any:
    if column.high:
        return Annotated[int, msgspec.Meta(ge=column.low, le=column.high)] | None
    return (bool if column.sql == "BOOLEAN" else str) | None


_NOTHING = msgspec.Raw()
_Record = msgspec.defstruct(
    "_Record",
    [(c.name, msgspec.Raw, _NOTHING) if c.name == "data" else (c.name, _type(c), None) for c in _READ],
    gc=False,
)
_DECODER: Any = msgspec.json.Decoder(_Record)
_TEXT = msgspec.json.Decoder(str)
_EMPTY: Row = tuple(None for _ in _READ)
_SADDR, _DATA = _AT["saddr"], _AT["data"]


# --- rows of a chunk of lines -------------------------------------------------------------------------------


def _json(chunk: bytes, told: Decoded) -> list[Row]:
    """The rows of a chunk, `data` as Latin-1 text of JSON still."""
    before = told.lines
    found: list[Any]
    try:
        found = _DECODER.decode_lines(chunk)
    except _WRONG:
        found = []
        for number, line in enumerate(chunk.split(b"\n"), before + 1):
            if line.strip():
                try:
                    found += _DECODER.decode_lines(line)
                except _WRONG as error:
                    told.wrong(line, _reason(error), number)
    told.lines += chunk.count(b"\n")
    rows = list(map(msgspec.structs.astuple, found))
    if any(row[_SADDR] is None for row in rows):
        kept = []
        for row in rows:
            if row[_SADDR] is None and not any(map(_given, row)):
                told.wrong(b"", "no field of a record", before + 1)
            else:
                kept.append(row)
        rows = kept
    return rows


def _given(value: Any) -> bool:
    return value is not None and value is not _NOTHING and value != _NOTHING


def _reason(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError):
        return "no record"
    return "not JSON" if not isinstance(error, RecursionError) else "too deep"


def _bytes_of_json(raw: Any) -> bytes | None:
    """The payload in a JSON string of Latin-1. Raises ValueError and msgspec's errors."""
    text = bytes(raw)
    if not text or text == b"null":
        return None
    if text[:1] != b'"':
        raise ValueError("data is no text")
    if text.isascii() and b"\\/" not in text and b"\\ud" not in text and b"\\uD" not in text:
        found = codecs.unicode_escape_decode(text[1:-1])[0]
    else:
        found = _TEXT.decode(text)
    try:
        return found.encode("latin-1")
    except UnicodeEncodeError:  # the reference's, which holds the characters of UTF-8
        return found.encode("utf-8", "replace")


class _Csv:
    """Rows of our CSV. The heading says which columns there are; it may come again, with others."""

    def __init__(self) -> None:
        self._columns: tuple[str, ...] = ()

    def __call__(self, chunk: bytes, told: Decoded) -> list[Row]:
        rows = []
        for line in chunk.replace(b"\r\n", b"\n").split(b"\n"):
            told.lines += 1
            if not line.strip():
                continue
            try:
                cells = next(csv.reader([line.decode("latin-1")], strict=True))
                if heading(cells):
                    self._columns = tuple(cells)
                    continue
                rows.append(self._row(cells))
            except (csv.Error, ValueError) as error:
                told.wrong(line, f"no row of this CSV ({error})", told.lines)
        told.lines -= 1  # what follows the last line feed
        return rows

    def _row(self, cells: list[str]) -> Row:
        if len(cells) != len(self._columns):
            raise ValueError(f"{len(cells)} cells for {len(self._columns)} columns")
        row = list(_EMPTY)
        for name, cell in zip(self._columns, cells, strict=True):
            at = _AT.get(name)
            if cell and at is not None:
                row[at] = _cell(_READ[at], cell)
        return tuple(row)


def keys(line: bytes) -> list[str]:
    """The keys of a JSON object; none where it is none."""
    try:
        found = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except _WRONG:
        return []
    return list(found)


def heading(cells: Sequence[str]) -> bool:
    """Whether these are names of columns."""
    return (
        bool(cells) and all(cell in _AT or cell in KEYS for cell in cells) and len(set(cells)) == len(cells)
    )


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


def _feed(chunk: bytes, told: Decoded) -> list[Row]:
    """``address,,fingerprint,port``, a line each."""
    rows = []
    for line in chunk.split(b"\n"):
        told.lines += 1
        if not line.strip():
            continue
        match = _FEED.fullmatch(line)
        if match is None or int(match[3]) > 65535:
            told.wrong(line, "not address,,fingerprint,port", told.lines)
            continue
        row = list(_EMPTY)
        row[_SADDR], row[_AT["sport"]] = match[1].decode("ascii"), int(match[3])
        row[_AT["fingerprint"]] = match[2].decode("ascii") or None
        rows.append(tuple(row))
    told.lines -= 1
    return rows


def is_feed(line: bytes) -> bool:
    match = _FEED.fullmatch(line)
    return match is not None and match[1].count(b".") + match[1].count(b":") >= 2


_QUICK: Any = prepared(lambda native: native.table_lines, None)
"""What reads lines that are just as we write them, in C."""


def _kind(column: Column) -> str:
    if column.name in KEYS.values():
        return "a"
    if column.high:
        return "n"
    if column.sql == "BOOLEAN":
        return "B" if column.name in _FALSE else "b"
    return {"BLOB": "d", "TIMESTAMP_NS": "w"}.get(column.sql, "t")


_WIDTHS = {"C": 1, "S": 2, "I": 4}
_KINDS = tuple((c.name, _kind(c), _WIDTHS.get(c.arrow, 0), c.high) for c in _READ)


class Decoder:
    """Chunks of lines into batches. form: "json", "csv" or "feed". told: the counts."""

    def __init__(self, form: str) -> None:
        self.told = Decoded()
        forms: dict[str, Callable[[bytes, Decoded], list[Row]]] = {
            "json": _json,
            "csv": _Csv(),
            "feed": _feed,
        }
        self._rows = forms[form]
        self._json = form == "json"

    def batches(self, chunk: bytes) -> Iterator[arrow.Batch]:
        """The records of whole lines, in their order."""
        for _, batch, _ in self.pieces(chunk):
            if batch is not None:
                yield batch

    def pieces(self, chunk: bytes) -> Iterator[tuple[bytes, arrow.Batch | None, bool]]:
        """Some lines, the records in them, and whether each of the lines is one, just as we write it."""
        at, lines = 0, 1
        while at < len(chunk):
            if self._json and _QUICK is not None:
                end, rows, made = _QUICK(chunk, at, _KINDS)
                if rows:
                    self.told.records += rows
                    self.told.lines += rows
                    columns = [arrow.Values(buffers, nulls) for nulls, *buffers in made]
                    yield chunk[at:end], arrow.Batch(rows, columns), True
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

    def batch(self, chunk: bytes) -> arrow.Batch | None:
        """The records of whole lines; None where there are none."""
        before = self.told.lines
        rows = self._rows(chunk, self.told)
        while rows:
            columns = list(zip(*rows, strict=True))
            bad: dict[int, str] = {}
            made = _columns(columns, bad, self._json)
            if not bad:
                self.told.records += len(rows)
                return arrow.Batch(len(rows), made)
            for at, why in sorted(bad.items()):
                self.told.wrong(str(rows[at][_SADDR]).encode("utf-8", "replace"), why, before + at + 1)
            rows = [row for at, row in enumerate(rows) if at not in bad]
        return None


# --- columns ------------------------------------------------------------------------------------------------


def _columns(values: list[tuple[Any, ...]], bad: dict[int, str], as_json: bool) -> list[arrow.Values]:
    """The columns of a batch as `COLUMNS` has them. bad: rows in which something cannot be, and what."""
    rows = len(values[0])
    keys: dict[str, list[bytes | None]] = {}
    for name in KEYS.values():
        values[_AT[name]], keys[name] = _addresses(values[_AT[name]], bad)
    made = []
    for column in COLUMNS:
        if column.name in KEYS:
            made.append(arrow.fixed(keys[KEYS[column.name]], 16))
            continue
        of = values[_AT[column.name]]
        if column.name == "data":
            made.append(arrow.blobs(_payloads(of, bad) if as_json else of))
        elif column.name == "Timestamp":
            made.append(_times(of, bad))
        elif column.sql == "BOOLEAN":
            if as_json and column.name in _FALSE:
                made.append(arrow.truths([bool(value) for value in of]))
            else:
                made.append(arrow.truths(of))
        elif column.high:
            made.append(arrow.numbers(of, _DTYPES[column.arrow]))
        elif not any(of):
            made.append(arrow.nothing(rows, column.arrow))
        else:
            made.append(arrow.texts(of))
    return made


_DTYPES = {"C": np.uint8, "S": np.uint16, "I": np.uint32}


def _payloads(raws: Sequence[Any], bad: dict[int, str]) -> list[bytes | None]:
    found: list[bytes | None] = []
    for at, raw in enumerate(raws):
        try:
            found.append(_bytes_of_json(raw))
        except (ValueError, *_WRONG):
            bad[at] = "data is no text"
            found.append(None)
    return found


def _addresses(texts: Sequence[str | None], bad: dict[int, str]) -> tuple[Any, list[bytes | None]]:
    """Addresses in their usual text, and sortable."""
    try:
        return texts, [_MAPPED + inet_pton(AF_INET, text) for text in texts]  # type: ignore[arg-type]
    except (OSError, TypeError, ValueError):
        pass
    said: list[str | None] = []
    keys: list[bytes | None] = []
    for at, text in enumerate(texts):
        usual, key = None, None
        if text is not None:
            try:
                usual, key = address(text)
            except (OSError, ValueError):
                bad[at] = "no address"
        said.append(usual)
        keys.append(key)
    return said, keys


def address(text: str) -> tuple[str, bytes]:
    """An address in its usual text (RFC 5952), and sortable. Raises OSError, ValueError."""
    if ":" not in text:
        return text, _MAPPED + inet_pton(AF_INET, text)
    key = inet_pton(AF_INET6, text)
    if key[:12] == _MAPPED:
        return inet_ntop(AF_INET, key[12:]), key
    return inet_ntop(AF_INET6, key), key


_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?(?:[Zz]|([+-]\d\d):?(\d\d))?", re.A
)
_LAYOUT = np.frombuffer(b"0000-00-00T00:00:00.000000000Z", np.uint8)
_DIGITS = np.flatnonzero(_LAYOUT == 48)
_MARKS = np.flatnonzero(_LAYOUT != 48)


def _times(texts: Sequence[str | None], bad: dict[int, str]) -> arrow.Values:
    """RFC 3339 into nanoseconds since the epoch, UTC."""
    try:
        whole = "".join(texts).encode("ascii")  # type: ignore[arg-type]
        if len(whole) == 30 * len(texts) and (found := _ours(whole)) is not None:
            return arrow.Values((None, found), 0)
    except (TypeError, UnicodeEncodeError):
        pass
    times: list[int | None] = []
    for at, text in enumerate(texts):
        moment = None
        if text:
            try:
                moment = nanoseconds(text)
            except ValueError:
                bad[at] = "Timestamp is no time"
        times.append(moment)
    return arrow.numbers(times, np.int64)


def _ours(whole: bytes) -> NDArray[np.int64] | None:
    """Times as we write them, 30 characters each end to end; None where they are not."""
    cells = np.frombuffer(whole, np.uint8).reshape(-1, 30)
    if not (cells[:, _MARKS] == _LAYOUT[_MARKS]).all():
        return None
    digits = cells[:, _DIGITS] - np.uint8(48)
    if (digits > 9).any():
        return None
    digits = digits.astype(np.int64)

    def number(start: int, stop: int) -> NDArray[np.int64]:
        powers = 10 ** np.arange(stop - start - 1, -1, -1, dtype=np.int64)
        found: NDArray[np.int64] = digits[:, start:stop] @ powers
        return found

    year, month, day = number(0, 4), number(4, 6), number(6, 8)
    hour, minute, second = number(8, 10), number(10, 12), number(12, 14)
    for value, low, high in (
        (year, 1970, 2261),
        (month, 1, 12),
        (day, 1, 31),
        (hour, 0, 23),
        (minute, 0, 59),
        (second, 0, 59),
    ):
        if value.min() < low or value.max() > high:
            return None
    first = ((year - 1970) * 12 + month - 1).astype("M8[M]")
    start = first.astype("M8[D]").astype(np.int64)
    if (start + day > (first + 1).astype("M8[D]").astype(np.int64)).any():  # the month has no such day
        return None
    seconds = ((start + day - 1) * 24 + hour) * 3600 + minute * 60 + second
    return seconds * 1_000_000_000 + number(14, 23)


def nanoseconds(text: str) -> int:
    """RFC 3339, with any fraction and zone, as nanoseconds since the epoch. Raises ValueError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("no time")
    moment = datetime.fromisoformat(f"{match[1]}T{match[2]}").replace(tzinfo=UTC)
    seconds = int(moment.timestamp())
    if match[4]:
        sign = -1 if match[4][0] == "-" else 1
        seconds -= sign * (int(match[4][1:]) * 3600 + int(match[5]) * 60)
    found = seconds * 1_000_000_000 + int((match[3] or "0").ljust(9, "0"))
    if abs(found) >= 1 << 63:
        raise ValueError("out of range")
    return found
