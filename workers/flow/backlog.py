"""A flow worker's targets that have come from the coordinator and are not begun yet."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.packet.sharding import shard_of
from lzr.rows import TARGET, join, pick


class Backlog:
    """A queue of TARGET rows. shard_key: seed of `sharding.shard_of`; shards: how many there are."""

    def __init__(self, shard_key: int, shards: int) -> None:
        self._shard_key, self._shards = shard_key, shards
        self._waiting: deque[NDArray[Any]] = deque()
        self.count = 0
        """How many targets wait."""

    def put(self, targets: NDArray[Any]) -> None:
        """Add TARGET rows at the end."""
        if len(targets):
            self._waiting.append(targets)
            self.count += len(targets)

    def take(self, most: int) -> NDArray[Any]:
        """Remove and return the first TARGET rows, at most `most`."""
        parts, count = [], 0
        while self._waiting and count < most:
            targets = self._waiting.popleft()
            if count + len(targets) > most:
                self._waiting.appendleft(targets[most - count :])
                targets = targets[: most - count]
            parts.append(targets)
            count += len(targets)
        self.count -= count
        return join(parts) if parts else np.empty(0, TARGET)

    def withdraw(self, shard: int) -> NDArray[Any]:
        """Remove and return the TARGET rows of a shard that another worker is to have."""
        taken = []
        waiting, self._waiting, self.count = self._waiting, deque(), 0
        for targets in waiting:
            theirs = shard_of(targets, self._shard_key, self._shards) == shard
            taken.append(pick(targets, theirs))
            self.put(pick(targets, ~theirs))
        return join(taken) if taken else np.empty(0, TARGET)
