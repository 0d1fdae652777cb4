"""Adds to records what the user's files state about their addresses: autonomous system, its name, country
(``lzr enrich``). What `--enrich` adds to a scan's records is in `lzr.fingerprint.enrichment`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from coordinator.analysis import arrowstream as arrow
from coordinator.analysis.asnlookup import Places
from coordinator.analysis.decoding import Decoder, places
from coordinator.analysis.identifying import FILLED, Products
from coordinator.analysis.reading import Records, transfer
from coordinator.analysis.values import WRONG
from lzr.analysis.addressfacts import AddressFacts
from lzr.analysis.columns import ENRICHED, NAMES
from lzr.errors import UsageError
from lzr.records.escape import json_string

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_KEY = NAMES.index("saddr_key")
_OURS = tuple(column.name for column in ENRICHED)
_FIRST = NAMES.index(_OURS[0])
assert NAMES[_FIRST:] == _OURS


@dataclass
class EnrichedCounts:
    """Records, and of how many a system and a country are known."""

    records: int = 0
    asn: int = 0
    country: int = 0


class Enricher:
    """Batches of records with the columns of `ENRICHED` filled, and with products what their replies say."""

    def __init__(self, places: Places, products: Products | None = None) -> None:
        self.places, self.products = places, products
        self.counts = EnrichedCounts()

    def numbers(self, batch: arrow.ColumnBatch) -> NDArray[np.int64]:
        """For each record the number of what is known of its address, in ``places.facts``."""
        of = batch.columns[_KEY].buffers[1]
        joined = of if isinstance(of, bytes) else np.ascontiguousarray(of).tobytes()
        found = self.places.find(joined[: batch.rows * 16])
        kinds, counts = np.unique(found, return_counts=True)
        self.counts.records += batch.rows
        for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True):
            facts = self.places.facts[kind]
            self.counts.asn += count * (facts.asn is not None)
            self.counts.country += count * (facts.country is not None)
        return found

    def facts(self, batch: arrow.ColumnBatch) -> list[AddressFacts]:
        """What is known of the address of each record."""
        known = self.places.facts
        return [known[number] for number in self.numbers(batch).tolist()]

    def batches(self, batches: Iterator[arrow.ColumnBatch]) -> Iterator[arrow.ColumnBatch]:
        """The batches of a stream of records, each with its columns filled."""
        for batch in batches:
            if self.products is not None:
                batch, _ = self.products.fill(batch)  # noqa: PLW2901
            if self.places:
                yield arrow.ColumnBatch(batch.rows, [*batch.columns[:_FIRST], *columns(self.facts(batch))])
            else:
                yield batch

    def lines(self, records: Records) -> Iterator[bytes]:
        """The lines of a JSON file as they are, each with what is known of its address at the end.

        Lines that are no record are left out and counted in `records`. Raises UsageError.
        """
        decoder = records.decoder
        bad = 0
        for chunk in records.source.chunks():
            for piece, batch, _ in decoder.pieces(chunk):
                lines = [line for line in piece.split(b"\n") if line.strip()]
                sound = decoder.counts.unreadable == bad
                bad = decoder.counts.unreadable
                if batch is None:
                    continue
                again = bool(self.places) and not _fresh(batch)
                if again or not sound or batch.rows != len(lines):
                    lines = [made for line in lines for made in _without(line, _OURS if again else ())]
                ends = list(map(_suffix, self.facts(batch))) if self.places else [b"}\n"] * batch.rows
                if self.products is not None:
                    _, added = self.products.fill(batch)
                    ends = [_said(of) + end if any(of) else end for of, end in zip(added, ends, strict=True)]
                yield b"".join([line.rstrip()[:-1] + end for line, end in zip(lines, ends, strict=True)])
            if not decoder.counts.records and decoder.counts.unreadable > 1000:
                raise UsageError(f"{records.source.name} holds no results of lzr ({decoder.counts.first})")

    def joined(self, records: Records, connection: DuckDBPyConnection, table: str) -> None:
        """A stream of records from Parquet, registered as `table`, into the view ``lzr_enriched``."""
        inner = records.inner
        assert inner is not None
        cursor = inner.cursor()
        cursor.execute("SELECT DISTINCT saddr_key FROM records WHERE saddr_key IS NOT NULL")
        connection.execute("CREATE TABLE lzr_places (saddr_key BLOB, number UINTEGER)").fetchall()
        shape = [("saddr_key", "w:16"), ("number", "I")]
        while rows := cursor.fetchmany(50_000):
            unique = [row[0] for row in rows if len(row[0]) == 16]
            numbers = self.places.find(b"".join(unique)).astype(np.uint32)
            batch = arrow.ColumnBatch(
                len(unique), [arrow.fixed(unique, 16), arrow.Values((None, numbers), 0)]
            )
            transfer(connection, [batch], "lzr_places", shape)
        types = "number UINTEGER, asn UINTEGER, as_name VARCHAR, country VARCHAR"
        connection.execute(f"CREATE TABLE lzr_facts ({types})").fetchall()
        known = self.places.facts
        shape = [("number", "I"), *((column.name, column.arrow) for column in ENRICHED)]
        batch = arrow.ColumnBatch(len(known), [arrow.numbers(range(len(known)), np.uint32), *columns(known)])
        transfer(connection, [batch], "lzr_facts", shape)
        kept = ", ".join(f'r."{name}"' for name in NAMES[:_FIRST])
        ours = ", ".join(f't."{name}"' for name in _OURS)
        connection.execute(
            f'CREATE VIEW lzr_enriched AS SELECT {kept}, {ours} FROM "{table}" r '
            "LEFT JOIN lzr_places p ON r.saddr_key = p.saddr_key LEFT JOIN lzr_facts t ON p.number = t.number"
        ).fetchall()


def columns(found: list[AddressFacts]) -> list[arrow.Values]:
    """The columns of `ENRICHED`."""
    return [
        arrow.numbers([facts.asn for facts in found], np.uint32),
        arrow.texts([facts.as_name for facts in found]),
        arrow.texts([facts.country for facts in found]),
    ]


def _fresh(batch: arrow.ColumnBatch) -> bool:
    """Whether no record says anything yet that we will say."""
    return all(values.nulls == batch.rows for values in batch.columns[_FIRST:])


_suffixes: dict[AddressFacts, bytes] = {}


def _suffix(facts: AddressFacts) -> bytes:
    """What is written in the place of a record's last brace."""
    found = _suffixes.get(facts)
    if found is None:
        parts: list[Any] = [
            f',"{name}":{json_string(value) if isinstance(value, str) else value}'
            for name, value in zip(_OURS, facts, strict=True)
            if value is not None
        ]
        found = ("".join(parts) + "}\n").encode("ascii")
        if len(_suffixes) < 1 << 18:
            _suffixes[facts] = found
    return found


def _said(added: tuple[str | None, ...]) -> bytes:
    """What a reply says, as it stands within a record."""
    return "".join(
        [f',"{name}":{json_string(text)}' for name, text in zip(FILLED, added, strict=True) if text]
    ).encode("ascii")


def _without(line: bytes, names: tuple[str, ...]) -> list[bytes]:
    """The records in a line, mostly one or none, without what was said before under these names."""
    batch = Decoder("json").batch(line)
    if batch is None:
        return []
    found = [line[at:end] for at, end in places(line, batch.rows)]
    return [_left(record, names) for record in found] if names else found


def _left(record: bytes, names: tuple[str, ...]) -> bytes:
    """A record without these fields, the others to the byte as they are, whatever they hold."""
    try:
        fields = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    except WRONG:  # a key that is no text: what is said at its end counts
        return record
    kept = (
        json.dumps(name).encode() + b":" + bytes(raw) for name, raw in fields.items() if name not in names
    )
    return b"{" + b",".join(kept) + b"}"
