"""A write to who does not read takes so long and no longer, and is not silent about what it left out."""

from __future__ import annotations

import io
import os
import pty
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.files import patient


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that is full."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    for size in (4096, 1):
        try:
            while True:
                os.write(writes, b"x" * size)
        except BlockingIOError:
            pass
    os.set_blocking(writes, True)
    yield reads, writes
    os.close(reads)
    os.close(writes)


def drain(descriptor: int) -> bytes:
    os.set_blocking(descriptor, False)
    parts = []
    try:
        while part := os.read(descriptor, 1 << 16):
            parts.append(part)
    except BlockingIOError:
        pass
    os.set_blocking(descriptor, True)
    return b"".join(parts)


def text(raw: Any) -> io.TextIOWrapper:
    return io.TextIOWrapper(raw, "utf-8", line_buffering=True)


def test_what_finds_no_room_is_left_out_and_told_of(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    raw = patient.Stderr(writes, seconds=0.01)
    out = text(raw)
    for number in range(1000):
        print("line", number, file=out)
    assert raw.lost == 1000
    drain(reads)
    print("again", file=out)
    print("there", file=out)
    assert drain(reads) == b"lzr: 1000 lines found no room here and are left out\nagain\nthere\n"
    assert os.get_blocking(writes)  # others have it too


def test_a_line_that_was_cut_does_not_hide_the_next(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    out = text(patient.Stderr(writes, seconds=0.01))
    os.read(reads, 4096)
    print("y" * 100_000, file=out)
    assert drain(reads).endswith(b"y")
    print("next", file=out)
    assert drain(reads) == b"\nlzr: 1 lines found no room here and are left out\nnext\n"


def test_a_slow_reader_gets_all(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    found = []

    def read() -> None:
        left = 1 << 20
        while left:
            part = os.read(reads, 1 << 12)
            found.append(part.lstrip(b"x"))
            left -= len(found[-1])
            time.sleep(0.0005)

    thread = threading.Thread(target=read)
    thread.start()
    patient.write_whole(writes, b"y" * (1 << 20), seconds=30)
    thread.join(30)
    assert b"".join(found) == b"y" * (1 << 20)


def test_a_file_that_nobody_takes_is_an_error(pipe: tuple[int, int]) -> None:
    with pytest.raises(OSError, match="its reader takes nothing"):
        patient.write_whole(pipe[1], b"{}", seconds=0.01)


def test_a_terminal_that_has_been_stopped() -> None:
    """Ctrl-S."""
    controller, terminal = pty.openpty()
    try:
        out = text(raw := patient.Stderr(terminal, seconds=0.01))
        assert out.isatty()
        os.write(controller, b"\x13")
        for _ in range(10_000):
            print("z" * 70, file=out)
        assert raw.lost
        os.write(controller, b"\x11")
    finally:
        os.close(terminal)
        os.close(controller)


def test_a_file_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is what is no file at all."""
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    patient.set_up_stderr()
    import sys

    assert sys.stderr is out


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("seconds", [None, 0.05])
def test_what_cannot_be_written_is_no_error_of_who_says_it(seconds: float | None) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    reads, writes = os.pipe()
    os.close(reads)
    try:
        for descriptor in (full, writes):
            raw = patient.Stderr(descriptor, seconds)
            print("one", file=text(raw))
            assert raw.lost == 1
    finally:
        os.close(full)
        os.close(writes)


def test_a_file_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "said"
    path.write_text("before\n")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        for seconds in (None, 0.5):
            print("after", file=text(patient.Stderr(descriptor, seconds)))
    finally:
        os.close(descriptor)
    assert path.read_text() == "before\nafter\nafter\n"


def test_who_waits_as_long_as_it_takes_does_so_where_the_descriptor_does_not_block(
    pipe: tuple[int, int],
) -> None:
    reads, writes = pipe
    os.set_blocking(writes, False)  # whoever shares it may have done so
    drain(reads)
    found: list[bytes] = []

    def read() -> None:
        while not b"".join(found).endswith(b"end\n"):
            time.sleep(0.001)
            if part := os.read(reads, 1 << 13):
                found.append(part)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    raw = patient.Stderr(writes, seconds=None)
    for number in range(30):
        raw.write(b"%04d" % number + b"x" * 10_000 + b"\n")
    raw.write(b"end\n")
    assert raw.lost == 0
    thread.join(30)
    assert not thread.is_alive()
    assert len(b"".join(found)) == 30 * 10_005 + 4
