"""ICMP errors, as they come to sockets of their own: so many of them cost the scan no room in its rings.

The kernel lets in what quotes an ISN with our cookie (`sharding.errors_filter`); what a socket has no room
for is lost, and counts as silence. They are looked at now and then, and so many at most each time.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.packet.icmp import quoted
from lzr.rows import FRAME

Rows = NDArray[Any]

_EVERY = 5_000_000
_AT_ONCE = 256
"""ns between two looks, and errors taken at each. A judgement: 51,000 a second at most, for a tenth or two of
one worker's time, whoever floods us with them."""
_WIDTH = 1536
"""Bytes of an error that are kept: none need have more than 576 (RFC 1812 §4.3.2.3), or 1,280 (RFC 4443
§2.4)."""


class Unreachable:
    """sockets: datagrams from the IP header on, one for each family that is swept."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._sockets = sockets
        self._block = np.zeros((_AT_ONCE, _WIDTH), np.uint8)
        self._next = 0
        self.taken = 0
        """Packets that were looked at, since the start."""

    def take(self, now: int) -> tuple[Rows, NDArray[np.uint8]]:
        """What the errors are about that have come: FRAME rows, and their kinds (`lzr.packet.icmp`)."""
        if now < self._next:
            return np.empty(0, FRAME), np.empty(0, np.uint8)
        self._next = now + _EVERY
        lengths: list[int] = []
        for at, sock in enumerate(self._sockets):
            most = _AT_ONCE * (at + 1) // len(self._sockets)
            while len(lengths) < most:
                try:
                    lengths.append(
                        sock.recv_into(memoryview(self._block[len(lengths)]), 0, socket.MSG_DONTWAIT)
                    )
                except OSError:  # nothing more; or the link is down, which the rings see too
                    break
        self.taken += len(lengths)
        count = len(lengths)
        widest = max(lengths, default=0)
        return quoted(self._block[:count, :widest], np.array(lengths, np.int64))
