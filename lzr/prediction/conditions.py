"""How often a host that answers on a port answers on another: P(port | port, feature), counted.

A *condition* is a port, a kind of feature and its value: "answers on 80 with product nginx", "answers on
22 from 192.0.0.0/16". For each condition and each other port there are two counts: hosts that were asked
there, and hosts that answered. Their share is drawn towards that of the port alone (and that towards all
hosts'), so that three hosts out of three are not a certainty, and a lower bound of it is taken. The
condition with the best lower bound proposes the port; how likely it is, all conditions of the same answer
say together (`evidence`, `weighing`). How low the bound is, how they are weighed, and how far the
result can be believed, comes from hosts that were held out (`heldout`). It is about one port of the
host: what its other ports say is not joined with it.

After Izhikevich, Teixeira, Durumeric: *Predicting IPv4 Services Across All Ports*, SIGCOMM 2022 (GPS).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr.prediction.asked import PORTS
from lzr.prediction.counts import LEAST_HITS, ConditionCounts, Counted, Services
from lzr.prediction.weighing import logit

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

_CHUNK = 1 << 22
"""Cells of a table of hosts and ports that are filled at once (8 bytes each)."""


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


class _Scored(NamedTuple):
    """Of one kind: (n,) given port and port told of as one number; the share that answers, and its lower
    bound; and whether the condition says more than the port alone.
    """

    both: I64
    mean: F64
    score: F64
    keep: Bool


class Conditions:
    """The table. Rows are sorted by kind, condition and port.

    kind, code, given, port: (n,) the condition's kind, its value and port, and the port that it tells of.
    hits, asked: (n,) hosts. score: (n,) f8 lower bound. `begins`: of each kind and condition.
    """

    def __init__(self, counts: ConditionCounts, bound: Bound = BOUNDS[1]) -> None:
        self.bound = bound
        self._covered, self._base = counts.covered, counts.base
        self._keys: list[I64] = []
        self._starts: list[I64] = []
        self._means: list[tuple[I64, NDArray[np.float32]]] = []
        self._of_key: list[I32] = []
        parts: list[tuple[NDArray[np.int64], ...]] = []
        scores: list[F64] = []
        alone: _Scored | None = None
        rows = 0
        for kind, (keys, counted) in enumerate(counts, -1):
            scored = _scored(counted, keys, bound, self._base, alone)
            alone = scored if alone is None else alone
            pair = counted.of * PORTS + counted.to
            self._means.append((pair, scored.mean.astype(np.float32)))
            self._of_key.append(counted.of_key.astype(np.int32))
            of, to, hits, total = (column[scored.keep] for column in counted[:4])
            self._keys.append(keys)
            self._starts.append(np.searchsorted(of, np.arange(len(keys) + 1)) + rows)
            rows += len(of)
            parts.append((np.full(len(of), kind), keys[of] // PORTS, keys[of] % PORTS, to, hits, total))
            scores.append(scored.score[scored.keep])
        self.kind, self.code, self.given, self.port, self.hits, self.asked = (
            np.concatenate([part[column] for part in parts]) for column in range(6)
        )
        self.score: F64 = np.concatenate(scores)

    def __len__(self) -> int:
        return len(self.score)

    def evidence(self, services: Services, place: I64, port: I64, score: F64) -> F64:
        """What each kind of feature says of candidates: (n, 2 + kinds), as `weighing` takes it.

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


def _scored(counted: Counted, keys: I64, bound: Bound, base: F64, alone: _Scored | None) -> _Scored:
    """Shares, drawn towards that of the port alone, or towards that of all hosts (`base`).

    keys: the conditions. alone: what the port alone says; None where that is to be found.
    """
    of, to, hits, total, _ = counted
    both = keys[of] % PORTS * PORTS + to
    prior, keep = base[to], hits >= LEAST_HITS
    if alone is not None and len(alone.both):
        at = np.minimum(np.searchsorted(alone.both, both), len(alone.both) - 1)
        shared = alone.both[at] == both
        prior = np.where(shared, alone.mean[at], prior)
    mean = (hits + bound.strength * prior) / (total + bound.strength)
    score = np.maximum(mean - bound.z * np.sqrt(mean * (1 - mean) / (total + bound.strength + 1)), 0)
    if alone is not None and len(alone.both):
        # The port alone says as much of the same host, and is always there beside it.
        keep &= ~shared | (score > alone.score[at])
    return _Scored(both, mean, score, keep)
