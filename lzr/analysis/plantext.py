"""Writes a learned order: the TOML file that a scan takes, and the table that a person reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lzr.analysis.order import Bytes
from lzr.options.kinds.addressing import show_port_list

_STEPS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
"""Shares of the curve that are shown."""
_WIDTH = 100


@dataclass(frozen=True)
class Point:
    """Services identified and packets spent, by what is called `name`."""

    name: str
    identified: float
    packets: float


@dataclass(frozen=True)
class PlanFigures:
    """What is reported of a plan.

    services, ports, left_out: of the scan. identified, packets: of trying all `handshakes` with each service.
    held_out: what the plan achieves with services whose hosts it was not learned from. others: other orders,
    with the same services. curve: the plan's, as steps are taken. orders: ports, handshakes and services of
    each.
    """

    services: int
    ports: int
    left_out: int
    identified: int
    packets: float
    handshakes: tuple[str, ...]
    held_out: Point
    others: tuple[Point, ...]
    curve: tuple[Point, ...]
    orders: tuple[tuple[str, tuple[str, ...], int], ...]


def points(identified: Sequence[float], packets: Sequence[float], reachable: float) -> tuple[Point, ...]:
    """Of a whole curve: the first step with each service, round shares of what is reachable, all steps."""
    got = np.asarray(identified)
    places = {0: "the first handshake of each"}
    for share in _STEPS:
        at = np.flatnonzero(got >= share * reachable - 1e-9)
        if len(at):
            places.setdefault(int(at[0]), f"{share:.1%}")
    places.setdefault(len(got) - 1, "all steps")
    return tuple(Point(places[at], float(got[at]), float(packets[at])) for at in sorted(places) if len(got))


def toml(
    orders: Sequence[tuple[str, ...]], of_port: Bytes, services: Sequence[int], figures: PlanFigures
) -> str:
    """The file for -handshakes-by-port. orders: the first that of other ports; services: of each order."""
    found, spent = (
        _share(figures.held_out.identified, figures.identified),
        _share(figures.held_out.packets, figures.packets),
    )
    lines = [
        f"# Learned by lzr plan from {_seen(figures)}. On hosts that it",
        f"# was not learned from: {found} of what all {len(figures.handshakes)} handshakes identify,",
        f"# for {spent} of their packets.",
        f"default = {_list(orders[0])}",
        "",
        "[ports]",
    ]
    for number, order in sorted(enumerate(orders), key=lambda item: -services[item[0]]):
        if number:
            count = services[number]
            key = ranges(of_port == number)
            lines.append(f'"{key}" = {_list(order)}  # {count:,} service{"s" * (count != 1)}')
    return "\n".join(lines) + "\n"


def ranges(ports: np.ndarray[Any, np.dtype[np.bool_]]) -> str:
    """As after -p, of a mask of 65536."""
    found = np.flatnonzero(ports)
    if not len(found):
        return ""
    gaps = np.flatnonzero(np.diff(found) > 1)
    low, high = found[np.r_[0, gaps + 1]].tolist(), found[np.r_[gaps, len(found) - 1]].tolist()
    return show_port_list(tuple(zip(low, high, strict=True)))


def _seen(figures: PlanFigures) -> str:
    services, ports = figures.services, figures.ports
    return f"{services:,} service{'s' * (services != 1)} on {ports:,} port{'s' * (ports != 1)}"


def table(figures: PlanFigures) -> str:
    """For a person."""
    return "\n".join(_lines(figures)) + "\n"


def _lines(figures: PlanFigures) -> Iterator[str]:
    left_out = f" ({figures.left_out:,} that took no connection left out)" if figures.left_out else ""
    tried = f"{len(figures.handshakes)} handshakes"
    yield f"{_seen(figures)}{left_out}, {tried}"
    yield f"{figures.identified:,} identified by any, for {figures.packets:,.0f} packets of all"
    yield ""
    yield "on hosts that were not learned from      identified         of all   packets   of all"
    for point in (figures.held_out, *figures.others):
        yield _row(point, figures)
    yield ""
    yield "as steps are taken, the best first       identified         of all   packets   of all"
    for point in figures.curve:
        yield _row(point, figures)
    yield ""
    yield "services  order"
    for ports, order, services in figures.orders[:20]:
        names = ",".join(order)
        yield f"{services:>8,}  {names}  on {_shortened(ports, max(24, _WIDTH - 14 - len(names)))}"
    if len(figures.orders) > 20:
        yield f"          and {len(figures.orders) - 20} more orders"


def _row(point: Point, figures: PlanFigures) -> str:
    return (
        f"  {point.name[:36]:<36} {point.identified:>12,.0f} "
        f"{_share(point.identified, figures.identified):>14} "
        f"{point.packets:>9,.0f} {_share(point.packets, figures.packets):>8}"
    )


def as_dict(figures: PlanFigures) -> dict[str, Any]:
    """For a program."""
    found = asdict(figures)
    found["orders"] = [
        {"ports": ports, "handshakes": list(order), "services": services}
        for ports, order, services in figures.orders
    ]
    return found


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _list(order: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in order) + "]"


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 2].rpartition(",")[0] + ",…"
