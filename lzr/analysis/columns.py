"""The columns of a table of records: each field of `lzr.records.fields` with a type, and what goes with it.

One table, from which the reader, the Parquet files, the JSON Schema and the schema for BigQuery are made. The
columns come in the order of the fields; after the addresses stands their sortable form, at the end what
``lzr enrich`` adds.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from lzr.records.fields import FIELDS, Field


class Column(NamedTuple):
    """One column.

    sql: its type in DuckDB. arrow: its format in the Arrow C data interface.
    low, high: what a number may be (both 0: it is no number).
    field: the field it is made of, or None.
    text: what it means.
    """

    name: str
    sql: str
    arrow: str
    low: int = 0
    high: int = 0
    field: Field | None = None
    text: str = ""


_NUMBERS = {
    "sport": ("USMALLINT", "S", 65535),
    "dport": ("USMALLINT", "S", 65535),
    "seqnum": ("UINTEGER", "I", 0xFFFFFFFF),
    "acknum": ("UINTEGER", "I", 0xFFFFFFFF),
    "window": ("USMALLINT", "S", 65535),
    "ttl": ("UTINYINT", "C", 255),
    "Counter": ("UINTEGER", "I", 0xFFFFFFFF),
    "HandshakeNum": ("USMALLINT", "S", 65535),
}
_SORTED = {"saddr": "saddr_key", "daddr": "daddr_key"}
KEY = "16 bytes in network order, IPv4 as ::ffff:a.b.c.d, so that they sort as addresses do"


def _of(field: Field) -> tuple[Column, ...]:
    if field.name in _NUMBERS:
        sql, arrow, high = _NUMBERS[field.name]
        return (Column(field.name, sql, arrow, 0, high, field, field.text),)
    if field.kind == "bool":
        return (Column(field.name, "BOOLEAN", "b", field=field, text=field.text),)
    if field.name == "data":
        return (Column("data", "BLOB", "z", field=field, text=field.text),)
    if field.name == "Timestamp":
        return (Column("Timestamp", "TIMESTAMP_NS", "tsn:", field=field, text=f"{field.text}, UTC"),)
    if field.kind != "string":
        raise ValueError(f"the column of {field.name} has no type")
    column = Column(field.name, "VARCHAR", "u", field=field, text=field.text)
    if field.name not in _SORTED:
        return (column,)
    return column, Column(_SORTED[field.name], "BLOB", "w:16", text=f"{field.name} in {KEY}")


ENRICHED = (
    Column("asn", "UINTEGER", "I", 0, 0xFFFFFFFF, text="number of the autonomous system; lzr enrich"),
    Column("as_name", "VARCHAR", "u", text="its name; lzr enrich"),
    Column("country", "VARCHAR", "u", text="code of the country; lzr enrich"),
)
"""What the files of others say of an address."""

COLUMNS: tuple[Column, ...] = (*(column for field in FIELDS for column in _of(field)), *ENRICHED)
NAMES = tuple(column.name for column in COLUMNS)
BY_NAME = {column.name: column for column in COLUMNS}
KEYS = {key: name for name, key in _SORTED.items()}
"""A sortable form -> the address it is made of."""


def table(name: str, names: Collection[str] = NAMES) -> str:
    """The statement that makes an empty table of these columns, or of those in `names`. `name`: a plain
    word."""
    if not name.isidentifier() or not name.isascii():
        raise ValueError(f"{name!r} is no name for a table")
    columns = ", ".join(f'"{column.name}" {column.sql}' for column in COLUMNS if column.name in names)
    return f'CREATE TABLE "{name}" ({columns})'
