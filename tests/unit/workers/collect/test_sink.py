"""An output that is a file: what is written counts whole or not at all, whatever others do to the file."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from workers.collect.sink import OutputGone, Sink

LINE = b"{}\n"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A file of results as the collectors have it: written at its end."""
    path = tmp_path / "found"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    yield path, descriptor
    os.close(descriptor)


def test_what_a_collector_left_unacknowledged_is_cut_off_its_successor(file: tuple[Path, int]) -> None:
    path, descriptor = file
    sink = Sink(descriptor)
    sink.write(3 * LINE)
    acknowledged = sink.offset
    sink.write(LINE)
    os.write(descriptor, b"{torn")
    Sink(descriptor, acknowledged).cut_back()
    assert path.read_bytes() == 3 * LINE


def test_also_where_the_file_was_copied_and_emptied_meanwhile(file: tuple[Path, int]) -> None:
    """As logrotate does; the next collector, and the fork server at the end, cut off what does not count."""
    path, descriptor = file
    whole = np.zeros(1, np.int64)
    sink = Sink(descriptor, 0, whole)
    sink.write(100 * LINE)
    os.truncate(path, 0)
    sink.write(3 * LINE)
    assert (sink.offset, int(whole[0])) == (9, 9)
    os.write(descriptor, LINE + b"{torn")
    Sink(descriptor, int(whole[0])).cut_back()
    assert path.read_bytes() == 3 * LINE


def test_what_is_put_there_by_others_is_not_counted(file: tuple[Path, int]) -> None:
    """A file that is longer than it should be is cut by nobody who only writes on."""
    path, descriptor = file
    sink = Sink(descriptor)
    sink.write(LINE)
    os.write(descriptor, b"[]\n")
    assert sink.end() == 3
    sink.write(LINE)
    assert (sink.offset, path.read_bytes()) == (6, LINE + b"[]\n" + LINE)


def test_a_pipe_has_no_end() -> None:
    reads, writes = os.pipe()
    sink = Sink(writes)
    sink.write(LINE)
    assert sink.end() == 3
    assert os.read(reads, 9) == LINE
    os.close(reads)
    os.close(writes)


def test_the_reader_of_a_socket_pair_may_go_as_that_of_a_pipe() -> None:
    """Some programs start others with sockets for pipes; what was not read makes another error of it."""
    for unread in (False, True):
        ours, theirs = socket.socketpair()
        with ours:
            sink = Sink(ours.fileno())
            assert sink.is_pipe
            sink.write(LINE)
            if not unread:
                theirs.recv(9)
            theirs.close()
            with pytest.raises(OutputGone):
                sink.write(LINE)


def test_a_slow_reader_of_a_socket_pair_is_waited_for_a_while_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Figures are reported meanwhile, also where somebody has set O_NONBLOCK."""
    monkeypatch.setattr("workers.collect.sink._PATIENCE_MS", 20)
    for blocking in (True, False):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(blocking)
            waited: list[float] = []

            def wait(seconds: float, theirs: socket.socket = theirs, waited: list[float] = waited) -> None:
                waited.append(seconds)
                while theirs in select.select([theirs], [], [], 0)[0]:
                    theirs.recv(1 << 20)

            sink = Sink(ours.fileno(), waiting=wait)
            sink.write(LINE * 400_000)
            assert sink.offset == 1_200_000
            assert waited
