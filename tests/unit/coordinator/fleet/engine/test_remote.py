"""What another host writes is kept as far as a person reads it, and nobody is waited for without end."""

from __future__ import annotations

import subprocess
import tracemalloc

import pytest

from coordinator.fleet.engine import remote


def test_input_outputs_and_status() -> None:
    data = b"x" * 300_000
    words = ["sh", "-c", "wc -c; echo wrong >&2; exit 3"]
    assert remote.run(words, data, 30) == (3, b"300000\n", b"wrong\n")


def test_a_host_that_writes_without_end_takes_no_memory() -> None:
    words = ["sh", "-c", "yes | head -c 60000000; yes n | head -c 60000000 >&2; echo the last line"]
    tracemalloc.start()
    try:
        status, out, wrong = remote.run(words, b"", 60)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert status == 0
    assert out.splitlines()[-1] == b"the last line"
    assert len(out) <= remote.MOST
    assert len(wrong) == remote.MOST
    assert most < 4 << 20


def test_one_that_does_not_end_is_killed() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        remote.run(["sleep", "60"], b"", 0.2)


def test_one_that_reads_nothing_and_leaves_a_child_behind() -> None:
    """The child has its output open still."""
    status, out, _ = remote.run(["sh", "-c", "sleep 20 & echo here"], b"x" * 3_000_000, 30)
    assert (status, out) == (0, b"here\n")


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        remote.run(["no-such-program"], b"", 1)
