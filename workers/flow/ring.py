"""A raw packet socket's receive and transmit rings as matrices.

TPACKET_V2 (Linux packet_mmap): a ring is `frames` rows of 2,048 bytes, each with a status word; a run of
ready frames is a slice, a header field is a strided view.

The socket outlives its process, since the coordinator holds it. So a successor finds the rings as they were:
it looks for the first frame to read, and for frames its predecessor has filled and not sent.

Received frames are parsed as they are taken: those of all rings of a worker become one batch (`Arrivals`).
Of the rings of other workers it is only seen whether they are filling up (`OtherRings`).
"""

from __future__ import annotations

import mmap
import socket
import struct
from collections.abc import Container
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.flow import tcp
from lzr.kernels import NATIVE, in_c
from lzr.layout import (
    FRAME_SIZE,
    MALFORMED,
    PACKET_STATISTICS,
    SOL_PACKET,
    STATUS_CSUM_NOT_READY,
    STATUS_CSUM_VALID,
    STATUS_USER,
)
from lzr.packet.segments import parse
from lzr.rows import SEGMENT
from lzr.targets.blocklist import Blocklist
from workers.flow.transmitring import TransmitRing

Bytes = NDArray[np.uint8]

_WORD = FRAME_SIZE // 4  # 32-bit words from one frame's status to the next


class Arrivals:
    """Received frames of several rings as one batch of SEGMENT rows, in order of arrival within each ring.

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
        joined = tcp.gather(ring, segments["data_at"].copy(), lengths)
        self._payloads[self._used : self._used + len(joined)] = np.frombuffer(joined, np.uint8)
        segments["data_at"] = self._used + np.cumsum(lengths) - lengths
        self._used += len(joined)
        self._segments[self._made : self._made + len(segments)] = segments
        self._made += len(segments)
        return count, int(longs[:, 1].sum(dtype=np.int64))


def full_from(frames: int) -> int:
    """From how many unread frames on a receive ring of so many counts as filling up.

    A quarter: while it is that full, no SYN of a sweep is sent; by what workers send between two looks, its
    answers and those on their way, another half is filled at most where hosts are near (`FlowEngine`,
    `OPEN`).
    """
    return frames // 4


class Ring:
    """Both rings of one socket (`coordinator/network/raw_sockets.py` makes them): received frames are read
    here, `out` is the transmit ring.
    """

    def __init__(
        self,
        sock: socket.socket,
        positions: NDArray[np.int64],
        frames: tuple[int, int],
        max_failures: int = 0,
        link: int = 0,
        policy: Blocklist | None = None,
    ) -> None:
        """positions: (2,) int64 in memory that outlives the process: the next frame to read, to fill.

        frames: how many the receive and the transmit ring have. max_failures, link, policy: of `out`.
        """
        self._socket = sock
        self._positions = positions
        self.rx_frames = frames[0]
        self._map = mmap.mmap(sock.fileno(), sum(frames) * FRAME_SIZE)
        every = np.frombuffer(self._map, np.uint8).reshape(sum(frames), FRAME_SIZE)
        self._rows = every[: self.rx_frames]
        self._flat = self._rows.reshape(-1)
        self._status = self._rows.view(np.uint32)[:, 0]
        self.received = self.received_octets = self.kernel_drops = 0
        self._noticed = 0  # of the kernel's drops
        self._find_place()
        self.out = TransmitRing(sock, every[self.rx_frames :], positions[1:], max_failures, link, policy)

    def fileno(self) -> int:
        return self._socket.fileno()

    def _find_place(self) -> None:
        """Find the first frame to read, where a predecessor stopped, if there was one."""
        ready = np.flatnonzero(self._status & STATUS_USER)
        if len(ready):
            before = self._status[(ready - 1) % self.rx_frames] & STATUS_USER == 0
            starts = ready[before]
            # Several, where the kernel is filling a frame while those behind it are there already.
            self._positions[0] = self._oldest(starts if len(starts) else ready)

    def _oldest(self, places: NDArray[np.int64]) -> int:
        head = self._rows[places, :24].view(np.uint32)
        return int(places[np.argmin(head[:, 4].astype(np.uint64) * np.uint64(10**9) + head[:, 5])])

    def take(self, limit: int, arrivals: Arrivals) -> int:
        """Move at most `limit` frames into `arrivals` and give them back to the kernel; returns how many."""
        at = int(self._positions[0])
        count, octets = arrivals.take(self._flat, at, limit)
        if count:
            # Before the frames are given back: who is killed in between leaves frames that are looked at
            # again, and not a place that the kernel has gone beyond, where a successor would wait in vain.
            self._positions[0] = (at + count) % self.rx_frames
            self._status[at : at + count] = 0
            self.received += count
            self.received_octets += octets
        return count

    @property
    def filling(self) -> bool:
        """Whether so many frames wait to be read that the ring is filling up."""
        at = (int(self._positions[0]) + full_from(self.rx_frames)) % self.rx_frames
        return bool(self._status[at] & STATUS_USER)

    def fill(self) -> int:
        """How many frames wait to be read: an estimate from every 64th status word."""
        return int(np.count_nonzero(self._status[::64] & STATUS_USER)) * 64

    def has_dropped(self) -> bool:
        """Whether the kernel has dropped frames because the ring was full, since this was last called."""
        before, self._noticed = self._noticed, self.read_drops()
        return self._noticed > before

    def read_drops(self) -> int:
        """Frames the kernel dropped because the ring was full, since the start."""
        # An interface that was down leaves an error on every socket, with which poll would not wait any more.
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        raw = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        self.kernel_drops += struct.unpack("II", raw)[1]
        return self.kernel_drops

    def close(self) -> None:
        """Unmap the rings. The socket stays open, and refused frames are put back into the ring for a
        successor.
        """
        self.out.close()
        for name in ("_rows", "_flat", "_status"):
            setattr(self, name, None)
        self._map.close()


class OtherRings:
    """The receive rings of other workers, of which this one only looks whether they are filling up.

    Any worker sends the SYNs of a sweep, and the answers come to the rings of all. A worker that has no
    processor for a while cannot say that its rings are filling, but whoever holds their sockets can see it.
    Each ring is mapped when it is first looked at, for reading only.
    """

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
