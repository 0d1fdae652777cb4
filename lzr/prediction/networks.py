"""How often an address of which nothing is known answers on a port: P(port | network), from wide to narrow.

Networks are nested: all, /16, /20, /24. What is to be expected of one comes from the kinds of hosts that
it seems to hold and from the networks around it (`kinds`). Neighbours of which the seed says nothing are one
row: of each the same is to be expected. Counted are only pairs that were asked
without knowing anything of the host: those that were asked because of an answer say nothing of a stranger.

Where hosts that answered are left to `conditions` (`strangers`), the rest of a network that was
asked on port 80 are the hosts without port 80. Then what is to be expected comes from the seed's random
sample alone; from it go the hosts that answered on a port that their network has been asked on, neither
as asked nor as answers; and a network is hoped for as much as it has kept of what was hoped for before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr.prediction import kinds as predictkinds
from lzr.prediction import sampled as predictsampled
from lzr.prediction.asked import PORTS, Addresses, Asked, by_port, joined
from lzr.prediction.counts import Services
from lzr.prediction.kinds import Answers

I64 = NDArray[np.int64]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

LEVELS = (16, 12, 8)
"""Free bits of the networks, from wide to narrow."""

MOST_CELLS = 24_000_000
"""Networks times ports that are kept; beyond, the narrowest networks are left out, then the least frequent
ports (4 bytes each, a dozen times)."""

MOST_PORTS = 2_048


@dataclass
class Networks:
    """The table. first, last: (n,) i64 of each network, `bits` free, or of several of which nothing is
    known; ports: (m,) i64.

    chance: (n, m) f8; hits, asked: the counts behind it (n, m), of the narrowest level. score: chance,
    before it was corrected by what came of earlier lists.
    """

    bits: int
    first: I64
    last: I64
    ports: I64
    chance: F64 | F32
    hits: F64 | F32
    asked: F64 | F32
    score: F64 | F32 = field(init=False)

    def __post_init__(self) -> None:
        self.score = self.chance

    def units(self, space: Addresses, budget: int, least: float, spared: tuple[int, int]) -> Units:
        """Best first, of as many as `budget` addresses need. spared: first and last of ports that are left
        out."""
        if not self.chance.size:
            return Units(*(np.empty(0, np.int64),) * 2, np.empty(0), np.empty(0, np.int64))
        room = space.between(self.first, self.last).astype(np.float64)
        free = np.maximum(room[:, None] - self.asked, 0)  # of an estimate: `expand` looks at each address
        free[:, (self.ports >= spared[0]) & (self.ports <= spared[1])] = 0
        flat = np.flatnonzero((self.chance >= max(least, 1e-7)) & (free > 0))
        value = self.chance.reshape(-1)[flat].astype(np.float64)
        order = np.argsort(-value, kind="stable")
        needed = 1.25 * budget + 4096
        many = np.cumsum(free.reshape(-1)[flat[order]])
        enough = int(np.searchsorted(many, needed)) + 1
        chosen = flat[order[:enough]]
        block = chosen // len(self.ports)
        last = self.last[block]
        if len(chosen) == enough and last[-1] - self.first[block[-1]] >= 1 << self.bits:
            # Of many networks of which nothing is known, those that are needed.
            beyond = int(many[enough - 1] - needed)
            end = space.ranked(space.below(last[-1:] + 1) - 1 - beyond)
            last[-1:] = end | (1 << self.bits) - 1
        return Units(block, chosen % len(self.ports), value[order[:enough]], last)


class Units(NamedTuple):
    """Networks on ports: (n,) places of the network and of the port, the chance, and the last address that is
    meant of each."""

    block: I64
    place: I64
    chance: F64
    last: I64


def root(services: Services, asked: Asked, space: Addresses) -> tuple[I64, F64, F64]:
    """(port, hits, asked) in the space, of ports with an answer among those asked blindly; most frequent
    first."""
    sampled, _ = _blind(services, asked)
    hits = np.bincount(services.port[sampled], minlength=PORTS).astype(np.float64)
    ports = np.flatnonzero(hits)
    total = np.zeros(PORTS)
    for addresses, of in asked.products:
        total += addresses.common(space).size * of
    for port, addresses in asked.blind.items():
        total[port] += addresses.common(space).size
    share = hits[ports] / np.maximum(total[ports], 1)
    order = np.argsort(-share, kind="stable")
    ports = ports[order]
    return ports, hits[ports], np.maximum(total[ports], hits[ports])


def _blind(services: Services, asked: Asked) -> tuple[Bool, Bool]:
    """Which services were asked blindly, and which of these by a product."""
    product = np.zeros(len(services), np.bool_)
    for addresses, ports in asked.products:
        may = np.flatnonzero(ports[services.port] & ~product)
        product[may] = addresses.contains(services.number[may])
    single = np.zeros(len(services), np.bool_)
    for number, rows in by_port(services.port):
        if number in asked.blind:
            single[rows] = asked.blind[number].contains(services.number[rows])
    return product | single, product


class _Grid(NamedTuple):
    """Networks by ports. levels: how many bits of an address are free in the networks that are looked at, the
    finest last. first, last: (u,) i64 of the finest, or of several of which nothing is known; room: (u,)
    addresses in each. ports: (P,) i64.
    """

    levels: list[int]
    first: I64
    last: I64
    room: F64
    ports: I64

    @property
    def finest(self) -> int:
        return self.levels[-1]


class _Counts(NamedTuple):
    """rows: (m,) the services that are counted; block, place, drawn: of each its network, its port, and
    whether it was found at random. sample_k, sample_n: (u, P) f4 answers of addresses that were drawn at
    random, and how many were; single_k, single_n: of those that were asked otherwise.
    """

    rows: I64
    block: I64
    place: I64
    drawn: Bool
    sample_k: F32
    sample_n: F32
    single_k: F32
    single_n: F32


def _grid(services: Services, asked: Asked, inside: Bool, space: Addresses) -> _Grid:
    hits = np.bincount(services.port[inside], minlength=PORTS)
    ports = np.flatnonzero(hits >= 2)
    ports = ports[np.argsort(-hits[ports], kind="stable")][:MOST_PORTS]
    told = joined(
        (Addresses.of(services.number[inside]), *(of for of, _ in asked.products), *asked.blind.values())
    )
    for count in range(len(LEVELS), 0, -1):
        levels = list(LEVELS[:count])
        first, last = _rows(space, told, levels)
        if len(first) * len(ports) <= MOST_CELLS:
            break
    ports = np.sort(ports[: max(1, MOST_CELLS // max(len(first), 1))])
    room = np.maximum(space.between(first, last), 1).astype(np.float64)
    return _Grid(levels, first, last, room, ports)


def _rows(space: Addresses, told: Addresses, levels: list[int]) -> tuple[I64, I64]:
    """First and last addresses, in order, of the narrowest networks that hold some of the space; those side
    by side that hold nothing of `told`, within the network around them, are one."""
    edges = [np.array([0], np.int64)]
    for bits in levels:
        of_space = Addresses(space.first >> bits, space.last >> bits)
        of_told = Addresses(told.first >> bits, told.last >> bits).common(of_space)
        if of_told.size > MOST_CELLS:
            return np.zeros(MOST_CELLS + 1, np.int64), np.zeros(MOST_CELLS + 1, np.int64)  # too many
        numbers = of_told.ranked(np.arange(of_told.size)) << bits
        edges += [numbers, numbers + (1 << bits)]
    first = np.unique(np.concatenate(edges))
    last = np.append(first[1:] - 1, (1 << 32) - 1)
    some = (first <= last) & (space.between(first, last) > 0)
    first, last = first[some], last[some]
    return space.ranked(space.below(first)) >> levels[-1] << levels[-1], last  # none begins beside the space


def _counted(
    services: Services, asked: Asked, space: Addresses, grid: _Grid, inside: Bool, product: Bool
) -> _Counts:
    """inside: (n,) of the services, those that count; product: those that were found at random."""
    first, last, ports = grid.first, grid.last, grid.ports
    column = np.full(PORTS, -1)
    column[ports] = np.arange(len(ports))
    single_n = np.zeros((len(first), len(ports)), np.float32)
    for port, addresses in asked.blind.items():
        if column[port] >= 0:
            single_n[:, column[port]] = addresses.common(space).between(first, last)
    sample_n = np.zeros((len(first), len(ports)), np.float32)
    for addresses, of in asked.products:
        sample_n += addresses.common(space).between(first, last)[:, None] * of[ports]
    rows = np.flatnonzero(inside & (column[services.port] >= 0))
    block = np.searchsorted(first, services.number[rows], "right") - 1
    place = column[services.port[rows]]
    drawn = product[rows]
    cells = block * len(ports) + place
    size = len(first) * len(ports)
    sample_k, single_k = (
        np.bincount(cells[which], minlength=size).reshape(len(first), len(ports)).astype(np.float32)
        for which in (drawn, ~drawn)
    )
    return _Counts(rows, block, place, drawn, sample_k, np.maximum(sample_n, sample_k), single_k, single_n)


def learn(services: Services, asked: Asked, space: Addresses, *, strangers: bool) -> Networks:
    """Estimates for all networks of the space. `strangers`: only of hosts that have not answered
    anywhere."""
    blind, product = _blind(services, asked)
    inside = space.contains(services.number) & blind
    grid = _grid(services, asked, inside, space)
    counts = _counted(services, asked, space, grid, inside, product)
    levels, first, ports = grid.levels, grid.first, grid.ports
    answered, total_n = counts.sample_k + counts.single_k, counts.sample_n + counts.single_n
    if not len(ports):
        return Networks(grid.finest, first, grid.last, ports, counts.sample_n, counts.sample_k, total_n)
    said, port_of = predictkinds.columns(counts.place, predictsampled.said(services, counts.rows))
    answers = Answers(counts.block, said, port_of)
    sample = predictsampled.Sample(asked, services.number[counts.rows], answers, ports)
    drawn_only = sample.take(counts.drawn)
    known = predictsampled.kinds(drawn_only, counts.sample_k, counts.sample_n)
    pull = predictsampled.pull(sample, first, levels, known)
    trust = predictsampled.PLAIN
    if strangers or not counts.single_n.any():
        trust = predictsampled.trust(drawn_only, first, levels, pull, known)
    usual = predictsampled.usual(counts.sample_k, counts.sample_n)
    if not strangers:
        asked_there = np.maximum(total_n, answered)
        chance = trust(predictkinds.estimated(answers, asked_there, first, levels, known, pull), usual)
        return Networks(grid.finest, first, grid.last, ports, chance, answered, total_n)
    drawn_alone = predictkinds.estimated(drawn_only.answers, counts.sample_n, first, levels, known, pull)
    trusted = trust(drawn_alone, usual).astype(np.float64)
    corrected = _of_strangers(services, counts, grid, trusted)
    done = _done(counts, grid)
    if done.any():
        kept = corrected / np.maximum(trusted, 1e-9)
        line = predictsampled.of_strangers(
            drawn_only, first, levels, pull, known, lambda told, of, at: trust(told, of) * kept[at], done
        )
        if line is not None:
            corrected = line(corrected)
    return Networks(grid.finest, first, grid.last, ports, corrected, answered, total_n)


def _done(counts: _Counts, grid: _Grid) -> Bool:
    """(u, P): where most addresses have been asked."""
    return np.asarray(counts.sample_n + counts.single_n >= 0.5 * grid.room[:, None], np.bool_)


def _of_strangers(services: Services, counts: _Counts, grid: _Grid, chance: F64) -> F64:
    """Corrects chances, (u, P), by what came of those who were asked singly, and by who is left."""
    levels, first, room = grid.levels, grid.first, grid.room
    rows, drawn, single_k, single_n = counts.rows, counts.drawn, counts.single_k, counts.single_n
    sample_k, sample_n = counts.sample_k, counts.sample_n
    done = _done(counts, grid)
    if done.any():
        most_drawn = float(sample_n.max(1).sum())
        left, found = _left(services, rows, counts.place, drawn, done, len(grid.ports), most_drawn)
        often = np.where(done, sample_k.sum(0) / np.maximum(sample_n.sum(0), 1), 0).sum(1)
        hoped = found * np.where(done, chance, 0).sum(1) / np.maximum(often, 1e-9) * room
        hosts = np.zeros(len(first))
        who, at = np.unique(services.number[rows[~drawn]], return_index=True)
        hosts += np.bincount(counts.block[~drawn][at], minlength=len(first)) if len(who) else 0
        hoped = np.where(single_n.sum(1) > 0, np.maximum(hoped, (chance * single_n).max(1)), 0)
        most = 1.0
    else:
        left, hosts, hoped, most = np.ones(1), single_k.sum(1), (chance * single_n).sum(1), 3.0
    life = _kept(hosts, hoped, first, levels, most)
    wide = _kept(single_k.astype(np.float64), (single_n * chance).astype(np.float64), first, levels[:1], 1.0)
    own = np.minimum((single_k + _KEPT) / (single_n * chance * life[:, None] * wide + _KEPT), 1.0)
    return np.asarray(np.minimum(chance * left * life[:, None] * wide * own, 0.95), np.float64)


def _summed(counts: F64, first: I64, bits: int) -> tuple[F64, I64, I64]:
    """Counts of the networks with `bits` free; to which each narrow one belongs; and where each begins."""
    numbers, own = np.unique(first >> bits, return_inverse=True)
    starts = np.searchsorted(own, np.arange(len(numbers)))
    return (counts if len(numbers) == len(first) else np.add.reduceat(counts, starts)), own, starts


_KEPT = 8.0
"""Answers' worth of trust that a network keeps what its sample promises."""


