"""The list of what to ask next: pairs of address and port, the likeliest first.

Two kinds stand in it. Hosts that have answered are asked on the ports that hosts like them answer on
(`conditions`); addresses of which nothing is known, on those that are frequent in their network
(`networks`). What has been asked is never asked again, and nothing outside the space is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lzr.prediction import middleboxes
from lzr.prediction import networks as predictnetworks
from lzr.prediction.asked import EMPTY, PORTS, Addresses, Asked
from lzr.prediction.conditions import BOUNDS, Bound, Conditions
from lzr.prediction.counts import ConditionCounts, Services
from lzr.prediction.heldout import Calibration, View, calibrated, calibration
from lzr.prediction.middleboxes import NOBODY, Belief, Middleboxes
from lzr.prediction.networks import Networks
from lzr.prediction.weighing import Weights

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

NETWORK_KINDS = ("/16", "/20", "/24")
MOST_SERVICES = 40
"""Services of a host beyond which it teaches nothing: middleboxes and ACKing firewalls answer on every
port."""

MOST_COUNTED = 1_500_000
"""Services of which pairs on the same host are counted (some 500 bytes each); of more, those of a part of the
hosts."""

NO_PORTS = (PORTS, PORTS)
LEAST = 0.0005
"""Chances below are not worth a place in the table of candidates."""


@dataclass
class Model:
    """What was learnt. held_out: candidates that were; judges: hosts that were (`Believed.judges`).
    strangers: hosts that answered are left to the conditions (see `networks`). boxes: what middleboxes
    answer, where the seed has any."""

    services: Services
    asked: Asked
    space: Addresses
    conditions: Conditions
    weights: Weights
    calibration: Calibration
    views: list[View]
    held_out: int
    judges: int
    networks: Networks
    strangers: bool
    boxes: Belief | None = None


@dataclass
class Listed:
    """Best first. number, port: (n,) i64. chance: (n,) f8. row: (n,) i64 of the conditions, or -1.

    cell: (n,) i64 of the networks' table, or -1. score: (n,) f8, the chance before it was corrected.
    """

    number: I64
    port: I64
    chance: F64
    row: I64
    cell: I64
    score: F64

    def take(self, rows: NDArray[np.intp] | Bool) -> Listed:
        return Listed(*(column[rows] for column in vars(self).values()))

    def __len__(self) -> int:
        return len(self.number)


SIX = 1 << 33
"""IPv6 hosts are numbered from here on: those that the seed holds. Nobody looks for others."""

_WIDTHS = ((16, 32), (12, 16), (8, 0))
"""Free bits of IPv4's networks, and of the upper half of IPv6's (/32, /48, /64)."""


def with_networks(services: Services, upper: NDArray[np.uint64] | None = None) -> Services:
    """The same with the networks of each host as features, and product (or fingerprint) in the widest.

    upper: of each IPv6 host, in the order of their numbers, the upper half of its address.
    """
    number = services.number
    six = number >= SIX
    known = len(services.kinds)
    local = (*NETWORK_KINDS, "product in /16")
    codes = np.empty((len(services), known + len(local)), np.int32)  # of millions: filled, never joined
    codes[:, :known] = services.codes
    for place, (four, free) in enumerate(_WIDTHS, known):
        network = number >> four
        if upper is not None and six.any():
            high = (upper >> np.uint64(free)).astype(np.int64)
            network = np.where(six, ~high[np.where(six, number - SIX, 0)], network)
        codes[:, place] = _codes(network)
    what = services.codes[:, services.kinds.index("product")].astype(np.int64)
    name = services.codes[:, services.kinds.index("fingerprint")].astype(np.int64)
    both = np.where(what >= 0, what * 2 + 1, name * 2)
    crossed = _codes(codes[:, known].astype(np.int64) << 32 | np.maximum(both, 0))
    codes[:, -1] = np.where(both < 0, -1, crossed)
    return Services(number, services.port, codes, (*services.kinds, *local), (*services.local, *local))


def _codes(values: I64) -> I64:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def plain_hosts(services: Services, firewalls: I64, most: int = MOST_SERVICES) -> tuple[Services, int]:
    """Without hosts that answer on more than `most` ports, and without `firewalls`; and how many those
    are."""
    hosts, host, count = np.unique(services.number, return_inverse=True, return_counts=True)
    odd = (count > most) | np.isin(hosts, firewalls)
    return services.take(~odd[host]), int(odd.sum())


@dataclass
class Feedback:
    """What came of earlier lists: scores that were given, and whether it answered; of hosts, and of
    strangers."""

    score: F64
    hit: Bool
    strange: F64
    strange_hit: Bool


def learn(
    services: Services,
    asked: Asked,
    space: Addresses,
    *,
    strangers: bool = True,
    bound: Bound | None = None,
    feedback: Feedback | None = None,
    boxes: Middleboxes = NOBODY,
) -> Model:
    """services: with all features, of plain hosts, sorted by number and port.

    bound: that of the model before, where scores in `feedback` are to mean the same. boxes: hosts that
    are left out because they answer on too many ports.
    """
    four = space.within(0, (1 << 32) - 1)
    belief = middleboxes.believed(boxes, services, asked, four)
    plain = services if belief is None else belief.plain(services)
    of = _some_hosts(plain)
    believed = calibrated(of, asked, BOUNDS if bound is None else (bound,))
    score, hit = believed.score, believed.hit
    conditions = Conditions(ConditionCounts(of, asked), believed.bound)
    strange = Calibration(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    if feedback is not None:
        # What came of it counts for more than what was held out.
        few = slice(None, None, max(1, 10 * len(score) // max(len(feedback.score), 1)))
        enough = len(feedback.score) >= _ENOUGH
        score = np.concatenate([score[few] if enough else score, feedback.score])
        hit = np.concatenate([hit[few] if enough else hit, feedback.hit])
        if len(feedback.strange) >= _ENOUGH:
            strange = calibration(feedback.strange, feedback.strange_hit, least=_LIKE)
    networks = predictnetworks.learn(plain, asked, four, strangers=strangers)
    if belief is not None:
        belief.of_networks(networks.first, networks.last, networks.ports, networks.chance)
    networks.score = networks.chance
    networks.chance = strange(networks.chance.astype(np.float64)).astype(np.float32)
    line = calibration(score, hit)
    return Model(
        services,
        asked,
        space,
        conditions,
        believed.weights,
        line,
        believed.views,
        len(believed.score),
        believed.judges,
        networks,
        strangers,
        belief,
    )


def _some_hosts(services: Services) -> Services:
    """All services, or those of a part of the hosts where there are more than MOST_COUNTED."""
    if len(services) <= MOST_COUNTED:
        return services
    mixed = (services.number.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)) >> np.uint64(40)
    return services.take(mixed < MOST_COUNTED / len(services) * (1 << 24))


_ENOUGH = 5_000
_LIKE = 2_000.0
"""Strangers' worth of trust in a chance: addresses of a network are alike, and count as one."""


