"""Compares the replies of services that answered in both scans and sent other bytes, in batches.

What differs each time a service is asked is told from change by `lzr.analysis.replies.masking`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from lzr.analysis.replies.masking import alike
from lzr.analysis.replies.pairs import handshake
from lzr.analysis.replies.tls import leaf

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 20_000
"""Replies compared at a time. A judgement: as Python objects they have some tens of MB."""


def compare_replies(
    connection: DuckDBPyConnection, bits: Mapping[str, int], turn: Callable[[float], None]
) -> None:
    """A table `reply_kinds`: what the replies show to have changed, by the row in the old scan.

    It reads the tables `old`, `new` and `services` of `coordinator.reports.compareservices`. bits: the number
    of each kind of change in the column `kinds`. turn: called with the share that is done.
    """
    condition = "s.old_state = 2 AND s.new_state = 2 AND NOT s.same_data"
    run = connection.execute
    run("CREATE OR REPLACE TABLE reply_kinds (old_place BIGINT, kinds INTEGER)")
    total = run(f"SELECT count(*) FROM services s WHERE {condition}").fetchall()[0][0]
    if not total:
        return
    # A cursor of its own: results are inserted while this one is read.
    reader = connection.cursor()
    reader.execute(f"""
        SELECT s.old_place, o.fingerprint, o.data, n.data, s.kinds
        FROM services s JOIN old o ON o.rowid = s.old_place JOIN new n ON n.rowid = s.new_place
        WHERE {condition}""")
    found: list[tuple[int, str]] = []
    done = 0
    while batch := reader.fetchmany(_BATCH):
        found += _judged(batch)
        done += len(batch)
        turn(done / total)
    found = _but_for_our_address(connection, found)
    for start in range(0, len(found), _BATCH):
        part = found[start : start + _BATCH]
        run(
            "INSERT INTO reply_kinds SELECT unnest(?::BIGINT[]), unnest(?::INTEGER[])",
            [[place for place, _ in part], [bits[kind] for _, kind in part]],
        )


def _but_for_our_address(
    connection: DuckDBPyConnection, found: list[tuple[int, str]]
) -> list[tuple[int, str]]:
    """Without the replies that differ because they quote the address that the scan came from."""
    places = [place for place, kind in found if kind == "reply"]
    moved = """o.rowid = s.old_place AND n.rowid = s.new_place AND o.daddr <> n.daddr"""
    reader = connection.cursor()
    reader.execute(
        f"""SELECT s.old_place, o.fingerprint, o.data, n.data, o.daddr, n.daddr
        FROM (SELECT unnest(?::BIGINT[]) AS place) p JOIN services s ON s.old_place = p.place, old o, new n
        WHERE {moved}""",
        [places],
    )
    same = set()
    while batch := reader.fetchmany(_BATCH):
        for place, label, before, now, olds_own, news_own in batch:
            if alike(before, now, label or "", olds_own.encode(), news_own.encode()):
                same.add(place)
    return [one for one in found if one[0] not in same]


def _judged(rows: Iterable[tuple[int, str, bytes, bytes, int]]) -> Iterator[tuple[int, str]]:
    """Of pairs of replies that are not the same, those whose difference is more than noise."""
    for place, label, old, new, known in rows:
        if old[:1] == b"\x16" == new[:1]:
            if handshake(old, new):
                continue
            before, now = leaf(old), leaf(new)
            if before and now and before != now:
                yield place, "certificate"
                continue
        if not known and not alike(old, new, label or ""):
            yield place, "reply"
