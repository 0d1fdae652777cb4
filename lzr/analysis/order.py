"""Learns the order in which handshakes are worth their packets, from a scan that tried all of them.

A service is described by what each handshake got from it: nothing, data without a label, or data with one. A
scan tries handshakes until data comes, so the second handshake only finds what the first has left, and the
order is chosen greedily: next is the handshake that identifies most of the remaining services, for the
packets it costs at all of them (the greedy cover of the LZR paper, weighted by packets). Data without a label
ends a service too; services that another handshake would have identified count against the one that ends
them.

Each port has an order of its own. A port on which few services were seen leans on all ports: to its own
services `PRIOR` more are added, made up as all services are. One network can be learned for alone: then its
ports lean on the same port everywhere, and that on all ports.

How far down its order a port is asked is decided by one price for all ports: steps that identify less for a
packet are left out. The price is set so that services that were not learned from (the other half of the
hosts) are covered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOTHING, UNKNOWN, IDENTIFIED = range(3)
"""What a handshake got of a service."""
END = 255
"""In a row of an order: nothing more is asked."""
PRIOR = 2.0
"""So many services, made up as all others are, are added to a port's own. On generated Internets of 1,000 to
100,000 services (`tests.madeservices`) 0.5 to 5 do equally well; more loses services where few were seen."""
_PORTS = 1 << 16
_AT_ONCE = 1 << 22  # weights (ports times kinds of services) in one piece

Bytes = NDArray[np.uint8]
Ports = NDArray[np.uint16]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Costs:
    """Packets that we send for one handshake: where data comes, and where none does.

    SYN, the ACK with the probe, and a RST; each retransmit where no data comes.
    """

    answered: float = 3.0
    silent: float = 4.0

    @staticmethod
    def of(retransmits: int) -> Costs:
        """The costs of a scan that sends each probe again so many times."""
        return Costs(3.0, 3.0 + retransmits)

    def each(self, outcomes: Bytes) -> Floats:
        """The packets of each attempt, by its outcome. Shape as `outcomes`."""
        return np.where(outcomes > NOTHING, self.answered, self.silent)


@dataclass(frozen=True)
class ServiceOutcomes:
    """ports: (n,) of the services; kinds: (n,) rows of `outcomes`; outcomes: (kinds, handshakes)."""

    ports: Ports
    kinds: NDArray[np.intp]
    outcomes: Bytes

    @staticmethod
    def of(ports: Ports, outcomes: Bytes) -> ServiceOutcomes:
        """outcomes: (n, handshakes) of each service."""
        kinds, which = np.unique(outcomes, axis=0, return_inverse=True)
        return ServiceOutcomes(ports.astype(np.uint16), which.reshape(-1).astype(np.intp), kinds)

    def __len__(self) -> int:
        return len(self.ports)

    def take(self, which: Mask) -> ServiceOutcomes:
        return ServiceOutcomes(self.ports[which], self.kinds[which], self.outcomes)

    @property
    def identified(self) -> int:
        """How many of them are identified by any handshake."""
        return int(np.count_nonzero((self.outcomes == IDENTIFIED).any(axis=1)[self.kinds]))

    def packets(self, costs: Costs) -> float:
        """The packets that it takes to try all handshakes with all of them."""
        return float(costs.each(self.outcomes).sum(axis=1)[self.kinds].sum())


@dataclass(frozen=True)
class Learned:
    """orders: (rows, steps) of handshakes, END after the last; row 0 is that of all ports without a row.

    of_port: (65536,) row of each port. worth: (rows, steps) what a step identifies for a packet, with those
    that follow it where they identify more; it never rises along a row, and is infinite at the first.
    """

    orders: Bytes
    of_port: NDArray[np.intp]
    worth: Floats

    def cut(self, price: float) -> Learned:
        """Without the steps that identify less than `price` a packet."""
        orders = np.where(self.worth >= price, self.orders, END).astype(np.uint8)
        return Learned(orders, self.of_port, self.worth)

    def order(self, row: int) -> tuple[int, ...]:
        """The handshakes of a row of `orders`, by number."""
        return tuple(int(h) for h in self.orders[row] if h != END)


@dataclass(frozen=True)
class Curve:
    """What orders achieve on services as more steps are taken: `worth` of the last step, and with it how many
    services are `identified` for how many `packets`. All (n,).
    """

    worth: Floats
    identified: Floats
    packets: Floats

    def at(self, price: float) -> tuple[float, float]:
        """(identified, packets) with the steps that are worth at least `price`."""
        taken = int(np.count_nonzero(self.worth >= price))
        return (float(self.identified[taken - 1]), float(self.packets[taken - 1])) if taken else (0.0, 0.0)

    def price_of(self, identified: float) -> float:
        """The highest price at which so many are identified; 0 if none is low enough."""
        enough = np.flatnonzero(self.identified >= identified - 1e-9)
        return float(self.worth[enough[0]]) if len(enough) else 0.0

    def price_within(self, packets: float) -> float:
        """The lowest price at which no more packets are spent; infinite if only the first steps are."""
        within = [step for step in _ends(self.worth) if self.packets[step] <= packets]
        return float(self.worth[within[-1]]) if within else np.inf


def learn(
    services: ServiceOutcomes,
    costs: Costs,
    *,
    inside: Mask | None = None,
    least: int = 1,
    prior: float = PRIOR,
) -> Learned:
    """An order for each port with at least `least` services, and one for all others.

    inside: (n,) the services of the network that is learned for; None: all.
    """
    here = services if inside is None else services.take(inside)
    seen = np.bincount(services.ports, minlength=_PORTS)
    ports = np.flatnonzero(seen >= max(1, least))
    of_port = np.zeros(_PORTS, np.intp)
    of_port[ports] = np.arange(1, len(ports) + 1)
    total = np.bincount(services.kinds, minlength=len(services.outcomes)).astype(np.float64)
    total /= max(1.0, total.sum())
    orders, gains, packets = [], [], []
    for low, high in _pieces(len(ports) + 1, len(services.outcomes)):
        weights = _weights(services, of_port, low, high) if inside is not None else None
        parent: Floats = np.broadcast_to(total, (high - low, len(total)))
        if weights is not None:
            parent = weights + prior * parent
            parent = parent / np.maximum(parent.sum(axis=1, keepdims=True), 1e-12)
        mixed = _weights(here, of_port, low, high) + prior * parent
        order, gain, spent = _greedy(mixed, services.outcomes, costs)
        orders.append(order)
        gains.append(gain)
        packets.append(spent)
    whole = np.concatenate(orders)
    whole = whole[:, : max(1, int((whole != END).sum(axis=1).max()))]
    steps = whole.shape[1]
    worth = _worth(np.concatenate(gains)[:, :steps], np.concatenate(packets)[:, :steps], whole != END)
    return Learned(whole, of_port, worth)


def run(learned: Learned, services: ServiceOutcomes, costs: Costs) -> tuple[Floats, Floats]:
    """What each step identifies of these services, and the packets it takes: two of (rows, steps).

    Steps after a row's last take nothing; what a step does is not changed by leaving out later ones.
    """
    rows, steps = learned.orders.shape
    at = learned.of_port[services.ports]
    pairs, counts = np.unique(at * len(services.outcomes) + services.kinds, return_counts=True)
    at, kinds = np.divmod(pairs, max(1, len(services.outcomes)))
    gains, packets = np.zeros((rows, steps)), np.zeros((rows, steps))
    for step in range(steps):
        handshakes = learned.orders[at, step]
        asked = handshakes != END
        at, kinds, counts, handshakes = at[asked], kinds[asked], counts[asked], handshakes[asked]
        if not len(at):
            break
        outcomes = services.outcomes[kinds, handshakes]
        gains[:, step] = np.bincount(at, counts * (outcomes == IDENTIFIED), rows)
        packets[:, step] = np.bincount(at, counts * costs.each(outcomes), rows)
        left = outcomes == NOTHING
        at, kinds, counts = at[left], kinds[left], counts[left]
    return gains, packets


def curve(learned: Learned, services: ServiceOutcomes, costs: Costs) -> Curve:
    """How many of these services are identified for how many packets, as the price falls."""
    gains, packets = run(learned, services, costs)
    asked = learned.orders != END
    worth = learned.worth[asked]
    dearest = np.argsort(-worth, kind="stable")
    return Curve(
        worth[dearest],
        np.cumsum(gains[asked][dearest]),
        np.cumsum(packets[asked][dearest]),
    )


def held_out(
    services: ServiceOutcomes, half: Mask, costs: Costs, *, inside: Mask | None = None, least: int = 1
) -> Curve:
    """Each half of the services judged by the orders learned from the other half, as one curve.

    half: (n,) bool, which half each service is in.
    """
    judged = np.ones(len(services), bool) if inside is None else inside
    found = []
    for teach in (half, ~half):
        learned = learn(
            services.take(teach), costs, inside=None if inside is None else inside[teach], least=least
        )
        found.append(curve(learned, services.take(~teach & judged), costs))
    return _together(found)


def _together(curves: list[Curve]) -> Curve:
    """Several curves as one: what all of them achieve together at each price."""
    worth = np.unique(np.concatenate([curve.worth for curve in curves]))[::-1]
    identified, packets = np.zeros(len(worth)), np.zeros(len(worth))
    for one in curves:
        taken = np.searchsorted(-one.worth, -worth, side="right")
        identified += np.concatenate([[0.0], one.identified])[taken]
        packets += np.concatenate([[0.0], one.packets])[taken]
    return Curve(worth, identified, packets)


def single(order: tuple[int, ...]) -> Learned:
    """One order for all ports."""
    orders = np.array([order], np.uint8).reshape(1, -1)
    return Learned(orders, np.zeros(_PORTS, np.intp), np.full(orders.shape, np.inf))


def merged(learned: Learned, services: ServiceOutcomes, most: int) -> tuple[list[tuple[int, ...]], Bytes]:
    """At most `most` different orders, the first that of all other ports, and each port's, (65536,).

    Ports whose orders are shared by the fewest services fall back to the first.
    """
    rows = [learned.order(row) for row in range(len(learned.orders))]
    weights = np.bincount(learned.of_port[services.ports], minlength=len(rows))
    total: dict[tuple[int, ...], int] = {}
    for order, weight in zip(rows[1:], weights[1:].tolist(), strict=True):
        total[order] = total.get(order, 0) + weight
    total.pop(rows[0], None)
    kept = sorted(total, key=lambda order: (-total[order], order))[: most - 1]
    number = {rows[0]: 0, **{order: at for at, order in enumerate(kept, 1)}}
    of_row = np.array([number.get(order, 0) for order in rows], np.uint8)
    return [rows[0], *kept], of_row[learned.of_port]


def halves(keys: NDArray[np.uint64]) -> Mask:
    """(n,) bool: which half each host is in, by a hash of its number (splitmix64), the same each time."""
    with np.errstate(over="ignore"):
        x = keys + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return np.asarray((x ^ x >> np.uint64(31)) & np.uint64(1), bool)


def _pieces(rows: int, kinds: int) -> Iterator[tuple[int, int]]:
    step = max(1, _AT_ONCE // max(1, kinds))
    for low in range(0, rows, step):
        yield low, min(rows, low + step)


def _weights(services: ServiceOutcomes, of_port: NDArray[np.intp], low: int, high: int) -> Floats:
    """How many services of each kind the rows from low to high have: (high - low, kinds)."""
    kinds = len(services.outcomes)
    at = of_port[services.ports]
    there = (at >= low) & (at < high)
    flat = np.bincount((at[there] - low) * kinds + services.kinds[there], minlength=(high - low) * kinds)
    return flat.astype(np.float64).reshape(high - low, kinds)


def _greedy(weights: Floats, outcomes: Bytes, costs: Costs) -> tuple[Bytes, Floats, Floats]:
    """Orders for rows of weights over kinds of services; with what each step identifies and takes.

    weights is used up. A row ends where no handshake identifies anybody any more.
    """
    rows, handshakes = len(weights), outcomes.shape[1]
    identified = (outcomes == IDENTIFIED).astype(np.float64)
    lost = (outcomes == UNKNOWN) & (outcomes == IDENTIFIED).any(axis=1)[:, None]
    value, each, silent = identified - lost, costs.each(outcomes), outcomes == NOTHING
    least = 1e-9 * np.maximum(weights.sum(axis=1), 1e-9)
    orders = np.full((rows, handshakes), END, np.uint8)
    gains, packets = np.zeros((rows, handshakes)), np.zeros((rows, handshakes))
    used = np.zeros((rows, handshakes), bool)
    live = np.arange(rows)
    for step in range(handshakes):
        gain, spent = weights[live] @ value, weights[live] @ each
        poor = used[live] | (gain <= least[live, None])
        score = np.where(poor, -1.0, gain / np.maximum(spent, 1e-12))
        if step == 0:  # an order is not empty, even where nothing can be identified
            score = np.maximum(score, 0.0)
        best = np.argmax(score, axis=1)
        on = score[np.arange(len(live)), best] >= 0
        live, best = live[on], best[on]
        if not len(live):
            break
        orders[live, step] = best
        used[live, best] = True
        gains[live, step] = gain[on][np.arange(len(live)), best]
        packets[live, step] = spent[on][np.arange(len(live)), best]
        weights[live] *= silent[:, best].T
    return orders, gains, packets


def _worth(gains: Floats, packets: Floats, asked: Mask) -> Floats:
    """What a step is worth for a packet, with whatever follows it where that is worth more (see Learned)."""
    rows, steps = gains.shape
    worth = np.zeros((rows, steps))
    for step in range(steps):
        total, spent = np.zeros(rows), np.zeros(rows)
        for later in range(step, steps):
            total += gains[:, later]
            spent += packets[:, later]
            worth[:, step] = np.maximum(worth[:, step], total / np.maximum(spent, 1e-12))
    worth = np.where(asked, np.minimum.accumulate(worth, axis=1), 0.0)
    if steps:
        worth[:, 0] = np.inf
    return worth


def _ends(worth: Floats) -> list[int]:
    """The last place of each price: steps of one price are taken together."""
    return [*np.flatnonzero(worth[1:] != worth[:-1]).tolist(), len(worth) - 1] if len(worth) else []
