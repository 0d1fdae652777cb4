"""Packs a message into the parts that travel (a small msgpack header, then columns as raw buffers), unpacks
it, and moves the parts over a ZeroMQ socket.

`unpack` trusts nothing: version, kind, number of parts, sizes and the range of every field are checked here,
where messages enter a process. What does not fit raises SchemaError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack
import msgspec
import numpy as np
from numpy.typing import NDArray

from lzr.ipc.messages import KINDS
from lzr.ipc.schema import MOST_PARTS, Buffer, Message, SchemaError

VERSION = 5
"""Version of the messages; it grows when a field changes."""
_ENVELOPE = 256
"""Bytes within which version, kind, sender and token must lie: they are read before anything large is."""
_COPIED = 1 << 14
"""Columns of up to so many bytes are copied: ZeroMQ would copy them anyway, and a view takes longer."""
_BYTE = np.dtype("u1")
_MORE = 2
"""ZMQ_SNDMORE. A plain number: what an enumeration's operators take is much of the cost of a small turn."""


class Received(NamedTuple):
    """An unpacked message, the sender it names and the token it came with."""

    message: Message
    sender: str
    token: bytes


def _head(kind: type[Message], sender: str, token: bytes, header: dict[str, Any]) -> bytes:
    head: bytes = msgpack.packb([VERSION, kind.__name__, sender, token, header], use_bin_type=True)
    return head


_BARE = {
    kind: _head(kind, "", b"", {})
    for kind in KINDS.values()
    if set(kind.__struct_fields__) == set(kind.columns)
}
"""The first part of messages that have columns only and name no sender, as Targets: it is always the same."""
_BARE_KINDS = {head: kind for kind, head in _BARE.items()}
_LEAD = 32
_LEADS = {kind: head.ljust(_LEAD, b"\0") for kind, head in _BARE.items() if len(kind.columns) == 1}
"""What a message of such a kind with one small column begins with: it travels as one part, since each more
costs both ends several calls. The column begins at a multiple of what a row may be aligned to."""
_LEAD_KINDS = {lead: kind for kind, lead in _LEADS.items()}
assert all(len(lead) == _LEAD for lead in _LEADS.values())


def pack(message: Message, sender: str = "", token: bytes = b"") -> list[Buffer]:
    """The parts of one multipart message. Columns are contiguous rows of the right dtype, or bytes."""
    kind = type(message)
    head = None if sender or token else _BARE.get(kind)
    if head is None:
        head = _head(kind, sender, token, _header(message))
    elif (lead := _LEADS.get(kind)) is not None:
        ((name, dtype),) = kind.columns.items()
        column = _buffer(getattr(message, name), dtype)
        return [lead + column] if isinstance(column, bytes) else [head, column]
    columns = [_buffer(getattr(message, name), dtype) for name, dtype in kind.columns.items()]
    more = getattr(message, kind.rest) if kind.rest else ()
    return [head, *columns, *(_buffer(each, _BYTE) for each in more)]


def _header(message: Message) -> dict[str, Any]:
    kind = type(message)
    if not kind.columns and not kind.rest:
        found: dict[str, Any] = msgspec.to_builtins(message, builtin_types=(bytes,))
        return found
    return {
        name: msgspec.to_builtins(getattr(message, name), builtin_types=(bytes,))
        for name in kind.__struct_fields__
        if name not in kind.columns and name != kind.rest
    }


def _buffer(column: NDArray[Any] | bytes, dtype: np.dtype[Any]) -> Buffer:
    if isinstance(column, bytes) or not len(column):
        return bytes(column)
    assert column.dtype == dtype
    if column.nbytes < _COPIED:
        return column.tobytes()
    return np.ascontiguousarray(column).view(np.uint8).data


