"""Which pairs of address and port have been asked: what a seed must say beside its records.

A record tells who answered. A model that is to know how often nobody does has to be told who was asked,
too: as products of addresses and ports ("these 4,000 addresses on all ports"), or pair by pair. IPv4
addresses are numbers below 2^32 in int64 columns; sets of them are sorted ranges, so a whole scan of a
port costs 16 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

PORTS = 1 << 16
BLIND = -1
"""The reason of what was asked without knowing anything of the host."""


class Addresses:
    """A set of IPv4 addresses. first, last: (n,) i64, sorted, disjoint ranges that do not touch."""

    def __init__(self, first: I64, last: I64) -> None:
        if (first[1:] < first[:-1]).any():  # of millions in order, nothing is copied
            order = np.argsort(first, kind="stable")
            first, last = first[order], last[order]
        if len(first):
            reached = np.maximum.accumulate(last)
            begins = np.concatenate([[True], first[1:] > reached[:-1] + 1])
            ends = np.concatenate([np.flatnonzero(begins)[1:] - 1, [len(first) - 1]])
            first, last = first[begins], reached[ends]
        self.first: I64 = first.astype(np.int64, copy=False)
        self.last: I64 = last.astype(np.int64, copy=False)
        self._below: I64 = np.concatenate([[0], np.cumsum(self.last - self.first + 1)]).astype(np.int64)

    @classmethod
    def of(cls, numbers: I64) -> Addresses:
        """Single addresses, in any order."""
        return cls(numbers, numbers)

    @property
    def size(self) -> int:
        return int(self._below[-1])

    def below(self, numbers: I64) -> I64:
        """How many of the set are smaller than each of `numbers`."""
        at = np.searchsorted(self.first, numbers, "left")
        inside = np.maximum(at - 1, 0)
        if not len(self.first):
            return np.zeros(len(numbers), np.int64)
        part = np.minimum(numbers, self.last[inside] + 1) - self.first[inside]
        return np.where(at > 0, self._below[inside] + part, 0)

    def between(self, first: I64, last: I64) -> I64:
        """How many of the set lie in each range, both ends included."""
        return self.below(last + 1) - self.below(first)

    def contains(self, numbers: I64) -> Bool:
        if not len(self.first):
            return np.zeros(len(numbers), np.bool_)
        at = np.searchsorted(self.first, numbers, "right") - 1
        return np.asarray((at >= 0) & (numbers <= self.last[np.maximum(at, 0)]), np.bool_)

    def ranked(self, ranks: I64) -> I64:
        """The address of each rank (0: the smallest)."""
        at = np.searchsorted(self._below, ranks, "right") - 1
        return self.first[at] + ranks - self._below[at]

    def within(self, first: int, last: int) -> Addresses:
        """Those from `first` to `last`."""
        low, high = np.searchsorted(self.last, first), np.searchsorted(self.first, last, "right")
        return Addresses(np.maximum(self.first[low:high], first), np.minimum(self.last[low:high], last))

    def without(self, other: Addresses) -> Addresses:
        """Those that are not in `other`."""
        if not len(other.first) or not len(self.first):
            return self
        # The gaps of `other`, cut with this set.
        starts = np.concatenate([[0], other.last + 1])
        ends = np.concatenate([other.first - 1, [1 << 62]])
        open_ = starts <= ends
        return self._cut(starts[open_], ends[open_])

    def common(self, other: Addresses) -> Addresses:
        """Those that are in both."""
        few, many = sorted((self, other), key=lambda addresses: len(addresses.first))
        return many._cut(few.first, few.last)

    def _cut(self, starts: I64, ends: I64) -> Addresses:
        low = np.searchsorted(self.last, starts, "left")
        high = np.searchsorted(self.first, ends, "right")
        counts = np.maximum(high - low, 0)
        which = np.repeat(np.arange(len(starts)), counts)
        at = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts) + low[which]
        return Addresses(np.maximum(self.first[at], starts[which]), np.minimum(self.last[at], ends[which]))


def joined(sets: Iterable[Addresses]) -> Addresses:
    """All that is in any of them."""
    parts = list(sets)
    some = [part for part in parts if len(part.first)]
    if len(some) == 1:
        return some[0]
    if not parts:
        return Addresses(np.empty(0, np.int64), np.empty(0, np.int64))
    return Addresses(
        np.concatenate([part.first for part in parts]), np.concatenate([part.last for part in parts])
    )


EMPTY = joined(())


def by_port(port: I64) -> list[tuple[int, NDArray[np.intp]]]:
    """Each port, and the rows that have it."""
    if not len(port):
        return []
    order = np.argsort(port, kind="stable")
    numbers, starts = np.unique(port[order], return_index=True)
    return list(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))


MOST_PRODUCTS = 60
"""Products with different ports that are kept as such; each is a bit of a host's mask."""


