"""Orders to block, as a file keeps them: networks not to contact any more, why, who asked for it, and when.

Those of a fleet, with the boxes that have confirmed them, are in `lzr.fleet.blockorders`.

One JSON object a line, with `networks` (a list of texts), `reason`, `by` and `at` (seconds since the epoch).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from lzr.addresstext import ranges_of
from lzr.errors import wide_text

Order = dict[str, Any]


def of_lines(data: bytes) -> list[Order]:
    """The orders in a file. Raises ValueError for a line that is no order, and for UTF-16.

    A line that begins as one and does not end is left out: its writer was cut off before anything was
    confirmed. Lines that say which box goes by an order are left out too.
    """
    if wide := wide_text(data):  # of which not every line could be read
        raise ValueError(f"it {wide}")
    found = []
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            one = json.loads(line)
        except (ValueError, RecursionError):
            text = line.strip(b"\0 \t\r")  # zeros: of a host that lost its power
            if text and not text.startswith(b"{"):
                raise ValueError(f"line {number} is no order to block") from None
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
    """The orders of a checkpoint, followed by those of a file that the checkpoint does not have."""
    known = {_what(order) for order in before}
    return [*before, *(order for order in more if _what(order) not in known)]


def _what(order: Order) -> tuple[str, str, tuple[str, ...]]:
    return order["by"], order["reason"], tuple(order["networks"])
