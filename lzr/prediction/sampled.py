"""What a random sample of addresses tells: kinds of hosts, and how far networks that were sampled can be
believed.

A few addresses of each network have been asked on many ports. Some of them are held out, and what the others
promise of them is compared with what they answered. So it is found how strongly a network is like those
around it (`pull`), and how the chances that come out are to be corrected (`trust`): where networks differ
less than it seemed, each is drawn towards what the port has everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr.prediction import kinds as predictkinds
from lzr.prediction.asked import Addresses, Asked, joined
from lzr.prediction.counts import Services
from lzr.prediction.heldout import Calibration, calibration
from lzr.prediction.kinds import USUAL, Answers, Profiles, Pull
from lzr.prediction.weighing import logit, weights

I64 = NDArray[np.int64]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

_MOST_SAMPLED = 4_000_000
"""Addresses of a part of the seed beyond which it is no sample."""

FOLDS = 4
_MOST_CELLS = 2_000_000
"""Networks times ports from which the trust is learnt; of more, every second network of the widest level,
and so on."""
_LIKELY = 0.01
"""Chances from which on held-out addresses count: what is listed is no less likely, and of the countless
cells below nearly nothing answers."""
_LEAST_SLOPE = 0.05
_BELIEVED = 10.0
"""Hosts that are taken to have answered in each step of corrected chances as these say, before what came of
them is looked at."""
_HIGH = 0.15
"""Corrected chances from which on what came of them corrects them once more: of lower ones there are enough
for the slope to be right."""
_PIVOT = float(logit(np.array([0.03]))[0])
"""Log odds that a slope leaves as they are."""


def said(services: Services, rows: I64) -> I64:
    """What each answered with, as a number: the product, or else the fingerprint."""
    product = services.codes[rows, services.kinds.index("product")].astype(np.int64)
    name = services.codes[rows, services.kinds.index("fingerprint")].astype(np.int64)
    return np.asarray(np.where(product >= 0, product * 2 + 1, np.maximum(name, -1) * 2 + 2), np.int64)


class Sample(NamedTuple):
    """Answers of addresses that were asked without knowing them.

    number: (n,) i64, the address of each; answers: the same by network and port. ports: (P,) i64 numbers of
    the ports.
    """

    asked: Asked
    number: I64
    answers: Answers
    ports: I64

    def take(self, rows: Bool | I64) -> Sample:
        answers = self.answers
        return self._replace(
            number=self.number[rows],
            answers=Answers(answers.row[rows], answers.column[rows], answers.port_of),
        )


def kinds(sample: Sample, k: F32, n: F32) -> Profiles:
    """Kinds of the hosts that a random sample holds. k, n: (networks, P) how many answered and were asked."""
    asked, number, (_, column, port_of), ports = sample
    share = ((k.sum(0) + 0.2) / (n.sum(0) + 200.0))[port_of] / np.bincount(port_of)[port_of]
    asked_on, mine = np.zeros(len(port_of), np.bool_), np.empty(0, np.int64)
    for addresses, of in sorted(asked.products, key=lambda product: -int(product[1].sum())):
        mine = np.flatnonzero(addresses.contains(number))
        if len(mine):
            asked_on = of[ports[port_of]]
            break
    hosts, host = np.unique(number[mine], return_inverse=True)
    step = max(1, -(-len(hosts) // predictkinds.MOST_HOSTS))
    few = (host % step == 0) & asked_on[column[mine]]
    has = np.zeros((-(-len(hosts) // step), len(port_of)), np.bool_)
    has[host[few] // step, column[mine[few]]] = True
    return predictkinds.profiles(has, asked_on, share.astype(np.float64))


class _Networks(NamedTuple):
    """Networks of which addresses were sampled. first: (u,) i64. parts: (addresses, the place of each one's
    network, ports that they were asked on). mine: the answers of the sample that they gave."""

    first: I64
    parts: list[tuple[I64, I64, Bool]]
    mine: I64

    def counts(self, where: list[Bool]) -> F32:
        """(u, P): how many addresses were asked, of those in `where`, a mask for each part."""
        of = [ports for _, _, ports in self.parts]
        total = np.zeros((len(self.first), len(of[0])), np.float32)
        for (_, at, ports), some in zip(self.parts, where, strict=True):
            total += np.bincount(at[some], minlength=len(self.first)).astype(np.float32)[:, None] * ports
        return total


def _networks(sample: Sample, first: I64, levels: list[int]) -> _Networks | None:
    """None where there is no sample."""
    found: list[tuple[I64, I64, Bool]] = []
    sets: list[Addresses] = []
    for part, of in sample.asked.products:
        if part.size > _MOST_SAMPLED or of.sum() <= 1:
            continue
        every = part.ranked(np.arange(part.size))
        at = np.searchsorted(first, every, "right") - 1
        within = (at >= 0) & (every < first[np.maximum(at, 0)] + (1 << levels[-1]))
        found.append((every[within], at[within], of[sample.ports]))
        sets.append(part)
    if not found:
        return None
    used = np.unique(np.concatenate([at for _, at, _ in found]))
    mine = np.flatnonzero(joined(sets).contains(sample.number))
    if not len(used) or not len(mine):
        return None
    parts = [(every, np.searchsorted(used, at), ports) for every, at, ports in found]
    return _Networks(first[used], parts, mine)


def pull(sample: Sample, first: I64, levels: list[int], known: Profiles) -> Pull:
    """That with which one half of the sampled addresses tells the other half best."""
    networks = _networks(sample, first, levels)
    if networks is None:
        return USUAL
    answers = _placed(sample.take(networks.mine), first, networks.first)
    half = _fold(answers.number, 2)
    halves = [
        (
            answers.take(half == number).answers,
            networks.counts([_fold(every, 2) == number for every, _, _ in networks.parts]),
        )
        for number in (0, 1)
    ]
    return predictkinds.best_pull((halves[0], halves[1]), networks.first, levels, known)


class Trust(NamedTuple):
    """of: (3,) f8: a summand, a slope, and how far a cell is drawn towards its port; of log odds.

    line: what came of chances so corrected, which may be more; None where that is not known.
    """

    of: F64
    line: Calibration | None = None

    def __call__(self, chance: F32 | F64, usual: F64) -> F32:
        """Chances (n, P) of cells, corrected. usual: (P,) of each port.

        The slope alone never raises a chance. It is learnt of chances of a few hundredths, of which there are
        many; beyond, one that is a little too steep would promise much too much of the networks that come
        first. There only what came of such chances does.
        """
        part = max(1, _MOST_CELLS // max(chance.shape[1], 1))
        made = np.empty(chance.shape, np.float32)
        for low in range(0, len(chance), part):
            evidence = _evidence(chance[low : low + part].astype(np.float64), usual)
            line = self.of[0] + _PIVOT + evidence @ self.of[1:]
            made[low : low + part] = np.minimum(1 / (1 + np.exp(-line)), chance[low : low + part])
            if self.line is not None:
                some = made[low : low + part].astype(np.float64)
                made[low : low + part] = np.where(some < _HIGH, some, np.maximum(self.line(some), _HIGH))
        return made


PLAIN = Trust(np.array([0.0, 1.0, 0.0]))
"""As it is."""


def trust(sample: Sample, first: I64, levels: list[int], strength: Pull, known: Profiles) -> Trust:
    """How to correct what networks promise: from addresses that were held out, a part at a time.

    known: the kinds of all hosts. They are made anew without those that are held out, but where there are so
    many hosts that they come from some of them anyway.
    """
    networks = _networks(sample, first, levels)
    if networks is None:
        return PLAIN
    step = -(-len(networks.first) * len(sample.ports) // _MOST_CELLS)
    if step > 1:
        some = np.flatnonzero((first >> levels[0]) % step == 0)
        networks = _networks(sample, first[some], levels)
        if networks is None:
            return PLAIN
    answers = sample.take(networks.mine)
    answers = answers.take(np.isin(first[answers.answers.row], networks.first))
    answers = _placed(answers, first, networks.first)
    enough = len(np.unique(sample.number)) > predictkinds.MOST_HOSTS
    rows: list[tuple[F64, F64, F64]] = []
    fold = _fold(answers.number, FOLDS)
    for number in range(FOLDS):
        rows.append(_held_out(answers, networks, levels, strength, known if enough else None, fold, number))
    evidence, asked, hits = (np.concatenate(columns) for columns in zip(*rows, strict=True))
    # A host's answers come and stay away together.
    alike = len(answers.number) / max(len(np.unique(answers.number)), 1)
    learnt = weights(evidence, hits / alike, asked / alike, offset=_PIVOT).of
    learnt[2] = min(max(learnt[2], 0.0), 1.0)
    learnt[1] = max(learnt[1], learnt[2] + _LEAST_SLOPE)  # what is likelier stays likelier
    cell = 1 / (1 + np.exp(-(evidence[:, 0] + _PIVOT)))
    made = np.minimum(1 / (1 + np.exp(-(learnt[0] + _PIVOT + evidence @ learnt[1:]))), cell)
    high = made >= _HIGH
    return Trust(learnt, calibration(made[high], hits[high], asked[high], hits_least=_BELIEVED * alike))


def _held_out(
    sample: Sample,
    networks: _Networks,
    levels: list[int],
    strength: Pull,
    profiles: Profiles | None,
    fold: I64,
    number: int,
) -> tuple[F64, F64, F64]:
    """Evidence of cells, and how many of the addresses that were held out were asked there and answered."""
    hidden = [_fold(every, FOLDS) == number for every, _, _ in networks.parts]
    chance, of_port = _told(sample, networks, levels, strength, profiles, fold != number, hidden)
    asked, hits = _came(sample.take(fold == number), networks, hidden)
    use = (asked > 0) & (chance >= _LIKELY)
    return _evidence(chance.astype(np.float64), of_port)[use], asked[use], hits[use]


def _told(
    sample: Sample,
    networks: _Networks,
    levels: list[int],
    strength: Pull,
    profiles: Profiles | None,
    rows: Bool,
    hidden: list[Bool],
) -> tuple[F32, F64]:
    """Chances of cells, and of ports, by the answers of `rows` alone. hidden: of each part, addresses that
    are taken not to have been asked."""
    known = sample.take(rows)
    asked = networks.counts([~some for some in hidden])
    k = _answered(known, asked.shape)
    chance = predictkinds.estimated(
        known.answers,
        np.maximum(asked, k).astype(np.float32),
        networks.first,
        levels,
        kinds(known, k.astype(np.float32), asked) if profiles is None else profiles,
        strength,
    )
    return chance, usual(k, asked)


def _came(sample: Sample, networks: _Networks, where: list[Bool]) -> tuple[F64, F64]:
    """How many of the addresses in `where` were asked in each cell, and answered: those of the sample."""
    asked = networks.counts(where).astype(np.float64)
    return asked, np.minimum(_answered(sample, asked.shape), asked)


def _answered(sample: Sample, shape: tuple[int, ...]) -> I64:
    row, column, port_of = sample.answers
    cells = np.bincount(row * shape[1] + port_of[column], minlength=shape[0] * shape[1])
    return cells.reshape(shape)


def of_strangers(
    sample: Sample,
    first: I64,
    levels: list[int],
    strength: Pull,
    known: Profiles,
    corrected: Callable[[F32, F64, I64], F64],
    done: Bool,
) -> Calibration | None:
    """What came of chances of addresses that have not answered on the ports that all were asked on: of those
    of a sample, which were held out. None where there is no sample.

    corrected: chances (n, P), of ports (P,), and places of the networks (n,) -> what is promised of such
    addresses. done: (u, P) where all were asked.
    """
    networks = _networks(sample, first, levels)
    if networks is None:
        return None
    step = -(-len(networks.first) * len(sample.ports) // _MOST_CELLS)
    if step > 1:
        networks = _networks(sample, first[(first >> levels[0]) % step == 0], levels)
        if networks is None:
            return None
    place = np.searchsorted(first, networks.first)
    answers = sample.take(networks.mine)
    answers = answers.take(np.isin(first[answers.answers.row], networks.first))
    row, column, port_of = answers.answers
    gone = np.unique(answers.number[done[row, port_of[column]]])
    answers = _placed(answers, first, networks.first)
    enough = len(np.unique(sample.number)) > predictkinds.MOST_HOSTS
    fold, left = _fold(answers.number, _HALVES), ~np.isin(answers.number, gone)
    rest = [~np.isin(every, gone) for every, _, _ in networks.parts]
    rows: list[tuple[F64, F64, F64]] = []
    for number in range(_HALVES):
        hidden = [_fold(every, _HALVES) == number for every, _, _ in networks.parts]
        of = known if enough else None
        told, of_port = _told(answers, networks, levels, strength, of, fold != number, hidden)
        chance = corrected(told, of_port, place)
        where = [held & strange for held, strange in zip(hidden, rest, strict=True)]
        asked, hits = _came(answers.take((fold == number) & left), networks, where)
        use = (asked > 0) & (chance >= _LEAST_STRANGE)
        rows.append((chance[use], asked[use], hits[use]))
    chance, asked, hits = (np.concatenate(columns) for columns in zip(*rows, strict=True))
    alike = max(1.0, left.sum() / max(len(np.unique(answers.number[left])), 1))
    # Few answered, so a line through their log odds, which lowers a chance and never raises one.
    evidence = (logit(chance) - _PIVOT)[:, None]
    summand, slope = weights(evidence, hits / alike, asked / alike, offset=_PIVOT).of
    score = np.linspace(0, 1, 1_001) ** 2
    line = summand + _PIVOT + max(slope, _LEAST_SLOPE) * (logit(score) - _PIVOT)
    return Calibration(score, np.minimum(1 / (1 + np.exp(-np.clip(line, -30, 30))), score))


_HALVES = 3
_LEAST_STRANGE = 0.001


def usual(k: F32 | F64 | I64, n: F32 | F64) -> F64:
    """(P,) how often all addresses answer on each port. k, n: (networks, P), as in `kinds`."""
    return np.asarray((k.sum(0) + 0.2) / (n.sum(0, dtype=np.float64) + 200.0))


def _evidence(chance: F64, of_port: F64) -> F64:
    """(n, P, 2): how far the log odds of a cell lie from the pivot, and its port's from the cell's."""
    cell = logit(chance)
    return np.stack([cell - _PIVOT, logit(of_port) - cell], -1)


def _placed(sample: Sample, first: I64, networks: I64) -> Sample:
    """With answers by the place in `networks`, which are some of `first`."""
    row, column, port_of = sample.answers
    return sample._replace(answers=Answers(np.searchsorted(networks, first[row]), column, port_of))


def _fold(number: I64, folds: int) -> I64:
    mixed = number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed >> np.uint64(40)) * np.uint64(folds) >> np.uint64(24)).astype(np.int64)
