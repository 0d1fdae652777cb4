"""The receive rings of other workers, of which this one only looks whether they are filling up.

Any worker sends the SYNs of a sweep, and the answers come to the rings of all. A worker that has no processor
for a while cannot say that its rings are filling, but whoever holds their sockets can see it.
"""

from __future__ import annotations

import mmap
import socket
from collections.abc import Container

import numpy as np
from numpy.typing import NDArray

from lzr.layout import FRAME_SIZE, STATUS_USER
from workers.flow.ring import full_from

_WORD = FRAME_SIZE // 4  # 32-bit words from one frame's status to the next


class OtherRings:
    """Each ring is mapped when it is first looked at, for reading only."""

    def __init__(
        self, sockets: list[socket.socket], positions: NDArray[np.int64], frames: tuple[int, int]
    ) -> None:
        """sockets: by shard. positions: int64, shared by all workers: the next frame that a shard's owner
        reads, at every second place. frames: how many each receive and each transmit ring has.
        """
        self._sockets, self._positions = sockets, positions[: 2 * len(sockets)]
        self._frames = frames
        self._words: dict[int, memoryview] = {}  # of the whole map, by shard

    def filling(self, own: Container[int]) -> bool:
        """Whether a ring of a shard that is not our own has so many frames that nobody has read that it is
        filling up.
        """
        frames = self._frames[0]
        for shard, at in enumerate(self._positions[::2].tolist()):
            if shard in own:
                self._words.pop(shard, None)
            elif self._map(shard)[(at + full_from(frames)) % frames * _WORD] & STATUS_USER:
                return True
        return False

    def _map(self, shard: int) -> memoryview:
        found = self._words.get(shard)
        if found is None:
            size = sum(self._frames) * FRAME_SIZE
            mapped = mmap.mmap(self._sockets[shard].fileno(), size, access=mmap.ACCESS_READ)
            found = self._words[shard] = memoryview(mapped).cast("I")
        return found
