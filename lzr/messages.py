"""What the processes say to one another: a small msgpack header, then the columns as raw buffers.

Every message is a batch. ``pack`` gives the parts of one multipart message, ``unpack`` checks the version
and gives rows that share the received memory. The dtype of every array is part of the schema, so nothing
about layout travels but a name.

| kind | from → to | header | arrays |
|---|---|---|---|
| targets | coordinator → flow worker (feed) | shard | TARGET |
| acked | coordinator → flow worker (orders) | batches: (shard, seq) pairs | |
| adopt | coordinator → flow worker (orders) | shard, epoch | |
| resend | coordinator → flow worker (orders) | endpoint of the collector | |
| stop | coordinator → any (orders) | | |
| outcomes | flow worker → collector | shard, epoch, seq | OUTCOME, payload bytes |
| fence | coordinator → collector (orders) | shard, epoch | |
| written | collector → coordinator (reports) | batches: (shard, epoch, seq), offsets, … | final tickets |
| ready, adopted, fenced, stats, fault | any → coordinator (reports) | role, index, pid, … | |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from lzr.rows import FLOW, OUTCOME, TARGET

VERSION = 1
Buffer = bytes | bytearray | memoryview

_DTYPES: dict[str, np.dtype[Any]] = {
    "target": TARGET,
    "outcome": OUTCOME,
    "flow": FLOW,
    "ticket": np.dtype("<u4"),
    "bytes": np.dtype("u1"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


class SchemaError(Exception):
    """A message of another version or shape: the processes are not of one installation."""


@dataclass(frozen=True, slots=True)
class Message:
    kind: str
    header: dict[str, Any] = field(default_factory=dict)
    arrays: tuple[NDArray[Any], ...] = ()


def pack(kind: str, header: dict[str, Any] | None = None, *arrays: NDArray[Any] | bytes) -> list[Buffer]:
    """The parts of one multipart message. Arrays are contiguous rows of a known dtype, or bytes."""
    columns = [
        np.frombuffer(array, np.uint8) if isinstance(array, bytes) else np.ascontiguousarray(array)
        for array in arrays
    ]
    names = [_NAMES[column.dtype] for column in columns]
    head = msgpack.packb([VERSION, kind, header or {}, names], use_bin_type=True)
    return [head, *(column.view(np.uint8).data if len(column) else b"" for column in columns)]


def unpack(parts: Sequence[Buffer]) -> Message:
    """The message; its arrays are views of `parts`."""
    try:
        version, kind, header, names = msgpack.unpackb(parts[0], raw=False, strict_map_key=False)
    except (ValueError, TypeError, IndexError, msgpack.UnpackException) as error:
        raise SchemaError(f"a message without a header: {error}") from error
    if version != VERSION or len(names) != len(parts) - 1:
        raise SchemaError(f"{kind!r}: version {version}, {len(parts) - 1} arrays for {names}")
    arrays = []
    for name, part in zip(names, parts[1:], strict=True):
        dtype = _DTYPES.get(name)
        if dtype is None or len(part) % dtype.itemsize:
            raise SchemaError(f"{kind!r}: {len(part)} bytes are no rows of {name!r}")
        arrays.append(np.frombuffer(part, dtype))
    return Message(kind, header, tuple(arrays))