def candidates(
    model: Model,
    budget: int,
    *,
    followed: Bool | None = None,
    never: Addresses = EMPTY,
    spared: tuple[int, int] = NO_PORTS,
    least: float = LEAST,
) -> Listed:
    """The `budget` likeliest pairs that have not been asked.

    followed: which services' hosts are asked further, all by default. never: hosts that get nothing at all.
    spared: first and last of the ports on which nobody is asked.
    """
    services = model.services
    mine = services if followed is None else services.take(followed)
    inside = model.space.contains(mine.number) & ~never.contains(mine.number)
    mine = mine.take(inside)
    masks, mask = np.unique(model.asked.masks(mine.number), return_inverse=True)
    assumed = model.asked.assumed is not None  # which is not asked
    if not assumed:
        everything = np.all(model.asked.covered(masks)[:, 1:], axis=1)
        mine = mine.take(~np.asarray(everything, np.bool_)[mask])
    wanted = 3 * budget
    while True:
        enough = max(least, model.conditions.floor(mine, wanted))
        hosts = _of_hosts(model, mine, enough, least, budget, spared)
        if len(hosts) == budget or enough == least:
            break
        wanted *= _WIDER

    without = [never.first], [never.last]
    if model.strangers:
        known = np.unique(services.number)
        without[0].append(known)
        without[1].append(known)
    seen = Addresses(np.concatenate(without[0]), np.concatenate(without[1]))
    floor = least if len(hosts) < budget else float(hosts.chance.min())
    four = model.space.within(0, (1 << 32) - 1)
    units = model.networks.units(four, budget, floor, spared)
    number, port, chance, cell = predictnetworks.expand(model.networks, units, four, model.asked, seen)
    score = model.networks.score.reshape(-1)[cell].astype(np.float64)
    others = Listed(number, port, chance, np.full(len(number), -1), cell, score)
    found = _joined([hosts, others])
    if not model.strangers:  # a host may be in both: its network's line and its own
        found = _once(found)
    found = _best(found, budget)
    return found.take(np.lexsort((_mixed(found.number, found.port), -found.chance)))


def _best(found: Listed, budget: int) -> Listed:
    return found if len(found) <= budget else found.take(np.argpartition(-found.chance, budget)[:budget])


_WIDER = 8
"""How many times more candidates are looked at where too few of the best were left to ask."""
_WEIGHED = 200_000
"""Candidates that are weighed at once (a few hundred bytes each)."""
_AT_ONCE = 100_000
"""Services whose candidates are looked for at once (some forty each, of 100 bytes)."""
_SPARE = 2_000_000
"""Candidates that are kept beside twice the best, until there are so many that these are chosen."""


def _of_hosts(
    model: Model, mine: Services, score: float, least: float, budget: int, spared: tuple[int, int]
) -> Listed:
    """The `budget` likeliest of what hosts that answered have not been asked, from a score of conditions
    on."""
    parts: list[Listed] = []
    begins = np.searchsorted(mine.number, mine.number[::_AT_ONCE])  # no host in two parts
    for low, high in pairwise([0, *np.unique(begins[1:]).tolist(), len(mine)]):
        parts.append(_of_some(model, mine.take(slice(low, high)), score, least, spared))
        if sum(map(len, parts)) > 2 * budget + _SPARE:
            parts = [_best(_joined(parts), budget)]
    return _best(_joined(parts), budget)


