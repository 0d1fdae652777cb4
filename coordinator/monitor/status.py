"""A scan in plain text: the line of each second, the row for a file, JSON for scripts, the table at the end.

These are pure functions of a `Snapshot`; ASCII unless the caller says that the terminal takes more; no colour
and no cursor movement, so all of them may be redirected, logged and searched.
"""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from coordinator.monitor import numbers
from coordinator.monitor.bottleneck import bottleneck
from coordinator.monitor.figures import COLUMNS, OUTCOME_WORDS, RARE_OUTCOMES, outcome_words
from coordinator.monitor.snapshot import BlockOrder, Phase, Snapshot
from lzr import safetext
from lzr.records.summary import inputs_line


def line(snapshot: Snapshot) -> str:
    """One line in the manner of ZMap."""
    share = snapshot.share
    parts = [numbers.clock(snapshot.elapsed)]
    if share is not None:
        parts[0] += f" {numbers.percent(share)}"
        if snapshot.phase == Phase.RUNNING and snapshot.eta is not None:
            parts[0] += f" ({numbers.left(snapshot.eta)} left)"
    if snapshot.phase != Phase.RUNNING:
        parts[0] += f" ({snapshot.phase}{_cooldown(snapshot)})"
    if snapshot.paused:
        parts[0] += " (paused)"
    parts.append(f"read: {snapshot.read} {_rates(snapshot.rate_in, snapshot.rate_in_average)}")
    parts.append(f"done: {snapshot.done} {_rates(snapshot.rate_done, snapshot.rate_done_average)}")
    parts.append(f"in flight: {snapshot.in_flight}")
    parts.append(f"packets: {numbers.short(snapshot.rx_rate)}/s in {numbers.short(snapshot.tx_rate)}/s out")
    parts.append(f"drops: {snapshot.drops}")
    parts.append(f"hitrate: {snapshot.hit_rate:.2%}")
    if snapshot.restarts:
        parts.append(f"restarts: {snapshot.restarts}")
    return "; ".join(parts)


def _cooldown(snapshot: Snapshot) -> str:
    return f", {snapshot.cooldown_left:.0f} s left" if snapshot.cooldown_left else ""


def _rates(now: float, average: float) -> str:
    return f"{numbers.short(now)}/s ({numbers.short(average)}/s avg)"


_WIDEST = 400  # characters of a line of the report
_WIDTH = 78  # columns of the summary where the terminal has as many
CSV_HEADER = ",".join(
    [*COLUMNS] + [f"outcome-{name.replace('_', '-')}" for name in (*OUTCOME_WORDS, *RARE_OUTCOMES)]
)


def csv_row(snapshot: Snapshot) -> str:
    """The row of this second, without its line end."""
    cells: list[str] = []
    for attribute in COLUMNS.values():
        value = getattr(snapshot, attribute)
        if attribute == "wall":
            value = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S") if value else ""
        elif attribute == "share":
            value = "" if value is None else f"{value * 100:.4f}"
        elif isinstance(value, float):
            value = f"{value:.4f}" if attribute == "hit_rate" else f"{value:.1f}"
        cells.append("" if value is None else str(value))
    cells += map(str, snapshot.by_reason.values())
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def as_dict(snapshot: Snapshot) -> dict[str, Any]:
    """Every figure, for machines. A banner's bytes are the code points of the same value."""
    found: dict[str, Any] = msgspec.to_builtins(snapshot, builtin_types=(bytes,))
    found.update(
        elapsed=snapshot.elapsed,
        fates=snapshot.fates,
        share=snapshot.share,
        eta=snapshot.eta,
        hit_rate=snapshot.hit_rate,
        identified=snapshot.identified,
        bottleneck=bottleneck(snapshot),
    )
    for service in found["latest"]:
        service["banner"] = service["banner"].decode("latin-1")
    rounded: dict[str, Any] = _rounded(found)
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, tuple | list) else value


def as_json(snapshot: Snapshot) -> str:
    """One line of ASCII."""
    return json.dumps(as_dict(snapshot))


def report(snapshot: Snapshot) -> str:
    """What `lzr ctl status` prints: the status line, the processes, the outcomes, the advice."""
    lines = [line(snapshot), ""]
    rows = [("process", "pid", "load", "in flight", "in/s", "out/s", "drops", "queue", "restarts", "state")]
    for worker in snapshot.workers:
        rows.append(
            (
                worker.name,
                str(worker.pid),
                numbers.percent(worker.load),
                numbers.count(worker.in_flight),
                numbers.count(worker.rx),
                numbers.count(worker.tx),
                numbers.count(worker.drops),
                numbers.count(worker.queue),
                str(worker.restarts),
                worker.state,
            )
        )
    for process in (*snapshot.collectors, snapshot.coordinator):
        load, queue = numbers.percent(process.load), numbers.count(process.queue)
        rows.append(
            (
                process.name,
                str(process.pid),
                load,
                "",
                "",
                "",
                "",
                queue,
                str(process.restarts),
                process.state,
            )
        )
    lines += table(rows, right=range(1, 9))
    lines += ["", *_fates(snapshot), "", *_prints(snapshot, 10, "-"), ""]
    lines += [*_hit_rates(snapshot, 10), ""] if snapshot.hit_rates else []
    lines += [f"bottleneck: {bottleneck(snapshot)}"]
    lines += map(_block, snapshot.blocks)
    lines += [f"warning: {text}" for text in snapshot.warnings]
    return "\n".join(_plain(text, _WIDEST) for text in lines) + "\n"


