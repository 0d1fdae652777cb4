"""The SYNs of a stretch of a sweep, as FRAME rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lzr.addresses import Halves
from lzr.packet.ways import WayKind, Ways, sources
from lzr.rows import FRAME, NO_PROBE, SYN, V4_MAPPED, pick
from lzr.secrets import Key
from lzr.siphash import siphash
from lzr.sweep.cookie import Cookies
from lzr.sweep.share import Share

Rows = NDArray[Any]
Mask = NDArray[np.bool_]


class OwnAddresses:
    """Our source addresses. Each host sees one of them, chosen by a keyed hash of its address."""

    def __init__(self, v4: Sequence[Halves], v6: Sequence[Halves], key: Key) -> None:
        self._pools = {True: np.array(v4, np.uint64), False: np.array(v6, np.uint64)}
        self._key = key

    def choose(self, rows: Rows) -> NDArray[np.bool_]:
        """Set own_hi and own_lo where they are 0. (n,) bool: False where we have no address of the family."""
        v4 = (rows["peer_hi"] == 0) & (rows["peer_lo"] >> np.uint64(32) == V4_MAPPED >> 32)
        given = (rows["own_hi"] != 0) | (rows["own_lo"] != 0)
        found = given.copy()
        for family in (True, False):
            chosen, pool = (v4 == family) & ~given, self._pools[family]
            if not len(pool) or not chosen.any():
                continue
            found |= chosen
            which: slice | NDArray[np.bool_] = slice(None) if chosen.all() else chosen
            if len(pool) == 1:
                rows["own_hi"][which], rows["own_lo"][which] = pool[0]
                continue
            drawn = siphash(
                self._key,
                np.ascontiguousarray(rows["peer_lo"][which]),
                np.ascontiguousarray(rows["peer_hi"][which]),
            )
            own = pool[(drawn % np.uint64(len(pool))).astype(np.intp)]
            rows["own_hi"][which], rows["own_lo"][which] = own[:, 0], own[:, 1]
        return np.asarray(found, bool)


class Syns(Struct, frozen=True):
    """Makes the SYNs of a sweep. share: this box's pairs. own: our addresses. cookies: make the ISNs."""

    share: Share
    own: OwnAddresses
    cookies: Cookies

    def take(self, place: int, count: int, ways: Ways, skip: Mask | None = None) -> tuple[Rows, Rows]:
        """The SYNs to the pairs at `count` places from `place` on, as FRAME rows, and the rows that have no
        way.

        ways: how packets leave, which also decides on our address. skip: (count,) bool, pairs that get no
        SYN.
        """
        rows = np.zeros(count, FRAME)
        self.share.pairs(place, rows)
        if skip is not None and skip.any():
            rows = pick(rows, ~skip)
        lost = rows[:0]
        if not len(rows):
            return rows, lost
        codes = ways.of(rows)
        present = np.flatnonzero(np.bincount(codes))
        way = ways.ways[present[0]]
        if len(present) == 1 and way["kind"] < WayKind.NONE and way["source_lo"]:  # mostly
            rows["own_hi"], rows["own_lo"] = way["source_hi"], way["source_lo"]
        else:
            sources(rows, codes, ways)
            reached = self.own.choose(rows) & (ways.ways["kind"][codes] < WayKind.NONE)
            if not reached.all():
                lost, rows = pick(rows, ~reached), pick(rows, reached)
        rows["own_port"], rows["seq"] = self.cookies.expected(rows)
        rows["flags"], rows["probe"] = SYN, NO_PROBE
        return rows, lost
