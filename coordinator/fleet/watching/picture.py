"""Draws a fleet at a given size: how far all boxes are, a line for each, what was found, which are missing.

Pure, like `coordinator.dashboard.layout`, whose panels it uses where one scan and many look the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from coordinator.dashboard import panels
from coordinator.dashboard.canvas import (
    ASCII,
    UNICODE,
    Glyphs,
    Line,
    Span,
    bar,
    beside,
    columns,
    fit,
    spread,
    width_of,
)
from coordinator.monitor import numbers
from coordinator.monitor.figures import OUTCOME_WORDS
from coordinator.monitor.snapshot import Snapshot
from lzr.fleet.view import BAD, ENDED, BoxRow, BoxState, FleetView

TALL = 30
"""Height from which there are charts, headings and a second line of figures."""

WIDE = 120
"""Width from which two charts stand side by side."""

_STYLES = {
    BoxState.RUNNING: "good",
    BoxState.DONE: "good",
    BoxState.PAUSED: "warn",
    BoxState.ENDING: "warn",
    BoxState.INTERRUPTED: "warn",
    BoxState.IDLE: "dim",
    BoxState.STARTING: "warn",
}


def compose(view: FleetView, total: Snapshot, width: int, height: int, *, unicode: bool = True) -> list[Line]:
    """Exactly `height` lines of exactly `width` cells. total: `summing.added` of the same view."""
    g = UNICODE if unicode else ASCII
    width, height = max(1, width), max(1, height)
    head = [_header(view, total, width, g), _progress(view.totals, width, g), _figures(view.totals, width)]
    foot = [*panels.warned(total, width, 1 if height < TALL else 4, g), _keys(width, g)]
    if height >= TALL:
        head += [panels.traffic(total, width, g), [], *_charts(total, width, g), []]
    room = max(0, height - len(head) - len(foot))
    body = [fit(line, width, g.cut) for line in _body(view, total, width, room, g)[:room]]
    body += [fit([], width)] * (room - len(body))
    lines = [*head, *body, *foot] if len(head) + len(foot) <= height else [*head, *foot]
    return [fit(line, width, g.cut) for line in lines[:height]]


def _header(view: FleetView, total: Snapshot, width: int, g: Glyphs) -> Line:
    count = len(view.rows)
    words: Line = [(" lzr fleet", "title"), (f"  {panels.plain(view.name, 48, g.cut)}", "")]
    if width >= 72 or not view.blind:
        words.append((f"  {count} box{'' if count == 1 else 'es'}", "label"))
    if view.blind:
        words.append((f"  {len(view.blind)} not heard of", "bad"))
    state, style = _summed_state(view)
    right: Line = [(state, style), ("  ", ""), (numbers.clock(total.elapsed), "figure"), (" ", "")]
    return spread(words, right, width, g.cut)


def _summed_state(view: FleetView) -> tuple[str, str]:
    states = {row.state for row in view.rows if row.shards}
    if len(states) == 1:
        state = states.pop()
        return state, "bad" if state in BAD else _STYLES.get(state, "")
    if states and states <= ENDED:
        return "ended", "warn"
    return "running", "good"


def _progress(row: BoxRow, width: int, g: Glyphs) -> Line:
    if row.share is None:
        return [(" how much there is to do is not known of every box", "dim")]
    right: Line = [(f" {numbers.percent(row.share, 1):>6}", "figure")]
    if row.eta is not None and row.share < 1:
        right += [("  ETA ", "label"), (numbers.left(row.eta), "figure")]
    right.append((" ", ""))
    return [(" ", ""), *bar(row.share, max(0, width - width_of(right) - 1), g), *right]


def _figures(row: BoxRow, width: int) -> Line:
    pairs = (
        ("asked", numbers.count(row.asked)),
        ("in flight", numbers.count(row.in_flight)),
        ("done", numbers.count(row.done)),
        ("now", f"{numbers.fit(row.rate_done, 7)}/s"),
        ("rate", f"{numbers.fit(row.rate_limit, 7)}/s" if row.rate_limit is not None else ""),
        ("hits", numbers.percent(row.hit_rate, 1)),
        ("identified", numbers.count(row.identified)),
    )
    line: Line = []
    used = 1
    for label, value in pairs:
        cells = len(label) + 1 + len(value) + (3 if line else 0)
        if value and used + cells <= width:
            line += [("   " if line else " ", ""), (f"{label} ", "label"), (value, "figure")]
            used += cells
    return line


def _charts(total: Snapshot, width: int, g: Glyphs) -> list[Line]:
    done = [float(second.done) for second in total.history]
    packets = [float(second.packets) for second in total.history]
    if width < WIDE:
        return [
            panels.sparkline("done/s", done, width, g, "bar"),
            panels.sparkline("packets/s", packets, width, g, "bar2"),
        ]
    half = (width - 5) // 2
    left = panels.big_chart("done/s", done, half, 2, g, "bar")
    right = panels.big_chart("packets/s", packets, half, 2, g, "bar2")
    return [[(" ", ""), *line] for line in beside(left, right, half, half, 3)]


# --- the table of boxes -------------------------------------------------------------------------------------


def _state(row: BoxRow) -> str:
    if row.state == BoxState.LOST and row.at is not None:
        return f"not heard of since {datetime.fromtimestamp(row.at, UTC):%H:%M:%S}Z"
    return row.state


def _style(row: BoxRow) -> str:
    return "bad" if row.state in BAD else _STYLES.get(row.state, "")


Column = tuple[str, int, Callable[[BoxRow], str]]
"""Heading, width, text."""

COLUMNS: tuple[Column, ...] = (
    ("done", 10, lambda row: numbers.fit(row.done, 10)),
    ("now/s", 8, lambda row: numbers.fit(row.rate_done, 8)),
    ("ETA", 8, lambda row: numbers.left(row.eta) if row.eta is not None else "-"),
    ("rate", 8, lambda row: numbers.fit(row.rate_limit, 8) if row.rate_limit is not None else "-"),
    ("out/s", 8, lambda row: numbers.fit(row.tx_rate, 8)),
    ("in/s", 8, lambda row: numbers.fit(row.rx_rate, 8)),
    ("hits", 6, lambda row: numbers.percent(row.hit_rate, 1)),
    ("drops", 7, lambda row: numbers.fit(row.drops, 7)),
    ("in flight", 9, lambda row: numbers.fit(row.in_flight, 9)),
    ("shards", 6, lambda row: numbers.count(row.shards)),
    ("gen", 4, lambda row: str(row.generation)),
)
"""Most important first; as many as the width holds."""

LEASE: Column = ("lease", 7, lambda row: f"{row.lease:.0f} s" if row.lease is not None else "-")
"""Before all others, where a box has one: when it runs out the box ends its scan."""

_PERCENT = 7


def boxes(view: FleetView, width: int, height: int, g: Glyphs) -> list[Line]:
    """A line a box, those that are not well first where there is no room for all; the totals at the end."""
    if height < 2:
        return []
    rows = list(view.rows)
    with_total = len(rows) > 1 and height > 2
    room = height - 1 - with_total
    left_out = max(0, len(rows) - room)
    if left_out:
        order = sorted(range(len(rows)), key=lambda at: (not rows[at].bad, at))[: max(0, room - 1)]
        rows = [rows[at] for at in sorted(order)]
    name_width = min(20, max(4, *(len(row.name) for row in view.rows)))
    state_width = max(7, *(len(_state(row)) for row in rows)) if rows else 7
    state_width = min(state_width, 32 if width >= 80 else 12)
    used = 1 + name_width + 1 + state_width + 1 + _PERCENT
    chosen: list[Column] = []
    leased = (LEASE,) if any(row.lease is not None for row in view.rows) else ()
    for column in (*leased, *COLUMNS):
        if used + column[1] + 1 > width:
            break
        chosen.append(column)
        used += column[1] + 1
    bar_width = min(30, width - used - 1) if width - used > 5 else 0
    widths = [name_width, state_width, _PERCENT, *(column[1] for column in chosen)]
    heads = ["box", "state", "", *(column[0] for column in chosen)]
    lines: list[Line] = [[(" ", ""), *columns([(head, "head") for head in heads], widths, frozenset({0, 1}))]]

    def line(row: BoxRow, name: str, state: str, style: str) -> Line:
        figure = "dim" if row.state in BAD else ""
        cells: list[Span] = [
            (panels.plain(name, name_width, g.cut), "bad" if row.bad else "name"),
            (panels.plain(state, state_width, g.cut), style),
            (numbers.percent(row.share, 1) if row.share is not None else "-", figure or "figure"),
            *((show(row), figure) for _, _, show in chosen),
        ]
        drawn = bar(row.share, bar_width, g) if bar_width and row.share is not None else []
        return [(" ", ""), *columns(cells, widths, frozenset({0, 1})), (" ", ""), *drawn]

    lines += [line(row, row.name, _state(row), _style(row)) for row in rows]
    if left_out:
        lines.append([(f" and {left_out + 1} more boxes", "dim")])
    if with_total:
        lines.append(line(view.totals, "all", "", ""))
    return lines[:height]


def _body(view: FleetView, total: Snapshot, width: int, room: int, g: Glyphs) -> Sequence[Line]:
    airy = 1 if room >= 20 else 0
    findings = 1 + max(len(OUTCOME_WORDS), min(len(total.fingerprints), 12 if airy else 7))
    wanted = len(view.rows) + 2
    latest = room // 4 if airy else max(0, min(2, room - wanted - findings))
    for_boxes = min(wanted, max(4, room - min(findings, 6) - latest - 2 * airy))
    lines = list(boxes(view, width, for_boxes, g))
    for_findings = min(findings, max(0, room - len(lines) - latest - 2 * airy))
    lines += [[]] * airy
    left_width = min(46, max(35, width * 2 // 5))
    right_width = max(0, width - left_width - 1)
    left = panels.outcomes(total, left_width, for_findings, g)
    right = panels.fingerprints(total, right_width, for_findings, g) if right_width >= 30 else []
    lines += beside(left, right, left_width, right_width, 1)
    lines += [[]] * airy
    return [*lines, *panels.latest(total, width, room - len(lines), g)]


def _keys(width: int, g: Glyphs) -> Line:
    return spread(
        [(" q", "key"), (" close", "dim")],
        [("scans go on; lzr fleet rate, pause, drain steer them ", "dim")],
        width,
        g.cut,
    )


def line(view: FleetView) -> str:
    """All boxes in one line of text, for a log or a pipe."""
    totals = view.totals
    share = f" {numbers.percent(totals.share)}" if totals.share is not None else ""
    eta = f" ({numbers.left(totals.eta)} left)" if totals.eta is not None and (totals.share or 0) < 1 else ""
    parts = [f"{view.name}{share}{eta}"]
    parts.append(f"done: {totals.done} {numbers.short(totals.rate_done)}/s")
    parts.append(f"in flight: {totals.in_flight}")
    parts.append(f"packets: {numbers.short(totals.rx_rate)}/s in {numbers.short(totals.tx_rate)}/s out")
    parts.append(f"drops: {totals.drops}")
    parts.append(f"hitrate: {totals.hit_rate:.2%}")
    for row in view.rows:
        how = numbers.percent(row.share) if row.share is not None else "-"
        lease = f" (lease {row.lease:.0f} s)" if row.lease is not None else ""
        parts.append(f"{row.name}: {_state(row)} {how}{lease}")
    return "; ".join(parts)
