"""The table in which workers look up how packets to an address leave: intervals, a whole batch at once.

A *way* is the answer for one interval: by the transmit rings, by a raw IP socket, or not at all. The kernel's
routing depends on the destination and changes only where a route, a rule or an address begins or ends;
between two such boundaries one answer of the kernel holds for all (`coordinator/network/survey.py` asks). So
policy rules, metrics and nexthop objects are left to the kernel, and a batch of targets costs one search in a
short sorted table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c
from lzr.layout import MSS_V4, MSS_V6
from lzr.packet.sharding import layout
from lzr.rows import INTERVAL, V4_MAPPED, WAY, Rows

END = 1 << 128
MOST_WAYS = 250
"""Most different ways: a way's number is one byte."""
MOST_INTERVALS = 1 << 14
"""With more intervals no table is made, and the kernel routes every packet. `python -m benchmarks.routes`: a
look-up takes 39 ns with 441 of them."""
LEAST_MTU = 256
"""Bytes of an IP packet that every way is taken to carry: less would leave too little beside the headers."""


class WayKind:
    """How a packet leaves: by the rings, to the gateway; by a raw IP socket, where the kernel finds link,
    next hop and neighbour; or not at all: NONE and the kinds after it each give a reason.
    """

    RING, KERNEL, NONE, REFUSED, NO_ADDRESS, NOBODY = range(6)
    WHY: ClassVar[dict[int, str]] = {
        NONE: "no route",
        REFUSED: "refused by a route",
        NO_ADDRESS: "no address of its family",
        NOBODY: "an address of no host",
    }


class Way(Struct, frozen=True):
    """source: our address as two halves; (0, 0) where any address of the family will do. mtu: of the packets.

    link: the interface index by which they leave, 0 where that makes no difference. by_port: rules of this
    host look at ports, so the kernel routes these packets one by one and might route its own connections
    elsewhere.
    """

    kind: int
    source: tuple[int, int] = (0, 0)
    mtu: int = 1500
    link: int = 0
    by_port: bool = False


def mss(mtu: int, v4: bool) -> int:
    """The MSS for a path of this MTU (RFC 9293 §3.7.1), at most Ethernet's."""
    return max(64, min(mtu - (40 if v4 else 60), MSS_V4 if v4 else MSS_V6))


def number(packed: bytes) -> int:
    """An address of 4 or 16 bytes as one number; IPv4 as its mapped form."""
    return (V4_MAPPED | int.from_bytes(packed, "big")) if len(packed) == 4 else int.from_bytes(packed, "big")


def bounds(packed: bytes, length: int) -> tuple[int, int]:
    """The first address of a prefix and the first one after it, as numbers."""
    size = 1 << (8 * len(packed) - length)
    first = number(packed) & ~(size - 1)
    return first, first + size


_V4 = (V4_MAPPED, V4_MAPPED + (1 << 32))
ALWAYS = (0, 1, *_V4, _V4[0] + (1 << 24), _V4[0] + (224 << 24), _V4[0] + (240 << 24), _V4[1] - 1, 0xFF << 120)
"""Boundaries that are always there: this network, multicast, reserved, broadcast."""
NOBODY = (
    (0, 1),
    (_V4[0], _V4[0] + (1 << 24)),
    (_V4[0] + (224 << 24), _V4[0] + (240 << 24)),
    (_V4[1] - 1, _V4[1]),
    (0xFF << 120, END),
)
"""(first, end) of ranges in which no host can have an address, whatever the routes say."""


def _native_lookup(rows: Rows, table: Rows) -> NDArray[np.uint8]:
    found = np.empty(len(rows), np.uint8)
    size, addresses, _ = layout(rows.dtype)
    NATIVE.ways(np.ascontiguousarray(rows), size, addresses, table, found)
    return found


@in_c(_native_lookup)
def lookup(rows: Rows, table: Rows) -> NDArray[np.uint8]:
    """The number of each row's way, by its peer. table: INTERVAL rows, ascending, the first at zero."""
    starts, peers = _keys(table["hi"], table["lo"]), _keys(rows["peer_hi"], rows["peer_lo"])
    places = np.searchsorted(starts, peers, "right")
    ways: NDArray[np.uint8] = table["way"][places - 1]
    return ways


