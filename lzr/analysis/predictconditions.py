"""How often a host that answers on a port answers on another: P(port | port, feature), counted.

A *condition* is a port, a kind of feature and its value: "answers on 80 with product nginx", "answers on
22 from 192.0.0.0/16". For each condition and each other port there are two counts: hosts that were asked
there, and hosts that answered. Their share is drawn towards that of the port alone (and that towards all
hosts'), so that three hosts out of
three are not a certainty, and a lower bound of it is taken: of many conditions the best is chosen, and
the best of many guesses is a guess too high. How low the bound is, and how far the result can be
believed, comes from hosts that were held out (`calibrated`). One condition decides, and it is about one
port of the host: what its other ports say is not joined with it.

After Izhikevich, Teixeira, Durumeric: *Predicting IPv4 Services Across All Ports*, SIGCOMM 2022 (GPS).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr.analysis.predictasked import BLIND, PORTS, Asked, Singles

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

LEAST_HITS = 2
"""Hosts that must have answered before a condition says anything of a port: one is chance."""

_CHUNK = 1 << 22
"""Cells of a table of hosts and ports that are filled at once (8 bytes each)."""


@dataclass
class Services:
    """What answered. number: (n,) i64 of the host; port: (n,) i64; codes: (n, kinds) i32, -1 where there
    is none.

    Sorted by number and port; a pair comes once. local: those of `kinds` that name a network.
    """

    number: I64
    port: I64
    codes: I32
    kinds: tuple[str, ...]
    local: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.number)

    def take(self, rows: NDArray[np.intp] | Bool) -> Services:
        return Services(self.number[rows], self.port[rows], self.codes[rows], self.kinds, self.local)


class Bound(NamedTuple):
    """strength: hosts' worth of what the port alone says. z: standard deviations below the mean."""

    strength: float
    z: float


BOUNDS = tuple(Bound(strength, z) for strength in (2.0, 8.0) for z in (0.5, 1.2))


class Found(NamedTuple):
    """Candidates: (n,) group of each (its place), port, score, and the row of the table that said so."""

    group: I64
    port: I64
    score: F64
    row: I64


