"""What networks of middleboxes answer: hosts that answer on nearly every port.

Such hosts are left out of all that is counted. But where a sample has shown one, others are near: an address
of which nothing is known, or a host that is known on one port, may be a middlebox, too, and answer wherever
it is asked. How likely that is, tells the share of the network's sampled addresses that were (drawn towards
the networks around it, as strongly as one half of the sample tells the other best), and of hosts how often
services say what this one says. It is added to every chance; and a pair of which an answer would rather be a
middlebox's than a service is not listed. Hosts that rather are middleboxes teach nothing, too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr.prediction import kinds as predictkinds
from lzr.prediction.asked import PORTS, Addresses, Asked, joined
from lzr.prediction.counts import Services
from lzr.prediction.networks import LEVELS, blocks

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

LEAST_PORTS = 1_000
"""Ports on which a host must have been asked before it counts that it is no middlebox."""
MOST_SAMPLED = 4_000_000
"""Addresses of a part of the seed beyond which it is no sample."""
MOST_NETWORKS = 4_000_000
"""Of the narrowest; where there are more, their surroundings are looked at alone."""
FEW = 0.01
"""A middlebox's part of a chance that never keeps a pair from the list."""
_STRENGTHS = (0.5, 2.0, 8.0, 32.0)
"""Addresses' worth of what the networks around say."""
_SEEN = 0.5
"""Answers' worth of doubt about how often something is said."""
_BEHIND = 0.02
"""How often a middlebox says what a plain host would: one is behind it, and answers for itself."""
_CELLS = 1 << 20


class Middleboxes(NamedTuple):
    """number: (n,) i64, sorted. answered: (65536,) f8, how many of those in the sample did on each port.
    said: (codes,) f8, how many of their answers had no fingerprint, and how many each."""

    number: I64
    answered: F64
    said: F64


NOBODY = Middleboxes(np.empty(0, np.int64), np.zeros(PORTS), np.zeros(1))


def seen(services: Services, number: I64, asked: Asked) -> Middleboxes:
    """Those of `number` with what they answered. services: of all hosts."""
    number = np.unique(number)
    sampled = joined(part for part, _ in _samples(asked))
    mine = np.isin(services.number, number) & sampled.contains(services.number)
    of = services.codes[mine, services.kinds.index("fingerprint")].astype(np.int64) + 1
    answered = np.bincount(services.port[mine], minlength=PORTS).astype(np.float64)
    return Middleboxes(number, answered, np.bincount(of, minlength=1).astype(np.float64))


def _samples(asked: Asked) -> list[tuple[Addresses, Bool]]:
    """Addresses that were asked on many ports without knowing them, and these ports."""
    return [
        (part, of) for part, of in asked.products if of.sum() >= LEAST_PORTS and part.size <= MOST_SAMPLED
    ]


