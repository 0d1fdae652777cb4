"""ICMP errors, read from sockets of their own, so that a flood of them takes no room in the scan's rings.

The kernel lets in errors that quote an ISN with our cookie (`bpfprograms.errors_filter`); `lzr.packet.icmp`
says of what kind each is; which of them are believed is decided by `Sweeper.hear_errors`. What a socket has
no room for is lost and counts as silence. They are read now and then, a bounded number each time.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lzr.layout import PACKET_STATISTICS, SOL_PACKET
from lzr.packet.icmp import quoted
from lzr.rows import FRAME, Rows

_EVERY = 5_000_000
_FEW, _MANY = 256, 1024
"""ns between two looks, and errors taken at each: many while most of them are news. A judgement: 205,000 a
second, and of what is forged or repeated 51,000, for a tenth or two of one worker's time, whoever floods us
with them."""
_WIDTH = 1536
"""Bytes of an error that are kept: none need have more than 576 (RFC 1812 §4.3.2.3), or 1,280 (RFC 4443
§2.4)."""


_NONE = np.empty(0, FRAME), np.empty(0, np.uint8)


class ICMPErrors:
    """sockets: datagrams from the IP header on, one for each family that is swept."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._sockets = sockets
        self._block = np.zeros((_MANY, _WIDTH), np.uint8)
        self._next = 0
        self._taken = 0  # at the last look
        self._most = _FEW
        self._more = False  # the last look took as many as it may
        self._lost = 0

    def take(self, now: int) -> tuple[Rows, NDArray[np.uint8]]:
        """The FRAME rows that new errors quote, and the kind of each error (`lzr.packet.icmp`)."""
        if now < self._next:
            self._taken = 0
            return _NONE
        self._next = now + _EVERY
        lengths: list[int] = []
        for at, sock in enumerate(self._sockets):
            most = self._most * (at + 1) // len(self._sockets)
            while len(lengths) < most:
                try:
                    lengths.append(
                        sock.recv_into(memoryview(self._block[len(lengths)]), 0, socket.MSG_DONTWAIT)
                    )
                except OSError:  # nothing more; or the link is down, which the rings see too
                    break
        count = self._taken = len(lengths)
        self._more = count >= self._most
        if not count:
            return _NONE
        widest = max(lengths, default=0)
        return quoted(self._block[:count, :widest], np.array(lengths, np.int64))

    @property
    def more_at(self) -> int | None:
        """When to read again (monotonic ns) what the last read left; None if it left nothing."""
        return self._next if self._more else None

    def note_news(self, count: int) -> None:
        """So many of the errors taken last were the first about their pair: take more next time, or fewer."""
        if self._taken:
            self._most = _MANY if 2 * count >= self._taken else _FEW

    def read_lost(self) -> int:
        """How many errors found no room, since the start."""
        for sock in self._sockets:
            _, lost = struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
            self._lost += lost
        return self._lost
