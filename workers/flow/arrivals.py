"""Parses received frames of several rings into one batch of segments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.flow import columns
from lzr.kernels import NATIVE, in_c
from lzr.layout import FRAME_SIZE, MALFORMED, STATUS_CSUM_NOT_READY, STATUS_CSUM_VALID, STATUS_USER
from lzr.packet.segments import parse
from lzr.rows import SEGMENT

Bytes = NDArray[np.uint8]


class Arrivals:
    """One batch of SEGMENT rows from several rings, in order of arrival within each ring.

    Payloads are copied out of the rings while they are in the cache. So the frames go back to the kernel at
    once, and one batch may come from many rings.
    """

    def __init__(self, most: int, octets: int = 1 << 20) -> None:
        """A batch is full with `most` segments, or with `octets` bytes of payload."""
        self._segments = np.empty(most, SEGMENT)
        self._payloads = np.empty(octets, np.uint8)
        self.faults = np.zeros(len(MALFORMED), np.int64)
        """Frames that made no segment, by kind, since the start."""
        self._made = self._used = 0

    def clear(self) -> None:
        """Begin a new batch."""
        self._made = self._used = 0

    @property
    def segments(self) -> NDArray[Any]:
        """The SEGMENT rows of the batch."""
        return self._segments[: self._made]

    @property
    def payloads(self) -> Bytes:
        """(n,) uint8: the payloads one after the other; a segment's `data_at` is an index into it."""
        return self._payloads

    def _native_take(self, ring: Bytes, at: int, limit: int) -> tuple[int, int]:
        count, made, octets, self._used = NATIVE.take_frames(
            ring, at, limit, self._segments[self._made :], self.faults, self._payloads, self._used
        )
        self._made += made
        return count, octets

    @in_c(_native_take)
    def take(self, ring: Bytes, at: int, limit: int) -> tuple[int, int]:
        """Add frames of a ring from row `at` on, at most `limit`. Returns how many were taken and their bytes
        on the wire."""
        rows = ring.reshape(-1, FRAME_SIZE)
        limit = min(limit, len(self._segments) - self._made, (len(self._payloads) - self._used) // FRAME_SIZE)
        ready = rows[at : at + limit, :4].view(np.uint32)[:, 0] & STATUS_USER
        count = len(ready) if ready.all() else int(ready.argmin())
        head = rows[at : at + count, :24]
        longs, shorts = head.view(np.uint32), head.view(np.uint16)
        network = shorts[:, 7].astype(np.int64)
        captured = longs[:, 2].astype(np.int64) - (network - shorts[:, 6])
        offsets = np.arange(at, at + count, dtype=np.int64) * FRAME_SIZE + network
        ts = longs[:, 4].astype(np.uint64) * np.uint64(1_000_000_000) + longs[:, 5]
        checked = longs[:, 0] & (STATUS_CSUM_NOT_READY | STATUS_CSUM_VALID) != 0
        segments, faults = parse(ring, offsets, captured, ts, checked)
        self.faults += faults
        lengths = segments["data_len"].copy()
        joined = columns.gather(ring, segments["data_at"].copy(), lengths)
        self._payloads[self._used : self._used + len(joined)] = np.frombuffer(joined, np.uint8)
        segments["data_at"] = self._used + np.cumsum(lengths) - lengths
        self._used += len(joined)
        self._segments[self._made : self._made + len(segments)] = segments
        self._made += len(segments)
        return count, int(longs[:, 1].sum(dtype=np.int64))