class Belief(NamedTuple):
    """first: (u,) i64 of networks, with `bits` free. share: (u,) f8 of the addresses of each that are
    middleboxes. rate: (65536,) f8, how often one answers on each port. host, own: (h,) hosts that answered,
    sorted, and how likely each is one."""

    first: I64
    bits: int
    share: F64
    rate: F64
    host: I64
    own: F64

    def of_networks(self, first: I64, last: I64, ports: I64, chance: NDArray[np.float32] | F64) -> None:
        """Adds a middlebox's part to chances, in place; 0 where it is the greater.

        first, last: (n,) addresses of networks; ports: (P,); chance: (n, P).
        """
        own = np.searchsorted(first, self.first, "right") - 1
        mine = (own >= 0) & (self.first <= last[np.maximum(own, 0)])
        many = np.bincount(own[mine], minlength=len(first))
        around = self.share[np.maximum(np.searchsorted(self.first, first, "right") - 1, 0)]
        total = np.bincount(own[mine], self.share[mine], len(first))
        share = np.where(many > 0, total / np.maximum(many, 1), around)  # it may be narrower than ours
        rate = self.rate[ports]
        step = max(1, _CELLS // max(len(ports), 1))
        for low in range(0, len(chance), step):
            part = chance[low : low + step]
            other = share[low : low + step, None] * rate
            part[:] = np.where(other > np.maximum(part, FEW), 0, np.minimum(part + other, 1))

    def plain(self, services: Services) -> Services:
        """Without hosts that rather are middleboxes. services: those that the belief is about."""
        return services.take(self.own[np.searchsorted(self.host, services.number)] <= 0.5)

    def of_hosts(self, number: I64, port: I64, chance: F64) -> F64:
        """The same of pairs of hosts that answered: (n,)."""
        at = np.minimum(np.searchsorted(self.host, number), max(len(self.host) - 1, 0))
        own = np.where(self.host[at] == number, self.own[at], 0.0)
        plain, other = chance * (1 - own), own * self.rate[port]
        return np.where(other > np.maximum(plain, FEW), 0.0, plain + other)


def believed(boxes: Middleboxes, services: Services, asked: Asked, space: Addresses) -> Belief | None:
    """None where no address of a random sample was a middlebox.

    services: of hosts that are not known as such.
    """
    levels = list(LEVELS)
    samples = _samples(asked)
    sampled = joined(part for part, _ in samples).common(space)
    every = sampled.ranked(np.arange(sampled.size))
    box = np.isin(every, boxes.number)
    if not box.any():
        return None
    if space.size >> levels[-1] > MOST_NETWORKS:
        levels.pop()
    first = blocks(space, levels[-1])
    place = np.searchsorted(first, every, "right") - 1
    wanted = np.zeros(PORTS)
    for part, of in samples:
        wanted += part.contains(boxes.number).sum() * of
    usual = min(float(boxes.answered.sum() / max(wanted.sum(), 1)), 1.0)
    rate = np.minimum((boxes.answered + usual) / (np.maximum(wanted, boxes.answered) + 1), 0.99)
    share = _shares(place, box, first, levels)
    host, own = _own(boxes, services, sampled, (first, share), rate)
    return Belief(first, levels[-1], share, rate, host, own)


def _shares(place: I64, box: Bool, first: I64, levels: list[int]) -> F64:
    """(u,) how much of each network is middleboxes. place: of the network of each sampled address."""
    tree = predictkinds.tree(first, levels)
    half = (np.arange(len(place)) * 0x9E3779B1 >> 16) & 1

    def estimated(rows: Bool, strength: float) -> F64:
        n = np.bincount(place[rows], minlength=len(first)).astype(np.float64)[:, None]
        k = np.bincount(place[rows], box[rows], len(first)).astype(np.float64)[:, None]
        wide = np.array([[(k.sum() + 0.5) / (n.sum() + 50.0)]])
        prior = predictkinds.drawn(k, n, wide, tree, [strength] * len(levels))
        return np.asarray((strength * prior + k) / (strength + n), np.float64)[:, 0]

    def worth(strength: float) -> float:
        total = 0.0
        for number in (0, 1):
            share = np.clip(estimated(half == number, strength), 1e-6, 1 - 1e-6)[place[half != number]]
            of = box[half != number]
            total += float(np.log(np.where(of, share, 1 - share)).sum())
        return total

    return np.clip(estimated(np.ones(len(place), np.bool_), max(_STRENGTHS, key=worth)), 0, 1)


def _own(
    boxes: Middleboxes, services: Services, sampled: Addresses, networks: tuple[I64, F64], rate: F64
) -> tuple[I64, F64]:
    """Hosts that answered, sorted, and how likely each is a middlebox: by its network, by how rare its
    answers are, and by what they say. Hosts that were asked on all ports are none."""
    first, share = networks
    drawn = sampled.contains(services.number)
    usual = (np.bincount(services.port[drawn], minlength=PORTS) + 0.1) / (sampled.size + 10.0)
    said = services.codes[:, services.kinds.index("fingerprint")].astype(np.int64) + 1
    width = max(int(said.max(initial=0)) + 1, len(boxes.said))
    of_boxes = np.zeros(width)
    of_boxes[: len(boxes.said)] = boxes.said
    of_boxes = (of_boxes + _SEEN) / (of_boxes.sum() + _SEEN * width)
    # What plain hosts say on a port, of those that were sampled; drawn towards what they say anywhere.
    anywhere = (np.bincount(said[drawn], minlength=width) + _SEEN) / (drawn.sum() + _SEEN * width)
    keys, many = np.unique(services.port[drawn] * width + said[drawn], return_counts=True)
    wanted = services.port * width + said
    at = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    here = np.where(keys[at] == wanted, many[at], 0) if len(keys) else np.zeros(len(wanted))
    of_port = np.bincount(services.port[drawn], minlength=PORTS)[services.port]
    of_plain = (here + 2 * anywhere[said]) / (of_port + 2.0)
    tells = np.log(of_boxes[said] / of_plain + _BEHIND)

    host, begins, count = np.unique(services.number, return_index=True, return_counts=True)
    if not len(host):
        return host, np.empty(0)
    plain = np.minimum.reduceat(usual[services.port], begins)
    answers = np.add.reduceat(np.log(rate[services.port]), begins)
    answers = answers + np.add.reduceat(tells, begins) / count
    place = np.searchsorted(first, host, "right") - 1
    own = np.where(place >= 0, share[np.maximum(place, 0)], 0.0)
    own[sampled.contains(host) | (host > 0xFFFFFFFF)] = 0.0
    odds = own * np.exp(np.clip(answers, -30, 30)) / plain
    return host, odds / (1 + odds)
