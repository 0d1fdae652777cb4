"""All boxes of a fleet at one moment: what each reported last and when, as one value for `lzr fleet
watch` and its metrics (`lzr fleet status` is `coordinator.fleet.engine.steercommands`).

A box is red once nothing was heard of it for `LOST` seconds. Its last figures stay, with their age, but its
rates no longer count in the totals. Times are seconds of one clock, whichever it is; no clock is read here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

LOST = 3.0
"""Seconds without a message after which a box is shown as not heard of. Its status is requested once a
second. A judgement: one late answer is no alarm."""

ELSEWHERE = "for another shard"
"""The fate of an input of a list that another box has."""

BEFORE = "done before"
"""The fate of an input that was done before its scan was resumed."""

MOST_WARNINGS = 50


class OfScan(Protocol):
    """The fields of a scan's status that are used (see `coordinator.monitor.snapshot.Snapshot`)."""

    @property
    def phase(self) -> str: ...
    @property
    def paused(self) -> bool: ...
    @property
    def draining(self) -> bool: ...
    @property
    def read(self) -> int: ...
    @property
    def done(self) -> int: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def drops(self) -> int: ...
    @property
    def identified(self) -> int: ...
    @property
    def rate_done(self) -> float: ...
    @property
    def rx_rate(self) -> float: ...
    @property
    def tx_rate(self) -> float: ...
    @property
    def rate_limit(self) -> float | None: ...
    @property
    def share(self) -> float | None: ...
    @property
    def eta(self) -> float | None: ...
    @property
    def hit_rate(self) -> float: ...
    @property
    def outcomes(self) -> Mapping[str, int]: ...
    @property
    def by_fate(self) -> Mapping[str, int]: ...
    @property
    def warnings(self) -> Sequence[str]: ...


class BoxState:
    """How a box is. A plain string, so that it prints as it is."""

    UNKNOWN = "never heard of"
    LOST = "not heard of"
    IDLE = "no scan"
    STARTING = "starting"
    DONE = "done"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    PAUSED = "paused"
    ENDING = "ending"
    RUNNING = "running"


BAD = frozenset((BoxState.UNKNOWN, BoxState.LOST, BoxState.FAILED))
"""Shown in red."""
ENDED = frozenset((BoxState.DONE, BoxState.INTERRUPTED, BoxState.FAILED, BoxState.IDLE))


@dataclass(frozen=True)
class LastReport:
    """What a box reported last.

    at: when. figures: of its scan, if one runs or its last figures are known. state: of `BoxState`, if no
    scan runs; "" if one does. sentence: how it ended, or why nothing is heard. lease: how many seconds it may
    still scan from then on without its controller; None: for good.
    """

    at: float | None = None
    figures: OfScan | None = None
    state: str = ""
    sentence: str = ""
    lease: float | None = None


@dataclass(frozen=True)
class BoxRow:
    """A box as it is shown.

    at: when anything was heard of it last; age: how many seconds ago; None: never. shards: how many it has.
    asked: its own inputs that were read. done: how many of them are done, also before its scan was resumed;
    fresh: since then. share, eta: as in a `Snapshot`, None where they are not known. lease: how many
    seconds it may still scan without its controller; None: for good.
    """

    name: str
    state: str
    at: float | None = None
    age: float | None = None
    generation: int = 1
    shards: int = 0
    sentence: str = ""
    asked: int = 0
    done: int = 0
    fresh: int = 0
    in_flight: int = 0
    rate_done: float = 0.0
    rate_limit: float | None = None
    rx_rate: float = 0.0
    tx_rate: float = 0.0
    drops: int = 0
    identified: int = 0
    hits: int = 0
    share: float | None = None
    eta: float | None = None
    lease: float | None = None

    @property
    def bad(self) -> bool:
        return self.state in BAD

    @property
    def hit_rate(self) -> float:
        """Share of the inputs that are done since it was resumed that sent data."""
        return self.hits / self.fresh if self.fresh else 0.0


@dataclass(frozen=True)
class FleetView:
    """name: of the plan. rows: one for each box, in the plan's order. totals: of all boxes, with the name
    "all". warnings: of the boxes, each with the box's name. blind: names of boxes that are not heard of.
    """

    name: str
    rows: tuple[BoxRow, ...]
    totals: BoxRow
    warnings: tuple[str, ...] = ()
    blind: tuple[str, ...] = field(default=())


