"""The SYNs of a stretch of a sweep, as FRAME rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lzr.ownaddresses import OwnAddresses
from lzr.packet.ways import WayKind, Ways, sources
from lzr.rows import FRAME, NO_PROBE, SYN, pick
from lzr.sweep.cookie import Cookies
from lzr.sweep.share import Share

Rows = NDArray[Any]
Mask = NDArray[np.bool_]


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