class Conditions:
    """The table. Rows are sorted by kind, condition and port.

    kind, code, given, port: (n,) the condition's kind, its value and port, and the port that it tells of.
    hits, asked: (n,) hosts. score: (n,) f8 lower bound. `begins`: of each kind and condition.
    """

    def __init__(self, services: Services, asked: Asked, bound: Bound = BOUNDS[1]) -> None:
        self.bound = bound
        hosts, host = np.unique(services.number, return_inverse=True)
        masks, mask = np.unique(asked.masks(hosts), return_inverse=True)
        covered = asked.covered(masks)
        known = _Known(services, asked, hosts, host, mask, covered)
        base = known.base
        # Both from the seed, and the second was asked of everybody:
        first = known.round == 0
        left, right = _pairs(host)
        sound = first[left] & known.product[right]
        left, right_port = left[sound], services.port[right[sound]]
        single, of_single = known.followed()
        single_port, single_rank = known.singles.port[of_single], known.singles.rank[of_single]
        single_hit = known.hit[of_single]

        self._keys: list[I64] = []
        self._starts: list[I64] = []
        parts: list[tuple[NDArray[np.int64], ...]] = []
        scores: list[F64] = []
        alone_pairs, alone_score, alone_mean = np.empty(0, np.int64), np.empty(0), np.empty(0)
        rows = 0
        for kind in range(-1, services.codes.shape[1]):
            code = np.zeros(len(services), np.int64) if kind < 0 else services.codes[:, kind].astype(np.int64)
            key = np.where(code >= 0, code * PORTS + services.port, -1)
            keys, place, many = np.unique(key, return_inverse=True, return_counts=True)
            useful = (many >= LEAST_HITS) & (keys >= 0)
            rank = np.where(useful, np.cumsum(useful) - 1, -1)
            keys, own = keys[useful], rank[place]
            told = (own[single] >= 0) & eligible(services.kinds, services.local, np.array(kind), single_rank)
            wanted = own[single[told]] * PORTS + single_port[told]
            usable = own[left] >= 0
            answered = np.concatenate(
                [own[left[usable]] * PORTS + right_port[usable], wanted[single_hit[told]]]
            )
            pair, hits = np.unique(answered, return_counts=True)
            pair, hits = pair[hits >= LEAST_HITS], hits[hits >= LEAST_HITS]
            to = pair % PORTS
            of = pair // PORTS
            total = self._asked(np.where(first, own, -1), mask[host], len(keys), of, to, covered)
            if len(pair):
                at = np.minimum(np.searchsorted(pair, wanted), len(pair) - 1)
                total += np.bincount(at[pair[at] == wanted], minlength=len(pair))
            total = np.maximum(total, hits)
            given = keys[of] % PORTS
            both = given * PORTS + to
            if kind < 0:
                prior = base[to]
            else:
                at = np.minimum(np.searchsorted(alone_pairs, both), max(len(alone_pairs) - 1, 0))
                shared = alone_pairs[at] == both if len(alone_pairs) else np.zeros(len(both), np.bool_)
                prior = np.where(shared, alone_mean[at], base[to]) if len(alone_pairs) else base[to]
            mean = (hits + bound.strength * prior) / (total + bound.strength)
            score = np.maximum(mean - bound.z * np.sqrt(mean * (1 - mean) / (total + bound.strength + 1)), 0)
            if kind < 0:
                alone_pairs, alone_score, alone_mean = both, score, mean
                keep = np.ones(len(pair), np.bool_)
            else:  # the port alone says as much of the same host, and is always there beside it
                keep = (
                    ~shared | (score > alone_score[at]) if len(alone_pairs) else np.ones(len(pair), np.bool_)
                )
            of, to, hits, total, score = of[keep], to[keep], hits[keep], total[keep], score[keep]
            self._keys.append(keys)
            self._starts.append(np.searchsorted(of, np.arange(len(keys) + 1)) + rows)
            rows += len(of)
            parts.append((np.full(len(of), kind), keys[of] // PORTS, keys[of] % PORTS, to, hits, total))
            scores.append(score)
        self.kind, self.code, self.given, self.port, self.hits, self.asked = (
            np.concatenate([part[column] for part in parts]) for column in range(6)
        )
        self.score: F64 = np.concatenate(scores)

    def __len__(self) -> int:
        return len(self.score)

    @staticmethod
    def _asked(own: I64, mask: I64, keys: int, of: I64, to: I64, covered: Bool) -> I64:
        """Hosts of each condition that products of the seed cover on the port."""
        total = np.zeros(len(of), np.int64)
        for number in range(len(covered)):
            of_key = np.bincount(own[(mask == number) & (own >= 0)], minlength=keys)
            total += of_key[of] * covered[number, to]
        return total

    def floor(self, services: Services, most: int) -> float:
        """A score that at least `most` candidates of these services reach, duplicates among them; or 0."""
        steps = 1 << 12
        count = np.zeros(steps)
        for kind, (keys, starts) in enumerate(zip(self._keys, self._starts, strict=True)):
            if not len(keys):
                continue
            code = services.codes[:, kind - 1].astype(np.int64) if kind else np.zeros(len(services), np.int64)
            key = np.where(code >= 0, code * PORTS + services.port, -1)
            at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
            many = np.bincount(at[keys[at] == key], minlength=len(keys))
            score = np.minimum(self.score[starts[0] : starts[-1]], 1.0)
            weights = np.repeat(many, np.diff(starts))
            count += np.bincount((score * (steps - 1)).astype(np.int64), weights, steps)
        above = np.flatnonzero(np.cumsum(count[::-1])[::-1] >= most)
        return float(above[-1] / (steps - 1)) if len(above) else 0.0

    def candidates(self, services: Services, group: I64, least: float) -> Found:
        """For each group of rows (0.., in order), every port that some condition tells of, with the best
        score.

        What the group has already answered on is among them.
        """
        columns, column = np.unique(self.port, return_inverse=True)
        groups = int(group[-1]) + 1 if len(group) else 0
        if not len(self.score) or not groups:
            none = np.empty(0, np.int64)
            return Found(none, none, np.empty(0), none)
        scaled = (np.minimum(self.score, 1.0) * ((1 << 30) - 1)).astype(np.int64) << 32
        rank = scaled | np.arange(len(self.score))
        enough = self.score >= least
        step = max(1, _CHUNK // len(columns))
        bounds = np.searchsorted(group, np.arange(0, groups + step, step))
        parts: list[tuple[I64, I64, I64]] = []
        for low, high, begins in zip(bounds[:-1], bounds[1:], range(0, groups, step), strict=False):
            if low == high:
                continue
            best = np.zeros((min(step, groups - begins), len(columns)), np.int64)
            flat = best.reshape(-1)
            for kind, (keys, starts) in enumerate(zip(self._keys, self._starts, strict=True)):
                if not len(keys):
                    continue
                ports = services.port[low:high]
                code = (
                    services.codes[low:high, kind - 1].astype(np.int64)
                    if kind
                    else np.zeros(high - low, np.int64)
                )
                key = np.where(code >= 0, code * PORTS + ports, -1)
                at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
                row = np.flatnonzero(keys[at] == key)
                first, count = starts[at[row]], starts[at[row] + 1] - starts[at[row]]
                rows = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
                of = np.repeat(group[low:high][row] - begins, count)
                good = enough[rows]
                rows, of = rows[good], of[good]
                np.maximum.at(flat, of * len(columns) + column[rows], rank[rows])
            hit = np.flatnonzero(flat)
            parts.append((hit // len(columns) + begins, columns[hit % len(columns)], flat[hit] & 0xFFFFFFFF))
        who, port, row = (np.concatenate([part[place] for part in parts]) for place in range(3))
        return Found(who, port, self.score[row], row)


def _pairs(host: I64) -> tuple[I64, I64]:
    """Every two services of a host, both ways; `host` is sorted."""
    counts = np.bincount(host)
    starts = np.cumsum(counts) - counts
    size = counts[host]
    left = np.repeat(np.arange(len(host)), size)
    right = np.arange(len(left)) - np.repeat(np.cumsum(size) - size, size) + np.repeat(starts[host], size)
    other = left != right
    return left[other], right[other]


class _Known:
    """When and why each service was asked for.

    singles: what the hosts were asked beside the products; hit: (m,) whether that answered. round: (n,)
    of each service; product: (n,) whether everybody was asked there. base: P(port) among hosts that
    answer at all.
    """

    def __init__(
        self, services: Services, asked: Asked, hosts: I64, host: I64, mask: I64, covered: Bool
    ) -> None:
        self._services, self._hosts, self._host = services, hosts, host
        self.product: Bool = covered[mask[host], services.port]
        singles = asked.singles(hosts)
        fresh = ~covered[mask[singles.place], singles.port]
        self.singles = singles = Singles(*(column[fresh] for column in singles))
        pairs = services.number << 16 | services.port
        wanted = hosts[singles.place] << 16 | singles.port
        at = np.minimum(np.searchsorted(pairs, wanted), max(len(pairs) - 1, 0))
        self.hit: Bool = pairs[at] == wanted if len(pairs) else np.zeros(len(wanted), np.bool_)
        self.round: I64 = np.zeros(len(services), np.int64)
        self.round[at[self.hit]] = singles.round[self.hit]
        hits = np.bincount(services.port, minlength=PORTS)
        total = np.bincount(mask, minlength=len(covered)) @ covered.astype(np.float64)
        total += np.bincount(singles.port, minlength=PORTS)
        self.base: F64 = (hits + 0.01) / (np.maximum(total, hits) + 1.0)

    def followed(self) -> tuple[I64, I64]:
        """Every service beside every single of its host that was asked with or after it: (service, single).

        One that was asked before says nothing: the host may have been found by it.
        """
        starts = np.searchsorted(self.singles.place, np.arange(len(self._hosts) + 1))
        count = (starts[1:] - starts[:-1])[self._host]
        service = np.repeat(np.arange(len(self._services)), count)
        at = np.arange(len(service)) - np.repeat(np.cumsum(count) - count - starts[self._host], count)
        use = (self.singles.port[at] != self._services.port[service]) & (
            self.singles.round[at] >= self.round[service]
        )
        return service[use], at[use]


_SORTS = (
    "", "fingerprint", "stack", "asn", "/16", "product", "certificate", "line", "/20", "/24", 
    "product in /16",
)  # fmt: skip
"""Of features; the first is the port alone."""

_WITHIN: dict[str, tuple[str, ...]] = {
    "product": ("fingerprint",), "certificate": ("fingerprint",), "line": ("fingerprint", "product"),
    "/20": ("/16",), "/24": ("/16", "/20"), "product in /16": ("fingerprint", "product", "/16"),
}  # fmt: skip
"""Hosts of a sort are some of those of these sorts."""

_TELLS = np.array(
    [[reason in ("", name, *_WITHIN.get(name, ())) for reason in _SORTS] for name in _SORTS], np.bool_
)


def rank_of(kinds: tuple[str, ...], kind: I64) -> I64:
    """The sort of conditions of each kind (-1: the port alone), as `Asked.add_pairs` takes it."""
    return np.array([0, *map(_SORTS.index, kinds)])[kind + 1]


def eligible(kinds: tuple[str, ...], local: tuple[str, ...], kind: I64, rank: I64) -> Bool:
    """Whether what was asked because of a condition of that rank says something of conditions of the kind.

    It does of itself and of those within it: the others were chosen among. What was asked for a
    network's sake says something of the hosts of networks only.
    """
    of_network = np.isin(np.array(["", *kinds]), local)[kind + 1]
    return np.where(rank == BLIND, of_network, _TELLS[rank_of(kinds, kind), rank])


# --- how far a score can be believed
# -----------------------------------------------------------------------


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
) -> tuple[Bound, F64, Bool]:
    """Of `bounds`, that which tells held-out hosts best; and the scores of their candidates, and which
    answered."""
    hosts, host = np.unique(services.number, return_inverse=True)
    mixed = (hosts.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    few = mixed < (most / max(len(services), 1)) * (1 << 24)
    rows = few[host]
    services, host = services.take(rows), host[rows]
    fold = (mixed[host] % np.uint64(folds)).astype(np.int64)
    best: tuple[float, Bound, F64, Bool] | None = None
    for bound in bounds:
        scores, hits = [], []
        for number in range(folds):
            known, held = services.take(fold != number), services.take(fold == number)
            if not len(known) or not len(held):
                continue
            conditions = Conditions(known, asked, bound)
            found = conditions.candidates(held, np.arange(len(held)), 0.01)
            use, hit_ = _told(held, asked, found, conditions)
            scores.append(found.score[use])
            hits.append(hit_[use])
        if not scores:
            break
        score, hit = np.concatenate(scores), np.concatenate(hits)
        line = np.clip(calibration(score, hit)(score), 1e-4, 1 - 1e-4)
        # Likelihood of what came out; what a bound does not propose at all counts as a guess of nothing.
        gain = float(np.where(hit, np.log(line / 0.001), np.log1p(-line)).sum())
        if best is None or gain > best[0]:
            best = gain, bound, score, hit
    if best is None:
        return BOUNDS[1], np.empty(0), np.empty(0, np.bool_)
    return best[1:]


def _told(held: Services, asked: Asked, found: Found, conditions: Conditions) -> tuple[Bool, Bool]:
    """Of which candidates it is known, without favour, whether they answer; and whether they do."""
    hosts, host = np.unique(held.number, return_inverse=True)
    masks, mask = np.unique(asked.masks(hosts), return_inverse=True)
    covered = asked.covered(masks)
    known = _Known(held, asked, hosts, host, mask, covered)
    of, port = host[found.group], found.port
    use = covered[mask[of], port] & (known.round[found.group] == 0)
    singles = known.singles
    if len(singles.place):
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
