"""Which handshake of a flow is its first, and which follows, where ports have orders of their own.

No field of a flow is needed for this: the flow's port says which order applies, and as no order names a
handshake twice, the current handshake says which one comes next. Both are look-ups in small tables, done for
a whole batch at once.
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
"""Most different orders, the one of all other ports included: an order's number is one byte."""


class HandshakeOrders:
    """The orders of handshakes of a scan, and which order each port has.

    orders: each is a sequence of handshakes' numbers (indices into the scan's list), none twice in one order;
    the first order is for all ports without one of their own. of_port: (65536,) uint8, each port's order.
    """

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
