"""Orders to block as a file keeps them: whom to contact no more, why, who asked for it and when.

One JSON object a line, with `networks` (a list of texts), and `reason`, `by` and `at` (seconds since the
epoch).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from lzr.targets.blocklist import ranges_of

Order = dict[str, Any]


def of_lines(data: bytes) -> list[Order]:
    """The orders that a file holds. Raises ValueError for a line that is something else.

    A line that is no JSON is left out: whoever wrote it was cut off, and has confirmed nothing. So are lines
    that say who goes by an order.
    """
    found = []
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            one = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(one, dict) and "box" in one:
            continue
        order = _order(one)
        if order is None:
            raise ValueError(f"line {number} is no order to block")
        found.append(order)
    return found


def _order(one: Any) -> Order | None:
    try:
        networks, at = one["networks"], one.get("at", 0)
        reason, by = one.get("reason", "") + "", one.get("by", "") + ""
        covered = [found for network in networks for found in ranges_of(network)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not isinstance(networks, list) or not covered:
        return None
    if not isinstance(at, int | float) or not abs(at) < 1e12:
        return None
    return {"networks": networks, "reason": reason[:1000], "by": by[:100], "at": float(at)}


def as_line(order: Order) -> bytes:
    """The line of an order."""
    return json.dumps(order, ensure_ascii=True).encode() + b"\n"


def together(before: Sequence[Order], more: Iterable[Order]) -> list[Order]:
    """Those of a checkpoint, and after them those of a file that it does not have yet."""
    known = {_what(order) for order in before}
    return [*before, *(order for order in more if _what(order) not in known)]


def _what(order: Order) -> tuple[str, str, tuple[str, ...]]:
    return order["by"], order["reason"], tuple(order["networks"])
