"""`--auto-workers`: how many workers the figures ask for.

The law: pure and slow to change its mind. A channel gets one worker more when it has been busy (or its
queue has grown) for RAISE_AFTER seconds without a break, one less when, for LOWER_AFTER seconds, its work
would have fitted into one worker less with room to spare; after any change nothing moves for SETTLE
seconds, because the figures are then those of a change. Busy without a core to be busy on does not count.
What would be raised again is never lowered: CALM lies under STARVED times BUSY.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from coordinator import figures
from coordinator.bottleneck import STARVED
from coordinator.snapshot import Phase, ProcessView, Snapshot, State

BUSY = 0.85
CALM = 0.5
RAISE_AFTER = 5.0
LOWER_AFTER = 30.0
SETTLE = 10.0
QUEUE_LONG = 16
"""Batches waiting for each worker from which a queue counts as long."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Worker counts to go to, and why, for the log."""

    flow: int
    collect: int
    reason: str


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered from one look to the next: since when each thing has been true."""

    busy_since: tuple[float | None, float | None] = (None, None)  # flow, collect
    calm_since: tuple[float | None, float | None] = (None, None)
    changed: float = float("-inf")


def step(watch: Watch, snapshot: Snapshot) -> tuple[Watch, Advice | None]:
    """Look once (once a second is enough). Returns what to remember and, seldom, what to do."""
    now = snapshot.now
    wanted = (snapshot.wanted_flow, snapshot.wanted_collect)
    channels: tuple[tuple[ProcessView, ...], ...] = (snapshot.workers, snapshot.collectors)
    moving = any(
        len(processes) != count or any(process.state != State.RUNNING for process in processes)
        for processes, count in zip(channels, wanted, strict=True)
    )
    if moving or snapshot.paused or snapshot.draining or snapshot.phase != Phase.RUNNING:
        return replace(watch, busy_since=(None, None), calm_since=(None, None)), None
    busy = tuple(_since(watch.busy_since[i], _busy(channels[i]), now) for i in (0, 1))
    calm = tuple(_since(watch.calm_since[i], _calm(channels[i]), now) for i in (0, 1))
    watch = replace(watch, busy_since=(busy[0], busy[1]), calm_since=(calm[0], calm[1]))
    if now - watch.changed < SETTLE:
        return watch, None
    advice = _advise(snapshot, wanted, channels, busy, calm)
    if advice is None:
        return watch, None
    return Watch(changed=now), advice


def _advise(
    snapshot: Snapshot,
    wanted: tuple[int, int],
    channels: tuple[tuple[ProcessView, ...], ...],
    busy: tuple[float | None, ...],
    calm: tuple[float | None, ...],
) -> Advice | None:
    now, names = snapshot.now, ("flow workers", "collectors")
    # The collectors first: what is behind them only waits for them.
    for channel in (1, 0):
        since = busy[channel]
        if since is None or now - since < RAISE_AFTER or not _room(snapshot, channel):
            continue
        load = figures.percent(_mean(channels[channel]))
        return _changed(wanted, channel, 1, f"{names[channel]} {load} busy for {now - since:.0f} s")
    for channel in (0, 1):
        since = calm[channel]
        if since is None or now - since < LOWER_AFTER:
            continue
        load = figures.percent(sum(map(_work, channels[channel])) / len(channels[channel]))
        return _changed(wanted, channel, -1, f"{names[channel]} only {load} busy for {now - since:.0f} s")
    return None


def _changed(wanted: tuple[int, int], channel: int, step: int, why: str) -> Advice:
    flow, collect = wanted[0] + (step if channel == 0 else 0), wanted[1] + (step if channel == 1 else 0)
    return Advice(flow, collect, f"{why}: flow={flow}, collect={collect}")


def _since(before: float | None, true: bool, now: float) -> float | None:
    if not true:
        return None
    return now if before is None else before


def _mean(processes: tuple[ProcessView, ...]) -> float:
    return sum(process.load for process in processes) / len(processes) if processes else 0.0


def _busy(processes: tuple[ProcessView, ...]) -> bool:
    if not processes:
        return False
    if 0 < sum(process.cpu for process in processes) < STARVED * sum(process.busy for process in processes):
        return False  # they wait for a core: another worker would wait as well
    queue = sum(process.queue for process in processes) / len(processes)
    return _mean(processes) >= BUSY or queue >= QUEUE_LONG


def _calm(processes: tuple[ProcessView, ...]) -> bool:
    fewer = len(processes) - 1
    return fewer > 0 and sum(map(_work, processes)) / fewer <= CALM and not _busy(processes)


def _work(process: ProcessView) -> float:
    """The share of a core it needs: to wait for one is no work, and fewer workers would wait less."""
    return process.cpu or process.load


def _room(snapshot: Snapshot, channel: int) -> bool:
    """A worker more than cores only takes turns with the others; the coordinator needs a part of one too."""
    if channel == 0 and snapshot.wanted_flow >= snapshot.shards:
        return False
    return snapshot.wanted_flow + snapshot.wanted_collect < max(2, snapshot.cores)