def unpack(parts: Sequence[Buffer], kinds: Sequence[type[Message]] | None = None) -> Received:
    """The message, with its sender's name and token; its columns are views of `parts`.

    kinds: those that are allowed here, None for all. Raises SchemaError, and nothing else.
    """
    if not 1 <= len(parts) <= MOST_PARTS:
        raise SchemaError(f"a message of {len(parts)} parts")
    if len(parts) == 1:
        bare = _LEAD_KINDS.get(bytes(parts[0][:_LEAD]))
    else:
        bare = _BARE_KINDS.get(bytes(parts[0])) if len(parts[0]) < _ENVELOPE else None
    if bare is not None and (kinds is None or bare in kinds):  # nothing in it is left to be checked
        found = bare(**_columns(bare, parts[1:] or [memoryview(parts[0])[_LEAD:]]))
        found.check()
        return Received(found, "", b"")
    name, sender, token, at = _envelope(parts[0])
    kind = KINDS.get(name)
    if kind is None or (kinds is not None and kind not in kinds):
        raise SchemaError(f"a message of the kind {name[:40]!r}, which does not come this way", sender, token)
    try:
        if len(parts[0]) - at > kind.most:
            raise SchemaError(f"{name}: a header of {len(parts[0])} bytes")
        header = msgpack.unpackb(memoryview(parts[0])[at:], raw=False)
        message: Message = msgspec.convert(header | _columns(kind, parts[1:]), kind)
        message.check()
    except (ValueError, TypeError, msgpack.UnpackException, msgspec.MsgspecError) as error:
        raise SchemaError(f"{name}: {error}"[:200], sender, token) from error
    except SchemaError as error:
        error.sender, error.token = sender, token
        raise
    return Received(message, sender, token)


def _envelope(head: Buffer) -> tuple[str, str, bytes, int]:
    """Kind, sender, token, and where the header proper begins."""
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=_ENVELOPE)
    try:
        unpacker.feed(memoryview(head)[:_ENVELOPE])
        if unpacker.read_array_header() != 5:
            raise SchemaError("a message without an envelope")
        version, name, sender, token = (unpacker.unpack() for _ in range(4))
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise SchemaError(f"a message without an envelope: {error}"[:200]) from error
    if not (isinstance(name, str) and isinstance(sender, str) and isinstance(token, bytes)):
        raise SchemaError("a message without an envelope")
    if type(version) is not int or version != VERSION:
        raise SchemaError(f"a message of version {str(version)[:20]}, not {VERSION}", sender, token)
    return name, sender, token, unpacker.tell()


def _columns(kind: type[Message], parts: Sequence[Buffer]) -> dict[str, Any]:
    more = len(parts) - len(kind.columns)
    if more < 0 or (more and not kind.rest):
        raise SchemaError(f"{kind.__name__}: {len(parts)} columns")
    found: dict[str, Any] = {}
    for (name, dtype), part in zip(kind.columns.items(), parts, strict=False):
        if len(part) % dtype.itemsize:
            raise SchemaError(f"{kind.__name__}: {len(part)} bytes are no rows of {name}")
        found[name] = np.frombuffer(part, dtype) if len(part) else np.empty(0, dtype)
    if kind.rest:
        found[kind.rest] = tuple(bytes(part) for part in parts[len(kind.columns) :])
    return found


# --- on a socket -------------------------------------------------------------------------------------------
# pyzmq's own multipart calls look at every part first and make enumerations of every flag: by `python -m
# benchmarks.stages` they took a third of a hop of eight targets. Nothing is opened or waited for here.


def send(sock: Any, parts: Sequence[Buffer], flags: int = 0, *, copy: bool = True) -> None:
    """Send one message, whole or not at all. Raises what the socket raises; then nothing was sent."""
    for part in parts[:-1]:
        sock.send(part, flags | _MORE, copy)
    sock.send(parts[-1], flags, copy)


def receive(sock: Any, flags: int = 0) -> list[bytes]:
    """The parts of the next message. Raises what the socket raises."""
    frame = sock.recv(flags, False)
    parts: list[bytes] = [frame.bytes]
    while frame.more:
        frame = sock.recv(flags, False)
        parts.append(frame.bytes)
    return parts
