"""A burst leaves part by part, each at its moment, and stops where the kernel takes less."""

from __future__ import annotations

import itertools
import socket
import time
from typing import Any

import numpy as np
import pytest

from lzr.layout import FRAME_SIZE, STATUS_SEND_REQUEST, TX_DATA, VNET_HEADER
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import Builder, LinkHeader
from lzr.rows import FRAME, NO_PROBE, SYN, V4_MAPPED
from workers.flow.transmitrows import Offer, spread

pytestmark = pytest.mark.usefixtures("kernels")

ROWS = 16
BUILDER = Builder(LinkHeader(bytes(6), bytes(6), bytes(6)), (ProbeTemplate((b"x",)),))
_SEQUENCE = TX_DATA + VNET_HEADER + 14 + 20 + 4  # of a TCP header in IPv4 in Ethernet


class Kernel:
    """A ring whose frames it takes when they are offered: `takes` at a time, and none while `shut`."""

    def __init__(self, *, takes: int = ROWS, shut: bool = False) -> None:
        self.flat = np.zeros(ROWS * FRAME_SIZE, np.uint8)
        self.position = np.zeros(1, np.int64)
        self.takes, self.shut = takes, shut
        self.parts, self.moments = list[list[int]](), list[int]()

    def offer(self) -> None:
        self.moments.append(time.monotonic_ns())
        if self.shut:
            raise BlockingIOError
        rows = self.flat.reshape(ROWS, FRAME_SIZE)
        waiting = np.flatnonzero(rows.view(np.uint32)[:, 0] == STATUS_SEND_REQUEST)
        first = waiting[(rows.view(np.uint32)[waiting - 1, 0] != STATUS_SEND_REQUEST)][0]
        taken = (first + np.arange(len(waiting)))[: self.takes] % ROWS
        self.parts.append([int.from_bytes(rows[at, _SEQUENCE : _SEQUENCE + 4].tobytes()) for at in taken])
        rows.view(np.uint32)[taken, 0] = 0

    def spread(
        self, ends: list[int], every: int = 0, begin: int = 0, offer: Offer | None = None
    ) -> tuple[int, int, int, int]:
        burst = np.zeros(ends[-1], FRAME)
        burst["peer_lo"], burst["own_lo"] = V4_MAPPED | 1, V4_MAPPED | 2
        burst["flags"], burst["probe"], burst["seq"] = SYN, NO_PROBE, range(ends[-1])
        parts: Any = np.array(ends), begin + every * np.arange(len(ends))
        return spread(self.flat, self.position, burst, BUILDER, parts, offer or self.offer)


def test_parts_leave_in_order_each_at_its_moment() -> None:
    kernel, begun = Kernel(), time.monotonic_ns()
    placed, octets, left, slept = kernel.spread([3, 3, 10, 14, 25], 50_000_000, begun)
    assert (placed, left, octets) == (25, 0, 25 * 62)
    assert kernel.parts == [[0, 1, 2], [3, 4, 5, 6, 7, 8, 9], [10, 11, 12, 13], list(range(14, 25))]
    assert all(
        moment - begun >= part * 50_000_000 - 50_000
        for moment, part in zip(kernel.moments, (0, 2, 3, 4), strict=True)
    )
    assert slept > 0
    assert kernel.position[0] == 25 % ROWS


def test_a_part_larger_than_the_ring_leaves_in_pieces() -> None:
    kernel = Kernel()
    assert kernel.spread([2, 50])[0] == 50
    assert [len(part) for part in kernel.parts] == [2, 15, 15, 15, 3]
    assert list(itertools.chain(*kernel.parts)) == list(range(50))


def test_it_stops_where_the_kernel_leaves_some() -> None:
    kernel = Kernel(takes=4)
    assert kernel.spread([3, 10, 14])[:3] == (10, 10 * 62, 7)  # of the last seven, three wait
    assert kernel.parts == [[0, 1, 2], [3, 4, 5, 6]]
    kernel = Kernel(shut=True)
    assert kernel.spread([3, 10, 14])[:3] == (3, 3 * 62, 3)


def test_it_stops_at_a_row_that_the_driver_has() -> None:
    kernel = Kernel()
    kernel.flat.reshape(ROWS, FRAME_SIZE)[5, 0] = 2  # sending
    placed, _, left, _ = kernel.spread([3, 10, 14])
    assert (placed, left) == (5, 2)
    assert kernel.position[0] == 5


def test_what_is_no_matter_of_sending_is_not_kept_back() -> None:
    kernel = Kernel()

    def offer() -> None:
        raise KeyboardInterrupt

    kernel.offer = offer  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        kernel.spread([3])


def test_an_offer_is_an_empty_message_on_the_socket() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        theirs.setblocking(False)
        assert Kernel().spread([3, 10], offer=Offer.by(ours, 0)) == (3, 3 * 62, 3, 0)
        assert theirs.recv(1) == b""
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


def test_an_offer_that_the_kernel_refuses_leaves_what_it_was_for() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        refused = Offer.by(ours, 1)  # a link is no Unix socket's name
        assert Kernel().spread([3, 10], offer=refused) == (3, 3 * 62, 3, 0)
        with pytest.raises(OSError, match="nvalid argument"):
            refused()
