"""How far what conditions say of hosts can be believed: from hosts that were held out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr.analysis.predictasked import Asked
from lzr.analysis.predictconditions import BOUNDS, Bound, Conditions, Found
from lzr.analysis.predictcounts import Known, Services, eligible
from lzr.analysis.predictweighing import Weights, weights

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

FAIR = 100
"""Hosts that were asked on ports regardless of what they answer, from which on only they are held out:
what was asked for an answer's sake was chosen, and what was left was not."""


class Calibration(NamedTuple):
    """score → probability, a rising line through points: (n,) f8 each."""

    score: F64
    probability: F64

    def __call__(self, score: F64) -> F64:
        return np.interp(score, self.score, self.probability)


def calibration(score: F64, hit: Bool, *, least: float = 8) -> Calibration:
    """From what came of scores: steps of the score, then made to rise (pool adjacent violators).

    least: made-up candidates in each step that come out as their score says: little data moves little.
    """
    step = np.floor(np.sqrt(np.clip(score, 0, 1)) * _STEPS).astype(np.int64)
    many = np.bincount(step, minlength=_STEPS + 1)
    at = np.flatnonzero(many)
    middle = np.bincount(step, score, minlength=_STEPS + 1)[at] / many[at]
    hits = np.bincount(step, hit, minlength=_STEPS + 1)[at]
    levels: list[list[float]] = []  # weight, sum of scores, sum of hits
    for count, mean, answered in zip(many[at].tolist(), middle.tolist(), hits.tolist(), strict=True):
        levels.append([count + least, mean * (count + least), answered + least * mean])
        while len(levels) > 1 and levels[-2][2] / levels[-2][0] >= levels[-1][2] / levels[-1][0]:
            weight, scores, some = levels.pop()
            levels[-1] = [levels[-1][0] + weight, levels[-1][1] + scores, levels[-1][2] + some]
    if not levels:
        return Calibration(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    points = np.array([[scores / weight, some / weight] for weight, scores, some in levels])
    last, probability = points[-1]
    top = max(probability, min(probability / max(last, 1e-9), 1.0))  # beyond, as far off as there
    return Calibration(
        np.concatenate([[0.0], points[:, 0], [max(1.0, last)]]),
        np.concatenate([[0.0], points[:, 1], [top]]),
    )


_STEPS = 200


def calibrated(
    services: Services,
    asked: Asked,
    bounds: tuple[Bound, ...] = BOUNDS,
    *,
    most: int = 16_000,
    folds: int = 2,
) -> tuple[Bound, Weights, F64, Bool]:
    """Of `bounds`, that which tells held-out hosts best; how conditions are to be weighed; and the chances
    of the held-out candidates by these weights, and which answered."""
    hosts, host = np.unique(services.number, return_inverse=True)
    mixed = (hosts.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    few = mixed < (most / max(len(services), 1)) * (1 << 24)
    drawn = asked.masks(hosts) != 0
    fair = drawn.sum() >= FAIR
    if fair:
        few |= drawn & (mixed < (most / max(int(drawn[host].sum()), 1)) * (1 << 24))
    rows = few[host]
    services, host = services.take(rows), host[rows]
    fold = (mixed[host] % np.uint64(folds)).astype(np.int64)
    best: tuple[float, Bound, F64, Bool] | None = None
    for bound in bounds:
        parts: list[tuple[F64, Bool]] = []
        for number in range(folds):
            known, held = services.take(fold != number), services.take(fold == number)
            if not len(known) or not len(held):
                continue
            conditions = Conditions(known, asked, bound)
            found = conditions.candidates(held, np.arange(len(held)), 0.01)
            stays = _thinned(held)[found.group]
            found = Found(found.group[stays], found.port[stays], found.score[stays], found.row[stays])
            use, hit_ = _scored(held, asked, found, conditions, fair=fair)
            of = (found.group[use], found.port[use], found.score[use])
            parts.append((conditions.evidence(held, *of), hit_[use]))
        if not parts:
            break
        evidence, hit = (np.concatenate([part[column] for part in parts]) for column in (0, 1))
        line = np.clip(weights(evidence, hit)(evidence), 1e-4, 1 - 1e-4)
        # Likelihood of what came out; what a bound does not propose at all counts as a guess of nothing.
        gain = float(np.where(hit, np.log(line / 0.001), np.log1p(-line)).sum())
        if best is None or gain > best[0]:
            best = gain, bound, evidence, hit
    if best is None:
        best = 0.0, BOUNDS[1], np.empty((0, 2 + services.codes.shape[1])), np.empty(0, np.bool_)
    _, bound, evidence, hit = best
    weighed = weights(evidence, hit)
    return bound, weighed, weighed(evidence), hit


def _thinned(services: Services) -> Bool:
    """Services that stand for the hosts with an answer on their port: the fewer of a port, the more other
    ports such hosts answer on.

    Hosts with many services would count many times over. Which services of a port stay does not depend on
    what else their hosts answer on.
    """
    _, host, size = np.unique(services.number, return_inverse=True, return_counts=True)
    _, port, many = np.unique(services.port, return_inverse=True, return_counts=True)
    usual = np.bincount(port, size[host]) / many
    mixed = (
        services.number.astype(np.uint64) << np.uint64(16) | services.port.astype(np.uint64)
    ) * np.uint64(0xD6E8FEB86659FD93)
    return np.asarray((mixed >> np.uint64(40)) < (1 << 24) / usual[port], np.bool_)


def _scored(
    held: Services, asked: Asked, found: Found, conditions: Conditions, *, fair: bool
) -> tuple[Bool, Bool]:
    """Of which candidates it is known, without favour, whether they answer; and whether they do."""
    hosts, host = np.unique(held.number, return_inverse=True)
    masks, mask = np.unique(asked.masks(hosts), return_inverse=True)
    covered = asked.covered(masks)
    known = Known(held, asked, hosts, host, mask, covered)
    of, port = host[found.group], found.port
    use = covered[mask[of], port] & (known.round[found.group] == 0)
    singles = known.singles
    if len(singles.place) and not fair:
        pairs = singles.place << 16 | singles.port
        wanted = of << 16 | port
        at = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
        fits = (pairs[at] == wanted) & (singles.round[at] >= known.round[found.group])
        use |= fits & eligible(held.kinds, held.local, conditions.kind[found.row], singles.rank[at])
    use &= port != held.port[found.group]
    services = held.number << 16 | held.port
    wanted = held.number[found.group] << 16 | port
    at = np.minimum(np.searchsorted(services, wanted), len(services) - 1)
    return use, services[at] == wanted
