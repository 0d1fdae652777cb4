"""How many hosts of which kind a network holds, and with that how often its addresses answer on a port.

A *kind of host* is a profile: how often such a host answers on each port, and with what (`profiles`). The
kinds come from hosts of the seed that were asked on all ports, as a mixture of independent answers. A
network's addresses answer on a port as often as the hosts in it do: the sum over kinds of how many
addresses such a host has, times its profile. So what was found on one port of a network tells of the
others, and a few addresses tell much. Nothing of it is about a single host: whose answers they were is not
looked at.

How many addresses a kind has in a network is drawn towards the network around, and so is, port by port,
what kinds do not explain (`drawn`): gamma distributions on a tree of networks. Two things keep the
estimates from being too sure of themselves. What a network takes from the one around is without what it
has said itself. And a network that has been asked through says no more of its neighbours than one network
can: networks are asked where much is hoped for, and the rest is not like them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

MOST_KINDS = 48
MOST_HOSTS = 6_000
"""Hosts of the seed from which kinds are made; a part of more."""
LEAST_HOSTS = 3
"""Hosts of which a kind is made at first."""
LEAST_ALIKE = 3
"""Answers that must be alike before they are told from other answers on their port."""

_CHUNK = 100_000


class Pull(NamedTuple):
    """strength: addresses' worth of what the network around says of kinds; narrow: the same of the
    narrowest networks. own: answers' worth of what is around says of a port beside the kinds."""

    strength: float
    narrow: float
    own: float

    def strengths(self, levels: int) -> list[float]:
        """From wide to narrow."""
        return [self.strength] * (levels - 1) + [self.narrow if levels > 1 else self.strength]


PULLS = tuple(
    Pull(strength, narrow, 2.0) for strength in (10.0, 20.0, 40.0) for narrow in (strength, 10 * strength)
)
USUAL = PULLS[1]
"""Less strength tells held-out hosts well, too, but promises too much of the networks that come first."""


class Answers(NamedTuple):
    """What answered. row: (n,) i64 place of the network; column: (n,) i64 of what was answered.

    port_of: (columns,) i64 place of the port of each column.
    """

    row: I64
    column: I64
    port_of: I64


class Profiles(NamedTuple):
    """kinds: (K, columns) f8, how often a host of the kind answers so. share: (K,) f8, of all hosts.

    answered, hosts: (K, columns) f8, the counts behind them.
    """

    kinds: F64
    share: F64
    answered: F64
    hosts: F64


def columns(place: I64, said: I64) -> tuple[I64, I64]:
    """(column of each answer, place of the port of each column): a port's answers that are alike are one.

    place: (n,) of the port; said: (n,) what was said, a number below 2^32.
    """
    key = place << 32 | (said + 1)
    _, at, many = np.unique(key, return_inverse=True, return_counts=True)
    key = np.where(many[at] >= LEAST_ALIKE, key, place << 32)
    values, column = np.unique(key, return_inverse=True)
    return column.astype(np.int64), values >> 32


def profiles(has: Bool, asked_on: Bool, usual: F64, *, rounds: int = 15) -> Profiles:
    """Kinds of hosts. has: (hosts, columns) what answered so.

    asked_on: (columns,) on which the hosts were asked. usual: (columns,) how often all addresses answer so.
    """
    if not len(has):
        kinds = np.clip(usual / max(float(usual.max(initial=0)), 1e-12), 1e-6, 0.98)[None, :]
        return Profiles(kinds, np.ones(1), np.zeros_like(kinds), np.zeros_like(kinds))
    table = has.astype(np.float64)
    base = (table.sum(0) + 0.02) / (len(has) + 1.0)
    # To begin with, hosts are of a kind that share the answer which most hosts share that have none yet.
    left = np.ones(len(has), np.bool_)
    begun: list[F64] = []
    while len(begun) < MOST_KINDS - 1 and left.any():
        many = table[left].sum(0)
        best = int(many.argmax())
        if many[best] < LEAST_HOSTS:
            break
        mine = left & has[:, best]
        begun.append((table[mine].sum(0) + base) / (mine.sum() + 1.0))
        left &= ~mine
    begun.append((table[left].sum(0) + 4.0 * base) / (left.sum() + 4.0))
    kinds = np.clip(np.array(begun), 1e-6, 0.98)
    share = np.full(len(kinds), 1 / len(kinds))
    for _ in range(rounds):
        belongs = _belongs(table, kinds, share)
        weight = belongs.sum(0)
        share = (weight + 0.5) / (weight + 0.5).sum()
        kinds = np.clip((belongs.T @ table + base) / (weight[:, None] + 1.0), 1e-6, 0.98)
    belongs = _belongs(table, kinds, share)
    # Where these hosts were not asked, every kind answers as all hosts do.
    alive = table[:, asked_on].mean(0).sum() / max(float(usual[asked_on].sum()), 1e-12)
    kinds[:, ~asked_on] = np.clip(usual[~asked_on] * alive, 1e-6, 0.98)
    return Profiles(kinds, share, belongs.T @ table, belongs.sum(0)[:, None] * asked_on)


