"""Charts as SVG, without a script: the page shows them as they are, or until plotly.js draws them anew."""

from __future__ import annotations

from html import escape

from lzr.analysis.page.parts import Bars, Line

_WIDTH = 560
_ROW = 26
_LETTERS = 26
"""Of a label that fit beside its bar."""


def bars(chart: Bars) -> str:
    """Horizontal bars with their values."""
    most = max((*chart.values, 1))
    shown = [label if len(label) <= _LETTERS else label[: _LETTERS - 1] + "…" for label in chart.labels]
    left = 14 + round(7.4 * max(map(len, shown), default=0))
    room = _WIDTH - left - 78
    height = _ROW * max(len(chart.labels), 1)
    parts = [_open(height, chart.title)]
    tone = f" {chart.tone}" if chart.tone else ""
    for at, (label, value) in enumerate(zip(chart.labels, chart.values, strict=True)):
        y = at * _ROW
        size = max(round(room * value / most, 1), 1.5)
        parts.append(
            f"<g><title>{escape(label)}: {value:,}</title>"
            f'<text class="label" x="{left - 8}" y="{y + 17}" text-anchor="end">{escape(shown[at])}</text>'
            f'<rect class="bar{tone}" x="{left}" y="{y + 4}" width="{size}" height="{_ROW - 8}" rx="3"/>'
            f'<text class="value" x="{left + size + 7}" y="{y + 17}">{value:,}</text></g>'
        )
    return "".join(parts) + "</svg>"


def line(chart: Line) -> str:
    """An area below a line; the first and last moment stand below it."""
    width, height, foot = 1120, 190, 24
    most = max((*chart.values, 1))
    step = width / max(len(chart.values) - 1, 1)
    points = [
        f"{round(at * step, 1)},{round(10 + (height - 10) * (1 - value / most), 1)}"
        for at, value in enumerate(chart.values)
    ]
    joined = " ".join(points)
    times = ""
    if chart.times:
        times = (
            f'<text class="label" x="0" y="{height + 18}">{escape(_clock(chart.times[0]))}</text>'
            f'<text class="label" x="{width}" y="{height + 18}" text-anchor="end">'
            f"{escape(_clock(chart.times[-1]))}</text>"
        )
    return (
        _open(height + foot, chart.title, width)
        + f'<polygon class="area" points="0,{height} {joined} {width},{height}"/>'
        + f'<polyline class="line" points="{joined}"/>'
        + f'<text class="label" x="4" y="12">{most:,}</text>{times}</svg>'
    )


def _clock(time: str) -> str:
    return time.replace("T", " ")[:19] + " UTC"


def _open(height: int, title: str, width: int = _WIDTH) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}" preserveAspectRatio="xMinYMin meet">'
    )


def share(value: float) -> str:
    """A small bar for a cell."""
    size = round(60 * min(max(value, 0.0), 1.0), 1)
    return (
        '<svg class="share" viewBox="0 0 60 8" aria-hidden="true">'
        '<rect class="track" width="60" height="8" rx="4"/>'
        f'<rect class="bar warn" width="{size}" height="8" rx="4"/></svg>'
    )
