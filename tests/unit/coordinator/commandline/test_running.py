"""How commands end."""

from __future__ import annotations

import duckdb
import pytest

from coordinator.commandline import running


def test_a_database_without_memory_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def greedy() -> int:
        with duckdb.connect(":memory:") as connection:
            connection.execute("SET memory_limit = '1MB'; SET temp_directory = ''")
            connection.execute("CREATE TABLE t AS SELECT i, md5(i::VARCHAR) FROM range(1000000) r(i)")
        return 0

    assert running.ended("export", greedy) == running.MISTAKE
    said = capsys.readouterr().err
    assert said.startswith("lzr export: there is not enough memory (")
    assert said.count("\n") == 1
