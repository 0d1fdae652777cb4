"""Checks what a box says of a run's results, and decides what to fetch next.

A box gives no byte beyond the length that its checkpoint confirms, since what is behind it may be cut off
when the scan goes on. So what was fetched is always a beginning of the final file, and an interrupted fetch
goes on where its file ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CHUNK = 1 << 20
"""Bytes that are asked for at once."""
MOST_METADATA = 64 << 20
MOST = 1 << 46
"""Most bytes of a run's results: 64 TiB."""


@dataclass(frozen=True)
class Held:
    """What a box has of a run.

    length: bytes of its results that the checkpoint confirms. ended: the run was done, and no scan of it is
    at work. metadata: bytes of its metadata, 0 where there are none.
    """

    length: int = 0
    ended: bool = False
    metadata: int = 0

    @staticmethod
    def of(answer: Any) -> Held:
        """Raises ValueError."""
        if not isinstance(answer, Mapping):
            raise ValueError("has answered what is no answer")
        length, ended, metadata = (answer.get(name) for name in ("length", "ended", "metadata"))
        if type(length) is not int or not 0 <= length <= MOST or type(ended) is not bool:
            raise ValueError("has not said how long its results are")
        if type(metadata) is not int or not 0 <= metadata <= MOST_METADATA:
            raise ValueError("has not said how long its metadata are")
        return Held(length, ended, metadata)


def next_chunk(have: int, held: Held) -> tuple[int, int] | None:
    """(offset, length) to fetch next, or None for nothing. have: bytes that are here.

    While it is at work, a run may confirm less than before (one of ZMap's shards begins without a
    checkpoint). Raises ValueError where it has ended with less than is here.
    """
    if have > held.length and held.ended:
        raise ValueError(
            f"has {held.length:,} bytes of results, and {have:,} were fetched: they are not the same any more"
        )
    return (have, min(CHUNK, held.length - have)) if have < held.length else None


def data_of(answer: Any, length: int) -> bytes:
    """The bytes of a chunk. Raises ValueError where they are not as many as were asked for."""
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(data, bytes) or len(data) != length:
        raise ValueError("has not given the bytes that it said it has")
    return data
