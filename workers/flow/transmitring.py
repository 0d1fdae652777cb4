"""A raw packet socket's transmit ring as a matrix: frames are put into it, then the kernel is asked to send
them.

Frames carry a virtio_net_hdr whose header length is the whole frame: the kernel then copies the frame instead
of lending our pages to the receiver, so a row may be reused at once even where the peer is on this machine.

A frame that the kernel does not take stays in the ring with the status SEND_REQUEST, the ring is `stuck`, and
`flush` tries again when its pause is over. A frame that is refused while those behind it are taken does not
hold them up (`workers.flow.refused`).
"""

from __future__ import annotations

import errno
import socket
import time
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.layout import STATUS_SEND_REQUEST, TX_DATA, VNET_HEADER
from lzr.packet.segments import Builder
from lzr.targets.blocklist import Blocklist
from workers.flow.refused import RefusedFrames, allowed, header_of
from workers.flow.transmitrows import Offer, fill, spread, unsent

_MOMENTS = (0.0002, 0.001, 0.005)
"""Seconds slept between the first attempts to send. A judgement: a driver's queue of 1,000 frames of 1,500
bytes drains in 1.2 ms at 10 Gb/s and in 12 ms at 1 Gb/s. The worker does nothing else meanwhile, so it is 6
ms in all."""
_PAUSES = (0.02, 0.05)
"""Seconds until the next attempt after that, the first time and later; the worker does other things
meanwhile. A judgement: the longer one is the most that is lost when a link comes up again."""
_TRANSIENT = (errno.ENOBUFS, errno.EAGAIN, errno.ENETDOWN, errno.EINTR, errno.ENOMEM)
_SORTED = 64
"""Most refused frames that are set aside, or tried again, in one attempt. A judgement: each takes up to three
system calls, so the worker is away for about a millisecond."""
_ALONE = 25
"""Failed attempts (over a second, with `_PAUSES`) after which a frame that waits alone on a link without
Ethernet headers may be set aside: there is no other frame to offer to the kernel in order to compare."""
_NEUTRAL = b"\x88\xb5"
"""EtherType for local experiments (IEEE 802), for a frame that nobody acts on."""
_FULL = "ring full"
"""Counted like an errno: the driver has all frames, so the kernel need not be asked."""


class SendFailure(Exception):
    """The interface has taken nothing for longer than the user allows."""