def _block(block: BlockOrder) -> str:
    """One line about an order to block: which networks, when, by whom and why."""
    when = datetime.fromtimestamp(block.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    why = f": {block.reason}" if block.reason else ""
    state = "blocked" if block.in_force else "being blocked"
    return f"{state} {', '.join(block.networks)} ({when}, {block.by or 'somebody'}{why})"


def summary(
    snapshot: Snapshot,
    tail: Sequence[str] = (),
    results: Sequence[str] = (),
    *,
    unicode: bool = False,
    width: int = _WIDTH,
) -> str:
    """What stays on the screen when a scan has ended.

    width: columns of the terminal; where the two tables do not fit beside each other, they follow each other,
    and text is wrapped between words. Names of files and warnings stay lines, to be copied. `tail` follows
    the table: the reference's counters as JSON and its counts (`lzr.records.summary.Summary.lines`).
    `results`: where the results are.
    """
    dash = "─" if unicode else "-"
    narrow, width = width < _WIDTH, max(1, min(width, _WIDTH))
    lines = [_rule(f"lzr: {_ending(snapshot)} after {numbers.clock(snapshot.elapsed)}", width, dash)]
    inputs = inputs_line(snapshot.read, snapshot.by_fate)
    lines += [*(_wrapped(inputs, width) if narrow else [inputs]), ""]
    fates, prints = _fates(snapshot), _prints(snapshot, 12, dash)
    beside = _beside(fates, prints, gap=6)
    if narrow and max(map(len, beside)) > width:
        beside = [_plain(text, width) for text in (*fates, "", *prints)]
    lines += beside
    lines.append("")
    packets = ((snapshot.tx, "sent"), (snapshot.rx, "received"), (snapshot.retransmits, "sent again"))
    text = ", ".join(
        f"{numbers.count(number)} {word}" for number, word in (*packets, (snapshot.drops, "dropped"))
    )
    lines += _wrapped(f"packets: {text}", width) if narrow else [f"packets: {text}"]
    if snapshot.restarts:
        lines.append(f"processes that ended unasked and were replaced: {snapshot.restarts}")
    if snapshot.rate_done_average:
        lines.append(f"pace: {numbers.count(snapshot.rate_done_average)} inputs/s on average")
    lines += [_plain(text, 1000) for text in results]
    lines += [f"warning: {_plain(text, _WIDEST)}" for text in snapshot.warnings]
    lines.append(dash * width)
    lines += tail
    return "\n".join(lines) + "\n"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _ending(snapshot: Snapshot) -> str:
    return snapshot.ending or ("interrupted" if snapshot.interrupted or snapshot.draining else "done")


def _fates(snapshot: Snapshot) -> list[str]:
    rows = [("outcome", "count", "share")]
    for name, word in outcome_words(snapshot.outcomes).items():
        number = snapshot.outcomes.get(name, 0)
        share = numbers.percent(number / snapshot.done, 1) if snapshot.done else "-"
        rows.append((word, numbers.count(number), share))
    return table(rows, right=(1, 2))


def _prints(snapshot: Snapshot, most: int, dash: str) -> list[str]:
    rows = [("fingerprint", "count", "share", "by")]
    total = sum(snapshot.fingerprints.values())
    ordered = sorted(snapshot.fingerprints.items(), key=lambda item: -item[1])
    for name, number in ordered[:most]:
        row = (
            _plain(name, 20),
            numbers.count(number),
            numbers.percent(number / total, 1) if total else dash,
        )
        rows.append((*row, _plain(found_by(snapshot, name, 2), 60)))
    if len(ordered) > most:
        rest = sum(number for _, number in ordered[most:])
        rows.append(
            (f"{len(ordered) - most} more", numbers.count(rest), numbers.percent(rest / total, 1), "")
        )
    return table(rows, right=(1, 2))


def hit_rate_rows(snapshot: Snapshot, most: int) -> list[tuple[str, int, int, float]]:
    """Place, answered, about asked, share: those with most answers first, at most so many."""
    places = [(place, *counts) for place, counts in snapshot.hit_rates.items()]
    if len(places) > most:
        rest = places[max(0, most - 1) :]
        places = places[: max(0, most - 1)]
        places.append(("others", sum(one[1] for one in rest), sum(one[2] for one in rest)))
    return [(*one, min(1.0, one[1] / one[2]) if one[2] else 0.0) for one in places[:most]]


def _hit_rates(snapshot: Snapshot, most: int) -> list[str]:
    rows = [(snapshot.hit_rates_by, "answered", "asked", "share")]
    for place, answered, asked, share in hit_rate_rows(snapshot, most):
        rows.append((place, numbers.count(answered), f"~{numbers.short(asked)}", numbers.percent(share, 2)))
    return table(rows, right=(1, 2, 3))


def found_by(snapshot: Snapshot, fingerprint: str, most: int) -> str:
    """Which handshakes found a fingerprint, most first: "http 91%, tls 9%"."""
    counts = [(found.get(fingerprint, 0), name) for name, found in snapshot.by_handshake.items()]
    total = sum(number for number, _ in counts)
    ordered = sorted(
        ((number, name) for number, name in counts if number), key=lambda item: (-item[0], item[1])
    )
    if len(ordered) == 1:
        return ordered[0][1]
    return ", ".join(f"{name} {numbers.percent(number / total)}" for number, name in ordered[:most])


def _plain(text: str, width: int) -> str:
    return safetext.plain(text, width, mark="~")


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Columns two spaces apart; those in `right` are aligned to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _beside(left: list[str], right: list[str], gap: int) -> list[str]:
    width = max(map(len, left), default=0) + gap
    height = max(len(left), len(right))
    left, right = left + [""] * (height - len(left)), right + [""] * (height - len(right))
    return [f"{a:<{width}}{b}".rstrip() for a, b in zip(left, right, strict=True)]


def _rule(title: str, width: int, dash: str) -> str:
    return f"{dash * 2} {title} ".ljust(width, dash)