def _kept(found: F64, hoped: F64, first: I64, levels: list[int], most: float) -> F64:
    """What networks that were asked kept of what was hoped for, from wide to narrow: a factor for each
    narrow one.

    They were asked where most was hoped for, so what they found beyond that is nothing to hope for
    elsewhere (`most`).
    """
    factor = np.ones(found.shape)
    for bits in levels:
        got, own, _ = _summed(found, first, bits)
        wanted, _, _ = _summed(hoped * factor, first, bits)
        factor *= np.minimum((got + _KEPT) / (wanted + _KEPT), most)[own]
    return factor


_MOST_HOSTS = 4_000


def _left(
    services: Services, rows: I64, place: I64, drawn: Bool, done: Bool, ports: int, sampled: float
) -> tuple[F64, F64]:
    """(networks, ports): how frequent a port is still, once the hosts of the ports that are done are
    known, as a share of what it was; and (networks,) the share of all addresses that these hosts are."""
    hosts, host = np.unique(services.number[rows[drawn]], return_inverse=True)
    step = max(1, -(-len(hosts) // _MOST_HOSTS))
    some = host % step == 0  # a table of all hosts of millions would have gigabytes
    has = np.zeros((-(-len(hosts) // step), ports), np.float32)
    has[host[some] // step, place[drawn][some]] = 1
    signs, of = np.unique(done, axis=0, return_inverse=True)
    strange = np.empty((len(signs), ports))
    share = np.empty(len(signs))
    every = has.sum(0)
    for low in range(0, len(signs), 512):
        gone = (signs[low : low + 512].astype(np.float32) @ has.T) > 0
        share[low : low + 512] = gone.sum(1) * step / max(sampled, 1.0)
        strange[low : low + 512] = ((~gone).astype(np.float32) @ has + 0.5) / (every + 0.5)
    strange /= np.maximum(1 - share, 0.05)[:, None]
    return np.minimum(strange, 1.0)[of.reshape(-1)], share[of.reshape(-1)]


def blocks(space: Addresses, bits: int) -> I64:
    """First addresses of the networks that hold some of the space, in order."""
    low, high = space.first >> bits, space.last >> bits
    counts = high - low + 1
    if counts.sum() > MOST_CELLS:
        return np.arange(MOST_CELLS + 1, dtype=np.int64)  # too many to be used: who asks compares the length
    at = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - low, counts)
    return np.unique(at) << bits


def expand(
    networks: Networks, units: Units, space: Addresses, asked: Asked, without: Addresses
) -> tuple[I64, I64, F64, I64]:
    """(address, port, chance, cell) of all that is left to ask in these networks on these ports."""
    block, place, chance, last = units
    parts: list[tuple[I64, I64, F64, I64]] = []
    for column in np.unique(place).tolist():
        mine = place == column
        order = np.argsort(networks.first[block[mine]])
        chosen, value, ends = block[mine][order], chance[mine][order], last[mine][order]
        begins = networks.first[chosen]
        port = int(networks.ports[column])
        left = Addresses(begins, ends).common(space)
        number = left.ranked(np.arange(left.size))
        number = number[~without.contains(number)]
        number = number[~asked.contains(number, np.full(len(number), port))]
        at = np.searchsorted(begins, number, "right") - 1
        parts.append(
            (number, np.full(len(number), port), value[at], chosen[at] * len(networks.ports) + column)
        )
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)
    address, port_of, value, cell = (np.concatenate([part[column] for part in parts]) for column in range(4))
    return address, port_of, value, cell
