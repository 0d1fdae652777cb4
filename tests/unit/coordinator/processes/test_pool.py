"""Orders to a fork server that is behind, as where 200 workers are started at once, or that has died."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coordinator.processes.pool import Pool, _await_end, hand
from coordinator.processes.rundir import RunDir
from lzr.ipc.job import Event, Job
from lzr.options.table import Options
from lzr.secrets import Secrets


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


def test_one_that_has_just_died_is_said_to_have(ends: tuple[socket.socket, socket.socket]) -> None:
    """Its death is known from its socket, which the loop may read later than it sends the next order."""
    ends[1].close()
    with pytest.raises(ChildProcessError, match="has died"):
        hand(ends[0], b"order", [])


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """With a process in place of a fork server, whose end of the socket is closed."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        printed = SimpleNamespace(read=lambda: None, close=lambda: None)
        launched: Any = SimpleNamespace(printed=printed, control=control, process=process)
        made = Pool(RunDir((os.getuid(), os.getgid())), launched)
        yield made
        made.close()


def test_a_fork_server_that_died_while_the_network_was_found_is_said_to_have(pool: Pool) -> None:
    mac = bytes(6)
    job = Job(Options(), "here", 0, mac, mac, mac, (1, 2), (8, 8), 1, Secrets.derive(1))
    with pytest.raises(ChildProcessError, match="has died"):
        pool.set_up(job, [], [])
    with pytest.raises(ChildProcessError, match="has died"):
        pool.spawn("flow", 0, "flow-0.1", 1)


def test_a_child_that_can_have_no_sockets_is_said_not_to_start(pool: Pool, tmp_path: Path) -> None:
    """Somebody has removed the directory; and no descriptor is left. What was made of it is closed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = os.dup(0)
    os.close(highest)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
        with pytest.raises(ChildProcessError, match=r"flow-0\.1 cannot be started: Too many open files"):
            pool.spawn("flow", 0, "flow-0.1", 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    (directory,) = tmp_path.iterdir()
    for socket_ in directory.iterdir():
        socket_.unlink()
    directory.rmdir()
    with pytest.raises(ChildProcessError, match=f"cannot be started: {directory}, .* is gone"):
        pool.spawn("collect", 0, "collect-0.1", 2)


def test_a_fork_server_that_tells_more_than_is_read_still_takes_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """400 workers at once, and it tells of each: it waits for room to tell, and we for room to ask."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.setblocking(False)
    count = 400

    def serve() -> None:
        for number in range(count):
            _, given, _, _ = socket.recv_fds(theirs, 1 << 16, 2)
            for descriptor in given:
                os.close(descriptor)
            theirs.send(Event("died", f"flow-{number}.1", 1 + number).pack())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with theirs, subprocess.Popen([sys.executable, "-c", ""]) as process:
        printed = SimpleNamespace(read=lambda: None, close=lambda: None)
        launched: Any = SimpleNamespace(printed=printed, control=control, process=process)
        made = Pool(RunDir((os.getuid(), os.getgid())), launched)
        try:
            for number in range(count):
                made.spawn("flow", number, f"flow-{number}.1", number)
            told = []
            while len(told) < count:
                told += made.events()
            assert [event.name for event in told] == [f"flow-{number}.1" for number in range(count)]
            assert not made.told
        finally:
            made.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    thread.join(30)


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