class ShownRun(Protocol):
    """The fields of a plan's run that are used here (see `lzr.fleet.lock.Run`)."""

    @property
    def box(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def shards(self) -> Sequence[int]: ...


def view(
    name: str,
    runs: Iterable[ShownRun],
    heard: Mapping[str, LastReport],
    now: float,
    warnings: Sequence[str] = (),
) -> FleetView:
    """name: of the plan. runs: those that have shards, in the plan's order of boxes; a box may have several.

    heard: by the name of the box. now: on the clock of `LastReport.at`. warnings: of no box, to be shown
    first.
    """
    boxes: dict[str, list[ShownRun]] = {}
    for run in runs:
        boxes.setdefault(run.box, []).append(run)
    for box in heard:
        boxes.setdefault(box, [])
    rows = tuple(_row(box, held, heard.get(box, LastReport()), now) for box, held in boxes.items())
    said = [*warnings]
    said += [
        f"{row.name}: {'not heard of' if row.age is not None else 'never heard of'}"
        f"{f' for {row.age:.0f} s' if row.age is not None else ''}{_after(row.sentence)}"
        for row in rows
        if row.state in (BoxState.LOST, BoxState.UNKNOWN)
    ]
    said += [f"{row.name}: {row.sentence}" for row in rows if row.state == BoxState.FAILED and row.sentence]
    for box in boxes:
        figures = heard.get(box, LastReport()).figures
        said += [f"{box}: {text}" for text in (figures.warnings if figures is not None else ())]
    blind = tuple(row.name for row in rows if row.state in (BoxState.LOST, BoxState.UNKNOWN))
    return FleetView(name, rows, _totals(rows), tuple(said[:MOST_WARNINGS]), blind)


def _after(sentence: str) -> str:
    return f" ({sentence})" if sentence else ""


def _row(box: str, runs: Sequence[ShownRun], heard: LastReport, now: float) -> BoxRow:
    age = None if heard.at is None else max(0.0, now - heard.at)
    s = heard.figures
    lost = age is None or age > LOST
    state = _state(heard, lost)
    shards = sum(len(run.shards) for run in runs)
    lease = None if heard.lease is None or age is None else max(0.0, heard.lease - age)
    generation = max((run.generation for run in runs), default=0)
    if s is None:
        share = 1.0 if state == BoxState.DONE else None
        return BoxRow(box, state, heard.at, age, generation, shards, heard.sentence, share=share, lease=lease)
    moving = not lost and state not in ENDED and state != BoxState.STARTING
    return BoxRow(
        box,
        state,
        heard.at,
        age,
        generation,
        shards,
        heard.sentence,
        asked=s.read - s.by_fate.get(ELSEWHERE, 0),
        done=s.done + s.by_fate.get(BEFORE, 0),
        fresh=s.done,
        in_flight=s.in_flight if moving else 0,
        rate_done=s.rate_done if moving else 0.0,
        rate_limit=s.rate_limit,
        rx_rate=s.rx_rate if moving else 0.0,
        tx_rate=s.tx_rate if moving else 0.0,
        drops=s.drops,
        identified=s.identified,
        hits=s.outcomes.get("data", 0) + s.outcomes.get("sa_only", 0),
        share=1.0 if state == BoxState.DONE else s.share,
        eta=s.eta if moving else None,
        lease=lease,
    )


def _state(heard: LastReport, lost: bool) -> str:
    if lost:
        # How it ended stays true, whether or not it is still heard of.
        if heard.state == BoxState.DONE:
            return heard.state
        return BoxState.UNKNOWN if heard.at is None else BoxState.LOST
    if heard.state:
        return heard.state
    figures = heard.figures
    if figures is None:
        return BoxState.IDLE
    if figures.paused:
        return BoxState.PAUSED
    if figures.draining:
        return BoxState.ENDING
    return BoxState.RUNNING


def _totals(rows: Sequence[BoxRow]) -> BoxRow:
    """Sums. The progress of all is measured by shards, and the time left is that of the slowest."""
    shards = sum(row.shards for row in rows)
    known = [row for row in rows if row.share is not None or not row.shards]
    share = None
    if shards and len(known) == len(rows):
        share = sum((row.share or 0.0) * row.shards for row in rows) / shards
    going = [row for row in rows if row.state not in ENDED and row.shards]
    etas = [row.eta for row in going if row.eta is not None]
    limits = [row.rate_limit for row in going]
    states = Counter(row.state for row in rows)
    state = next(iter(states)) if len(states) == 1 else ", ".join(f"{n} {s}" for s, n in states.items())
    return BoxRow(
        "all",
        state,
        max((row.at for row in rows if row.at is not None), default=None),
        min((row.age for row in rows if row.age is not None), default=None),
        max((row.generation for row in rows), default=0),
        shards,
        asked=sum(row.asked for row in rows),
        done=sum(row.done for row in rows),
        fresh=sum(row.fresh for row in rows),
        in_flight=sum(row.in_flight for row in rows),
        rate_done=sum(row.rate_done for row in rows),
        rate_limit=sum(limit for limit in limits if limit is not None) if any(limits) else None,
        rx_rate=sum(row.rx_rate for row in rows),
        tx_rate=sum(row.tx_rate for row in rows),
        drops=sum(row.drops for row in rows),
        identified=sum(row.identified for row in rows),
        hits=sum(row.hits for row in rows),
        share=share,
        eta=max(etas) if etas and len(etas) == len(going) else None,
    )
