"""Which handshake of a flow is its first, and which follows, where ports have orders of their own.

A flow needs no field for it: its port says which order it has, and since no order names a handshake twice,
the handshake it is at says where it stands. So both are a look into small tables, for a whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.rows import NO_PROBE

Column = NDArray[Any]

PORTS = 1 << 16
MOST = 255
"""Different orders at most, that of all other ports among them: an order's number is a byte."""


class Orders:
    """orders: of numbers of handshakes (indices into the scan's list), none twice; the first is that of the
    ports without one. of_port: (65536,) uint8, the number of each port's order."""

    def __init__(self, orders: Sequence[Sequence[int]], of_port: NDArray[np.uint8]) -> None:
        assert of_port.shape == (PORTS,)
        assert of_port.max(initial=0) < len(orders) <= MOST
        self._of_port = of_port
        self._first = np.array([order[0] for order in orders], np.uint8)
        self._next = np.full((len(orders), NO_PROBE), NO_PROBE, np.uint8)
        for number, order in enumerate(orders):
            self._next[number, list(order[:-1])] = order[1:]

    def first(self, ports: Column) -> Column:
        """The first handshake on each port, (n,) uint8."""
        return self._first[self._of_port[ports]]

    def following(self, ports: Column, handshakes: Column) -> Column:
        """The handshake after each of these on its port, NO_PROBE after the last, (n,) uint8."""
        return self._next[self._of_port[ports], handshakes]
