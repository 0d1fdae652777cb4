"""The table of processes: one line each, as many columns as the width holds.

A column is one entry of COLUMNS, most important first; what a process has no figure for is blank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from coordinator.dashboard.canvas import Glyphs, Line, Span, columns
from coordinator.monitor import numbers
from coordinator.monitor.bottleneck import FULL, RING_FULL
from coordinator.monitor.snapshot import ProcessState, ProcessView, Snapshot, WorkerView

LONG_QUEUE = 16  # batches of a process's queue from which it is shown as an alarm

Column = tuple[str, int, Callable[[ProcessView], str], Callable[[ProcessView], str]]
"""Heading, width, text, style."""


def _load_style(p: ProcessView) -> str:
    return "bad" if p.load >= FULL else "warn" if p.load >= 0.6 else "good"


def _alarm(value: float) -> str:
    return "bad" if value else ""


def _worker(show: Callable[[WorkerView], str]) -> Callable[[ProcessView], str]:
    return lambda p: show(p) if isinstance(p, WorkerView) else ""


def _in(p: ProcessView) -> str:
    return numbers.fit(p.rx if isinstance(p, WorkerView) else p.records_rate, 8)


def _out(p: ProcessView) -> str:
    if isinstance(p, WorkerView):
        return numbers.fit(p.tx, 8)
    return f"{numbers.short(p.bytes_rate)}B" if p.bytes_rate else ""


def _ring_style(p: ProcessView) -> str:
    return "bad" if isinstance(p, WorkerView) and p.ring >= RING_FULL else ""


def _drops_style(p: ProcessView) -> str:
    return _alarm(p.drops) if isinstance(p, WorkerView) else ""


def _no(_: ProcessView) -> str:
    return ""


COLUMNS: tuple[Column, ...] = (
    ("busy", 4, lambda p: numbers.percent(p.load), _load_style),
    ("cpu", 4, lambda p: numbers.percent(p.cpu), _no),
    ("in flight", 9, _worker(lambda w: numbers.fit(w.in_flight, 9)), _no),
    ("in/s", 8, _in, _no),
    ("out/s", 8, _out, _no),
    ("resent", 6, _worker(lambda w: numbers.fit(w.retransmits, 6)), _no),
    ("ring", 4, _worker(lambda w: numbers.percent(w.ring)), _ring_style),
    ("drops", 5, _worker(lambda w: numbers.fit(w.drops, 5)), _drops_style),
    ("queue", 5, lambda p: numbers.fit(p.queue, 5), lambda p: "warn" if p.queue >= LONG_QUEUE else ""),
    ("died", 4, lambda p: str(p.restarts), lambda p: _alarm(p.restarts)),
    ("bits in", 9, _worker(lambda w: numbers.bits(w.rx_bits)), _no),
    ("bits out", 9, _worker(lambda w: numbers.bits(w.tx_bits)), _no),
    ("pid", 7, lambda p: str(p.pid or ""), lambda p: "dim"),
    ("shards", 6, _worker(lambda w: str(w.shards)), _no),
    ("outbox", 6, _worker(lambda w: numbers.fit(w.outbox, 6)), _no),
    ("unsent", 6, _worker(lambda w: numbers.fit(w.send_failures, 6)), _no),
)
"""Most important first: as many are shown as the width holds."""

_NAME = 11  # cells of the column of names: "coordinator"


def processes(s: Snapshot, width: int, height: int, g: Glyphs) -> list[Line]:
    """A heading and a line for each process; where they don't fit, the flow workers' sum and the busiest."""
    shown = _columns(width)
    widths = [_NAME, *(column[1] for column in shown)]
    heading = columns([("process", "head"), *((column[0], "head") for column in shown)], widths)
    tail: list[ProcessView] = [*s.collectors, s.coordinator]
    room = height - 1 - len(tail)
    workers: list[ProcessView] = list(s.workers)
    if room < len(workers):
        tail = tail if room >= 1 else [*_summed("coll.", s.collectors), s.coordinator]
        room = max(1, height - 1 - len(tail))
        busiest = sorted(s.workers, key=lambda worker: -worker.load)[: room - 1]
        workers = [*_summed("flow", s.workers), *sorted(busiest, key=s.workers.index)]
    elif room > len(workers) > 1:
        workers = [*_summed("flow", s.workers), *workers]
    rows = [heading]
    for process in (*workers, *tail):
        rows.append(_process(process, shown, widths, width, g))
    return [[(" ", ""), *row] for row in rows[:height]]


def _columns(width: int) -> list[Column]:
    room = width - 1 - _NAME
    shown: list[Column] = []
    for column in COLUMNS:
        room -= column[1] + 1
        if room < 0:
            break
        shown.append(column)
    return shown


def _process(p: ProcessView, shown: list[Column], widths: list[int], width: int, g: Glyphs) -> Line:
    name: Span = (p.name, "name")
    if p.state in (ProcessState.DEAD, ProcessState.SILENT, ProcessState.STARTING):
        words = {
            ProcessState.DEAD: "died, a successor is being started",
            ProcessState.SILENT: "does not report",
        }
        style = "dim" if p.state == ProcessState.STARTING else "bad"
        text = f" {words.get(p.state, p.state)} (pid {p.pid}, restarts {p.restarts})"
        return [(p.name.ljust(_NAME), style), (text, style)]
    if p.state == ProcessState.LEAVING:
        name = (f"{p.name} {g.arrow}", "dim")
    return columns([name, *((text(p), style(p)) for _, _, text, style in shown)], widths)


def _summed(name: str, processes: Sequence[ProcessView]) -> list[ProcessView]:
    """All of a kind in one line: sums, and the mean of the shares (the fullest ring)."""
    if not processes:
        return []
    count = len(processes)
    shown = f"all {count} {name}"
    common = {
        "name": shown if len(shown) <= _NAME else f"{count} {name}",
        "cpu": sum(p.cpu for p in processes) / count,
        "busy": sum(p.load for p in processes) / count,
        "queue": sum(p.queue for p in processes),
        "restarts": sum(p.restarts for p in processes),
        "records_rate": sum(p.records_rate for p in processes),
        "bytes_rate": sum(p.bytes_rate for p in processes),
    }
    workers = [p for p in processes if isinstance(p, WorkerView)]
    if not workers:
        return [ProcessView(**common)]  # type: ignore[arg-type]
    return [
        WorkerView(
            **common,  # type: ignore[arg-type]
            shards=sum(w.shards for w in workers),
            in_flight=sum(w.in_flight for w in workers),
            rx=sum(w.rx for w in workers),
            tx=sum(w.tx for w in workers),
            rx_bits=sum(w.rx_bits for w in workers),
            tx_bits=sum(w.tx_bits for w in workers),
            retransmits=sum(w.retransmits for w in workers),
            ring=max(w.ring for w in workers),
            drops=sum(w.drops for w in workers),
            outbox=sum(w.outbox for w in workers),
            send_failures=sum(w.send_failures for w in workers),
        )
    ]