def _joined(parts: list[Listed]) -> Listed:
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Listed(*(np.concatenate(column) for column in columns))


def _of_some(model: Model, mine: Services, score: float, least: float, spared: tuple[int, int]) -> Listed:
    """The same of some hosts, all that are likely enough."""
    hosts, group = np.unique(mine.number, return_inverse=True)
    found = model.conditions.candidates(mine, group, score)
    number = hosts[found.group] if len(found.group) else found.group
    allowed = (found.port < spared[0]) | (found.port > spared[1])
    fresh = np.flatnonzero(allowed & ~model.asked.contains(number, found.port))
    number, port, row = number[fresh], found.port[fresh], found.row[fresh]
    pairs = mine.number << 16 | mine.port
    place = np.searchsorted(pairs, number << 16 | model.conditions.given[row])
    weighed, chance = np.empty(len(number)), np.empty(len(number))
    masks = model.asked.masks(number)
    for low in range(0, len(number), _WEIGHED):
        part = slice(low, low + _WEIGHED)
        of = (place[part], port[part], found.score[fresh[part]])
        evidence = model.conditions.evidence(mine, *of)
        weighed[part] = model.weights(evidence)
        chance[part] = model.calibration(weighed[part])
        for view in model.views:
            own = masks[part] == np.uint64(view.mask)
            chance[part][own] = view.calibration(view.weights(evidence[own]))
    if model.boxes is not None:
        chance = model.boxes.of_hosts(number, port, chance)
    keep = np.flatnonzero(chance >= least)
    return Listed(number, port, chance, row, np.full(len(number), -1), weighed).take(keep)


def deciding(services: Services, when: I64, *, follow: bool) -> Bool:
    """Which answers of hosts decide what those hosts are asked next, in a loop.

    when: (n,) i64 the round in which each was asked; 0 is the seed.

    Those of the seed do. Of a host that the loop has found, none does; with `follow` one: its first
    answer (of several in a round, that on the lowest port). What it answers later, or
    does not, changes nothing for it.
    """
    if not follow or not len(when):
        return np.asarray(when == 0, np.bool_)
    order = np.lexsort((services.port, when, services.number))
    number = services.number[order]
    first = np.zeros(len(order), np.bool_)
    first[order[np.concatenate([[True], number[1:] != number[:-1]])]] = True
    return np.asarray(first | (when == 0), np.bool_)


def _once(found: Listed) -> Listed:
    pair = found.number << 16 | found.port
    order = np.lexsort((-found.chance, pair))
    pair = pair[order]
    return found.take(order[np.concatenate([[True], pair[1:] != pair[:-1]])]) if len(order) else found


def _mixed(number: I64, port: I64) -> NDArray[np.uint64]:
    """A number without order for each pair: neighbours of one chance do not follow each other."""
    mixed = (number.astype(np.uint64) << np.uint64(16) | port.astype(np.uint64)) * np.uint64(
        0x9E3779B97F4A7C15
    )
    return (mixed ^ mixed >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9)


# --- would whole ports have been better?
# -------------------------------------------------------------------


@dataclass
class Comparison:
    """probes: of the list; space: addresses. expected: services that the list should find.

    whole: services that whole ports in the seed's order should find with as many probes; ports: how many
    that are.
    whole_and_seed, ports_and_seed: the same with the seed's probes as well. seed_cost, seed_found: of
    the seed.
    """

    probes: int
    space: int
    expected: float
    whole: float
    ports: float
    whole_and_seed: float
    ports_and_seed: float
    seed_cost: int
    seed_found: int


def compare(model: Model, listed: Listed) -> Comparison:
    """What the list should find, beside whole ports for as many probes."""
    space = model.space.within(0, (1 << 32) - 1)
    ports, hits, total = predictnetworks.root(model.services, model.asked, space)
    size = space.size
    # Of ports that answered once or twice most are chance: what they promise is drawn towards nothing.
    share = np.maximum(hits - 0.5, 0.0) / np.maximum(total, 1)
    left = np.maximum(size - model.asked.counted(ports, space), 0)

    def whole(probes: float, rooms: NDArray[np.float64]) -> tuple[float, float]:
        used = np.minimum(np.maximum(probes - (np.cumsum(rooms) - rooms), 0), rooms)
        return float((used * share).sum()), float((used / np.maximum(rooms, 1)).sum())

    found, count = whole(len(listed), left.astype(np.float64))
    with_seed, more = whole(len(listed) + model.asked.cost, np.full(len(ports), float(size)))
    return Comparison(
        len(listed), size, float(listed.chance.sum()), found, count, with_seed, more, model.asked.cost,
        len(model.services),
    )  # fmt: skip
