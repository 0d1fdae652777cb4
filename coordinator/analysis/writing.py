"""Records into files: Parquet, CSV, JSON lines. What a file holds is said in `lzr.analysis.exportnames`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from coordinator.analysis import interrupts
from coordinator.analysis.reading import Records, duckdb
from coordinator.commandline.wholefile import Destination, write_whole
from lzr.analysis import exportnames
from lzr.analysis.columns import COLUMNS, KEYS
from lzr.errors import UsageError, printable
from lzr.records.escape import json_string, time_text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FORMATS = {"parquet": (".parquet",), "csv": (".csv",), "json": (".json", ".jsonl", ".ndjson")}
ROWS = 65_536
"""In a row group of Parquet: so many have to be held at once."""
_BATCH = 5_000
"""Rows taken from DuckDB at a time for text. A judgement: as Python objects they have some 10 MB."""


def form_of(path: str, asked: str | None) -> str:
    """Which of FORMATS to write. Raises UsageError where neither the name nor `asked` says it, or where the
    name is a directory's."""
    if path != "-" and os.path.isdir(path):
        raise UsageError(f"cannot write {printable(path)}: it is a directory")
    if asked:
        return asked
    if path == "-":
        return "json"
    for form, endings in FORMATS.items():
        if path.lower().endswith(endings):
            return form
    raise UsageError(
        f"{printable(path)} ends neither in .parquet, .csv nor .json; --format says what to write"
    )


def write(
    connection: DuckDBPyConnection, records: Records | None, table: str, to: Destination, form: str, view: str
) -> None:
    """All rows of `table` into a file. records: where they come from, if `table` is a stream of them.

    connection: one that may name files. Raises UsageError, OSError, duckdb.Error.
    """
    if form == "json":
        _json(connection, records, table, to, view)
        return
    if form == "parquet":
        how = f"FORMAT parquet, ROW_GROUP_SIZE {ROWS}, USE_TMP_FILE false"
        query = exportnames.select(view, table)
    else:
        how = "FORMAT csv, HEADER true, DELIMITER ',', QUOTE '\"', ESCAPE '\"', USE_TMP_FILE false"
        query = exportnames.in_csv(view, table)
    # The path is /proc/self/fd/N: a name from the command line is never part of a statement.
    statement = f"COPY ({query}) TO '{to.path}' ({how})"
    if records is None:
        connection.execute(statement).fetchall()
    else:
        records.execute(connection, statement)


def _json(
    connection: DuckDBPyConnection, records: Records | None, table: str, to: Destination, view: str
) -> None:
    names = [name for name, _ in exportnames.VIEWS[view] if not (view == "lzr" and name in KEYS)]
    shown = f"SELECT {', '.join(map(exportnames.quoted, names))} FROM ({exportnames.select(view, table)})"
    if view == "lzr":
        shown = shown.replace('"Timestamp"', 'epoch_ns("Timestamp") AS "Timestamp"', 1)
    try:
        with interrupts.held(connection):
            cursor = connection.execute(shown)
            rows = cursor.fetchmany(_BATCH)
        while rows:
            if view == "lzr":
                text = "".join([line(names, row) for row in rows]).encode("ascii")
            else:
                found: Iterable[Any] = exportnames.nested(names, rows)
                if view == "zgrab":
                    found = map(exportnames.enveloped, found)
                text = b"".join([_object(one) for one in found])
            write_whole(to.descriptor, text)
            with interrupts.held(connection):
                rows = cursor.fetchmany(_BATCH)
    except (duckdb().Error, RuntimeError):
        if records is not None:
            records.raise_trouble()
        raise
    if records is not None:
        records.raise_trouble()


def _object(found: dict[str, Any]) -> bytes:
    """A line of JSON, in ASCII."""
    made: bytes = _ENCODE(found)
    if not made.isascii():
        made = json.dumps(found, separators=(",", ":")).encode("ascii")
    return made + b"\n"


_ENCODE = msgspec.json.Encoder().encode
_OPTIONAL = frozenset(c.name for c in COLUMNS if c.field is None or c.field.optional)


def line(names: list[str], row: tuple[Any, ...]) -> str:
    """A record as `lzr` writes it: printable ASCII, empty optional fields left out."""
    parts = []
    for name, value in zip(names, row, strict=True):
        if value is None or (not value and name in _OPTIONAL):
            continue
        if value is True or value is False:
            parts.append(f'"{name}":{"true" if value else "false"}')
        elif name == "Timestamp":
            parts.append(f'"{name}":"{time_text(value)}"')
        elif isinstance(value, int):
            parts.append(f'"{name}":{value}')
        else:
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            parts.append(f'"{name}":{json_string(text)}')
    return "{" + ",".join(parts) + "}\n"
