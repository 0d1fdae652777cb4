"""Puts frames into the rows of a transmit ring, and asks the kernel to send them: at once, or part by part,
each at its moment.

A row's status says whose it is (packet(7), TPACKET_V2). flat: all rows of a ring, (frames * FRAME_SIZE,)
uint8.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c
from lzr.layout import FRAME_SIZE, STATUS_SEND_REQUEST, STATUS_WRONG_FORMAT, TX_DATA, VNET_HEADER
from lzr.packet.segments import Builder

_ETH_P_ALL = 3
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.sendto.restype = ctypes.c_ssize_t
_NOTHING = ctypes.c_size_t(0)
_DONTWAIT = int(socket.MSG_DONTWAIT)
SHORT = 50_000  # ns that are not slept for: the kernel wakes us that much later anyway


class Offer(NamedTuple):
    """Called, it has the kernel send the frames of a socket's ring, without waiting; it may raise OSError.

    address: where to, in the kernel's form; empty where the socket is bound.
    """

    descriptor: int
    address: bytes

    @classmethod
    def by(cls, sock: socket.socket, link: int) -> Offer:
        """link: interface index to send by; 0 where the socket is bound to one."""
        return cls(sock.fileno(), _address(link) if link else b"")

    def __call__(self) -> None:
        # Python's own sendto wants the name of a link, and looks it up.
        address, size = self.address or None, len(self.address)
        if _LIBC.sendto(self.descriptor, None, _NOTHING, _DONTWAIT, address, size) < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


@functools.lru_cache
def _address(link: int) -> bytes:
    """A struct sockaddr_ll (packet(7)) that names a link."""
    return struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(_ETH_P_ALL), link, 0, 0, 0, b"")


def _native_fill(flat: NDArray[np.uint8], at: int, burst: NDArray[Any], builder: Builder) -> tuple[int, int]:
    done, octets = NATIVE.fill_ring(flat, at, burst, *builder.native)
    return done, octets


@in_c(_native_fill)
def fill(flat: NDArray[np.uint8], at: int, burst: NDArray[Any], builder: Builder) -> tuple[int, int]:
    """Put FRAME rows into the ring from its row `at` on, as many as there is room for up to its end.

    Returns how many, and the bytes of their frames.
    """
    rows = flat.reshape(-1, FRAME_SIZE)[at : at + len(burst)]
    words = rows.view(np.uint32)
    room = len(rows)
    busy = words[:, 0] != 0
    if busy.any():
        room = int(busy.argmax())
    if not room:
        return 0, 0
    frames = rows[:room, TX_DATA + VNET_HEADER :]
    lengths = builder.build(burst[:room], frames)
    words[:room, 1] = lengths + np.uint32(VNET_HEADER)
    rows.view(np.uint16)[:room, (TX_DATA + 2) // 2] = lengths  # the whole frame is to be copied
    words[:room, 0] = STATUS_SEND_REQUEST
    return room, int(lengths.sum())


def _native_unsent(flat: NDArray[np.uint8], first: int, count: int) -> tuple[int, int]:
    waiting, refused = NATIVE.unsent(flat, first, count)
    return waiting, refused


@in_c(_native_unsent)
def unsent(flat: NDArray[np.uint8], first: int, count: int) -> tuple[int, int]:
    """Of so many frames from a row on, around the end: how many the driver has not taken, and how many are
    malformed.
    """
    status = flat.reshape(-1, FRAME_SIZE).view(np.uint32)[:, 0]
    found = status[(first + np.arange(count)) % len(status)]
    return int(np.count_nonzero(found & STATUS_SEND_REQUEST)), int(
        np.count_nonzero(found == STATUS_WRONG_FORMAT)
    )


def _native_spread(
    flat: NDArray[np.uint8],
    position: NDArray[np.int64],
    burst: NDArray[Any],
    builder: Builder,
    parts: tuple[NDArray[np.int64], NDArray[np.int64]],
    offer: Offer | Callable[[], object],
) -> tuple[int, int, int, int]:
    placed, octets, left, slept = NATIVE.spread_frames(
        flat, position, burst, *builder.native, *parts, SHORT, offer
    )
    return placed, octets, left, slept


@in_c(_native_spread)
def spread(
    flat: NDArray[np.uint8],
    position: NDArray[np.int64],
    burst: NDArray[Any],
    builder: Builder,
    parts: tuple[NDArray[np.int64], NDArray[np.int64]],
    offer: Offer | Callable[[], object],
) -> tuple[int, int, int, int]:
    """Put FRAME rows into the ring and offer them, part by part; stop where one does not leave at once.

    position: (1,) the next row to fill, which is kept up to date. parts: (n,) where each ends in the burst,
    and (n,) when it is due (monotonic ns). offer: has the kernel send what waits.
    Returns how many rows were placed, the bytes of their frames, how many of the last ones the kernel may not
    have taken, and the ns that were slept.
    """
    placed = octets = slept = 0
    frames = len(flat) // FRAME_SIZE
    for end, moment in zip(*(each.tolist() for each in parts), strict=True):
        wait = moment - time.monotonic_ns()
        if wait > SHORT:
            time.sleep(wait / 1e9)
            slept += wait
        while placed < end:
            begin, first = placed, int(position[0])
            most = min(end, placed + frames - 1)  # one row stays free: see `TransmitRing.send`
            while placed < most:
                done, more = fill(flat, int(position[0]), burst[placed:most], builder)
                if not done:
                    break
                position[0] = (position[0] + done) % frames
                placed += done
                octets += more
            with contextlib.suppress(OSError):  # whoever tries again sees the same
                offer()
            if placed < most or any(unsent(flat, first, placed - begin)):
                return placed, octets, placed - begin, slept
    return placed, octets, 0, slept
