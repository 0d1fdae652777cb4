"""Reads and compares two files of results; gives the rows of the comparison to the commands that show
them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from coordinator.analysis import askedhosts
from coordinator.analysis.reading import load
from coordinator.commandline.progressbar import Bar
from coordinator.commandline.running import tell
from coordinator.reports import compareservices
from coordinator.reports.compareservices import KINDS, SHOWN, Compared
from lzr.analysis import asked as asking
from lzr.analysis.asked import Coverage
from lzr.errors import printable
from lzr.exitstatus import LOST

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = 2 << 30
"""Bytes that two scans may use before they go to temporary files."""

_BATCH = 10_000
"""Rows taken from DuckDB at a time. A judgement: as Python objects they have some 10 MB."""
HOW = {
    "no_syn_ack": "no SYN-ACK",
    "rst": "RST",
    "fin": "FIN",
    "zero_window": "zero window",
    "acking_firewall": "ACKing firewall",
    "refused": "RST to the SYN",
}


def compared(
    connection: DuckDBPyConnection,
    old: str,
    new: str,
    *,
    old_metadata: str | None = None,
    new_metadata: str | None = None,
    listed: Collection[str] = (),
    kinds: tuple[str, ...] = KINDS,
    columns: Collection[str] = compareservices.READ,
    name: str,
) -> tuple[Compared, Coverage]:
    """Read two files into the tables `old` and `new`, and compare them. Raises UsageError.

    listed: files of --asked. columns: of `new`; `old` has those that are compared. name: of the command, for
    what is said on stderr.
    """
    before, _ = askedhosts.given(old_metadata, old)
    now, _ = askedhosts.given(new_metadata, new)
    parts = tuple(part for path in listed for part in askedhosts.listed(path))
    readings = []
    for table, path, kept in (("old", old, compareservices.READ), ("new", new, columns)):
        with Bar(f"reading {printable(path)}") as bar:
            readings.append(load(connection, path, table, columns=kept, progress=bar))
    incomplete = tell(name, *readings) == LOST
    asked = asking.known(now, before, records=readings[0].records, held=readings[1].records)
    if readings[1].trouble():  # what it does not hold may have been asked, and have answered
        asked = replace(asked, everything=False, parts=(), why="the file of the new scan is damaged")
        parts = ()
    if parts:
        asked = replace(asked, parts=(*asked.parts, *parts), why="")
    with Bar("comparing", 1000) as bar:
        compared = compareservices.compare(
            connection,
            asked,
            handshakes=asking.names(before),
            kinds=kinds,
            turn=lambda _, share: bar(round(share * 1000)),
        )
    compared.incomplete = incomplete
    return compared, asked


def rows(connection: DuckDBPyConnection, changes: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """Of each service: key, port, change, kinds, how, and the fields of SHOWN in the old scan, then in the
    new one.
    """
    columns = ", ".join(f"{side}.{name}" for side in ("o", "n") for name in SHOWN)
    cursor = connection.cursor()
    cursor.execute(
        f"""SELECT c.key, c.sport, c.change, c.kinds, c.how, {columns}
        FROM changes c LEFT JOIN old o ON o.rowid = c.old_place LEFT JOIN new n ON n.rowid = c.new_place
        WHERE list_contains(?, c.change) ORDER BY c.key, c.sport""",
        [list(changes)],
    )
    while batch := cursor.fetchmany(_BATCH):
        yield from batch


def sides(row: tuple[Any, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """The old and the new record of a row of the comparison, without what is not there."""
    old, new = row[5 : 5 + len(SHOWN)], row[5 + len(SHOWN) :]
    return (
        {name: value for name, value in zip(SHOWN, old, strict=True) if value is not None},
        {name: value for name, value in zip(SHOWN, new, strict=True) if value is not None},
    )


def change_of(kind: str, old: dict[str, str], new: dict[str, str]) -> str:
    """In words, what has changed of a service. kind: of KINDS; old, new: the fields of its records."""
    if kind == "protocol":
        return f"protocol {old.get('fingerprint', 'unknown')} -> {new.get('fingerprint', 'unknown')}"
    if kind == "product":
        names = ("application", "product")
        before, now = (" ".join(side[name] for name in names if side.get(name)) for side in (old, new))
        return f"product {before or '-'} -> {now or '-'}"
    if kind == "version":
        product = new.get("product") or old.get("product") or ""
        return f"{product} {old.get('version', '-')} -> {new.get('version', '-')}".strip()
    if kind == "certificate" and old.get("subject") != new.get("subject"):
        return f"certificate {old.get('subject', '-')} -> {new.get('subject', '-')}"
    return {"certificate": "another certificate", "reply": "another reply"}[kind]


def brief(row: tuple[Any, ...]) -> tuple[str, str]:
    """The protocol of a row, and what there is to say of it in a few words: raw text, from hosts too."""
    _, _, change, kinds, how = row[:5]
    old, new = sides(row)
    if change == "changed":
        difference = "; ".join(change_of(kind, old, new) for kind in compareservices.kinds_of(kinds))
        return new.get("fingerprint", "unknown"), difference
    side = new if change == "appeared" else old
    names = [side[name] for name in ("application", "product", "version") if side.get(name)]
    if change != "appeared":
        names.append(f"({HOW.get(how, how)})")
    return side.get("fingerprint", "unknown"), " ".join(names)
