"""`--auto-workers`: how many workers a scan should have, judged from a `Snapshot` once a second. Pure.

There are two channels, flow workers and collectors. A channel gets one worker more when its busiest process
has been busy for RAISE_AFTER seconds without a break, and one less when for LOWER_AFTER seconds the same work
would have kept each process of a smaller channel under CALM. After any change, whoever made it, nothing is
changed for SETTLE seconds, because moving shards shows in the figures.

Busy is a process that works more than BUSY of the time. Collectors are also busy when a long queue stands
before them while they work. (The queue before flow workers is long whenever the input is fast, so it does not
count.) Processes that want to work but get too little of a core (`bottleneck.STARVED`) are not busy: another
one would only wait too. Whether there is a core for one more is judged from the time that our processes use,
not from their number, since one that mostly waits takes up no core.

A flow worker sends to one collector, so a collector beyond the number of flow workers would have nothing to
do: a collector more may bring a flow worker along, and there are never fewer flow workers than collectors.

A channel that was made smaller must not ask for the worker again at once: therefore CALM is less than
STARVED * BUSY (a process that gets all of a core it wants is then far from BUSY) and less than QUEUED.
"""

from __future__ import annotations

from math import ceil

from msgspec import Struct
from msgspec.structs import replace

from coordinator.monitor import numbers
from coordinator.monitor.bottleneck import STARVED, cores_left, hottest
from coordinator.monitor.snapshot import Phase, ProcessState, ProcessView, Snapshot

# No benchmark set these: they are judgements, and trade the speed of adapting against useless moves. To move
# a shard costs little, but what was wrong is corrected after SETTLE seconds at the earliest.
BUSY = 0.85
"""Share of its time that a process works, from which it counts as busy: a queue grows long before all of
it."""
CALM = 0.5
"""Share of a core that the busiest process of a channel with one worker less would use, at most, for it to be
made smaller."""
QUEUED = 0.7
"""Share of a core that each collector uses, from which a long queue before them counts."""
QUEUE_LONG = 8
"""Batches that wait for each collector, from which a queue is long: twice what a worker may have on the
way."""
RAISE_AFTER = 5.0
"""Seconds: longer than a burst of the input, shorter than anybody would want to wait."""
LOWER_AFTER = 30.0
"""Seconds: a worker too many costs little, so it is taken away late."""
SETTLE = 10.0
"""Seconds after a change without another: more than the three over which rates are averaged (`meter.WINDOW`),
and time for a queue to be worked off."""


class Advice(Struct, frozen=True):
    """Worker counts to go to, and why, for the log."""

    flow: int
    collect: int
    reason: str


class Observed(Struct, frozen=True):
    """What is remembered from one call to the next: since when each condition has been true."""

    busy_since: tuple[float | None, float | None] = (None, None)  # flow, collect
    calm_since: tuple[float | None, float | None] = (None, None)
    wanted: tuple[int, int] | None = None  # the counts asked for when we looked last
    changed: float = float("-inf")


def step(observed: Observed, snapshot: Snapshot) -> tuple[Observed, Advice | None]:
    """Judge; to be called about once a second. Returns the `Observed` for the next call, and the change to
    make, if any.
    """
    now = snapshot.now
    wanted = (snapshot.wanted_flow, snapshot.wanted_collect)
    if observed.wanted not in (None, wanted):
        observed = replace(observed, changed=now)
    observed = replace(observed, wanted=wanted)
    channels: tuple[tuple[ProcessView, ...], ...] = (snapshot.workers, snapshot.collectors)
    if any(process.state == ProcessState.SILENT for process in (*snapshot.workers, *snapshot.collectors)):
        return (
            observed,
            None,
        )  # it may be too busy to report: what was true before is neither confirmed nor over
    moving = any(
        len(processes) != count or any(process.state != ProcessState.RUNNING for process in processes)
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
    """(flow, collect) with one more worker in a channel, which has something to do there: a collector needs a
    flow worker that sends to it."""
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
    """Whether batches pile up before the collectors, and not because nobody reads what they write."""
    collectors = snapshot.collectors
    if not collectors or snapshot.output_blocked or _starved(collectors):
        return False
    waiting = sum(process.queue for process in collectors) / len(collectors)
    return waiting >= QUEUE_LONG and _work(collectors) / len(collectors) >= QUEUED


def _starved(processes: tuple[ProcessView, ...]) -> bool:
    """Whether the processes want to work but get too little of a core, so that one more would wait as
    well."""
    return (
        0 < sum(process.cpu for process in processes) < STARVED * sum(process.busy for process in processes)
    )


def _calm(snapshot: Snapshot, wanted: tuple[int, int], channel: int) -> bool:
    """Whether the busiest process of a channel with one worker less would use at most CALM of a core."""
    flow, collect = wanted
    if channel == 0:
        return flow > max(1, collect) and _work(snapshot.workers) * _part(snapshot.shards, flow - 1) <= CALM
    return collect > 1 and _work(snapshot.collectors) * _part(flow, collect - 1) <= CALM


def _part(parts: int, places: int) -> float:
    """The largest share that one of `places` gets when `parts` equal parts are handed out, 0..1."""
    return ceil(parts / places) / parts


def _work(processes: tuple[ProcessView, ...]) -> float:
    """How many cores the processes use together. Waiting for a core does not count: fewer would wait less."""
    return sum(process.work for process in processes)


def _room(snapshot: Snapshot, wanted: tuple[int, int], more: tuple[int, int]) -> bool:
    """Whether there is a core for one more: some of the cores' time is unused, and no channel would have more
    workers than there are cores or, of flow workers, shards."""
    most = min(snapshot.cores, snapshot.shards), snapshot.cores
    if snapshot.full or sum(more) > snapshot.most_processes:
        return False
    fits = all(more[i] <= most[i] for i in (0, 1) if more[i] > wanted[i])
    return fits and cores_left(snapshot)
