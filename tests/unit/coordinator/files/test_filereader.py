"""Files that are read by name: a FIFO is waited for aloud, read once, and a signal ends the waiting."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from coordinator.files.filereader import FileReader
from coordinator.files.opening import Interrupted
from lzr.errors import UsageError


def test_a_fifo_is_read_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = FileReader(lambda seconds: False)
    writer = threading.Thread(target=path.write_bytes, args=(b"10.0.0.0/8\n",))
    writer.start()
    assert [reader.whole(str(path)) for _ in range(2)] == [b"10.0.0.0/8\n"] * 2
    writer.join()


def test_waiting_says_so_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    said: list[str] = []
    turns = iter([False] * 20 + [True])
    with pytest.raises(Interrupted):
        FileReader(lambda seconds: next(turns), said.append).whole(str(path))
    assert said == [f"{path} is a FIFO to which nobody writes: waiting for its writer"]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(UsageError, match=f"cannot read {path}: {why}"):
            FileReader().whole(str(path))
        with pytest.raises(UsageError, match=f"cannot read {path}: {why}"):
            FileReader().open(str(path))
