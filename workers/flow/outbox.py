"""Results on their way to the collector: kept until they are known to be written, to send them to its
successor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.ipc import messages, packing
from lzr.ipc.schema import BATCH_OCTETS, BATCH_ROWS, Buffer


class Outbox:
    """incarnation: this worker's number, which with the sequence number identifies a message. sender, mark:
    prove that the messages are this worker's (`lzr.ipc.credentials`). octets: bytes of all messages that are
    not known to be written. sequence: number of the last message.
    """

    def __init__(self, incarnation: int, sender: str = "", mark: bytes = b"") -> None:
        self._incarnation = incarnation
        self._shown = sender, mark
        self.sequence = 0
        self.octets = 0
        self._pending: deque[list[Buffer]] = deque()  # not yet handed to ZeroMQ
        self._kept: deque[tuple[int, list[Buffer], int]] = deque()  # sequence, message, when it was put here

    def __len__(self) -> int:
        """How many messages are not known to be written."""
        return len(self._kept)

    @property
    def pending(self) -> bool:
        """Whether there are messages to push."""
        return bool(self._pending)

    def put(self, rows: NDArray[Any], payloads: Buffer, now: int) -> None:
        """Make messages of OUTCOME rows and their payloads (one after the other): as few as their size
        allows.

        now: monotonic ns.
        """
        if len(payloads) <= BATCH_OCTETS and len(rows) <= BATCH_ROWS:
            self._put(rows, payloads, now)
            return
        view = memoryview(payloads)
        for first, end, start, stop in pieces(rows):
            self._put(rows[first:end], bytes(view[start:stop]), now)

    def _put(self, rows: NDArray[Any], payloads: Buffer, now: int) -> None:
        if not len(rows):
            return
        self.sequence += 1
        outcomes = messages.Outcomes(self._incarnation, self.sequence, rows, payloads)
        message = packing.pack(outcomes, *self._shown)
        self._pending.append(message)
        self._kept.append((self.sequence, message, now))
        self.octets += sum(map(len, message))

    def push(self, send: Callable[[list[Buffer]], bool]) -> None:
        """Send the messages that wait, in order, until `send` returns False for want of room."""
        while self._pending and send(self._pending[0]):
            self._pending.popleft()

    def acknowledge(self, sequence: int) -> None:
        """The collector has written everything up to `sequence`."""
        while self._kept and self._kept[0][0] <= sequence:
            _, message, _ = self._kept.popleft()
            self.octets -= sum(map(len, message))

    def is_written(self, sequence: int) -> bool:
        """Whether everything up to `sequence` is known to be written."""
        return not self._kept or self._kept[0][0] > sequence

    def age(self, now: int) -> int:
        """How long the oldest message has been waiting to be written (ns)."""
        return now - self._kept[0][2] if self._kept else 0

    def resend(self) -> None:
        """There is a new collector: send it all that is not acknowledged."""
        self._pending = deque(message for _, message, _ in self._kept)


def pieces(
    rows: NDArray[Any], most: int = BATCH_OCTETS, most_rows: int = BATCH_ROWS
) -> Iterator[tuple[int, int, int, int]]:
    """Bounds that cut OUTCOME rows and their payloads into pieces with at most so many bytes and rows.

    The rows of one target stay together, so a piece with a single target may be larger.
    """
    ends = np.cumsum(rows["data_len"], dtype=np.int64)
    # Behind these a piece may end: what follows is of another target.
    last = np.flatnonzero(np.append(rows["ticket"][1:] != rows["ticket"][:-1], True))
    first = start = 0
    while first < len(rows):
        fit = min(int(np.searchsorted(ends, start + most, "right")), first + most_rows)
        at = max(int(np.searchsorted(last, fit)) - 1, int(np.searchsorted(last, first)))
        end = int(last[at]) + 1
        stop = int(ends[end - 1])
        yield first, end, start, stop
        first, start = end, stop
