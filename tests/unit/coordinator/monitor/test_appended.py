"""Files that would be appended to are looked at, and nobody is waited for."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coordinator.monitor import appended
from lzr.errors import UsageError
from lzr.options.parse import parse


def test_a_list_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("192.0.2.1:80\n")
    with pytest.raises(UsageError, match="is no log"):
        appended.check(parse(["-l", str(tmp_path / "list")]))


def test_a_fifo_that_has_come_in_the_place_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens it to read would wait until somebody writes."""
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "log")
    look = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **more: look(tmp_path / "file", **more))
    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(appended.check, parse(["-l", str(tmp_path / "log")]))
        try:
            done.result(20)
        finally:
            os.close(os.open(tmp_path / "log", os.O_RDWR))
