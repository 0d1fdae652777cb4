"""A report as one HTML document that loads nothing: styles and scripts are in it, named by their hashes.

The content security policy lets nothing else run and nothing be fetched. Every text is escaped here; the
rows of the table are JSON in a block that no browser runs, and come into the page as text nodes only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any

from lzr.analysis.page import svg
from lzr.analysis.page.parts import (
    Bars,
    Cell,
    Line,
    Matrix,
    PageTable,
    Paragraph,
    Part,
    Report,
    Section,
    ServiceTable,
    ShareCell,
    Tile,
    Tiles,
    many,
)
from lzr.analysis.page.script import APP, PRELUDE
from lzr.analysis.page.style import STYLE

STATIC_ROWS = 500
"""Services in the table of a page without script."""

_INJECTED = re.compile(r'getElementById\("([0-9a-f]{64})"\)')
"""Style sheets that plotly.js would put into the page for its maps, unless an element has their name."""


def write(report: Report, plotly: str | None) -> Iterator[str]:
    """The document, in parts. plotly: the text of plotly.min.js; None: a page without any script."""
    scripts = [] if plotly is None else [PRELUDE, plotly, APP]
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy(scripts))}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(report.title)}</title><style>{STYLE}</style></head><body>\n"
    )
    charts: list[dict[str, Any]] = []
    yield _head(report)
    yield '<main id="top">\n'
    for section in report.sections:
        yield from _section(section, charts)
    yield from _services(report.services, static=plotly is None)
    yield f"</main>\n<footer>{escape(report.foot)}</footer>\n"
    if plotly is not None:
        # Elements of these names keep plotly.js from adding style sheets, which the policy would refuse.
        for name in ("plotly.js-style-global", *dict.fromkeys(_INJECTED.findall(plotly))):
            yield f'<i hidden class="no-inline-styles" id="{name}"></i>'
        yield _block("charts", charts)
        yield _block("services-data", report.services.rows)
        for script in scripts:
            yield f"<script>{script}</script>\n"
    yield "</body></html>\n"


def policy(scripts: list[str]) -> str:
    """The content security policy (CSP Level 3) for these scripts and our style."""
    parts = ["default-src 'none'", f"style-src {_hash(STYLE)}", "base-uri 'none'", "form-action 'none'"]
    if scripts:
        parts.insert(1, "script-src " + " ".join(map(_hash, scripts)))
    return "; ".join(parts)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _block(name: str, data: object) -> str:
    """JSON in the page: nothing in it can end the element or begin another."""
    text = json.dumps(data, separators=(",", ":"))
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def _head(report: Report) -> str:
    links = "".join(f'<a href="#{section.anchor}">{escape(section.title)}</a>' for section in report.sections)
    return (
        f'<header><div class="inner"><p class="mark">lzr report</p><h1>{escape(report.title)}</h1>'
        f'<p class="sub">{escape(report.subtitle)}</p>{_tiles(report.tiles)}</div></header>\n'
        f'<nav aria-label="sections"><div class="inner">{links}<a href="#services">Services</a></div></nav>\n'
    )


def _tiles(tiles: tuple[Tile, ...]) -> str:
    made = "".join(
        f'<div class="tile{f" {tile.tone}" if tile.tone else ""}"><b>{escape(tile.value)}</b>'
        f"<span>{escape(tile.name)}</span>{f'<small>{escape(tile.note)}</small>' if tile.note else ''}</div>"
        for tile in tiles
    )
    return f'<div class="tiles">{made}</div>'


def _section(section: Section, charts: list[dict[str, Any]]) -> Iterator[str]:
    yield f'<section id="{section.anchor}"><h2>{escape(section.title)}</h2>'
    if section.intro:
        yield f'<p class="intro">{escape(section.intro)}</p>'
    yield '<div class="grid">'
    for part in section.parts:
        yield _part(part, charts)
    yield "</div></section>\n"


def _part(part: Part, charts: list[dict[str, Any]]) -> str:
    match part:
        case Tiles():
            return f'<div class="wide">{_tiles(part.tiles)}</div>'
        case Paragraph():
            return f'<p class="wide {escape(part.tone or "plain")}">{escape(part.text)}</p>'
        case Bars():
            charts.append(
                {
                    "kind": "bars",
                    "labels": part.labels,
                    "values": part.values,
                    "tone": part.tone,
                    "title": part.title,
                }
            )
            return _chart(part.title, svg.bars(part), len(charts) - 1, part.rest, wide=part.wide)
        case Line():
            charts.append(
                {"kind": "line", "labels": part.times, "values": part.values, "tone": "", "title": part.title}
            )
            return _chart(part.title, svg.line(part), len(charts) - 1, "", wide=part.wide)
        case Matrix():
            return _matrix(part)
        case PageTable():
            return _table(part)


def _chart(title: str, drawn: str, number: int, rest: str, *, wide: bool) -> str:
    note = f'<p class="note">{escape(rest)}</p>' if rest else ""
    return (
        f'<figure class="card{" wide" if wide else ""}"><figcaption>{escape(title)}</figcaption>'
        f'<div class="plot" data-chart="{number}">{drawn}</div>{note}</figure>'
    )


def _matrix(part: Matrix) -> str:
    most = max((value for row in part.values for value in row), default=0)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in part.columns)
    lines = []
    for y, (name, row) in enumerate(zip(part.rows, part.values, strict=True)):
        cells = "".join(
            f'<td class="{_heat(value, most, (y, x) in part.marked)}">{f"{value:,}" if value else ""}</td>'
            for x, value in enumerate(row)
        )
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    note = f'<p class="note">{escape(part.note)}</p>' if part.note else ""
    return (
        f'<figure class="card wide"><figcaption>{escape(part.title)}</figcaption><div class="scroll">'
        f'<table class="matrix"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>{note}</figure>"
    )


def _heat(value: int, most: int, marked: bool) -> str:
    """A class for the colour: by the logarithm, so that what is rare is seen."""
    level = 0 if not value else 1 + min(6, int(7 * value.bit_length() / (most.bit_length() + 0.01)))
    return f"h{level}{' due' if marked else ''}"


def _table(part: PageTable) -> str:
    figures = [bool(cells) and not any(isinstance(cell, str) for cell in cells) for cells in _columns(part)]
    head = "".join(
        f'<th scope="col"{_RIGHT if right else ""}>{escape(name)}</th>'
        for name, right in zip(part.headings, figures, strict=True)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in part.rows)
    note = f'<p class="note">{escape(part.note)}</p>' if part.note else ""
    return (
        f'<figure class="card wide"><figcaption>{escape(part.title)}</figcaption><div class="scroll">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{note}</figure>"
    )


def _columns(part: PageTable) -> list[tuple[Cell, ...]]:
    return list(zip(*part.rows, strict=True)) if part.rows else [() for _ in part.headings]


def _cell(cell: str | int | ShareCell) -> str:
    if isinstance(cell, ShareCell):
        return f'<td class="num">{svg.share(cell.value)} {cell.value:.0%}</td>'
    if isinstance(cell, int):
        return f'<td class="num">{cell:,}</td>'
    return f"<td>{escape(cell)}</td>"


_RIGHT = ' class="num"'
_COLUMNS = ("Address", "Port", "Protocol", "Product", "Where", "First bytes")


def _services(services: ServiceTable, *, static: bool) -> Iterator[str]:
    held = services.rows[:STATIC_ROWS] if static else services.rows
    yield '<section id="services"><h2>Services</h2>'
    left = services.total - len(held)
    said = f"All of the scan: {many(services.total)}."
    if left:
        said = f"{len(held):,} of {many(services.total)}: {services.note} {left:,} are left out."
    yield f'<p class="intro">{escape(said)}</p><div class="card">'
    if not static:
        yield (
            '<div class="search"><label for="search">Search</label><input id="search" type="search" '
            'autocomplete="off" spellcheck="false" '
            'placeholder="address, port, protocol, product, words of the banner">'
            '<label class="check"><input id="off" type="checkbox"> off the assigned port</label>'
            '<output id="hits" for="search"></output></div>'
        )
    head = "".join(
        f'<th scope="col">{name}</th>'
        if static
        else f'<th scope="col"><button type="button">{name}</button></th>'
        for name in _COLUMNS
    )
    yield f'<div class="scroll"><table class="services"><thead><tr>{head}</tr></thead><tbody id="rows">'
    if static:
        for address, port, label, product, where, first, off in held:
            pill = ' <span class="pill">off port</span>' if off else ""
            yield (
                f'<tr><td>{escape(address)}</td><td class="num">{port}</td><td>{escape(label)}{pill}</td>'
                f"<td>{escape(product)}</td><td>{escape(where)}</td><td><code>{escape(first)}</code></td></tr>"
            )
    yield "</tbody></table></div>"
    if not static:
        yield '<button type="button" id="more">Show more</button>'
    yield "</div></section>\n"
