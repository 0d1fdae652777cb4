"""`--auto-workers`: how many workers the figures ask for.

It is pure, and slow to change its mind: a channel gets one worker more when its busiest has been busy for
RAISE_AFTER seconds without a break, one less when, for LOWER_AFTER seconds, its work would have fitted into
one worker less with room to spare; after any change, whoever made it, nothing moves for SETTLE seconds,
because the figures are then those of a change. Collectors are also busy when batches pile up before them
while they work. (Targets pile up before flow workers whenever the input is fast: that says nothing.)

A flow worker sends to one collector, so a collector beyond the number of flow workers would have nothing to
do: it brings a flow worker along, and no flow worker leaves before it.

Whether there is room for one more is judged from the time that our processes use, not from how many they
are: one that mostly waits takes up no core. Busy without a core to be busy on does not count. What would be
raised again is never lowered: CALM lies under STARVED times BUSY, and under QUEUED.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from coordinator.monitor import numbers
from coordinator.monitor.bottleneck import STARVED, cores_left, hottest
from coordinator.monitor.snapshot import Phase, ProcessView, Snapshot, State

BUSY = 0.85
CALM = 0.5
QUEUED = 0.7
"""Share of a core each of them uses, from which a long queue before collectors counts."""
QUEUE_LONG = 8
"""Batches that wait for each of them, from which a queue is long."""
RAISE_AFTER = 5.0
LOWER_AFTER = 30.0
SETTLE = 10.0


@dataclass(frozen=True, slots=True)
class Advice:
    """Worker counts to go to, and why, for the log."""

    flow: int
    collect: int
    reason: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What is remembered from one look to the next: since when each thing has been true."""

    busy_since: tuple[float | None, float | None] = (None, None)  # flow, collect
    calm_since: tuple[float | None, float | None] = (None, None)
    wanted: tuple[int, int] | None = None  # the counts asked for when we looked last
    changed: float = float("-inf")


def step(observed: Observed, snapshot: Snapshot) -> tuple[Observed, Advice | None]:
    """Look once (once a second is enough). Returns what to remember and, seldom, what to do."""
    now = snapshot.now
    wanted = (snapshot.wanted_flow, snapshot.wanted_collect)
    if observed.wanted not in (None, wanted):
        observed = replace(observed, changed=now)
    observed = replace(observed, wanted=wanted)
    channels: tuple[tuple[ProcessView, ...], ...] = (snapshot.workers, snapshot.collectors)
    if any(process.state == State.SILENT for process in (*snapshot.workers, *snapshot.collectors)):
        return (
            observed,
            None,
        )  # it may be too busy to report: what was true before is neither confirmed nor over
    moving = any(
        len(processes) != count or any(process.state != State.RUNNING for process in processes)
        for processes, count in zip(channels, wanted, strict=True)
    )
    if moving or snapshot.paused or snapshot.draining or snapshot.phase != Phase.RUNNING:
        return replace(observed, busy_since=(None, None), calm_since=(None, None)), None
    busy = _busy(snapshot.workers), _busy(snapshot.collectors) or _behind(snapshot)
    calm = tuple(not busy[i] and _calm(snapshot, wanted, i) for i in (0, 1))
    busy_since = tuple(_since(observed.busy_since[i], busy[i], now) for i in (0, 1))
    calm_since = tuple(_since(observed.calm_since[i], calm[i], now) for i in (0, 1))
    observed = replace(
        observed, busy_since=(busy_since[0], busy_since[1]), calm_since=(calm_since[0], calm_since[1])
    )
    if now - observed.changed < SETTLE:
        return observed, None
    advice = _advise(snapshot, wanted, channels, busy_since, calm_since)
    if advice is None:
        return observed, None
    return Observed(wanted=(advice.flow, advice.collect), changed=now), advice


def _advise(
    snapshot: Snapshot,
    wanted: tuple[int, int],
    channels: tuple[tuple[ProcessView, ...], ...],
    busy: tuple[float | None, ...],
    calm: tuple[float | None, ...],
) -> Advice | None:
    now, names = snapshot.now, ("flow workers", "collectors")
    # The collectors first: what is behind them only waits for them.
    channel = 0 if busy[1] is None else 1
    since, more = busy[channel], _more(wanted, channel)
    if since is not None and now - since >= RAISE_AFTER and _room(snapshot, wanted, more):
        load = numbers.percent(hottest(channels[channel]))
        return _advice(more, f"{names[channel]} {load} busy for {now - since:.0f} s")
    for channel in (0, 1):
        since = calm[channel]
        if since is not None and now - since >= LOWER_AFTER:
            load = numbers.percent(_work(channels[channel]) / len(channels[channel]))
            less = (wanted[0] - 1, wanted[1]) if channel == 0 else (wanted[0], wanted[1] - 1)
            return _advice(less, f"{names[channel]} only {load} busy for {now - since:.0f} s")
    return None


def _more(wanted: tuple[int, int], channel: int) -> tuple[int, int]:
    """The counts with one more of a kind at work: a collector needs a flow worker that sends to it."""
    flow, collect = wanted
    if channel == 0 or collect > flow:
        return flow + 1, collect
    return max(flow, collect + 1), collect + 1


def _advice(counts: tuple[int, int], why: str) -> Advice:
    flow, collect = counts
    return Advice(flow, collect, f"{why}: flow={flow}, collect={collect}")


def _since(before: float | None, true: bool, now: float) -> float | None:
    if not true:
        return None
    return now if before is None else before


def _busy(processes: tuple[ProcessView, ...]) -> bool:
    return not _starved(processes) and hottest(processes) >= BUSY


def _behind(snapshot: Snapshot) -> bool:
    """Batches pile up before the collectors, and it is not that nobody reads what they write."""
    collectors = snapshot.collectors
    if not collectors or snapshot.output_blocked or _starved(collectors):
        return False
    waiting = sum(process.queue for process in collectors) / len(collectors)
    return waiting >= QUEUE_LONG and _work(collectors) / len(collectors) >= QUEUED


def _starved(processes: tuple[ProcessView, ...]) -> bool:
    """They wait for a core: another worker would wait as well."""
    return (
        0 < sum(process.cpu for process in processes) < STARVED * sum(process.busy for process in processes)
    )


def _calm(snapshot: Snapshot, wanted: tuple[int, int], channel: int) -> bool:
    """Would the busiest of one worker less have time to spare?"""
    flow, collect = wanted
    if channel == 0:
        return flow > max(1, collect) and _work(snapshot.workers) * _part(snapshot.shards, flow - 1) <= CALM
    return collect > 1 and _work(snapshot.collectors) * _part(flow, collect - 1) <= CALM


def _part(parts: int, places: int) -> float:
    """The largest share of one of the places among which so many equal parts are dealt out."""
    return ceil(parts / places) / parts


def _work(processes: tuple[ProcessView, ...]) -> float:
    """Cores' worth that they need: to wait for one is no work, and fewer workers would wait less."""
    return sum(process.work for process in processes)


def _room(snapshot: Snapshot, wanted: tuple[int, int], more: tuple[int, int]) -> bool:
    """Something is left of the cores; and more workers of a kind than cores would only take turns."""
    most = min(snapshot.cores, snapshot.shards), snapshot.cores
    fits = all(more[i] <= most[i] for i in (0, 1) if more[i] > wanted[i])
    return fits and cores_left(snapshot)
