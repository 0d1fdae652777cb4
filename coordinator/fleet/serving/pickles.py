"""Lets a controller unpickle only what this very process has pickled.

Dask unpickles parts of any message, whoever sends it, before anybody has looked at it. The graph of a task
comes from the client in this process and is recognised by its hash; boxes send plain values.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from distributed.comm import tcp
from distributed.protocol import core

serialize: Any = import_module("distributed.protocol.serialize")  # a function of the package has its name
MOST_KNOWN = 65_536
"""Most hashes that are remembered; a task takes a few, and they are read at once."""
MOST_MESSAGE = 64 << 20
"""Bytes of a message; a lock has at most 16 MiB, a chunk of results 4."""


class ForeignPickleError(ValueError):
    """The data was pickled by another process."""


class CompressedError(ValueError):
    """It is compressed: a few bytes may become any number of them, and nobody here compresses."""


def uncompressed(header: dict[str, Any], frames: Iterable[Any]) -> list[Any]:
    """In the place of `distributed.protocol.compression.decompress`: the frames as they are.

    Raises CompressedError.
    """
    if any(header["compression"]):
        raise CompressedError("a compressed message is not unpacked")
    return list(frames)


class OwnPickles:
    """Replaces `distributed.protocol.pickle` where messages are read."""

    def __init__(self, of: Any) -> None:
        self._of = of
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def dumps(self, *words: Any, **more: Any) -> bytes:
        """As the original; the result may be unpickled here later."""
        data: bytes = self._of.dumps(*words, **more)
        self._known[hashlib.sha256(data).digest()] = None
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return data

    def loads(self, data: Any, **more: Any) -> Any:
        """Raises ForeignPickleError."""
        if hashlib.sha256(data).digest() not in self._known:
            raise ForeignPickleError("it was pickled by somebody else")
        return self._of.loads(data, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)


def close() -> None:
    """From now on no message makes this process unpickle data of others, or hold data without a bound."""
    if isinstance(core.pickle, OwnPickles):
        return
    read, unpack = tcp.read_bytes_rw, tcp.unpack_frames

    async def bounded(stream: Any, length: int) -> Any:
        if length > MOST_MESSAGE:
            raise OSError(f"a part of a message has at most {MOST_MESSAGE} bytes")
        return await read(stream, length)

    def unpacked(data: Any, partial: bool = False) -> Any:
        found = unpack(data, partial=partial)
        if partial and sum(found[1]) > MOST_MESSAGE:  # of those that follow, each a part
            raise OSError(f"a message has at most {MOST_MESSAGE} bytes")
        return found

    core.pickle = serialize.pickle = OwnPickles(core.pickle)
    core.decompress = serialize.decompress = uncompressed
    tcp.read_bytes_rw, tcp.unpack_frames = bounded, unpacked