def _keys(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[Any]:
    """Addresses as 16 bytes that sort as they do."""
    both = np.empty((len(high), 2), ">u8")
    both[:, 0], both[:, 1] = high, low
    return both.view("S16")[:, 0]


def place(rows: Rows, edges: Sequence[int]) -> NDArray[np.intp]:
    """(n,) index of the last of the ascending `edges` (the first is 0) at or below each row's peer
    address.
    """
    high = np.array([edge >> 64 for edge in edges], np.uint64)
    low = np.array([edge & (1 << 64) - 1 for edge in edges], np.uint64)
    return np.searchsorted(_keys(high, low), _keys(rows["peer_hi"], rows["peer_lo"]), "right") - 1


@dataclass(frozen=True)
class Ways:
    """The table of ways. intervals: INTERVAL rows; ways: WAY rows, by number. Number 0 is the rings'.

    links, by_port: of each way, as in `Way`; empty where nobody needs them.
    """

    intervals: Rows
    ways: Rows
    links: tuple[int, ...] = ()
    by_port: tuple[bool, ...] = ()
    simple: bool = field(init=False)
    """Everything goes by the ring: nothing has to be looked up to send it."""
    leading: frozenset[int] = field(init=False)
    """Numbers of the ways on which packets reach somebody."""

    def __post_init__(self) -> None:
        leading = np.flatnonzero(self.ways["kind"] < WayKind.NONE).tolist()
        object.__setattr__(self, "leading", frozenset(leading))
        used = self.ways["kind"][self.intervals["way"]]
        object.__setattr__(self, "simple", not (used != WayKind.RING).any())

    def of(self, rows: Rows) -> NDArray[np.uint8]:
        """(n,) uint8: the number of the way to each row's peer."""
        return lookup(rows, self.intervals)

    def kinds(self, rows: Rows) -> NDArray[np.uint8]:
        """(n,) uint8: a WayKind for each row's peer."""
        kinds: NDArray[np.uint8] = self.ways["kind"][self.of(rows)]
        return kinds


def only(codes: NDArray[np.uint8]) -> int | None:
    """The number of a way that all of (n,) have; None where they differ, or there are none."""
    octets = codes.tobytes()
    return octets[0] if octets and octets.count(octets[0]) == len(octets) else None


def everywhere(kind: int = WayKind.RING, mtu: int = 1500) -> Ways:
    """The table in which all addresses have one way."""
    return make([0], lambda first, last: Way(kind, mtu=mtu), Way(WayKind.RING, mtu=mtu))


def make(starts: Iterable[int], answer: Callable[[int, int], Way], ring: Way) -> Ways:
    """The table made of ``answer(first, last)``, the way for each interval between two boundaries.

    starts: boundaries in any order. ring: way number 0. Where there are more different ways than numbers, the
    rest is left to the kernel, with any source.
    """
    numbers: dict[Way, int] = {ring: 0}
    found: list[tuple[int, int]] = []
    edges = sorted({0, *(start for start in starts if 0 <= start < END)})
    rest = Way(WayKind.KERNEL)
    for first, end in zip(edges, [*edges[1:], END], strict=True):
        way = answer(first, end - 1)
        if way not in numbers and len(numbers) >= MOST_WAYS - 1:
            way = rest
        place = numbers.setdefault(way, len(numbers))
        if not found or found[-1][1] != place:
            found.append((first, place))
    intervals = np.zeros(len(found), INTERVAL)
    for at, (first, place) in enumerate(found):
        intervals[at] = (first >> 64, first & (1 << 64) - 1, place, b"")
    return Ways(
        intervals,
        _rows(list(numbers)),
        tuple(way.link for way in numbers),
        tuple(way.by_port for way in numbers),
    )


def _rows(ways: Sequence[Way]) -> Rows:
    rows = np.zeros(len(ways), WAY)
    for at, way in enumerate(ways):
        rows[at] = (*way.source, way.mtu, way.kind, b"")
    return rows


def sources(rows: Rows, codes: NDArray[np.uint8], ways: Ways) -> NDArray[np.bool_]:
    """Set own_hi, own_lo of TARGET rows that have none to their way's source address; (n,) bool: which were
    set.
    """
    if np.count_nonzero(rows["own_lo"]) == len(rows):  # ZMap's rows, mostly
        return np.zeros(len(rows), np.bool_)
    chosen = ways.ways[codes]
    open_ = (rows["own_hi"] == 0) & (rows["own_lo"] == 0) & (chosen["source_lo"] != 0)
    if open_.any():
        rows["own_hi"][open_], rows["own_lo"][open_] = chosen["source_hi"][open_], chosen["source_lo"][open_]
    return np.asarray(open_)
