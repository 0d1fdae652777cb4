"""A pipe whose reader takes nothing is waited for within bounds."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers import bounded

MUCH = b"a line of a profile 1\n" * 10_000


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_file_takes_all(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        bounded.write(file.fileno(), MUCH)
    assert (tmp_path / "file").read_bytes() == MUCH


def test_a_reader_that_reads_has_all(pipe: tuple[int, int]) -> None:
    found = bytearray()

    def read() -> None:
        while len(found) < len(MUCH):
            piece = os.read(pipe[0], 3000)
            found.extend(piece)

    thread = threading.Thread(target=read)
    thread.start()
    bounded.write(pipe[1], MUCH, 60)
    thread.join(60)
    assert bytes(found) == MUCH


@pytest.mark.parametrize("ending", [False, True])
def test_a_reader_that_has_stopped_is_given_up(
    pipe: tuple[int, int], ending: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the scan ends sooner than otherwise."""
    monkeypatch.setattr(bounded, "SECONDS", 0.1)
    ended = os.open(os.devnull, os.O_RDONLY)
    try:
        with pytest.raises(TimeoutError, match="its reader takes nothing"):
            bounded.write(pipe[1], MUCH, 1000 if ending else 0.1, ended if ending else None)
    finally:
        os.close(ended)
    assert os.read(pipe[0], 1 << 20).endswith(b"\n"), "whole lines"
