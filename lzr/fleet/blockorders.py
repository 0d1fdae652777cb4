"""Orders to block networks on all boxes, as a file keeps them, and which boxes have confirmed which order.

A line is a JSON object: an order (`networks`), or a box's confirmation (`box`). A controller keeps both, a
box only the orders it was given. A line that was cut off, as the last one may be, is ignored. Those of a
single scan are in `lzr.targets.blockorders`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lzr.addresstext import ranges_of
from lzr.fleet.plan import is_name
from lzr.safetext import plain

MOST = 4096
"""Most orders of a plan, as of one scan."""
MOST_LINE = 1 << 16
MOST_NETWORKS = 1000
"""Most networks of an order."""
MOST_NETWORK = 96
"""Characters of a network: a range of IPv6 has two addresses."""


@dataclass(frozen=True)
class Order:
    """id: 16 hex digits. networks: to block. at: when it was given, seconds since 1970."""

    id: str
    networks: tuple[str, ...]
    reason: str
    by: str
    at: float

    def plain(self) -> dict[str, Any]:
        """The same in types that JSON has."""
        return {
            "id": self.id,
            "networks": list(self.networks),
            "reason": self.reason,
            "by": self.by,
            "at": self.at,
        }

    def words(self) -> str:
        """The order as a command for the control socket of a scan."""
        name = "".join(letter for letter in self.by if letter.isalnum() or letter in "._-")
        by = f" --by {name}" if name else ""
        reason = f" --reason {self.reason}" if self.reason else ""
        return f"block {' '.join(self.networks)}{by}{reason}"


@dataclass(frozen=True)
class Confirmed:
    """A box goes by an order and has stored it. order: its id."""

    order: str
    box: str
    at: float


@dataclass(frozen=True)
class Kept:
    """The content of a file, in order."""

    orders: tuple[Order, ...] = ()
    confirmed: tuple[Confirmed, ...] = ()

    def missing(self, box: str) -> tuple[Order, ...]:
        """The orders that this box has not confirmed."""
        has = {one.order for one in self.confirmed if one.box == box}
        return tuple(order for order in self.orders if order.id not in has)

    def by(self, order: str) -> tuple[str, ...]:
        """The boxes that have confirmed an order."""
        return tuple(dict.fromkeys(one.box for one in self.confirmed if one.order == order))


def order_of(found: object) -> Order:
    """The order that a JSON object says. Raises ValueError."""
    if not isinstance(found, dict):
        raise ValueError("is no order")
    name, networks, at = found.get("id"), found.get("networks"), found.get("at")
    if not isinstance(name, str) or len(name) != 16 or not set(name) <= set("0123456789abcdef"):
        raise ValueError("has no id")
    if not isinstance(networks, (list, tuple)) or not networks:
        raise ValueError("names no networks")
    if len(networks) > MOST_NETWORKS:
        raise ValueError(f"names more than {MOST_NETWORKS:,} networks")
    for network in networks:
        if not isinstance(network, str) or len(network) > MOST_NETWORK:
            raise ValueError("names something else than networks")
        ranges_of(network)
    if not isinstance(at, (int, float)) or not 0 <= at < 1e11:
        raise ValueError("does not say when")
    reason, by = found.get("reason", ""), found.get("by", "")
    if not isinstance(reason, str) or not isinstance(by, str):
        raise ValueError("does not say why")
    return Order(name, tuple(networks), plain(reason, 200), plain(by, 32), float(at))


def read(lines: Iterable[bytes]) -> tuple[Kept, int]:
    """The content of these lines, and how many of them are invalid. An order that is repeated counts once."""
    orders: dict[str, Order] = {}
    confirmed: list[Confirmed] = []
    wrong = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            found = json.loads(line[:MOST_LINE])
            if isinstance(found, dict) and "box" in found:
                confirmed.append(_confirmed(found))
            else:
                order = order_of(found)
                orders.setdefault(order.id, order)
        except (ValueError, RecursionError):
            wrong += 1
    return Kept(tuple(orders.values()), tuple(one for one in confirmed if one.order in orders)), wrong


def line(what: Order | Confirmed) -> bytes:
    """A line of the file."""
    found = what.plain() if isinstance(what, Order) else vars(what)
    return json.dumps(found, ensure_ascii=False).encode() + b"\n"


def _confirmed(found: dict[str, Any]) -> Confirmed:
    order, box, at = found.get("order"), found["box"], found.get("at")
    if not isinstance(order, str) or not isinstance(box, str) or not is_name(box):
        raise ValueError("confirms nothing")
    if not isinstance(at, (int, float)) or not 0 <= at < 1e11:
        raise ValueError("does not say when")
    return Confirmed(order, box, float(at))
