"""A raw packet socket's receive and transmit rings as matrices.

TPACKET_V2 (Linux packet_mmap): a ring is `frames` rows of 2,048 bytes, each with a status word; a run of
ready frames is a slice, a header field is a strided view. Frames we send carry a virtio_net_hdr whose
header length is the whole frame: the kernel then copies it, instead of lending our pages to the receiver,
so a row may be reused at once even where the peer is on this machine.

The socket outlives its process (the coordinator holds it), so a successor finds the rings as they were:
it looks for the first frame to read, and for frames its predecessor had filled but not sent.
"""

from __future__ import annotations

import errno
import mmap
import select
import socket
import struct
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr import flowrows
from lzr.kernels import NATIVE
from lzr.rows import SEGMENT
from lzr.segments import MALFORMED, Builder, parse

SOL_PACKET = 263
PACKET_STATISTICS = 6
FRAME_SIZE = 2048

_USER, _CSUM_NOT_READY, _CSUM_VALID = 1, 1 << 3, 1 << 7
_SEND_REQUEST, _SENDING, _WRONG_FORMAT = 1, 2, 4
_TX_DATA = 32  # TPACKET2_HDRLEN less the sockaddr_ll
_VNET_HEADER = 10
_BACKOFF = (0.0002, 0.001, 0.005, 0.02, 0.05)

Bytes = NDArray[np.uint8]


class SendFailure(Exception):
    """The interface has taken nothing for longer than the user allows."""