def _belongs(table: F64, kinds: F64, share: F64) -> F64:
    """(hosts, K): how likely each host is of each kind."""
    none = np.log1p(-kinds)
    log = table @ (np.log(kinds) - none).T + none.sum(1) + np.log(share)
    belongs = np.exp(log - log.max(1, keepdims=True))
    return np.asarray(belongs / belongs.sum(1, keepdims=True))


class Tree(NamedTuple):
    """Networks in networks. up: of each level from wide to narrow, the place of the network around; zeros
    at the widest."""

    up: list[I64]


def tree(first: I64, levels: list[int]) -> Tree:
    """first: (n,) of the narrowest networks, in order; levels: their free bits, from wide to narrow."""
    up, around = [], np.zeros(len(first), np.int64)
    for bits in levels:
        numbers, own = np.unique(first >> bits, return_inverse=True)
        up.append(around[np.searchsorted(own, np.arange(len(numbers)))])
        around = own
    return Tree(up)


def drawn(
    counts: F64 | F32, exposure: F64 | F32, wide: F64 | F32, of: Tree, strength: list[float]
) -> F64 | F32:
    """What is to be expected of each narrowest network before it has said anything: (n, m).

    counts, exposure: (n, m) what they said: a rate is their quotient. wide: (1, m) the rate of all to
    begin with. strength: of each level, the exposure's worth of what is around.
    """
    said: list[tuple[F64 | F32, F64 | F32]] = []
    for up, force in zip(reversed(of.up), reversed(strength), strict=True):
        said.append((counts, exposure))
        less = force / (force + exposure)
        counts, exposure = _summed(counts * less, up), _summed(exposure * less, up)
    prior, force_around, around = wide, _LEAST, (counts, exposure)
    whole = np.maximum((wide * _LEAST + counts) / (_LEAST + exposure), 1e-9)
    for own, up, force in zip(reversed(said), of.up, strength, strict=True):
        less = force / (force + own[1])
        rest_counts = np.maximum(around[0][up] - own[0] * less, 0)
        rest = np.maximum(around[1][up] - own[1] * less, 0)
        prior = (force_around * prior[up] + rest_counts) / (force_around + rest)
        prior = (1 - _ANYWHERE) * prior + _ANYWHERE * whole
        around, force_around = own, force
    return prior


_LEAST = 1e-3
"""Exposure's worth of what is believed of all networks before anything is known."""
_ANYWHERE = 0.05
"""How much of what is to be expected is that of all networks, whatever is around."""


def _summed(values: F64 | F32, up: I64) -> F64 | F32:
    """Sums by the network around; `up` rises."""
    begins = np.flatnonzero(np.concatenate([[True], up[1:] != up[:-1]]))
    return values if len(begins) == len(values) else np.add.reduceat(values, begins, axis=0)


class _Cells(NamedTuple):
    """Answers that are alike in a network: row, column, how many. Sorted by row."""

    row: I64
    column: I64
    many: F64


