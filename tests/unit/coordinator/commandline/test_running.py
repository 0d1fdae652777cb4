"""How commands end."""

from __future__ import annotations

import errno
import os

import duckdb
import pytest

from coordinator.commandline import running
from lzr.exitstatus import MISTAKE


def test_a_database_without_memory_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def greedy() -> int:
        with duckdb.connect(":memory:") as connection:
            connection.execute("SET memory_limit = '1MB'; SET temp_directory = ''")
            connection.execute("CREATE TABLE t AS SELECT i, md5(i::VARCHAR) FROM range(1000000) r(i)")
        return 0

    assert running.ended("export", greedy) == MISTAKE
    said = capsys.readouterr().err
    assert said.startswith("lzr export: there is not enough memory (")
    assert said.count("\n") == 1


def test_a_full_disk_behind_an_unbuffered_stdout_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Then nothing is left in a buffer that tells of it later."""

    def full() -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert running.ended("export", full) == running.MISTAKE
    assert capsys.readouterr().err == "lzr export: cannot write: No space left on device\n"
