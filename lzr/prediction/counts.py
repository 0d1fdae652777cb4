"""What a seed says of hosts, counted: how many that met a condition were asked on a port, and answered.

Counted are pairs of services that the seed found (the second asked of everybody), and what hosts were asked
singly, afterwards, for a reason that says nothing of the answer (`eligible`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr.prediction.asked import BLIND, PORTS, Asked, Singles

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

LEAST_VAIN = 4
"""Hosts that must have been asked singly before it counts that fewer than LEAST_HITS answered."""
LEAST_HITS = 2
"""Hosts that must have answered before a condition says anything of a port: one is chance."""


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

    def take(self, rows: NDArray[np.intp] | Bool | slice) -> Services:
        return Services(self.number[rows], self.port[rows], self.codes[rows], self.kinds, self.local)


class Counted(NamedTuple):
    """Of one kind: (n,) the place of the condition, the port that it tells of, hosts that answered there and
    that were asked. of_key: (masks, conditions) hosts of the seed, by the products that they were asked for.
    """

    of: I64
    to: I64
    hits: I64
    total: I64
    of_key: I64


def conditions(services: Services, kind: int) -> tuple[I64, I64]:
    """The conditions of a kind that enough hosts meet, -1: the port alone. (k,) value and port of each as one
    number; and (n,) the place of the one that each service meets, -1 for none.
    """
    code = np.zeros(len(services), np.int64) if kind < 0 else services.codes[:, kind].astype(np.int64)
    key = np.where(code >= 0, code * PORTS + services.port, -1)
    keys, place, many = np.unique(key, return_inverse=True, return_counts=True)
    useful = (many >= LEAST_HITS) & (keys >= 0)
    rank = np.where(useful, np.cumsum(useful) - 1, -1)
    return keys[useful], rank[place]


class HostAnswers:
    """What hosts were asked and answered, whatever the kind of condition: pairs of services that the seed
    found, and what was asked singly. covered, base: as of `AskedFor`.
    """

    def __init__(self, services: Services, asked: Asked) -> None:
        hosts, host = np.unique(services.number, return_inverse=True)
        masks, mask = np.unique(asked.masks(hosts), return_inverse=True)
        self.covered: Bool = asked.covered(masks)
        known = AskedFor(services, asked, hosts, host, mask, self.covered)
        self.base = known.base
        self._services = services
        self._mask = mask[host]
        # Both from the seed, and the second was asked of everybody:
        self._first = known.round == 0
        left, right = _pairs(host)
        sound = self._first[left] & known.product[right]
        self._left, self._right_port = left[sound], services.port[right[sound]]
        self._single, of_single = known.followed()
        self._single_port, self._reason = known.singles.port[of_single], known.singles.reason[of_single]
        self._single_hit = known.hit[of_single]

    def count(self, kind: int, own: I64, keys: int) -> Counted:
        """Count hosts by condition and port. own: as `conditions` returns it, of `keys` conditions."""
        services = self._services
        use = own[self._single] >= 0
        use &= eligible(services, np.array(kind), services.port[self._single], self._reason)
        wanted = own[self._single[use]] * PORTS + self._single_port[use]
        usable = own[self._left] >= 0
        seed = own[self._left[usable]] * PORTS + self._right_port[usable]
        pair, hits = _enough(np.concatenate([seed, wanted[self._single_hit[use]]]), wanted)
        of, to = pair // PORTS, pair % PORTS
        of_key = self._by_mask(np.where(self._first, own, -1), keys)
        total = np.zeros(len(of), np.int64)
        for by_mask, ports in zip(of_key, self.covered, strict=True):
            total += by_mask[of] * ports[to]
        if len(pair):
            at = np.minimum(np.searchsorted(pair, wanted), len(pair) - 1)
            total += np.bincount(at[pair[at] == wanted], minlength=len(pair))
        return Counted(of, to, hits, np.maximum(total, hits), of_key)

    def _by_mask(self, own: I64, keys: int) -> I64:
        """(masks, keys): hosts of each condition that are in each combination of products of the seed."""
        mine, masks = own >= 0, len(self.covered)
        return np.bincount(self._mask[mine] * keys + own[mine], minlength=masks * keys).reshape(masks, keys)


class ConditionCounts:
    """Of each kind of condition, from the port alone (-1) on: its conditions, as `conditions` names them, and
    what is counted for them. Whatever the bound, it is the same.

    covered, base: as of `AskedFor`. keep: for who looks more than once; else a kind is counted when its turn
    comes, for all of a large seed take much memory.
    """

    def __init__(self, services: Services, asked: Asked, *, keep: bool = False) -> None:
        self._services = services
        self._answers = HostAnswers(services, asked)
        self.covered, self.base = self._answers.covered, self._answers.base
        self._kept = list(self._each()) if keep else None

    def __iter__(self) -> Iterator[tuple[I64, Counted]]:
        return self._each() if self._kept is None else iter(self._kept)

    def _each(self) -> Iterator[tuple[I64, Counted]]:
        for kind in range(-1, self._services.codes.shape[1]):
            keys, own = conditions(self._services, kind)
            yield keys, self._answers.count(kind, own, len(keys))


def _enough(answered: I64, wanted: I64) -> tuple[I64, I64]:
    """Pairs that answered often enough, or were asked singly often enough in vain: (n,) sorted; and how often
    each answered. answered, wanted: a number of a pair for each time.
    """
    pair, hits = np.unique(answered, return_counts=True)
    vain, times = np.unique(wanted, return_counts=True)
    vain = np.setdiff1d(vain[times >= LEAST_VAIN], pair[hits >= LEAST_HITS], assume_unique=True)
    at = np.minimum(np.searchsorted(pair, vain), max(len(pair) - 1, 0))
    few = np.where(pair[at] == vain, hits[at], 0) if len(pair) else np.zeros(len(vain), np.int64)
    pair = np.concatenate([pair[hits >= LEAST_HITS], vain])
    hits = np.concatenate([hits[hits >= LEAST_HITS], few])
    order = np.argsort(pair, kind="stable")
    return pair[order], hits[order]


def _pairs(host: I64) -> tuple[I64, I64]:
    """Every two services of a host, both ways; `host` is sorted."""
    counts = np.bincount(host)
    starts = np.cumsum(counts) - counts
    size = counts[host]
    left = np.repeat(np.arange(len(host)), size)
    right = np.arange(len(left)) - np.repeat(np.cumsum(size) - size, size) + np.repeat(starts[host], size)
    other = left != right
    return left[other], right[other]


class AskedFor:
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


_WITHIN: dict[str, tuple[str, ...]] = {
    "product": ("fingerprint",), "certificate": ("fingerprint",), "line": ("fingerprint", "product"),
    "/20": ("/16",), "/24": ("/16", "/20"), "product in /16": ("fingerprint", "product", "/16"),
}  # fmt: skip
"""Hosts with one thing in common are some of those with the others in common, too."""


def reason_of(kind: I64, given: I64) -> I64:
    """Why a port is asked, as `Asked.add_pairs` takes it: the kind of the condition (-1: the port alone), and
    the port that the host answers on. 0: because of nothing that the host has answered."""
    return np.asarray(given << 8 | kind + 1, np.int64)


def eligible(services: Services, kind: I64, port: I64, reasons: I64) -> Bool:
    """Whether what was asked for a reason says something of conditions of the kind on the port.

    It does of the same condition and of those within it: the others were chosen among. Of three lines of a
    banner, or of two answers of a host, one was the reason, and hosts that have it are not as others that
    have but another in common. What was asked for a network's sake says something of the hosts of networks
    only.
    """
    kinds = ("", *services.kinds)
    tells = np.array(
        [
            [
                not because or at == cause or because in _WITHIN.get(name, ())
                for cause, because in enumerate(kinds)
            ]
            for at, name in enumerate(kinds)
        ]
    )
    of_network = np.isin(np.array(kinds), services.local)[kind + 1]
    given, cause = reasons >> 8, np.minimum(reasons & 255, len(kinds) - 1)
    same = (given == 0) | (given == port)
    return np.asarray(np.where(reasons == BLIND, of_network, same & tells[kind + 1, cause]), np.bool_)