_ASSUMED = np.uint64(1 << 62)
_AT_ONCE = 1 << 20


class Singles(NamedTuple):
    """Single pairs that were asked: the host's place among the hosts, the port, reason and round; (n,) i64
    each."""

    place: I64
    port: I64
    reason: I64
    round: I64


class Asked:
    """What was asked without knowing anything of the host (`blind`), and what because of an answer
    (`followed`).

    assumed: a product that nobody has stated. It counts for how often hosts answer, and nowhere else.

    Both count for what is not asked again and for how often a host of a kind answers. Only blind ones
    tell how often an address of which nothing is known does.
    """

    def __init__(self) -> None:
        self.products: list[tuple[Addresses, Bool]] = []
        self.blind: dict[int, Addresses] = {}
        self.followed: dict[int, Addresses] = {}
        self.cost = 0
        self.assumed: tuple[Addresses, Bool] | None = None
        self._blind: dict[tuple[int, int], Addresses] = {}  # by round and port
        self._because: list[tuple[I64, I64, I64, int]] = []  # address, port, reason; round

    def add_product(self, addresses: Addresses, ports: Bool) -> None:
        """Every address on every port of `ports`, a (65536,) mask."""
        for place, (known, same) in enumerate(self.products):
            if (same == ports).all():
                self.products[place] = (joined((known, addresses)), same)
                self.cost += self.products[place][0].size * int(ports.sum()) - known.size * int(ports.sum())
                return
        if len(self.products) < MOST_PRODUCTS and ports.sum() > 1:
            self.products.append((addresses, ports.copy()))
            self.cost += addresses.size * int(ports.sum())
            return
        for port in np.flatnonzero(ports).tolist():
            self.add_port(port, addresses)

    def add_port(self, port: int, addresses: Addresses, *, round_: int = 0) -> None:
        """Without knowing anything of these hosts. round_: the batch; what was found in a later one was not
        known then."""
        self._keep(self.blind, port, addresses)
        same = self._blind.get((round_, port), EMPTY)
        self._blind[round_, port] = joined((same, addresses)) if same.size else addresses

    def add_pairs(self, address: I64, port: I64, reason: I64 | int = BLIND, *, round_: int = 0) -> None:
        """(n,) addresses and ports, in any order, and why they were asked (`counts.reason_of`), or
        BLIND."""
        reasons = np.broadcast_to(np.asarray(reason, np.int64), address.shape)
        blind = np.flatnonzero(reasons == BLIND)
        for of, rows in by_port(port[blind]):
            self.add_port(of, Addresses.of(address[blind[rows]]), round_=round_)
        known = np.flatnonzero(reasons != BLIND)
        if len(known):
            for of, rows in by_port(port[known]):
                self._keep(self.followed, of, Addresses.of(address[known[rows]]))
            self._because.append((address[known], port[known], reasons[known], round_))

    def _keep(self, kept: dict[int, Addresses], port: int, addresses: Addresses) -> None:
        before = kept.get(port, EMPTY)
        kept[port] = joined((before, addresses)) if before.size else addresses
        self.cost += kept[port].size - before.size

    def of_port(self, port: int) -> Addresses:
        """All that was asked on a port."""
        parts = [addresses for addresses, ports in self.products if ports[port]]
        parts += [kept[port] for kept in (self.blind, self.followed) if port in kept]
        return joined(parts)

    def counted(self, ports: I64, space: Addresses) -> I64:
        """(n,) how many addresses of the space were asked on each of the ports."""
        found, same = np.zeros(len(ports), np.int64), dict[tuple[int, ...], tuple[Addresses, int]]()
        for place, port in enumerate(ports.tolist()):
            within = tuple(number for number, (_, of) in enumerate(self.products) if of[port])
            if within not in same:  # thousands of ports share what was asked on all of them
                every = joined(self.products[number][0] for number in within)
                same[within] = every, every.common(space).size
            every, found[place] = same[within]
            parts = [kept[port] for kept in (self.blind, self.followed) if port in kept]
            if parts:
                single = joined(parts).common(space)
                found[place] += single.size - single.common(every).size
        return found

    def contains(self, address: I64, port: I64) -> Bool:
        """Which pairs have been asked."""
        found = self.in_products(address, port)
        for number, rows in by_port(port):
            for kept in (self.blind, self.followed):
                if number in kept:
                    found[rows] |= kept[number].contains(address[rows])
        return found

    def in_products(self, address: I64, port: I64) -> Bool:
        """Which pairs have been asked by a product."""
        found = np.zeros(len(address), np.bool_)
        for addresses, ports in self.products:
            may = np.flatnonzero(ports[port] & ~found)
            found[may] = addresses.contains(address[may])
        return found

    def masks(self, address: I64) -> NDArray[np.uint64]:
        """Which products each address is in, a bit for each."""
        found = np.zeros(len(address), np.uint64)
        for place, (addresses, _) in enumerate(self.products):
            found[addresses.contains(address)] |= np.uint64(1 << place)
        if self.assumed is not None:
            found[self.assumed[0].contains(address)] |= _ASSUMED
        return found

    def covered(self, masks: NDArray[np.uint64]) -> Bool:
        """(len(masks), 65536): which ports a host of such a mask was asked on."""
        table = np.zeros((len(masks), PORTS), np.bool_)
        for place, (_, ports) in enumerate(self.products):
            table[(masks >> np.uint64(place) & np.uint64(1)) != 0] |= ports
        if self.assumed is not None:
            table[(masks & _ASSUMED) != 0] |= self.assumed[1]
        return table

    def _together(self) -> Iterator[tuple[I64, I64, I64, I64]]:
        """First, last, port and round of the ranges that were asked singly, of as many ports and rounds at
        once as have some _AT_ONCE ranges: there may be thousands of few ranges each."""
        group: list[tuple[Addresses, int, int]] = []
        size = 0
        for number, ((round_, port), both) in enumerate(self._blind.items(), 1):
            group.append((both, port, round_))
            size += len(both.first)
            if size >= _AT_ONCE or number == len(self._blind):
                sizes = [len(of.first) for of, _, _ in group]
                yield (
                    np.concatenate([of.first for of, _, _ in group]),
                    np.concatenate([of.last for of, _, _ in group]),
                    np.repeat(np.array([port for _, port, _ in group], np.int64), sizes),
                    np.repeat(np.array([round_ for _, _, round_ in group], np.int64), sizes),
                )
                group, size = [], 0

    def singles(self, hosts: I64) -> Singles:
        """What of `hosts` (sorted) was asked beside the products, by host and port."""
        parts: list[tuple[I64, I64, I64, I64]] = []
        for first, last, port, round_ in self._together():
            low, high = np.searchsorted(hosts, first), np.searchsorted(hosts, last, "right")
            some = np.flatnonzero(high > low)
            low, counts = low[some], high[some] - low[some]
            begins = np.cumsum(counts) - counts
            at = np.arange(counts.sum()) - np.repeat(begins, counts) + np.repeat(low, counts)
            of_port, of_round = np.repeat(port[some], counts), np.repeat(round_[some], counts)
            parts.append((at.astype(np.int64), of_port, np.full(len(at), BLIND), of_round))
        for address, ports, reason, since in self._because:
            at = np.minimum(np.searchsorted(hosts, address), max(len(hosts) - 1, 0))
            mine = np.flatnonzero(hosts[at] == address) if len(hosts) else at[:0]
            parts.append((at[mine], ports[mine], reason[mine], np.full(len(mine), since)))
        if not parts:
            return Singles(*(np.empty(0, np.int64) for _ in range(4)))
        place, port_of, reason_of, round_of = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.lexsort((round_of, place << 16 | port_of))
        return Singles(place[order], port_of[order], reason_of[order], round_of[order])
