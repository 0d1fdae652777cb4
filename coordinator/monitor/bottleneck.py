"""What holds the scan back, in words, with the flag or key that would change it.

It is always one sentence: the first cause that applies, in the order in which a person should look at them
(what the user asked for, what is broken, what is full, what is slow, nothing). Its end may be cut off on a
narrow terminal, so the cause and the cure come first.
"""

from __future__ import annotations

from collections.abc import Sequence

from coordinator.monitor import numbers
from coordinator.monitor.snapshot import Phase, ProcessView, Snapshot
from lzr.pacing import maxrate

# Judgements, for sentences that people read; `autoscale` uses STARVED and ROOM too. At worst one names the
# wrong cause of two that are nearly as true.
FULL = 0.85
"""Share of its time that a process works, from which it counts as busy."""

STARVED = 0.6
"""Processor time over busy time, below which a process does not get the core that it wants."""

TAKEN = 0.75
"""Share of all cores used by our own processes, from which on they are what uses the cores up."""

ROOM = 0.25
"""How much of a core must be unused for one more worker to be of use."""

RING_FULL = 0.7
"""Share of a receive ring that is filled, from which it is named."""


def bottleneck(snapshot: Snapshot) -> str:
    """What holds the scan back, in one sentence."""
    if snapshot.phase == Phase.DONE:
        return snapshot.ending or ("interrupted" if snapshot.interrupted else "done")
    if snapshot.paused:
        return "paused: p goes on (lzr ctl resume)"
    busy = _busiest(snapshot)
    if snapshot.output_blocked:
        return "slow reader of the results, it holds the scan back (-f FILE)"
    if snapshot.drops and snapshot.recent_drops:
        return f"receive rings overflow: a lower rate{_or_more_flow(snapshot)}"
    if busy is not None:
        return busy
    fullest = max(snapshot.workers, key=lambda worker: worker.ring, default=None)
    if fullest is not None and fullest.ring >= RING_FULL:
        full = numbers.percent(fullest.ring)
        return f"{fullest.name}'s receive ring is {full} full: a lower rate{_or_more_flow(snapshot)}"
    if snapshot.phase == Phase.COOLDOWN:
        left = f", {snapshot.cooldown_left:.0f} s left" if snapshot.cooldown_left is not None else ""
        return f"waiting for late answers{left}: -c is how long"
    if limited := _limited(snapshot):
        return limited
    if snapshot.phase == Phase.FINISHING or (
        (snapshot.input_ended or snapshot.draining) and not snapshot.backlog
    ):
        why = "asked to end" if snapshot.draining and not snapshot.input_ended else "the input has ended"
        return f"{why}: waiting for {numbers.count(snapshot.in_flight)} flows (-t, -rt, -rn bound it)"
    if snapshot.phase == Phase.STARTING:
        return "starting"
    if snapshot.paced:
        return _paced(snapshot)
    if snapshot.window_full:
        return f"as many answers awaited as rings take: a lower -t{_or_more_flow(snapshot)}"
    if snapshot.late and snapshot.rate_limit is not None and not snapshot.input_waiting:
        rate = numbers.count(snapshot.rate_limit)
        return f"-rate {rate}/s is not reached: the coordinator waits for a core"
    if snapshot.input_held:
        return "the input waits for us: catching up with what came before"
    fed = not snapshot.sweep and not snapshot.backlog and (snapshot.read or snapshot.rate_in)
    if snapshot.input_waiting or fed:
        return f"input slower than workers ({numbers.short(snapshot.rate_in)}/s): feed it faster"
    return "nothing stands out: all parts have time left"


def cores_left(snapshot: Snapshot) -> bool:
    """Whether one more process would get a good part of a core, by the time that ours use now."""
    return snapshot.used + ROOM <= snapshot.cores


