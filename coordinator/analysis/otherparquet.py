"""Parquet that others have made of results: pandas, polars, whatever reads JSON lines and writes tables.

Addresses have no sortable form there, replies may be text, times too, and numbers of any kind. Rows are read
one by one, as lines are: what cannot be is left out and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from coordinator.analysis import arrowstream as arrow
from coordinator.analysis.decoding import Decoded
from coordinator.analysis.values import AT, FALSE, READ, columns_of
from lzr.analysis.columns import BY_NAME, KEYS, Column
from lzr.errors import UsageError, printable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 10_000
_NESTED = ("[", "STRUCT", "MAP", "UNION", "VARIANT")


def is_ours(types: Mapping[str, str]) -> bool:
    """Whether columns (name -> type in DuckDB) are as `lzr export` writes them: no value needs a look."""
    there = types.keys() & BY_NAME.keys()
    keys = all(key in there for key, name in KEYS.items() if name in there)
    return keys and all(types[name] == BY_NAME[name].sql for name in there)


class OtherParquet:
    """The rows of a file as batches of our columns.

    connection: of a database that may read it. place: its name within a statement. types: of its columns.
    name: to call it by. counts: what has been read so far. Raises UsageError for columns that cannot be ours.
    """

    def __init__(
        self, connection: DuckDBPyConnection, place: str, types: Mapping[str, str], name: str
    ) -> None:
        self.counts = Decoded("row")
        self._connection = connection
        self._there = [column for column in READ if column.name in types]
        for column in self._there:
            kind = types[column.name]
            if any(word in kind for word in _NESTED):
                raise UsageError(f"cannot read {name}: its column {column.name} is {printable(kind[:80])}")
        chosen = ", ".join(_expression(column, types[column.name]) for column in self._there)
        self._query = f"SELECT {chosen} FROM read_parquet('{place}')"

    def batches(self) -> Iterator[arrow.ColumnBatch]:
        cursor = self._connection.cursor()
        cursor.execute(self._query)
        while rows := cursor.fetchmany(_BATCH):
            if (batch := self._batch(rows)) is not None:
                yield batch

    def _batch(self, rows: list[tuple[Any, ...]]) -> arrow.ColumnBatch | None:
        before = self.counts.lines
        self.counts.lines += len(rows)
        numbers = list(range(before + 1, before + len(rows) + 1))
        while rows:
            # Truths that lines leave out where they are false may have no column at all.
            values: list[tuple[Any, ...]] = [
                (False if column.name in FALSE else None,) * len(rows) for column in READ
            ]
            bad: dict[int, str] = {}
            for column, of in zip(self._there, zip(*rows, strict=True), strict=True):
                values[AT[column.name]] = tuple(_ours(column, of, bad))
            made = columns_of(values, bad, as_json=False)
            if not bad:
                self.counts.records += len(rows)
                return arrow.ColumnBatch(len(rows), made)
            for at, why in sorted(bad.items()):
                self.counts.wrong(repr(rows[at][:3]).encode("utf-8", "replace"), why, numbers[at])
            rows = [row for at, row in enumerate(rows) if at not in bad]
            numbers = [number for at, number in enumerate(numbers) if at not in bad]
        return None


def _expression(column: Column, kind: str) -> str:
    """SQL that gives a column as Python is to have it. kind: its type there."""
    name = '"' + column.name + '"'
    missing = f"{name} IS NULL"
    if kind in ("FLOAT", "DOUBLE"):  # as pandas has whole numbers and truths of which some are missing
        missing += f" OR isnan({name})"
    if column.high:
        # A cast would round what is no whole number.
        number, exact = f"TRY_CAST({name} AS BIGINT)", f"TRY_CAST({name} AS DOUBLE)"
        return f"CASE WHEN {missing} THEN NULL WHEN {exact} = {number} THEN {number} ELSE -1 END"
    if column.sql == "BOOLEAN":
        return f"CASE WHEN {missing} THEN NULL ELSE TRY_CAST({name} AS BOOLEAN) END"
    if column.name == "data" and kind in ("BLOB", "VARCHAR"):
        return name
    if kind == "BLOB":
        return f"coalesce(TRY(decode({name})), CAST({name} AS VARCHAR))"
    if column.name == "Timestamp" and kind.startswith("TIMESTAMP"):
        # Without the other text a year beyond 2262 would end it all, not its row.
        return f"coalesce(CAST(TRY_CAST({name} AS TIMESTAMP_NS) AS VARCHAR), CAST({name} AS VARCHAR))"
    return f"CAST({name} AS VARCHAR)"


def _ours(column: Column, values: tuple[Any, ...], bad: dict[int, str]) -> Iterator[Any]:
    if column.high:
        for at, value in enumerate(values):
            if value is not None and not column.low <= value <= column.high:
                bad[at] = f"{column.name} out of range"
                yield 0
            else:
                yield value
    elif column.name in FALSE:
        yield from map(bool, values)
    elif column.name == "data":
        yield from map(_payload, values)
    else:
        yield from values


def _payload(value: str | bytes | None) -> bytes | None:
    """Text has a letter for each byte, as in JSON; if it has others, it was UTF-8 (the reference's)."""
    if isinstance(value, str):
        try:
            return value.encode("latin-1")
        except UnicodeEncodeError:
            return value.encode("utf-8", "replace")
    return value
