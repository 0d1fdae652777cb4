"""What a report is made of: sections with charts, tables and figures, all of them plain values.

Whatever comes from hosts or files is text here and stays text: it is escaped where the page is written
(`lzr.analysis.page.document`), never before.
"""

from __future__ import annotations

from dataclasses import dataclass, field


def many(count: int) -> str:
    """So many services, in words."""
    return "1 service" if count == 1 else f"{count:,} services"


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure in large: its value, what it is, and a line below it. tone: "", "good" or "warn"."""

    value: str
    name: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Figures side by side."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars, most first. rest: what is left out, for the line below. tone: "" or "warn"."""

    title: str
    labels: tuple[str, ...]
    values: tuple[int, ...]
    rest: str = ""
    tone: str = ""
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A quantity over time: times in UTC as ISO 8601, and a value for each."""

    title: str
    times: tuple[str, ...]
    values: tuple[int, ...]
    wide: bool = True


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts by row and column. marked: cells (row, column) that are drawn apart."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]
    marked: frozenset[tuple[int, int]] = frozenset()
    note: str = ""


@dataclass(frozen=True, slots=True)
class ShareCell:
    """A cell of a table that shows a share, from 0 to 1, as a bar too."""

    value: float


Cell = str | int | ShareCell


@dataclass(frozen=True, slots=True)
class PageTable:
    """Rows under headings. note: a line below."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    text: str
    tone: str = ""


Part = Tiles | Bars | Line | Matrix | PageTable | Paragraph


@dataclass(frozen=True, slots=True)
class Section:
    """anchor: its name in links, small letters."""

    anchor: str
    title: str
    intro: str
    parts: tuple[Part, ...]


ServiceRow = tuple[str, int, str, str, str, str, int]
"""Address, port, protocol, product, where, first bytes; 1 where the protocol is off its assigned ports."""


@dataclass(frozen=True)
class ServiceTable:
    """The table that can be searched. total: services there are, of which `rows` are some, chosen as `note`
    says."""

    rows: list[ServiceRow] = field(default_factory=list)
    total: int = 0
    note: str = ""


@dataclass(frozen=True)
class Report:
    """A whole page. foot: its last line."""

    title: str
    subtitle: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    services: ServiceTable
    foot: str = ""
