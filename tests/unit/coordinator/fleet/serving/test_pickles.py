"""What a controller reads of a message before it knows what it is: no foreign pickle, nothing that grows."""

from __future__ import annotations

import asyncio
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from distributed.comm import tcp
from distributed.protocol import core
from distributed.protocol.serialize import Pickled, Serialize, Serialized

from coordinator.fleet.serving import pickles
from coordinator.fleet.serving.pickles import CompressedError, ForeignPickleError, serialize


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """As in a controller; other tests of this process have it open again."""
    kept = core.pickle, core.decompress, serialize.pickle, serialize.decompress
    reading = tcp.read_bytes_rw, tcp.unpack_frames
    pickles.close()
    yield
    core.pickle, core.decompress, serialize.pickle, serialize.decompress = kept
    tcp.read_bytes_rw, tcp.unpack_frames = reading


def test_our_own_pickle_is_opened_and_nobody_elses() -> None:
    frames = core.dumps({"op": "x", "what": Serialize({"a": 1})})
    assert core.loads(frames)["what"] == {"a": 1}
    none = b"\x80\x04N."
    for foreign in (
        Pickled({"pickled-obj": none}, []),
        Serialized({"serializer": "pickle", "writeable": ()}, [none]),
    ):
        with pytest.raises(ForeignPickleError):
            core.loads(core.dumps({"op": "x", "what": foreign}))


@pytest.mark.parametrize(
    "wrapped",
    [
        partial(Serialized, {"serializer": "pickle", "writeable": (), "compression": ("zlib",)}),
        partial(Pickled, {"pickled-obj": b"\x80\x04N.", "compression": ("zlib",)}),
    ],
)
def test_what_is_compressed_is_refused_before_it_is_unpacked(wrapped: Callable[[list[bytes]], Any]) -> None:
    length = 64 << 20
    frames = core.dumps({"op": "x", "what": wrapped([zlib.compress(bytes(length))])})
    assert sum(map(len, frames)) < length // 100
    tracemalloc.start()
    try:
        with pytest.raises(CompressedError):
            core.loads(frames)
        assert tracemalloc.get_traced_memory()[1] < length // 4
    finally:
        tracemalloc.stop()


def test_a_message_is_bounded_however_many_parts_it_has() -> None:
    part = pickles.MOST_MESSAGE // 4

    def header(parts: int) -> bytes:
        return struct.pack(f"<{parts + 1}Q", parts, *[part] * parts)

    assert tcp.unpack_frames(header(4), partial=True)[1] == [part] * 4
    with pytest.raises(OSError, match="a message has at most"):
        tcp.unpack_frames(header(5), partial=True)
    with pytest.raises(OSError, match="a part of a message"):
        asyncio.run(tcp.read_bytes_rw(None, pickles.MOST_MESSAGE + 1))
