"""Makes the report of a scan that was read into DuckDB: its sections, and what changed since an older one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from coordinator.reports import comparefiles, compareservices
from coordinator.reports.compareservices import CHANGES, Compared
from coordinator.reports.sections import Sections, Turn, shown
from lzr.analysis import asked as asking
from lzr.analysis.asked import Coverage
from lzr.analysis.page.health import health
from lzr.analysis.page.parts import Bars, Cell, PageTable, Paragraph, Part, Report, Section, Tile, Tiles, many

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_LISTED_CHANGES = 400
"""A judgement: more than anybody reads in a page; `lzr diff` lists them all."""


def make(
    connection: DuckDBPyConnection,
    name: str,
    *,
    metadata: Mapping[str, Any] | None,
    metadata_name: str = "",
    difference: tuple[Compared, Coverage, str] | None = None,
    foot: str = "",
    turn: Turn = lambda what, share: None,
) -> Report:
    """The report of the table `new`. name: of its file. metadata: of the run, from `metadata_name`.

    difference: what `comparefiles.compared` found, and the name of the older file.
    """
    if difference is None:
        compareservices.one_each(connection, "new")
    turn("counting", 0.2)
    sections = Sections(connection, turn)
    turn("counting", 0.4)
    found: list[Section | None] = []
    if difference is not None:
        found.append(_since(connection, *difference))
    for at, part in enumerate(
        (
            lambda: sections.overview(asking.names(metadata)),
            sections.unexpected,
            sections.products,
            sections.middleboxes,
            sections.times,
        )
    ):
        found.append(part())
        turn("counting", 0.5 + at * 0.08)
    found.append(health(metadata, metadata_name))
    services = sections.table()
    turn("writing", 0.95)
    notes = (metadata or {}).get("notes")
    subtitle = f"{sections.span()}{f' · {shown(str(notes), 200)}' if notes else ''}"
    kept = tuple(section for section in found if section is not None)
    return Report(shown(name, 120), subtitle, sections.tiles(), kept, services, foot)


def _since(connection: DuckDBPyConnection, compared: Compared, asked: Coverage, older: str) -> Section:
    counts = compared.counts
    tiles = tuple(
        Tile(f"{counts[name]:,}", name, note, tone if counts[name] else "")
        for name, note, tone in (
            ("appeared", "", "warn"),
            ("gone", "asked for, and no answer", "warn"),
            ("changed", "", "warn"),
            ("same", "but for noise", "good"),
        )
    )
    tiles = (*tiles, Tile(f"{counts['not_asked']:,}", "not asked again", "so not called gone"))
    parts: list[Part] = [Tiles(tiles)]
    if any(compared.kinds.values()):
        kinds = sorted(((many, kind) for kind, many in compared.kinds.items() if many), reverse=True)
        parts.append(
            Bars(
                "What changed", tuple(kind for _, kind in kinds), tuple(many for many, _ in kinds), wide=True
            )
        )
    rows: list[tuple[Cell, ...]] = []
    total = sum(counts[name] for name in CHANGES)
    for row in comparefiles.rows(connection, CHANGES):
        if len(rows) >= _LISTED_CHANGES:
            break
        label, what = comparefiles.brief(row)
        where = asking.shown(asking.number(row[0]), row[1])
        rows.append((row[2], where, shown(label, 40), shown(what, 200)))
    left = f"{total - len(rows):,} more: lzr diff lists them all." if total > len(rows) else ""
    if rows:
        parts.append(PageTable("Changes", ("", "Service", "Protocol", "What"), tuple(rows), left))
    for note in (*compared.notes, asked.why if counts["not_asked"] else ""):
        if note:
            parts.append(Paragraph(note[:1].upper() + note[1:] + "."))
    intro = f"Compared with {shown(older, 100)}: {many(compared.old)} then, {compared.new:,} now."
    return Section("changes", "Since the older scan", intro, tuple(parts))
