"""Lines of styled text, and the few shapes drawn with them: bars, sparklines, charts, tables.

A `Line` is a list of (text, style name) spans in which every character is one cell wide, so a
width is a length and nothing has to be measured. Styles are names; what they look like is `THEME`, and a
picture is complete without any of them (no colour, no UTF-8: another `Glyphs`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Span = tuple[str, str]
Line = list[Span]

THEME = {
    "": "",
    "title": "bold",
    "head": "bold cyan",
    "label": "dim",
    "dim": "dim",
    "figure": "bold",
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
    "bar": "green",
    "bar2": "cyan",
    "bar3": "blue",
    "empty": "dim",
    "name": "cyan",
    "key": "bold",
    "alert": "bold reverse",
}
"""Style names, in rich's words. Only the sixteen colours every terminal has, in the user's own palette."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters pictures are made of."""

    bar: str  # eighths of a cell, from least to full
    spark: str  # heights of a cell, from nothing to full
    empty: str
    rule: str
    cut: str
    times: str
    dot: str
    arrow: str


UNICODE = Glyphs("▏▎▍▌▋▊▉█", " ▁▂▃▄▅▆▇█", "·", "─", "…", "×", "·", "→")
ASCII = Glyphs("#", " .:-=+*#", ".", "-", "~", "x", "|", ">")


def width_of(line: Line) -> int:
    """How many cells a line takes."""
    return sum([len(text) for text, _ in line])


def fit(line: Line, width: int, mark: str = "") -> Line:
    """The line at exactly `width` cells: cut, or filled with blanks. mark: stands at the end where more than
    blanks was cut off, so that the beginning of a number is not taken for a number.
    """
    used = width_of(line)
    if mark and used > width > 0 and "".join([text for text, _ in line])[width:].strip():
        return [*fit(line, width - 1), (mark, "dim")]
    if used < width:
        return [*line, (" " * (width - used), "")]
    if used == width:
        return line
    found: Line = []
    for text, style in line:
        if len(text) >= width:
            found.append((text[:width], style))
            break
        found.append((text, style))
        width -= len(text)
    return found


def spread(left: Line, right: Line, width: int, mark: str = "") -> Line:
    """A span at each end; the left one gives way. mark: as for `fit`."""
    room = max(0, width - width_of(right))
    return fit([*fit(left, room, mark), *right], width, mark)


def beside(
    left: Sequence[Line], right: Sequence[Line], left_width: int, right_width: int, gap: int
) -> list[Line]:
    """Two columns of lines."""
    height = max(len(left), len(right))
    lines: list[Line] = []
    for row in range(height):
        a = fit(left[row] if row < len(left) else [], left_width)
        b = fit(right[row] if row < len(right) else [], right_width)
        lines.append([*a, (" " * gap, ""), *b])
    return lines


def rule(title: str, width: int, glyphs: Glyphs) -> Line:
    """A heading with a line after it."""
    rest = max(0, width - len(title) - 1)
    return [(title, "head"), (" " + glyphs.rule * (rest - 1) if rest > 1 else "", "dim")]


def bar(share: float, width: int, glyphs: Glyphs, style: str = "bar", *, empty: bool = True) -> Line:
    """A share of `width` cells, to an eighth of a cell."""
    steps = len(glyphs.bar)
    eighths = round(max(0.0, min(1.0, share)) * width * steps)
    if not eighths and share > 0:
        eighths = 1
    full, part = divmod(eighths, steps)
    text = glyphs.bar[-1] * full + (glyphs.bar[part - 1] if part else "")
    return [(text, style), ((glyphs.empty if empty else " ") * (width - len(text)), "empty")]


def resample(values: Sequence[float], width: int) -> list[float]:
    """As many means as there are cells; fewer values than cells stay as they are."""
    count = len(values)
    if count <= width:
        return list(values)
    found = []
    for cell in range(width):
        part = values[cell * count // width : (cell + 1) * count // width]
        found.append(sum(part) / len(part))
    return found


def chart(values: Sequence[float], width: int, height: int, glyphs: Glyphs, style: str) -> list[Line]:
    """Columns of a cell each, newest at the right, `height` cells for the largest value; top line first."""
    cells = resample(values, width)
    steps = len(glyphs.spark) - 1
    top = max(cells, default=0.0)
    levels = [round(value / top * height * steps) if top > 0 else 0 for value in cells]
    levels = [level or (1 if value > 0 else 0) for level, value in zip(levels, cells, strict=True)]
    blank = " " * (width - len(cells))
    # Each line shows a stretch of `steps` levels: what is under it is empty, what is over it full.
    beyond = height * steps
    shown = glyphs.spark[0] * beyond + glyphs.spark + glyphs.spark[-1] * beyond
    lines: list[Line] = []
    for row in range(height - 1, -1, -1):
        offset = beyond - row * steps
        text = "".join([shown[level + offset] for level in levels])
        lines.append([(blank + text, style)])
    return lines


def columns(cells: Iterable[Span], widths: Sequence[int], left: frozenset[int] = frozenset({0})) -> Line:
    """A table row: cells of the given widths, a blank between them, to the right unless in `left`."""
    line: Line = []
    for index, ((text, style), width) in enumerate(zip(cells, widths, strict=True)):
        cell = text[:width].ljust(width) if index in left else text[:width].rjust(width)
        line.append((" " + cell if index else cell, style))
    return line
