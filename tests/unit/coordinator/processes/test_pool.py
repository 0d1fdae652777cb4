"""Orders to a fork server that is behind, as where 200 workers are started at once."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from coordinator.processes.pool import hand


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The coordinator's, which has no room left, and the fork server's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                ours.send(b"x")
        yield ours, theirs


def test_an_order_waits_for_room(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    found = []

    def read() -> None:
        while not found or found[-1] == b"x":
            found.append(socket.recv_fds(theirs, 100, 1)[0])

    thread = threading.Thread(target=read)
    thread.start()
    hand(ours, b"order", [])
    thread.join(30)
    assert found[-1] == b"order"


def test_one_that_takes_nothing_is_no_fork_server(ends: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(ChildProcessError, match="takes no orders"):
        hand(ends[0], b"order", [], seconds=0.01)
