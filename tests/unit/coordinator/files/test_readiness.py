"""Waiting for files whose numbers select(2) does not take."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator

import pytest

from coordinator.files.readiness import readable, writable


@pytest.fixture
def high() -> Iterator[None]:
    """Descriptors that are opened next are beyond 1023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2048)), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1024)]
    yield
    for descriptor in held:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_can_be_read_is_told_as_it_was_given(high: None) -> None:
    one, other = socket.socketpair()
    reads, writes = os.pipe()
    with one, other:
        assert reads > 1023
        assert readable([one, other], 0) == []
        other.send(b"x")
        assert readable([one, other], 0) == readable([one], None) == [one]
        assert readable([reads], 0.01) == []
        os.close(writes)  # the end of the input counts
        assert readable((reads, one.fileno())) == [reads, one.fileno()]
        os.close(reads)


def test_whether_there_is_room(high: None) -> None:
    reads, writes = os.pipe()
    assert writable(writes, 0)
    os.set_blocking(writes, False)
    os.write(writes, bytes(1 << 20))
    assert not writable(writes, 0.01)
    os.close(reads)  # a write would tell
    assert writable(writes)
    os.close(writes)