class TransmitRing:
    """rows: (frames, FRAME_SIZE) uint8, the ring. position: (1,) int64 in memory that outlives the process:
    the next row to fill. Who finds a ring with frames that its predecessor had not sent, sends them.
    """

    def __init__(
        self,
        sock: socket.socket,
        rows: NDArray[np.uint8],
        position: NDArray[np.int64],
        max_failures: int = 0,
        link: int = 0,
        policy: Blocklist | None = None,
    ) -> None:
        """max_failures: raise SendFailure after so many attempts in a row in which no frame was taken; 0:
        never. link: index of the link to send by, 0 where the socket is bound to one. policy: whom frames may
        be sent to that a predecessor has left.
        """
        self._socket = sock
        self._position = position
        self._rows, self._frames = rows, len(rows)
        self._flat = rows.reshape(-1)
        self._status = rows.view(np.uint32)[:, 0]
        self._length = rows.view(np.uint32)[:, 1]
        self._copy = rows.view(np.uint16)[:, (TX_DATA + 2) // 2]
        rows[:, TX_DATA : TX_DATA + VNET_HEADER] = 0
        self._filled = 0  # frames that may not have been taken yet: the last before the position
        self._max_failures = max_failures
        self.placed = self.placed_octets = 0
        """Frames put into the ring, and their bytes."""
        self.stuck = False
        """Frames wait that the kernel did not take."""
        self.retry_at = 0  # monotonic ns, while stuck
        self._missed = 0  # attempts in a row that moved nothing
        self.link = link
        """Where frames leave, by index; 0: the socket is bound to one."""
        self.refused = RefusedFrames()
        self._error = ""  # of the last attempt
        self._sorting = False  # the last trial set a frame aside: the next is made at once
        self.errors: Counter[str] = Counter()
        """Failed attempts, by the name of the errno."""
        self._find_place(policy)

    def _find_place(self, policy: Blocklist | None) -> None:
        """Find the frames that a predecessor filled and did not send, if there was one; send them."""
        waiting = np.flatnonzero(self._status & STATUS_SEND_REQUEST)
        if not len(waiting):
            return
        # There is a first one: `send` leaves a row free.
        first = self._status[(waiting - 1) % self._frames] & STATUS_SEND_REQUEST == 0
        self._position[0] = (int(waiting[first][0]) + len(waiting)) % self._frames
        self._filled = len(waiting)
        self.placed, self.placed_octets = len(waiting), self._waiting_octets()
        if policy is not None:
            self.block(policy)
        self.flush()

    def send(self, burst: NDArray[Any], builder: Builder) -> int:
        """Put FRAME rows (alike in probe and in having SYN) into the ring; `flush` has them sent.

        Returns how many there was room for: fewer only if the ring is stuck.
        """
        start = 0
        while start < len(burst):
            at = int(self._position[0])
            # One row stays free, so that a successor can tell where those that wait begin.
            rows = burst[start : start + self._frames - 1 - self._filled]
            done, octets = fill(self._flat, at, rows, builder) if len(rows) else (0, 0)
            if not done:
                if not self.flush() or not self._await_row(at):
                    return start
                continue
            self._position[0] = (at + done) % self._frames  # before the send: see _find_place
            self._filled += done
            self.placed += done
            self.placed_octets += octets
            start += done
        return start

    def _await_row(self, at: int) -> bool:
        """Wait a few milliseconds for the driver to give a row back; whether it has."""
        for moment in (0.0, *_MOMENTS):
            if moment:
                time.sleep(moment)
            if self._status[at] == 0:
                return True
        self.errors[_FULL] += 1
        self._miss(_FULL)
        self._hold()
        return False

    def spread(
        self, burst: NDArray[Any], builder: Builder, parts: tuple[NDArray[np.int64], NDArray[np.int64]]
    ) -> tuple[int, int]:
        """Send FRAME rows part by part while each leaves at once (`workers.flow.transmitrows.spread`).

        Returns how many were placed, and the ns that were slept; `flush` is to follow if not `empty`.
        """
        if not self.empty:
            return 0, 0
        placed, octets, self._filled, slept = spread(
            self._flat, self._position, burst, builder, parts, Offer.by(self._socket, self.link)
        )
        self.placed += placed
        self.placed_octets += octets
        return placed, slept

    @property
    def empty(self) -> bool:
        """Whether no frame waits, nor one that was refused."""
        return not (self._filled or self.stuck or self.refused)

    def _unsent(self) -> tuple[int, int]:
        """How many waiting frames the driver has not taken, and how many are malformed."""
        return unsent(self._flat, (int(self._position[0]) - self._filled) % self._frames, self._filled)

    @property
    def sent(self) -> int:
        """Frames that the kernel has taken."""
        return self.placed - self._unsent()[0]

    @property
    def sent_octets(self) -> int:
        """Bytes of the frames that the kernel has taken."""
        return self.placed_octets - self._waiting_octets()

    def _waiting_octets(self) -> int:
        if not self._filled:
            return 0
        first = int(self._position[0]) - self._filled
        rows = (first + np.arange(self._filled)) % self._frames
        rows = rows[self._status[rows] & STATUS_SEND_REQUEST != 0]
        return int((self._length[rows] - np.uint32(VNET_HEADER)).sum(dtype=np.int64))

    def block(self, policy: Blocklist) -> None:
        """Remove frames that wait in the ring for anybody whom this policy does not allow."""
        self.refused.block(policy)
        if not self._filled:
            return
        rows = (int(self._position[0]) - self._filled + np.arange(self._filled)) % self._frames
        rows = rows[self._status[rows] & STATUS_SEND_REQUEST != 0]
        frames = [self._octets(at) for at in rows.tolist()]
        stay = allowed(frames, policy)
        if all(stay):
            return
        self._position[0] = rows[0]  # first, as a successor may have to find its place by the frames
        self._status[rows] = 0
        self._filled -= len(rows)
        self.placed -= len(rows)
        self.placed_octets -= sum(map(len, frames))
        for frame, stays in zip(frames, stay, strict=True):
            if stays:
                self._put_back(frame)
        self.stuck &= self._filled > 0

    @property
    def failures(self) -> int:
        """Attempts that the kernel refused."""
        return self.errors.total()

    def flush(self) -> bool:
        """Have the kernel send every frame that waits; whether it has taken them all.

        Takes a few milliseconds at most. A stuck ring is tried again only when its pause is over. Raises
        SendFailure.
        """
        if self.stuck and time.monotonic_ns() < self.retry_at:
            return False
        if self.refused:
            self._bring_back(time.monotonic_ns())
        for moment in _MOMENTS:
            if not self._filled or self._push() or self._sort_out():
                break
            if self._missed > len(_MOMENTS):
                self._hold()  # it lasts: no more than one attempt at a time
                return False
            time.sleep(moment)
        else:
            if not (self._push() or self._sort_out()):
                self._hold()
                return False
        self.stuck = False
        self.refused.sent()
        return True

    # --- frames that are refused while others are taken ------------------------------------------------

    def _sort_out(self) -> bool:
        """Set aside frames refused while others are taken; returns whether none is left waiting."""
        if self._error != "ENOBUFS" or not (self._sorting or self._missed >= len(_MOMENTS)):
            return False
        self._sorting = False
        for _ in range(_SORTED):
            if not (self._others_pass() or self._neutral_passes()):
                return False
            if not self._filled:
                return True  # the kernel has taken it meanwhile, and all the others
            self._set_aside(int(self._position[0] - 1) % self._frames)
            if not self._filled or self._push():
                return True
            if self._error != "ENOBUFS":
                return False
        return False

    def _others_pass(self) -> bool:
        """Offer the last frame first, then the refused one is last; returns whether it was taken."""
        if self._filled <= max(1, self.refused.returned):
            return False  # all that wait have been refused before
        return self._try_first(int(self._position[0] - 1) % self._frames)

    def _neutral_passes(self) -> bool:
        """Offer a frame that nobody acts on first (from our own MAC address to itself); returns whether it
        was taken.

        Then the refused frame is the last one. On a link without MAC addresses, a frame counts as refused
        when it has waited alone for a second.
        """
        at = int(self._position[0])
        first = (at - self._filled) % self._frames
        refused = self._octets(first)
        if not header_of(refused):
            return self._filled == 1 and self._missed >= _ALONE
        if self._filled + 1 >= self._frames or self._status[at] != 0:
            return False
        own = refused[6:12]
        self._place((own + own + _NEUTRAL).ljust(max(60, len(refused)), b"\0"), at)
        if self._try_first(at):
            return True
        self._position[0] = at  # first: see `block`
        self._status[at] = 0
        self._filled -= 1
        return False

    def _octets(self, at: int) -> bytes:
        """The bytes of the frame in a row, from its link-layer header on."""
        begin = TX_DATA + VNET_HEADER
        return self._rows[at, begin : begin + int(self._length[at]) - VNET_HEADER].tobytes()

    def _try_first(self, last: int) -> bool:
        """Exchange the first waiting frame with the last, and send; if it is not taken, exchange them
        back.
        """
        first = int(self._position[0] - self._filled) % self._frames
        before = self._filled
        self._exchange(first, last)
        try:
            self._push(trial=True)
        finally:
            if self._filled == before:  # it is not about this frame: all wait as they were
                self._exchange(first, last)
        return self._filled < before

    def _exchange(self, one: int, other: int) -> None:
        """Exchange the frames of two rows that both wait."""
        rows = self._rows[[one, other], 4:]
        self._rows[[other, one], 4:] = rows

    def _set_aside(self, at: int) -> None:
        """Take the last waiting frame out of the ring, to be tried again later."""
        frame = self._octets(at)
        self.refused.set_aside(frame, time.monotonic_ns())
        self._position[0] = at  # first: see `block`
        self._status[at] = 0
        self._filled -= 1
        self._missed = 0
        self._sorting = True
        self.placed -= 1
        self.placed_octets -= len(frame)

    def _bring_back(self, now: int) -> None:
        """Put refused frames whose pause is over back into the ring."""
        room = min(self._frames - 1 - self._filled, _SORTED)
        for frame in self.refused.due(now, max(0, room)):
            self._put_back(frame)

    def _put_back(self, frame: bytes) -> None:
        at = int(self._position[0])
        if self._status[at] != 0:
            self.refused.postpone(frame, time.monotonic_ns())
            return
        self._place(frame, at)
        self.placed += 1
        self.placed_octets += len(frame)

    def _place(self, frame: bytes, at: int) -> None:
        """Put a whole frame into the next row, which is free."""
        begin = TX_DATA + VNET_HEADER
        self._rows[at, begin : begin + len(frame)] = np.frombuffer(frame, np.uint8)
        self._length[at] = len(frame) + VNET_HEADER
        self._copy[at] = len(frame)
        self._status[at] = STATUS_SEND_REQUEST
        self._position[0] = (at + 1) % self._frames
        self._filled += 1

    def _push(self, *, trial: bool = False) -> bool:
        """Try to send once; returns whether no frame is left waiting. trial: do not count a failure if none
        is taken.
        """
        error = ""
        try:
            Offer.by(self._socket, self.link)()
        except OSError as failure:
            if failure.errno in (errno.ENXIO, errno.ENODEV):
                raise SendFailure("the interface is gone") from failure
            if failure.errno not in _TRANSIENT:
                raise
            error = errno.errorcode[failure.errno]
        self._error = error
        waiting, refused = self._unsent()
        if refused:
            raise RuntimeError(f"the kernel refused {refused} of our frames as malformed")
        if waiting < self._filled:
            self._missed = 0
        if trial and waiting == self._filled:
            return False
        if error:
            self.errors[error] += 1
        if waiting == self._filled:
            self._miss(error or "no error")
        self._filled = waiting  # what is in flight, the driver gives back by itself
        return not waiting

    def _miss(self, error: str) -> None:
        self._missed += 1
        if self._max_failures and self._missed >= self._max_failures:
            raise SendFailure(f"the interface took no frame in {self._missed} attempts ({error})")

    def _hold(self) -> None:
        self.stuck = True
        lasting = self._missed > len(_MOMENTS) + 1
        pause = _PAUSES[lasting] if self._missed else 0  # it moves, slowly
        self.retry_at = time.monotonic_ns() + round(pause * 1e9)

    def close(self) -> None:
        """Unmap the memory. Refused frames are put back into the ring for a successor."""
        for frame in self.refused.all()[: self._frames - 1 - self._filled]:
            self._put_back(frame)
        for name in ("_rows", "_flat", "_status", "_length", "_copy"):
            setattr(self, name, None)
