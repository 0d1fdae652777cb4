"""A fork server that was started too early is ended, and one that a pool has taken is not."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator

import pytest

from coordinator.processes.launch import Launched
from lzr.errors import UsageError


@pytest.fixture
def launched() -> Iterator[Launched]:
    found = Launched()
    yield found
    found.taken = False
    if found.control.fileno() >= 0:
        found.abandon()


def test_it_is_a_session_of_its_own_and_prints_into_our_pipe(launched: Launched) -> None:
    assert os.getsid(launched.process.pid) == launched.process.pid
    theirs = os.stat(f"/proc/{launched.process.pid}/fd/2")
    assert (theirs.st_dev, theirs.st_ino) == (
        os.fstat(launched.printed.descriptor).st_dev,
        os.fstat(launched.printed.descriptor).st_ino,
    )


def test_where_no_process_can_be_had_it_is_said_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", none)
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(UsageError, match=r"no process can be started: Resource .*; look at ulimit -u"):
        Launched()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_what_nobody_needs_is_ended(launched: Launched) -> None:
    launched.abandon()
    assert launched.process.returncode is not None
    launched.abandon()  # once more is no fault


def test_what_a_pool_has_is_the_pools_to_end(launched: Launched) -> None:
    launched.taken = True
    launched.abandon()
    assert launched.process.poll() is None
    assert launched.control.fileno() >= 0


def test_it_ends_by_itself_where_its_coordinator_is_gone(launched: Launched) -> None:
    launched.control.close()
    assert launched.process.wait(60) == 0
    os.close(launched.printed.descriptor)
