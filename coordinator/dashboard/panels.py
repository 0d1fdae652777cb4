"""The parts of the dashboard, each a function of a `Snapshot` and a size.

A panel returns at most `height` lines of at most `width` cells and says the most important thing
first, so that cutting at the bottom or the right is always the right way to make it smaller. Text of
strangers passes `lzr.safetext`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from coordinator.dashboard.canvas import Glyphs, Line, bar, chart, columns, fit, rule, spread, width_of
from coordinator.monitor import numbers
from coordinator.monitor.figures import WORDS, outcome_words
from coordinator.monitor.snapshot import Phase, Snapshot
from coordinator.monitor.status import found_by, hit_rate_rows
from lzr import safetext


@lru_cache(maxsize=4096)
def plain(text: str, width: int, mark: str) -> str:
    """A text from outside, cut to `width` cells and made harmless; `mark` says that it was cut."""
    return safetext.plain(text, width, mark=mark)


@lru_cache(maxsize=512)
def banner(data: bytes, width: int, mark: str) -> str:
    """Bytes from outside, likewise."""
    return safetext.printable(data, width, mark=mark)


def header(s: Snapshot, width: int, g: Glyphs) -> Line:
    """The first line: in which phase the scan is, and what is scanned."""
    state, style = s.phase, "good"
    if s.paused:
        state, style = "PAUSED", "warn"
    elif s.draining and s.phase != Phase.DONE:
        state, style = "ending", "warn"
    elif s.phase == Phase.DONE and (s.ending or s.interrupted or s.draining):
        state, style = s.ending or "interrupted", "warn"
    if s.phase == Phase.COOLDOWN and s.cooldown_left is not None:
        state += f", {s.cooldown_left:.0f} s left"
    right: Line = [(state, style), ("  ", ""), (numbers.clock(s.elapsed), "figure"), (" ", "")]
    room = max(0, width - width_of(right) - 8)
    return spread([(" lzr", "title"), ("  " + plain(s.title, room, g.cut), "")], right, width, g.cut)


def progress(s: Snapshot, width: int, g: Glyphs) -> Line:
    """The line that shows how much of the input is done, as a bar where the total is known."""
    share = s.share
    if share is None:
        text = "total not known (--targets-total)" if not s.input_ended or s.cut_short else "all input read"
        right: Line = [(f"{numbers.count(s.fates)} of {numbers.count(s.read)} read have a fate ", "")]
        room = width - width_of(right) - 2  # a blank before it and one behind
        said = next(said for said in (text, text.partition(" (")[0], "") if len(said) <= max(0, room))
        return spread([(" " + said, "dim")], right, width, g.cut)
    right = [(f" {numbers.percent(share, 1):>6}", "figure"), (f" of {_total(s)}", "")]
    eta = s.eta
    if s.phase != Phase.DONE and eta is not None:
        right += [("  ETA ", "label"), (f"{numbers.left(eta)}", "figure")]
    right.append((" ", ""))
    room = max(0, width - width_of(right) - 1)
    return [(" ", ""), *bar(share, room, g), *right]


def _total(s: Snapshot) -> str:
    total = s.total or 0
    if not s.total_estimated:
        return numbers.count(total)
    return "~" + numbers.count(float(f"{total:.3g}"))  # not more than is known of it


def _facts(pairs: Sequence[tuple[str, str, str]], width: int, gap: str = "   ") -> Line:
    """label figure   label figure …, as many as fit."""
    line: Line = []
    used = 1
    for label, value, style in pairs:
        cells = len(label) + 1 + len(value) + (len(gap) if line else 0)
        if used + cells > width:
            break
        line += [(gap if line else " ", ""), (label + " ", "label"), (value, style)]
        used += cells
    return line


def totals(s: Snapshot, width: int, g: Glyphs) -> Line:
    """The line of the most important counts."""
    pairs = [
        (WORDS["read"], numbers.count(s.read), "figure"),
        (WORDS["in_flight"], numbers.count(s.in_flight), "figure"),
        (WORDS["done"], numbers.count(s.done), "figure"),
        (WORDS["rate_done"], f"{numbers.fit(s.rate_done, 7)}/s", "good" if s.rate_done else "figure"),
        (WORDS["rate_done_average"], f"{numbers.fit(s.rate_done_average, 7)}/s", "figure"),
        (WORDS["hit_rate"], numbers.percent(s.hit_rate, 1), "figure"),
        (WORDS["identified"], numbers.count(s.identified), "figure"),
    ]
    return _facts(pairs, width, gap="  " if width < 100 else "    ")


def traffic(s: Snapshot, width: int, g: Glyphs) -> Line:
    """The second line of figures, where there is room for it."""
    pairs = [
        ("in", f"{numbers.count(s.rx_rate)} packets/s {numbers.bits(s.rx_bits)}", ""),
        ("out", f"{numbers.count(s.tx_rate)} packets/s {numbers.bits(s.tx_bits)}", ""),
        (WORDS["drops"], numbers.count(s.drops), "bad" if s.recent_drops else ""),
        (WORDS["rejected"], numbers.count(s.rejected), "warn" if s.rejected else ""),
        (WORDS["blocklisted"], numbers.count(s.blocklisted), ""),
        (WORDS["duplicates"], numbers.count(s.duplicates), ""),
        (WORDS["rate_in"], f"{numbers.fit(s.rate_in, 7)}/s", ""),
        (WORDS["backlog"], numbers.count(s.backlog), ""),
        (WORDS["ignored"], numbers.count(sum(s.ignored.values())), ""),
    ]
    return _facts(pairs, width)


def sparkline(label: str, values: Sequence[float], width: int, g: Glyphs, style: str) -> Line:
    """One line: label, the last minute, the newest figure and the peak."""
    peak = (
        f" {numbers.short(values[-1]) if values else '-':>5} max {numbers.short(max(values, default=0)):<5}"
    )
    room = max(1, min(60, width - 11 - len(peak)))
    return [(f" {label:<10}", "label"), *chart(values, room, 1, g, style)[0], (peak, "")]


def big_chart(
    label: str, values: Sequence[float], width: int, height: int, g: Glyphs, style: str
) -> list[Line]:
    """A heading and `height` lines; each second is as many cells wide as fit."""
    last = numbers.count(values[-1]) if values else "-"
    title = rule(f"{label}, last minute", width - len(last) - 17, g)
    title += [(f" last {last}", "figure"), (f" max {numbers.short(max(values, default=0))}", "label")]
    each = max(1, width // 60)
    wide = [value for value in values for _ in range(each)]
    return [title, *chart(wide, min(width, 60 * each), height, g, style)]


_OUTCOME_STYLE = {"data": "bar", "rst": "bar3", "fin": "bar3", "acking_firewall": "warn"}


def outcomes(s: Snapshot, width: int, height: int, g: Glyphs) -> list[Line]:
    """How flows ended; where there is no room for all, those that there were none of are left out first."""
    widths = [15, 10, 6]
    room = max(0, width - sum(widths) - 4)
    lines = [_headed(["outcome", "count", "share"], widths)]
    counts = Counter(s.outcomes)
    counts["rst"] += counts.pop("refused", 0)  # there is no row for it
    for name in [name for name in counts if name.startswith("unreachable_")]:
        del counts[name]
    counts["unreachable"] = s.unreachable  # nor for each kind of these
    words = outcome_words(counts) | ({"unreachable": WORDS["unreachable"]} if s.unreachable else {})
    for name in [name for name in reversed(words) if not counts[name]][: max(0, len(words) + 1 - height)]:
        del words[name]
    for name, word in words.items():
        number = counts[name]
        share = number / s.done if s.done else 0.0
        style = "" if number else "dim"
        cells = [
            (plain(word, widths[0], g.cut), style),
            (numbers.fit(number, 10), style),
            (numbers.percent(share, 1), style),
        ]
        picture = (
            bar(share, room, g, _OUTCOME_STYLE.get(name, "bar2"), empty=False) if room >= 4 and number else []
        )
        lines.append([(" ", ""), *columns(cells, widths), (" ", ""), *picture])
    return lines[:height]


def fingerprints(s: Snapshot, width: int, height: int, g: Glyphs) -> list[Line]:
    """What was found, most first, and by which handshake."""
    name_width = 16 if width >= 56 else 12
    widths = [name_width, 10 if width >= 56 else 8, 6]
    rest = max(0, width - sum(widths) - 4)
    by_width = min(44, rest * 3 // 5) if rest >= 20 else rest if rest >= 6 else 0
    if not s.by_handshake:
        by_width = 0
    room = rest - by_width - bool(by_width) if rest - by_width > 5 else 0
    heading = _headed(["fingerprint", "count", "share"], widths)
    heading += [(" " * (room + 2 if room else 1), ""), ("by", "head")] if by_width else []
    lines = [heading]
    if not s.fingerprints:
        return [*lines, [("  nothing yet", "dim")]][:height]
    total = sum(s.fingerprints.values())
    most = next(iter(s.fingerprints.values()))
    for name, number in list(s.fingerprints.items())[: height - 1]:
        style = "dim" if name == "unknown" else ""
        cells = [
            (plain(name, name_width, g.cut), style or "name"),
            (numbers.fit(number, widths[1]), style),
            (numbers.percent(number / total, 1), style),
        ]
        line = [(" ", ""), *columns(cells, widths), (" ", "")]
        if room:
            line += [*bar(number / most, room, g, "bar", empty=False), (" ", "")]
        if by_width:
            line.append(
                (
                    plain(
                        found_by(s, name, 3 if by_width >= 26 else 2 if by_width >= 18 else 1),
                        by_width,
                        g.cut,
                    ),
                    "dim",
                )
            )
        lines.append(line)
    if s.handshakes and not s.by_handshake and height > 3:
        found = sum(s.handshakes.values())
        shares = ", ".join(
            f"{plain(h, 16, g.cut)} {numbers.percent(n / found)}" for h, n in s.handshakes.items()
        )
        by: Line = [(" found by ", "head"), (shares, "")]
        return [*lines[: height - 1], by]
    hidden = len(s.fingerprints) - (height - 1)
    if hidden > 0 and height > 3:
        left_out = sum(list(s.fingerprints.values())[height - 2 :])
        lines[-1] = [(f" and {hidden + 1} more: {numbers.count(left_out)}", "dim")]
    return lines[:height]


def hit_rates(s: Snapshot, width: int, height: int, g: Glyphs) -> list[Line]:
    """Where a sweep is answered: by port or network, those with most answers first."""
    if height < 2 or not s.hit_rates:
        return []
    rows = hit_rate_rows(s, height - 1)
    widths = [max(10, *(len(place) for place, *_ in rows)), 9, 8, 7]
    room = max(0, width - sum(widths) - 5)
    lines = [_headed([s.hit_rates_by, "answered", "asked", "share"], widths)]
    most = max(share for *_, share in rows) or 1.0
    for place, answered, asked, share in rows:
        style = "" if answered else "dim"
        cells = [
            (place, style or "name"),
            (numbers.fit(answered, 9), style),
            (f"~{numbers.short(asked)}", style),
            (numbers.percent(share, 2), style),
        ]
        picture = bar(share / most, room, g, "bar2", empty=False) if room >= 4 and answered else []
        lines.append([(" ", ""), *columns(cells, widths), (" ", ""), *picture])
    return lines


def _headed(names: list[str], widths: list[int]) -> Line:
    return [(" ", ""), *columns([(name, "head") for name in names], widths)]


def latest(s: Snapshot, width: int, height: int, g: Glyphs) -> list[Line]:
    """The services named last, newest first."""
    if height <= 0:
        return []
    lines: list[Line] = [[(" ", ""), *rule("latest", width - 2, g)]]
    services = s.latest[: height - 1]
    if not services:
        return [*lines, [("  nothing yet", "dim")]][:height]
    places = [f"[{x.address}]:{x.port}" if ":" in x.address else f"{x.address}:{x.port}" for x in services]
    place_width = min(max(map(len, places)), max(21, width // 4))
    name_width = min(max(len(x.fingerprint) for x in services), 18)
    by_width = min(max(len(x.handshake) for x in services), 12) if width >= 100 else 0
    room = width - place_width - name_width - 6 - (by_width + 5 if by_width else 0)
    for service, place in zip(services, places, strict=True):
        line: Line = [(" " + plain(place, place_width, g.cut).ljust(place_width), "")]
        line.append(("  " + plain(service.fingerprint, name_width, g.cut).ljust(name_width), "name"))
        if by_width:
            line.append(("  by " + plain(service.handshake, by_width, g.cut).ljust(by_width), "dim"))
        line.append(("  " + banner(service.banner[: max(0, room) + 1], max(0, room), g.cut), "dim"))
        lines.append(line)
    return lines


def warned(s: Snapshot, width: int, height: int, g: Glyphs) -> list[Line]:
    """The warnings, as many as there is room for, and how many more there are."""
    if not s.warnings or height <= 0:
        return []
    shown = (
        s.warnings[: height if len(s.warnings) <= height else height - 1] if height > 1 else s.warnings[:1]
    )
    more = len(s.warnings) - len(shown)
    lines: list[Line] = [[(" ! ", "bad"), (plain(text, width - 4, g.cut), "warn")] for text in shown]
    if more and height > 1:
        lines.append([(f"   and {more} more warnings", "warn")])
    elif more:
        note = f" (+{more} more)"
        room = width - len(note)
        lines = [
            [
                *fit([(" ! ", "bad"), (plain(s.warnings[0], width - 4, g.cut), "warn")], room, g.cut),
                (note, "warn"),
            ]
        ]
    return lines


_KEYS = (("+ -", "flow"), ("> <", "collect"), ("] [", "rate"), ("p", "pause"), ("q", "end"), ("?", "help"))

_LEFT_OUT = (
    *((), ("rate",), ("rate", "collect"), ("rate", "collect", "flow"), ("rate", "collect", "flow", "help")),
    ("rate", "collect", "flow", "help", "pause"),
)
"""Keys that a narrow terminal has no room to name, one set after the other."""


def keys(s: Snapshot, width: int, g: Glyphs) -> Line:
    """The last line: the keys that do something now, and the numbers of workers."""
    now = ({"pause": "go on"} if s.paused else {}) | ({"end": "end now"} if s.draining else {})
    there = f"flow {_count(len(s.workers), s.wanted_flow, g)}"
    there += f"  collect {_count(len(s.collectors), s.wanted_collect, g)}"
    if s.auto_workers:
        there = "auto  " + there
    rate = f"  rate {numbers.fit(s.rate_limit, 7)}/s" if s.rate_limit is not None and width >= 96 else ""
    right: Line = [(f"{there}{rate} ", "dim")]
    for left_out in _LEFT_OUT:
        line: Line = []
        for key, word in _KEYS:
            if word not in left_out:
                line += [("  " if line else " ", ""), (key, "key"), (f" {now.get(word, word)}", "dim")]
        if width_of(line) + width_of(right) < width:
            break
    return spread(line, right, width, g.cut)


def _count(there: int, wanted: int, g: Glyphs) -> str:
    return str(there) if there == wanted else f"{there}{g.arrow}{wanted}"


HELP = (
    ("+  -", "a flow worker more, or less: they send and receive"),
    (">  <", "a collector more, or less: they fingerprint and write"),
    ("]  [", "rate a quarter up, or a fifth down (also the up and down arrows)"),
    ("p", "pause: start nothing new, finish what is in flight; again: go on"),
    ("q", "end: read no more, finish what is in flight; again: end at once"),
    ("?", "this page"),
    ("", ""),
    ("busy", "share of its time a process used; at 85% it holds the others back"),
    ("in/s out/s", "packets a second (collector: records, bytes; coordinator: inputs)"),
    ("resent", "packets sent again because no answer came in time"),
    ("ring", "how full the receive ring is; drops: what the kernel threw away"),
    ("queue", "batches: of targets not begun, of results not known to be written"),
    ("died", "how often it ended unasked and a successor took over"),
    ("", ""),
    ("lzr ctl", "does the same from another terminal: lzr ctl workers flow=4"),
)


def help_page(width: int, height: int) -> list[Line]:
    """What each key does, as lines of `width` cells."""
    lines: list[Line] = [[], [(" help", "head"), ("  (? goes back)", "dim")], []]
    lines += [[("  ", ""), (key.ljust(12), "key"), (text, "")] for key, text in HELP]
    return [fit(line, width) for line in lines[:height]]