def _cells(answers: Answers) -> _Cells:
    width = max(len(answers.port_of), 1)
    key, many = np.unique(answers.row * width + answers.column, return_counts=True)
    return _Cells(key // width, key % width, many.astype(np.float64))


def _shared(weights: F64, kinds: F64, cells: _Cells, *, by_column: bool) -> tuple[F64, F64]:
    """The answers, shared among the kinds: (rows, K), and (K, columns) if asked for."""
    of_row, of_column = np.zeros(weights.shape), np.zeros(kinds.T.shape)
    across = np.ascontiguousarray(kinds.T)
    for low in range(0, len(cells.row), _CHUNK):
        part = slice(low, low + _CHUNK)
        row, column = cells.row[part], cells.column[part]
        shares = weights[row] * across[column]
        shares *= (cells.many[part] / np.maximum(shares.sum(1), 1e-30))[:, None]
        _add(of_row, row, shares)
        if by_column:
            order = np.argsort(column, kind="stable")
            _add(of_column, column[order], shares[order])
    return of_row, of_column.T


def _add(to: F64, place: I64, values: F64) -> None:
    """Add rows to the rows of `to` at `place`, which rises."""
    begins = np.flatnonzero(np.concatenate([[True], place[1:] != place[:-1]]))
    to[place[begins]] += np.add.reduceat(values, begins, axis=0)


def estimated(
    answers: Answers,
    asked: F32,
    first: I64,
    levels: list[int],
    known: Profiles,
    pull: Pull = USUAL,
    *,
    refine: int = 3,
    settle: int = 8,
) -> F32:
    """(n, P): how often an address of each of the networks answers on each port.

    asked: (n, P) addresses that were asked there. first: (n,) of each network; levels: free bits, from
    wide to narrow. refine: how often the kinds are corrected by what the networks said.
    """  # fmt: skip
    ports = asked.shape[1]
    cells = _cells(answers)
    of = tree(first, levels)
    strength = pull.strengths(len(levels))
    kinds = known.kinds
    of_ports = _of_ports(kinds, answers.port_of, ports)
    hoped = float(asked.sum(0, dtype=np.float64) @ (known.share @ of_ports))
    wide = known.share[None, :] * (len(answers.row) / max(hoped, 1e-9))
    most = np.maximum(asked.max(1, initial=0), 1).astype(np.float64)[:, None]
    weights = np.repeat(wide, len(first), 0)
    for turn in range(refine + settle):
        correct = 3 <= turn < refine + 3
        counts, of_column = _shared(weights, kinds, cells, by_column=correct)
        exposure = (asked @ of_ports.T.astype(np.float32)).astype(np.float64)
        # Answers of one host are one thing that was learnt, not several.
        each = np.maximum(exposure / most, 1e-9)
        each = -np.expm1(-each) / each
        counts, exposure = counts * each, exposure * each
        prior = drawn(counts, exposure, wide, of, strength)
        weights = (strength[-1] * prior + counts) / (strength[-1] + exposure)
        if correct:
            through = (weights.T.astype(np.float32) @ asked).astype(np.float64)[:, answers.port_of]
            got = of_column + known.answered + 0.5 * (known.share @ known.kinds)
            kinds = np.clip(got / (through + known.hosts + 0.5), 1e-7, 1.0)
            of_ports = _of_ports(kinds, answers.port_of, ports)
    chance = weights.astype(np.float32) @ of_ports.astype(np.float32)
    flat = cells.row * ports + answers.port_of[cells.column]
    got_there = np.bincount(flat, cells.many, asked.size).reshape(asked.shape).astype(np.float32)
    expected = asked * chance
    beside = drawn(got_there, expected, np.ones((1, ports), np.float32), of, [pull.own] * len(levels))
    chance *= (pull.own * beside + got_there) / (pull.own + expected)
    return np.minimum(chance, np.float32(0.95))


def _of_ports(kinds: F64, port_of: I64, ports: int) -> F64:
    return np.array([np.bincount(port_of, kind, ports) for kind in kinds]).reshape(-1, ports)


def best_pull(
    halves: tuple[tuple[Answers, F32], tuple[Answers, F32]], first: I64, levels: list[int], known: Profiles
) -> Pull:
    """Of PULLS, that with which one half of the addresses tells the other half best."""
    best = (-np.inf, USUAL)
    for pull in PULLS:
        worth = 0.0
        for (answers, asked), (other, other_asked) in (halves, halves[::-1]):
            chance = estimated(answers, asked, first, levels, known, pull, refine=0, settle=6)
            chance = np.maximum(chance, 1e-7)
            log = np.log(chance[other.row, other.port_of[other.column]])
            worth += float(log.sum(dtype=np.float64) - (other_asked * chance).sum(dtype=np.float64))
        best = max(best, (worth, pull))
    return best[1]
