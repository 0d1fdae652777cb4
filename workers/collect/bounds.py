"""Bounds on the results that a collector accepts: only what a flow worker of this scan can have found.

A flow worker reads what strangers send, and may be taken over. Results that it could not have found are
refused, and it cannot make a collector hold more than a few of its messages.
"""

from __future__ import annotations

from lzr.ipc import messages
from lzr.ipc.counts import Names
from lzr.ipc.schema import BATCH_OCTETS, BATCH_ROWS, SchemaError
from lzr.options.table import Options

_ROWS = 2 * BATCH_ROWS


class Bounds:
    """options: of the scan. outputs: how many outputs there are."""

    def __init__(self, options: Options, outputs: int) -> None:
        self._handshakes = len(options.handshakes)
        self._outputs = outputs
        self._most_data = options.max_size << 10
        self._most_octets = BATCH_OCTETS + self._handshakes * self._most_data
        self._names = Names(options.handshakes)

    def check(self, message: messages.Outcomes | messages.Lines) -> None:
        """Raise SchemaError for results that are impossible in this scan."""
        rows = message.rows
        if len(rows):
            if int(rows["handshake"].max()) >= self._handshakes:
                raise SchemaError("a handshake that is not tried")
            if int(rows["data_len"].max()) > self._most_data:
                raise SchemaError("more data of a host than is kept")
            if len(rows) > _ROWS or len(message.payloads) > self._most_octets:
                raise SchemaError(f"{len(rows):,} results with {len(message.payloads):,} bytes at a time")
        if isinstance(message, messages.Outcomes):
            if not len(rows):
                raise SchemaError("results of nothing")
            return
        if not 0 < message.records <= _ROWS:
            raise SchemaError("lines of nothing, or too many")
        if len(message.lines) != self._outputs:
            raise SchemaError("lines for other outputs than there are")
        self._names.check(message.counts)
