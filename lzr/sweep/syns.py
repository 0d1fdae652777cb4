"""The SYNs of a stretch of a sweep, as FRAME rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.addresses import Halves
from lzr.rows import FRAME, NO_PROBE, SYN, V4_MAPPED
from lzr.secrets import Key
from lzr.siphash import siphash
from lzr.sweep.cookie import Cookies
from lzr.sweep.permutation import Permutation
from lzr.sweep.space import Space

Rows = NDArray[Any]


class OwnAddresses:
    """Our source addresses, of which a host sees one: chosen by a keyed hash of its address."""

    def __init__(self, v4: Sequence[Halves], v6: Sequence[Halves], key: Key) -> None:
        self._pools = {True: np.array(v4, np.uint64), False: np.array(v6, np.uint64)}
        self._key = key

    def choose(self, rows: Rows) -> None:
        """Set own_hi and own_lo. Raises ValueError where there is no address of a peer's family."""
        v4 = (rows["peer_hi"] == 0) & (rows["peer_lo"] >> np.uint64(32) == V4_MAPPED >> 32)
        for family in (True, False):
            chosen = v4 == family
            if not chosen.any():
                continue
            pool = self._pools[family]
            if not len(pool):
                raise ValueError(f"no source address for IPv{4 if family else 6}")
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


@dataclass(frozen=True)
class Syns:
    space: Space
    order: Permutation
    own: OwnAddresses
    cookies: Cookies

    def take(self, first: int, step: int, count: int) -> Rows:
        """(count,) FRAME: the SYNs at positions first, first + step, ... of the order."""
        rows = np.zeros(count, FRAME)
        self.space.place(self.order.take(first, step, count), rows)
        self.own.choose(rows)
        rows["own_port"], rows["seq"] = self.cookies.expected(rows)
        rows["flags"], rows["probe"] = SYN, NO_PROBE
        return rows
