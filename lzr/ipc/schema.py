"""What every message has: columns of rows beside a header, fields with ranges, bounds on its size."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta, Struct

Buffer = bytes | bytearray | memoryview
Rows = Any
"""A column, or rows of one dtype (an NDArray). It travels apart from the header."""

SMALL, LARGE = 1 << 16, 1 << 22
"""Most bytes of a message's header: for most kinds, and for those that report thousands of results."""
FEED_MARK = 4
"""ZeroMQ's high-water mark of a flow worker's feed, at either end, in messages of up to 2,048 targets: so
many messages wait for a worker besides the one it is working on."""
MOST_PARTS = 40
"""Parts of a message: a collector sends a line blob for each output, and a few columns."""
MOST_OCTETS = 1 << 27
"""Bytes of one part: a million flows have 104 MB. ZeroMQ closes the connection of who sends more."""
BATCH_OCTETS, BATCH_ROWS = 1 << 22, 1 << 15
"""Bytes of hosts' data, and number of results, in one message; what belongs to one target is not split. In a
record a byte may take six characters, once for each output, and MOST_OCTETS bounds all of them together."""

Number = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Word64 = Annotated[int, Meta(ge=0)]
Small = Annotated[int, Meta(ge=0, lt=1 << 32)]
Shard = Annotated[int, Meta(ge=0, lt=1 << 16)]
Port = Annotated[int, Meta(ge=0, lt=1 << 16)]
Word = Annotated[str, Meta(max_length=64, pattern=r"^[\x20-\x7e]*\Z")]
"""Printable ASCII of at most 64 characters, which may be shown on a terminal as it is."""
Sentence = Annotated[str, Meta(max_length=1000)]
Name = Annotated[str, Meta(max_length=32, pattern=r"^(flow|collect)-[0-9]+\.[0-9]+\Z")]
Counters = Annotated[dict[Word, Number], Meta(max_length=4096)]
FewCounters = Annotated[dict[Word, Number], Meta(max_length=256)]


class SchemaError(Exception):
    """A message that breaks the protocol. sender, token: as the message states them, or empty."""

    def __init__(self, reason: str, sender: str = "", token: bytes = b"") -> None:
        super().__init__(reason)
        self.sender, self.token = sender, token


class Message(Struct, frozen=True, forbid_unknown_fields=True):
    """columns: the fields that travel as raw buffers, in order, with their dtypes.

    rest: name of a field that holds any number of further buffers, or empty. most: bytes that the header may
    have.
    """

    columns: ClassVar[dict[str, np.dtype[Any]]] = {}
    rest: ClassVar[str] = ""
    most: ClassVar[int] = SMALL

    def check(self) -> None:
        """Raise SchemaError if the columns do not fit together."""


def require(condition: bool, otherwise: str) -> None:
    """Raise SchemaError with the sentence `otherwise` unless `condition` holds."""
    if not condition:
        raise SchemaError(otherwise)
