"""How far what conditions say of hosts can be believed: from hosts that were held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr.prediction.asked import Asked
from lzr.prediction.conditions import BOUNDS, Bound, Conditions, Found
from lzr.prediction.counts import AskedFor, ConditionCounts, Services, eligible
from lzr.prediction.weighing import Weights, weights

I64 = NDArray[np.int64]
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


def calibration(
    score: F64, hit: Bool | F64, asked: F64 | None = None, *, least: float = 8, hits_least: float = 0
) -> Calibration:
    """From what came of scores: steps of the score, then made to rise (pool adjacent violators).

    asked: (n,) how many candidates have each score, of which `hit` answered; one by default. least: made-up
    candidates in each step that come out as their score says: little data moves little. hits_least: such that
    answered; where scores are small, more candidates.
    """
    step = np.floor(np.sqrt(np.clip(score, 0, 1)) * _STEPS).astype(np.int64)
    count = np.ones(len(score)) if asked is None else asked
    many = np.bincount(step, count, minlength=_STEPS + 1)
    at = np.flatnonzero(many)
    middle = np.bincount(step, score * count, minlength=_STEPS + 1)[at] / many[at]
    answers = np.bincount(step, hit, minlength=_STEPS + 1)[at]
    made = np.maximum(least, hits_least / np.maximum(middle, 1e-9))
    levels: list[list[float]] = []  # weight, sum of scores, sum of hits
    for size, mean, answered, more in zip(
        *(x.tolist() for x in (many[at], middle, answers, made)), strict=True
    ):
        levels.append([size + more, mean * (size + more), answered + more * mean])
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


_STEPS = 40


class View(NamedTuple):
    """How far to believe what is said of hosts of which the same ports are known. mask: of the products that
    they are in (`Asked.masks`); weights: of the evidence; calibration: of what comes out; hosts: how many
    were held out for it."""

    mask: int
    weights: Weights
    calibration: Calibration
    hosts: int


class Believed(NamedTuple):
    """bound: that which tells held-out hosts best. weights: of the evidence on hosts of which one answer is
    known; score, hit: what these say of held-out candidates, and which answered; hosts: how many those are
    of. views: of other hosts."""

    bound: Bound
    weights: Weights
    score: F64
    hit: Bool
    hosts: int
    views: list[View]

    @property
    def judges(self) -> int:
        """Held-out hosts that decide how far to believe what is said of most hosts."""
        return max((view.hosts for view in self.views), default=self.hosts)


def calibrated(
    services: Services,
    asked: Asked,
    bounds: tuple[Bound, ...] = BOUNDS,
    *,
    most: int = 16_000,
    folds: int = 2,
) -> Believed:
    """What held-out hosts say of `bounds`, of the weights of conditions, and of the chances that come out."""
    hosts, host = np.unique(services.number, return_inverse=True)
    mixed = (hosts.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    few = mixed < (most / max(len(services), 1)) * (1 << 24)
    masks, mask = np.unique(asked.masks(hosts), return_inverse=True)
    drawn = masks[mask] != 0
    fair = drawn.sum() >= FAIR
    # Those that were asked on most ports can tell most.
    ports = asked.covered(masks).sum(1)
    wide = drawn & (ports >= max(1, ports[masks != 0].max(initial=0) // 2))[mask]
    for some in (drawn, wide):
        if fair:
            few |= some & (mixed < (most / max(int(some[host].sum()), 1)) * (1 << 24))
    known_of = _views(masks, mask, ports, wide, asked) if fair else []
    rows = few[host]
    services, host = services.take(rows), host[rows]
    sort = mixed[host]
    best: tuple[float, Bound] | None = None
    parts_of = list(_folded(services, asked, sort, folds)) if len(bounds) > 1 else []
    for bound in bounds if len(bounds) > 1 else ():
        evidence, hit, _ = _answers(services, asked, bound, parts_of, fair=fair)
        line = np.clip(weights(evidence, hit)(evidence), 1e-4, 1 - 1e-4)
        # Likelihood of what came out; what a bound does not propose at all counts as a guess of nothing.
        gain = float(np.where(hit, np.log(line / 0.001), np.log1p(-line)).sum())
        if len(hit) and (best is None or gain > best[0]):
            best = gain, bound
    bound = best[1] if best is not None else bounds[0] if len(bounds) == 1 else BOUNDS[1]
    parts_of = list(_folded(services, asked, sort, _FINE))
    evidence, hit, whose = _answers(services, asked, bound, parts_of, fair=fair)
    weighed, score, _ = _crossed(evidence, hit, whose)
    judges = len(np.unique(whose))
    parts: dict[int, list[tuple[F64, Bool, I64]]] = {}
    for known, part in parts_of if known_of else ():
        held = services.take(part & wide[host])
        if not len(held):
            continue
        conditions = Conditions(known, bound)
        for of_view, covered in known_of:
            parts.setdefault(of_view, []).append(_seen_so(conditions, held, asked, covered))
    views = []
    for of_view, some_of in parts.items():
        said, answered, whose = (np.concatenate(column) for column in zip(*some_of, strict=True))
        if len(said) >= _ENOUGH and answered.any():
            line_, crossed, alike = _crossed(said, answered, whose)
            of_line = calibration(crossed, answered, least=8 * alike)
            views.append(View(of_view, line_, of_line, len(np.unique(whose))))
    return Believed(bound, weighed, score, hit, judges, views)


def doubt(hosts: int) -> float:
    """How far a tenth of the chances may be off that so many held-out hosts decide: two standard deviations.

    As it was on made Internets (`benchmarks.calibration`), where one standard deviation was 0.06 with 140
    hosts, 0.035 with 580 and 0.015 with 2,300.
    """
    return float(min(1.5 / max(hosts, 1) ** 0.5, 1.0))


_FINE = 5
"""Parts of which one at a time is held out, once the bound is chosen: nearly as much is to be known as when a
list is made."""


def _folded(
    services: Services, asked: Asked, sort: NDArray[np.uint64], folds: int
) -> Iterator[tuple[ConditionCounts, Bool]]:
    """What all hosts but some tell, and (n,) which services are of those: a part at a time."""
    fold = sort % np.uint64(folds)
    for number in range(folds):
        held = fold == np.uint64(number)
        if held.any() and not held.all():
            yield ConditionCounts(services.take(~held), asked, keep=True), held


def _answers(
    services: Services,
    asked: Asked,
    bound: Bound,
    parts_of: Sequence[tuple[ConditionCounts, Bool]],
    *,
    fair: bool,
) -> tuple[F64, Bool, I64]:
    """Evidence of candidates of hosts that were held out and of which one answer is known, whether they
    answered, and whose they are. parts_of: as of `_folded`."""
    parts: list[tuple[F64, Bool, I64]] = []
    for known, part in parts_of:
        held = services.take(part)
        conditions = Conditions(known, bound)
        found = conditions.candidates(held, np.arange(len(held)), 0.01)
        stays = _thinned(held)[found.group]
        found = Found(found.group[stays], found.port[stays], found.score[stays], found.row[stays])
        use, hit = _scored(held, asked, found, conditions, fair=fair)
        of = (found.group[use], found.port[use], found.score[use])
        parts.append((conditions.evidence(held, *of), hit[use], held.number[of[0]]))
    if not parts:
        return np.empty((0, 2 + services.codes.shape[1])), np.empty(0, np.bool_), np.empty(0, np.int64)
    evidence, answered, whose = (np.concatenate(column) for column in zip(*parts, strict=True))
    return evidence, answered, whose


def _crossed(evidence: F64, hit: Bool, whose: I64) -> tuple[Weights, F64, float]:
    """Weights from all candidates; the chances of each by weights from other hosts; and how many candidates
    of a host count as one, for they answer or not together. whose: (n,) i64, the host of each."""
    hosts, host = np.unique(whose, return_inverse=True)
    alike = max(1.0, len(whose) / max(len(hosts), 1)) ** 0.5
    few = np.full(len(hit), 1 / alike)
    score = np.empty(len(hit))
    part = host % _PARTS
    for number in range(_PARTS):
        others = part != number
        line = weights(evidence[others], hit[others] / alike, few[others])
        score[~others] = line(evidence[~others])
    return weights(evidence, hit / alike, few), score, alike


_PARTS = 4
_ENOUGH = 200
"""Candidates of held-out hosts from which on hosts of which other ports are known are judged by their own."""
_MOST_VIEWS = 4


def _views(
    masks: NDArray[np.uint64], mask: NDArray[np.intp], ports: NDArray[np.int64], wide: Bool, asked: Asked
) -> list[tuple[int, Bool]]:
    """Combinations of products in which most of the other hosts are, and their ports, a (65536,) mask."""
    many = np.bincount(mask[~wide], minlength=len(masks))
    order = [at for at in np.argsort(-many).tolist() if many[at] and masks[at]]
    chosen = order[:_MOST_VIEWS]
    return list(zip(masks[chosen].tolist(), asked.covered(masks[chosen]), strict=True)) if chosen else []


def _seen_so(conditions: Conditions, held: Services, asked: Asked, ports: Bool) -> tuple[F64, Bool, I64]:
    """Evidence, whether it answered, and whose it is, of the other ports of hosts of which only what they
    answered on `ports` is looked at: as of hosts that were asked on no others."""
    seen = held.take(ports[held.port])
    hosts, group = np.unique(seen.number, return_inverse=True)
    found = conditions.candidates(seen, group, 0.01)
    number, port = hosts[found.group], found.port
    use = np.flatnonzero(~ports[port] & asked.in_products(number, port))
    number, port, row = number[use], port[use], found.row[use]
    pairs = held.number << 16 | held.port
    wanted = number << 16 | port
    hit = pairs[np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)] == wanted
    place = np.searchsorted(seen.number << 16 | seen.port, number << 16 | conditions.given[row])
    return conditions.evidence(seen, place, port, found.score[use]), np.asarray(hit, np.bool_), number


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
    known = AskedFor(held, asked, hosts, host, mask, covered)
    of, port = host[found.group], found.port
    use = covered[mask[of], port] & (known.round[found.group] == 0)
    singles = known.singles
    if len(singles.place) and not fair:
        pairs = singles.place << 16 | singles.port
        wanted = of << 16 | port
        at = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
        fits = (pairs[at] == wanted) & (singles.round[at] >= known.round[found.group])
        use |= fits & eligible(held, conditions.kind[found.row], held.port[found.group], singles.reason[at])
    use &= port != held.port[found.group]
    services = held.number << 16 | held.port
    wanted = held.number[found.group] << 16 | port
    at = np.minimum(np.searchsorted(services, wanted), len(services) - 1)
    return use, services[at] == wanted
