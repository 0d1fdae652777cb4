"""Orders to a fork server that is behind, as where 200 workers are started at once."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from coordinator.processes.pool import _await_end, hand


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


def test_the_end_of_a_process_is_awaited_by_a_large_number_too() -> None:
    """select(2) takes no descriptor beyond 1023, and a scan with many workers has more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2048)), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1024)]
    try:
        with subprocess.Popen([sys.executable, "-c", ""]) as process:
            _await_end(process.pid)
            assert process.wait(20) == 0
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
