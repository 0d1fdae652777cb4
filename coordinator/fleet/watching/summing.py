"""Adds up the scans of all boxes as if they were one: a `Snapshot` whose figures are sums.

What cannot be added (processes, limits of one host, what holds one box back) is left as in an empty snapshot;
the boxes' own rows show it instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import zip_longest

from coordinator.monitor.snapshot import HISTORY_SECONDS, LATEST, Identified, Phase, Second, Snapshot
from lzr.fleet.view import ELSEWHERE, ENDED, BoxState, FleetView

_ADDED = (
    *("rejected", "blocklisted", "duplicates", "interrupted", "in_flight", "done", "backlog", "rx", "tx"),
    *("retransmits", "drops", "recent_drops", "send_failures", "recent_send_failures"),
    *("restarts", "recent_restarts", "refused", "rate_done_average"),
)
_RATES = ("rate_in", "rate_in_average", "rate_done", "rx_rate", "tx_rate", "rx_bits", "tx_bits")


def added(view: FleetView, scans: Mapping[str, Snapshot]) -> Snapshot:
    """scans: the last figures of each box that has any. The rates are those of boxes that are heard of."""
    parts = list(scans.values())
    if not parts:
        return Snapshot(warnings=view.warnings)
    total = Snapshot(
        now=max(one.elapsed for one in parts),
        started=0.0,
        wall=max(one.wall for one in parts),
        phase=_phase(parts),
        paused=all(one.paused for one in parts),
        draining=all(one.draining for one in parts),
        sweep=any(one.sweep for one in parts),
        warnings=view.warnings,
        latest=_latest(parts),
        outcomes=_counted(one.outcomes for one in parts),
        fingerprints=_counted(one.fingerprints for one in parts),
        handshakes=_counted(one.handshakes for one in parts),
        send_errors=_counted(one.send_errors for one in parts),
        ignored=_counted(one.ignored for one in parts),
        other=_counted(one.other for one in parts),
        by_handshake=_by_handshake(parts),
        hit_rates_by=parts[0].hit_rates_by,
        hit_rates=_hit_rates(parts),
    )
    for name in _ADDED:
        setattr(total, name, sum(getattr(one, name) for one in parts))
    total.other = {fate: count for fate, count in total.other.items() if fate != ELSEWHERE}
    total.read = view.totals.asked
    total.done = view.totals.fresh
    still = ENDED | {BoxState.LOST, BoxState.UNKNOWN}
    moving = [scans[row.name] for row in view.rows if row.name in scans and row.state not in still]
    for name in _RATES:
        setattr(total, name, sum(getattr(one, name) for one in moving))
    total.history = _history(moving)
    return total


def _phase(parts: list[Snapshot]) -> str:
    """Where the scan that is furthest behind is."""
    order = (Phase.STARTING, Phase.RUNNING, Phase.FINISHING, Phase.COOLDOWN)
    return next((phase for phase in order if any(one.phase == phase for one in parts)), Phase.DONE)


def _counted(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Sums by name, most first."""
    found: Counter[str] = Counter()
    for one in counts:
        found.update(one)
    return dict(found.most_common())


def _by_handshake(parts: list[Snapshot]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for one in parts:
        for handshake, counts in one.by_handshake.items():
            found.setdefault(handshake, Counter()).update(counts)
    return {handshake: dict(counts.most_common()) for handshake, counts in found.items()}


def _hit_rates(parts: list[Snapshot]) -> dict[str, tuple[int, int]]:
    """The places with the most answers, over all boxes."""
    found: dict[str, tuple[int, int]] = {}
    for one in parts:
        for place, (answered, asked) in one.hit_rates.items():
            before = found.get(place, (0, 0))
            found[place] = before[0] + answered, before[1] + asked
    return dict(sorted(found.items(), key=lambda item: (-item[1][0], item[0])))


def _latest(parts: list[Snapshot]) -> tuple[Identified, ...]:
    """The latest services, of each box in turn."""
    turns = zip_longest(*(one.latest for one in parts))
    return tuple(one for turn in turns for one in turn if one is not None)[:LATEST]


def _history(parts: list[Snapshot]) -> tuple[Second, ...]:
    """Second by second, the newest of all added to one another."""
    seconds = []
    for turn in zip_longest(*(one.history[::-1] for one in parts)):
        there = [second for second in turn if second is not None]
        seconds.append(
            Second(
                sum(one.read for one in there),
                sum(one.done for one in there),
                sum(one.rx for one in there),
                sum(one.tx for one in there),
            )
        )
    return tuple(seconds[:HISTORY_SECONDS][::-1])