class Arrivals:
    """What several rings have brought, parsed: SEGMENT rows in order of arrival within each ring.

    Payloads are copied out of the rings (they are in the cache just then), so the frames go back to the
    kernel at once, and one batch may come from many rings.
    """

    def __init__(self, most: int, octets: int = 1 << 20) -> None:
        """most: segments; octets: of payload, after which a batch is full too."""
        self._segments = np.empty(most, SEGMENT)
        self._payloads = np.empty(octets, np.uint8)
        self.faults = np.zeros(len(MALFORMED), np.int64)
        """Frames that made no segment, by kind, since the start."""
        self._made = self._used = 0

    def clear(self) -> None:
        self._made = self._used = 0

    @property
    def segments(self) -> NDArray[Any]:
        return self._segments[: self._made]

    @property
    def payloads(self) -> Bytes:
        """What `data_at` of the segments points into."""
        return self._payloads

    def take(self, ring: Bytes, at: int, limit: int) -> tuple[int, int]:
        """Frames of a ring from row `at` on: how many there was room for, and their bytes on the wire."""
        if NATIVE is None:
            return self._take_columns(ring, at, limit)
        count, made, octets, self._used = NATIVE.take_frames(
            ring, at, limit, self._segments[self._made :], self.faults, self._payloads, self._used
        )
        self._made += made
        return count, octets

    def _take_columns(self, ring: Bytes, at: int, limit: int) -> tuple[int, int]:
        rows = ring.reshape(-1, FRAME_SIZE)
        limit = min(limit, len(self._segments) - self._made, (len(self._payloads) - self._used) // FRAME_SIZE)
        ready = rows[at : at + limit, :4].view(np.uint32)[:, 0] & _USER
        count = len(ready) if ready.all() else int(ready.argmin())
        head = rows[at : at + count, :24]
        longs, shorts = head.view(np.uint32), head.view(np.uint16)
        network = shorts[:, 7].astype(np.int64)
        captured = longs[:, 2].astype(np.int64) - (network - shorts[:, 6])
        offsets = np.arange(at, at + count, dtype=np.int64) * FRAME_SIZE + network
        ts = longs[:, 4].astype(np.uint64) * np.uint64(1_000_000_000) + longs[:, 5]
        checked = longs[:, 0] & (_CSUM_NOT_READY | _CSUM_VALID) != 0
        segments, faults = parse(ring, offsets, captured, ts, checked)
        self.faults += faults
        lengths = segments["data_len"].copy()
        joined = flowrows.gather(ring, segments["data_at"].copy(), lengths)
        self._payloads[self._used : self._used + len(joined)] = np.frombuffer(joined, np.uint8)
        segments["data_at"] = self._used + np.cumsum(lengths) - lengths
        self._used += len(joined)
        self._segments[self._made : self._made + len(segments)] = segments
        self._made += len(segments)
        return count, int(longs[:, 1].sum(dtype=np.int64))


class Ring:
    """Both rings of one socket that already has them (see coordinator.sockets)."""

    def __init__(
        self,
        sock: socket.socket,
        positions: NDArray[np.int64],
        frames: tuple[int, int],
        max_failures: int = 0,
    ) -> None:
        """positions: (2,) int64 in memory that outlives the process: the next frame to read, to fill.

        frames: of the receive and the transmit ring. max_failures: give up after so many in a row, 0 never.
        """
        self._socket = sock
        self._positions = positions
        self.rx_frames, self._tx_frames = frames
        self._map = mmap.mmap(sock.fileno(), sum(frames) * FRAME_SIZE)
        every = np.frombuffer(self._map, np.uint8).reshape(sum(frames), FRAME_SIZE)
        self._rx, self._tx = every[: self.rx_frames], every[self.rx_frames :]
        self._flat, self._tx_flat = self._rx.reshape(-1), self._tx.reshape(-1)
        self._rx_status = self._rx.view(np.uint32)[:, 0]
        self._tx_status = self._tx.view(np.uint32)[:, 0]
        self._tx_length = self._tx.view(np.uint32)[:, 1]
        self._tx_copy = self._tx.view(np.uint16)[:, (_TX_DATA + 2) // 2]
        self._tx[:, _TX_DATA : _TX_DATA + _VNET_HEADER] = 0
        self._filled = 0
        self._max_failures = max_failures
        self.received = self.received_octets = self.sent = self.sent_octets = 0
        self.failures = self.kernel_drops = 0
        self._find_place()

    def fileno(self) -> int:
        return self._socket.fileno()

    def _find_place(self) -> None:
        """Where a predecessor stopped, if there was one."""
        ready = np.flatnonzero(self._rx_status & _USER)
        if len(ready):
            before = self._rx_status[(ready - 1) % self.rx_frames] & _USER == 0
            starts = ready[before]
            self._positions[0] = starts[0] if len(starts) else self._oldest()
        waiting = np.flatnonzero(self._tx_status & _SEND_REQUEST)
        if len(waiting):
            first = self._tx_status[(waiting - 1) % self._tx_frames] & _SEND_REQUEST == 0
            start = int(waiting[first][0]) if first.any() else 0
            self._positions[1] = (start + len(waiting)) % self._tx_frames
            self._filled = len(waiting)
            self.flush()

    def _oldest(self) -> int:
        head = self._rx[:, :24].view(np.uint32)
        return int(np.argmin(head[:, 4].astype(np.uint64) * np.uint64(10**9) + head[:, 5]))

    # --- receive ---------------------------------------------------------------------------------------

    def take(self, limit: int, arrivals: Arrivals) -> int:
        """Move at most `limit` frames into `arrivals`, and give them back to the kernel; how many."""
        at = int(self._positions[0])
        count, octets = arrivals.take(self._flat, at, limit)
        if count:
            self._rx_status[at : at + count] = 0
            self._positions[0] = (at + count) % self.rx_frames
            self.received += count
            self.received_octets += octets
        return count

    def fill(self) -> int:
        """Frames waiting to be read (looks at every 64th status word, so it is an estimate)."""
        return int(np.count_nonzero(self._rx_status[::64] & _USER)) * 64

    def read_drops(self) -> int:
        """Frames the kernel dropped because the ring was full, since the start."""
        raw = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        self.kernel_drops += struct.unpack("II", raw)[1]
        return self.kernel_drops

    # --- transmit --------------------------------------------------------------------------------------

    def send(self, burst: NDArray[Any], builder: Builder) -> None:
        """Put FRAME rows (alike in probe and in having SYN) into the ring; `flush` has them sent."""
        start = 0
        while start < len(burst):
            at = int(self._positions[1])
            rows = burst[start:]
            done, octets = self._fill(at, rows, builder)
            if not done:
                self.flush()
                self.wait_writable(_BACKOFF[-1])  # every frame is with the driver
                continue
            self._positions[1] = (at + done) % self._tx_frames  # before the send: see _find_place
            self._filled += done
            self.sent += done
            self.sent_octets += octets
            start += done

    def _fill(self, at: int, rows: NDArray[Any], builder: Builder) -> tuple[int, int]:
        """As many frames as there is room for up to the end of the ring: how many, and their bytes."""
        if NATIVE is None:
            return self._fill_columns(at, rows, builder)
        done, octets = NATIVE.fill_ring(self._tx_flat, at, rows, *builder.native)
        return done, octets

    def _fill_columns(self, at: int, rows: NDArray[Any], builder: Builder) -> tuple[int, int]:
        room = min(len(rows), self._tx_frames - at)
        busy = self._tx_status[at : at + room] != 0
        if busy.any():
            room = int(busy.argmax())
        if not room:
            return 0, 0
        frames = self._tx[at : at + room, _TX_DATA + _VNET_HEADER :]
        lengths = builder.build(rows[:room], frames)
        self._tx_length[at : at + room] = lengths + np.uint32(_VNET_HEADER)
        self._tx_copy[at : at + room] = lengths
        self._tx_status[at : at + room] = _SEND_REQUEST
        return room, int(lengths.sum())

    def _unsent(self) -> tuple[int, int]:
        """Of the frames filled since all were gone: not yet taken by the driver, refused by the kernel."""
        first = (int(self._positions[1]) - self._filled) % self._tx_frames
        if NATIVE is not None:
            waiting, refused = NATIVE.unsent(self._tx_flat, first, self._filled)
            return waiting, refused
        status = self._tx_status[(first + np.arange(self._filled)) % self._tx_frames]
        return int(np.count_nonzero(status & _SEND_REQUEST)), int(np.count_nonzero(status == _WRONG_FORMAT))

    def flush(self) -> None:
        """Have the kernel send every filled frame; back off while the interface cannot take them."""
        attempt = 0
        while self._filled:
            try:
                self._socket.send(b"", socket.MSG_DONTWAIT)
            except OSError as error:
                if error.errno not in (errno.ENOBUFS, errno.EAGAIN, errno.ENETDOWN, errno.EINTR):
                    raise
                self.failures += 1
            waiting, refused = self._unsent()
            if refused:
                raise RuntimeError(f"the kernel refused {refused} of our frames as malformed")
            if not waiting:
                self._filled = 0  # what is in flight, the driver gives back by itself
                return
            if self._max_failures and attempt >= self._max_failures:
                raise SendFailure(f"the interface took no frame in {attempt} attempts")
            time.sleep(_BACKOFF[min(attempt, len(_BACKOFF) - 1)])
            attempt += 1

    def wait_writable(self, seconds: float) -> None:
        select.select([], [self._socket], [], seconds)

    def close(self) -> None:
        """Unmap. The socket stays open: it is the coordinator's."""
        for name in ("_rx", "_tx", "_flat", "_tx_flat", "_rx_status", "_tx_status", "_tx_length", "_tx_copy"):
            setattr(self, name, None)
        self._map.close()
