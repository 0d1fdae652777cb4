"""How often a host that answers on a port answers on another: P(port | port, feature), counted.

A *condition* is a port, a kind of feature and its value: "answers on 80 with product nginx", "answers on
22 from 192.0.0.0/16". For each condition and each other port there are two counts: hosts that were asked
there, and hosts that answered. Their share is drawn towards that of the port alone (and that towards all
hosts'), so that three hosts out of three are not a certainty, and a lower bound of it is taken. The
condition with the best lower bound proposes the port; how likely it is, all conditions of the same answer
say together (`evidence`, `predictweighing`). How low the bound is, how they are weighed, and how far the
result can be believed, comes from hosts that were held out (`predictheldout`). It is about one port of the
host: what its other ports say is not joined with it.

After Izhikevich, Teixeira, Durumeric: *Predicting IPv4 Services Across All Ports*, SIGCOMM 2022 (GPS).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr.analysis.predictasked import BLIND, PORTS, Asked, Singles
from lzr.analysis.predictweighing import logit

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

LEAST_VAIN = 4
"""Hosts that must have been asked singly before it counts that fewer than LEAST_HITS answered."""
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
        known = Known(services, asked, hosts, host, mask, covered)
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
        self._means: list[tuple[I64, NDArray[np.float32]]] = []
        self._of_key: list[I32] = []
        self._covered, self._base = covered, base
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
            vain, times = np.unique(wanted, return_counts=True)
            vain = np.setdiff1d(vain[times >= LEAST_VAIN], pair[hits >= LEAST_HITS], assume_unique=True)
            at = np.minimum(np.searchsorted(pair, vain), max(len(pair) - 1, 0))
            few = np.where(pair[at] == vain, hits[at], 0) if len(pair) else np.zeros(len(vain), np.int64)
            pair = np.concatenate([pair[hits >= LEAST_HITS], vain])
            hits = np.concatenate([hits[hits >= LEAST_HITS], few])
            order = np.argsort(pair, kind="stable")
            pair, hits = pair[order], hits[order]
            to = pair % PORTS
            of = pair // PORTS
            of_key = self._by_mask(np.where(first, own, -1), mask[host], len(keys), len(covered))
            total = np.zeros(len(of), np.int64)
            for by_mask, ports in zip(of_key, covered, strict=True):
                total += by_mask[of] * ports[to]
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
                keep = hits >= LEAST_HITS
            else:  # the port alone says as much of the same host, and is always there beside it
                keep = (
                    ~shared | (score > alone_score[at]) if len(alone_pairs) else np.ones(len(pair), np.bool_)
                )
                keep &= hits >= LEAST_HITS
            self._means.append((pair, mean.astype(np.float32)))
            self._of_key.append(of_key.astype(np.int32))
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
    def _by_mask(own: I64, mask: I64, keys: int, masks: int) -> I64:
        """(masks, keys): hosts of each condition that are in each combination of products of the seed."""
        mine = own >= 0
        return np.bincount(mask[mine] * keys + own[mine], minlength=masks * keys).reshape(masks, keys)

    def evidence(self, services: Services, place: I64, port: I64, score: F64) -> F64:
        """What each kind of feature says of candidates: (n, 2 + kinds), as `predictweighing` takes it.

        place: (n,) the service that the candidate comes from; port: (n,); score: (n,) of its best condition.
        Columns: log odds of the score, of the port alone, and of each kind what it says beyond that.
        """
        table = np.zeros((len(place), 2 + services.codes.shape[1]))
        given = services.port[place]
        alone = self._base[port]
        for kind, (keys, (pairs, means)) in enumerate(zip(self._keys, self._means, strict=True)):
            if not len(keys):
                continue
            code = (
                services.codes[place, kind - 1].astype(np.int64) if kind else np.zeros(len(place), np.int64)
            )
            key = np.where(code >= 0, code * PORTS + given, -1)
            own = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
            known = np.flatnonzero(keys[own] == key)
            own, to, prior = own[known], port[known], alone[known]
            total = np.zeros(len(known))
            for by_mask, ports in zip(self._of_key[kind], self._covered, strict=True):
                total += by_mask[own] * ports[to]
            mean = self.bound.strength * prior / (total + self.bound.strength)
            if len(pairs):
                wanted = own * PORTS + to
                at = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
                mean = np.where(pairs[at] == wanted, means[at], mean)
            if not kind:
                alone = alone.copy()
                alone[known] = mean
            else:
                table[known, 1 + kind] = logit(mean) - logit(prior)
        table[:, 0], table[:, 1] = logit(score), logit(alone)
        return table

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


class Known:
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
