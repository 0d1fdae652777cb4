"""Where each panel goes at a given size.

A picture has exactly `height` lines of exactly `width` cells, whatever is asked. The head (how
far, how fast) and the foot (what holds it back, warnings, keys) come first; processes and findings share
what is left by need, and the latest services get the rest.
"""

from __future__ import annotations

from coordinator.dashboard import panels
from coordinator.dashboard.canvas import ASCII, UNICODE, Glyphs, Line, beside, fit, rule
from coordinator.dashboard.processes import processes
from coordinator.monitor.bottleneck import bottleneck
from coordinator.monitor.figures import OUTCOME_WORDS
from coordinator.monitor.snapshot import Snapshot

WIDE = 150
"""Width from which processes and fingerprints stand side by side."""

TALL = 32
"""Height from which there are charts, headings and a second line of figures."""


def compose(
    s: Snapshot, width: int, height: int, *, unicode: bool = True, help_on: bool = False
) -> list[Line]:
    """The picture."""
    g = UNICODE if unicode else ASCII
    width, height = max(1, width), max(1, height)
    foot = _foot(s, width, height, g)
    head = _head(s, width, height, g)
    room = max(0, height - len(head) - len(foot))
    if help_on:
        body = panels.help_page(width, room)
    else:
        body = _wide(s, width, room, g) if width >= WIDE and height >= TALL else _narrow(s, width, room, g)
    body = [fit(line, width, g.cut) for line in body[:room]]
    body += [fit([], width)] * (room - len(body))
    # Too low for all: the head, then as much of the foot as there is room for.
    lines = [*head, *body, *foot] if len(head) + len(foot) <= height else [*head, *foot]
    return [fit(line, width, g.cut) for line in lines[:height]]


def _head(s: Snapshot, width: int, height: int, g: Glyphs) -> list[Line]:
    lines = [panels.header(s, width, g), panels.progress(s, width, g), panels.totals(s, width, g)]
    done = [float(second.done) for second in s.history]
    received = [float(second.rx) for second in s.history]
    sent = [float(second.tx) for second in s.history]
    if height < TALL:
        packets = [float(second.packets) for second in s.history]
        lines.append(panels.sparkline("done/s", done, width, g, "bar"))
        lines.append(panels.sparkline("packets/s", packets, width, g, "bar2"))
        return lines
    lines += [panels.traffic(s, width, g), []]
    high = 4 if height >= 44 else 2
    if width >= 190:
        left = panels.big_chart("done/s", done, 62, high, g, "bar")
        middle = panels.big_chart("packets/s in", received, 62, high, g, "bar2")
        right = panels.big_chart("packets/s out", sent, 62, high, g, "bar3")
        both = beside(left, middle, 62, 62, 3)
        return [*lines, *_inset(beside(both, right, 127, 62, 3)), []]
    if width >= 110:
        half = (width - 5) // 2
        left = panels.big_chart("done/s", done, half, high, g, "bar")
        packets = [float(second.packets) for second in s.history]
        right = panels.big_chart("packets/s", packets, half, high, g, "bar2")
        return [*lines, *_inset(beside(left, right, half, half, 3)), []]
    lines.append(panels.sparkline("done/s", done, width, g, "bar"))
    lines.append(
        panels.sparkline("packets/s", [a + b for a, b in zip(received, sent, strict=True)], width, g, "bar2")
    )
    return [*lines, []]


def _foot(s: Snapshot, width: int, height: int, g: Glyphs) -> list[Line]:
    text = panels.plain(bottleneck(s), max(1, width - 13), g.cut)
    lines: list[Line] = [[(" bottleneck ", "head"), (text, "figure")]]
    lines += panels.warned(s, width, 1 if height < 28 else 4, g)
    return [*lines, panels.keys(s, width, g)]


def _narrow(s: Snapshot, width: int, room: int, g: Glyphs) -> list[Line]:
    """Processes, then outcomes beside fingerprints, then the latest."""
    airy = 1 if room >= 24 else 0
    all_processes = 1 + len(s.workers) + (len(s.workers) > 1) + len(s.collectors) + 1
    found = 1 + max(len(OUTCOME_WORDS), min(len(s.fingerprints), 16 if airy else 7))
    least_latest = room // 4 if airy else min(2, room // 5)
    for_findings = min(found, max(4, room - least_latest - min(all_processes, max(4, room // 3)) - 2 * airy))
    for_processes = max(0, min(all_processes, room - for_findings - least_latest - 2 * airy))
    lines = processes(s, width, for_processes, g) if for_processes >= 2 else []
    lines += [[]] * airy
    left_width = min(46, max(35, width * 2 // 5))
    left = panels.outcomes(s, left_width, for_findings, g)
    right_width = max(0, width - left_width - 1)
    right = panels.fingerprints(s, right_width, for_findings, g) if right_width >= 30 else []
    lines += beside(left, right, left_width, right_width, 1)
    lines += [[]] * airy
    if airy and s.hit_rates:
        lines += panels.hit_rates(
            s, width, min(1 + len(s.hit_rates), 9, max(0, (room - len(lines)) * 2 // 3)), g
        )
        lines += [[]]
    return [*lines, *panels.latest(s, width, room - len(lines), g)]


def _wide(s: Snapshot, width: int, room: int, g: Glyphs) -> list[Line]:
    """Processes over outcomes on the left, fingerprints on the right, the latest below."""
    left_width = min(122, width * 3 // 5)
    right_width = width - left_width - 2
    all_processes = 1 + len(s.workers) + (len(s.workers) > 1) + len(s.collectors) + 1
    findings = 1 + len(OUTCOME_WORDS)
    most = max(12, room - 8)
    for_processes = max(4, min(all_processes, most - findings - 3))
    left: list[Line] = [[(" ", ""), *rule("processes", left_width - 1, g)]]
    left += processes(s, left_width, for_processes, g)
    left += [[], [(" ", ""), *rule("outcomes", left_width - 1, g)]]
    left += panels.outcomes(s, min(left_width, 100), findings, g)
    right: list[Line] = [[(" ", ""), *rule("fingerprints", right_width - 2, g)]]
    spare = len(left) - 2
    for_rates = (
        min(1 + len(s.hit_rates), max(spare // 2, spare - 1 - len(s.fingerprints))) if s.hit_rates else 0
    )
    right += panels.fingerprints(s, right_width, len(left) - 1 - (for_rates + 1 if for_rates else 0), g)
    if for_rates:
        right += [[]] * (len(left) - len(right) - for_rates - 1)
        right += [[(" ", ""), *rule("answered", right_width - 2, g)]]
        right += panels.hit_rates(s, right_width, for_rates, g)
    middle = beside(left, right, left_width, right_width, 2)
    return [*middle, [], *panels.latest(s, width, room - len(middle) - 1, g)]


def _inset(lines: list[Line]) -> list[Line]:
    return [[(" ", ""), *line] for line in lines]
