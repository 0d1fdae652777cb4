"""Which of the N shards of an input (--shards) a target belongs to: the same on every box.

These are not the shards that flow workers have (`lzr.packet.sharding`).

A target is known by its address and port. One that is written as a name is known by that name, since another
box may look up another address. (For pairs of a sweep see `lzr.sweep.share`.)
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.packet.sharding import mix64


def input_shards(rows: NDArray[Any], shards: int) -> NDArray[np.int64]:
    """(n,) int64: the shard of each row. rows: with peer_hi, peer_lo (IPv4 mapped) and peer_port."""
    ports: NDArray[np.uint64] = rows["peer_port"].astype(np.uint64)
    mixed = mix64(rows["peer_hi"] ^ mix64(rows["peer_lo"] ^ ports))
    return (mixed % np.uint64(shards)).astype(np.int64)


def input_shard_of_name(name: str, shards: int) -> int:
    """The shard of a target that is written as a name."""
    return zlib.crc32(name.encode()) % shards