def _busiest(snapshot: Snapshot) -> str | None:
    """The sentence about a stage that is always busy: the last such stage, since those before it wait
    for it.
    """
    starved = _starved(snapshot)
    if starved is not None:
        return starved
    collectors, workers, own = snapshot.collectors, snapshot.workers, snapshot.coordinator
    if hottest(collectors) >= FULL:
        return f"{_who('collector', collectors)}: {_more_collect(snapshot)}"
    if hottest(workers) >= FULL:
        return f"{_who('flow worker', workers)}: {_more_flow(snapshot)}"
    if own.load >= FULL:
        half = "split the input over two runs (--shards 2 --shard 0, 1)"
        return f"coordinator {numbers.percent(own.load)} busy: {half}"
    return None


def _starved(snapshot: Snapshot) -> str | None:
    """The sentence about processes that want to work but get too little of a core."""
    why = "too many workers (-)" if snapshot.used >= TAKEN * snapshot.cores else "others use this machine"
    for process in (*snapshot.collectors, *snapshot.workers, snapshot.coordinator):
        if process.busy >= FULL and 0 < process.cpu < STARVED * process.busy:
            return (
                f"{process.name} lacks a core ({numbers.percent(process.busy)} busy, "
                f"{numbers.percent(process.cpu)} cpu): {why}"
            )
    return None


def hottest(processes: Sequence[ProcessView]) -> float:
    """The load of the busiest of these processes."""
    return max((process.load for process in processes), default=0.0)


def _who(word: str, processes: Sequence[ProcessView]) -> str:
    if len(processes) == 1:
        return f"{word} {numbers.percent(processes[0].load)} busy"
    mean = sum(process.load for process in processes) / len(processes)
    if mean >= FULL:
        return f"all {len(processes)} {word}s {numbers.percent(mean)} busy"
    busiest = max(processes, key=lambda process: process.load)
    return f"{busiest.name} {numbers.percent(busiest.load)} busy, the others less"


def _more_collect(snapshot: Snapshot) -> str:
    """Advice to add a collector: a flow worker sends to one collector, so more of them than flow workers are
    of no use.
    """
    collect = max(snapshot.wanted_collect, len(snapshot.collectors))
    flow = max(snapshot.wanted_flow, len(snapshot.workers))
    if not cores_left(snapshot):
        return _taken(snapshot)
    if collect < flow:
        return f"-w collect={collect + 1} (or > here)"
    if collect > flow:
        return f"-w flow={flow + 1} (or + here) gives the others work"
    return f"-w flow={flow + 1},collect={collect + 1} (or + > here)"


def _more_flow(snapshot: Snapshot) -> str:
    more = max(snapshot.wanted_flow, len(snapshot.workers)) + 1
    if not cores_left(snapshot):
        return _taken(snapshot)
    if more > snapshot.shards:
        return f"-w flow={more} at the next start (this run has {snapshot.shards} shards)"
    return f"-w flow={more} (or + here)"


def _or_more_flow(snapshot: Snapshot) -> str:
    return f", or {_more_flow(snapshot)}" if cores_left(snapshot) else ""


def _taken(snapshot: Snapshot) -> str:
    taken = "the core is" if snapshot.cores == 1 else f"the {snapshot.cores} cores are"
    return f"{taken} taken, more would help"


def _limited(snapshot: Snapshot) -> str:
    """The sentence about the limit on all packets that is reached; empty where none is."""
    packets, octets = snapshot.tx_rate, snapshot.tx_bits / 8
    if snapshot.packet_limit is not None and _near(packets, snapshot.packet_limit):
        return f"paced by --max-rate {numbers.count(snapshot.packet_limit)} packets/s: raise it to go faster"
    if snapshot.bit_limit is not None and _near(maxrate.wire_bits(packets, octets), snapshot.bit_limit):
        return f"paced by --bandwidth {numbers.bits(snapshot.bit_limit)}: raise it to go faster"
    return ""


def _paced(snapshot: Snapshot) -> str:
    if snapshot.rate_limit is not None:
        return f"paced by -rate {numbers.count(snapshot.rate_limit)}/s: raise it to go faster (] here)"
    return "paced: raise --max-rate or --bandwidth to go faster"


def _near(value: float, limit: float) -> bool:
    return value >= 0.8 * limit
