"""What the processes say to one another: a small msgpack header, then the columns as raw buffers.

Every message is a batch. ``pack`` gives the parts of one multipart message, ``unpack`` checks the version
and gives rows that share the received memory. The dtype of every array is part of the schema, so nothing
about layout travels but a name.

| kind | from → to | header | arrays |
|---|---|---|---|
| targets | coordinator → flow worker (feed) | | TARGET |
| acked | coordinator → flow worker (orders) | seq | |
| adopt | coordinator → flow worker (orders) | shard, pieces | none, or FLOW, TIMER, ASKED, TARGET |
| release | coordinator → flow worker (feed, behind its targets) | shard | |
| hurry | coordinator → flow worker (orders): a release is on its way | | |
| resend | coordinator → any (orders) | endpoint: the name of the collector's socket | |
| stop | coordinator → any (orders) | | |
| outcomes | flow worker → collector | source, seq | OUTCOME, payload bytes |
| lines | collector → the one that writes | source, seq, counts | tickets, bytes by output; -N: and outcomes |
| fence | coordinator → the collector that writes (orders) | source | |
| written | collector → coordinator (reports) | last seq by source, offsets, … | final tickets |
| released | flow worker → coordinator (reports) | shard, pieces | FLOW, TIMER, ASKED, TARGET not begun |
| ready, adopted, fenced, linked, stats, fault | any → coordinator (reports) | role, index, name, pid, … | |

`source` is a flow worker's incarnation: a number that is used once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from lzr.rows import ASKED, FLOW, OUTCOME, TARGET, TIMER

VERSION = 1
Buffer = bytes | bytearray | memoryview

_DTYPES: dict[str, np.dtype[Any]] = {
    "target": TARGET,
    "outcome": OUTCOME,
    "flow": FLOW,
    "timer": TIMER,
    "asked": ASKED,
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
    names = ["bytes" if isinstance(array, bytes) else _NAMES[array.dtype] for array in arrays]
    head = msgpack.packb([VERSION, kind, header or {}, names], use_bin_type=True)
    return [head, *map(_buffer, arrays)]


def _buffer(array: NDArray[Any] | bytes) -> Buffer:
    if isinstance(array, bytes) or not len(array):
        return bytes(array)
    return np.ascontiguousarray(array).view(np.uint8).data


def unpack(parts: Sequence[Buffer]) -> Message:
    """The message; its arrays are views of `parts`."""
    try:
        version, kind, header, names = msgpack.unpackb(parts[0], raw=False, strict_map_key=False)
    except (ValueError, TypeError, IndexError, msgpack.UnpackException) as error:
        raise SchemaError(f"a message without a header: {error}") from error
    shaped = isinstance(kind, str) and isinstance(header, dict) and isinstance(names, list)
    if version != VERSION or not shaped or len(names) != len(parts) - 1:
        raise SchemaError(f"{kind!r}: version {version}, {len(parts) - 1} arrays for {names}")
    arrays = []
    for name, part in zip(names, parts[1:], strict=True):
        dtype = _DTYPES.get(name) if isinstance(name, str) else None
        if dtype is None or len(part) % dtype.itemsize:
            raise SchemaError(f"{kind!r}: {len(part)} bytes are no rows of {name!r}")
        arrays.append(np.frombuffer(part, dtype) if len(part) else np.empty(0, dtype))
    return Message(kind, header, tuple(arrays))
