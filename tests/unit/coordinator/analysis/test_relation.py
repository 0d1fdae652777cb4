"""``lzr.open``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import lzr
from lzr.analysis.columns import NAMES
from lzr.errors import UsageError
from tests import ROOT, madescans


def test_a_relation_with_all_columns_that_lives_by_itself(tmp_path: Path) -> None:
    path = madescans.write(tmp_path / "it's; --.json.gz", 200)
    found = lzr.open(str(path))
    assert tuple(found.columns) == NAMES
    assert found.aggregate("count(*), count(data)").fetchall()[0][0] == 200
    found.filter("data IS NOT NULL").to_parquet(str(tmp_path / "some.parquet"))
    again = lzr.open(str(tmp_path / "some.parquet"))
    assert again.filter("data IS NULL").fetchall() == []


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = madescans.write(tmp_path / "scan.json", 5)
    with open(path, "a") as file:
        file.write("rubbish\n")
    with pytest.warns(UserWarning, match="1 line of"):
        assert len(lzr.open(str(path)).fetchall()) == 5
    with pytest.raises(UsageError, match="cannot read"):
        lzr.open(str(tmp_path / "none"))


def test_without_the_packages_lzr_says_which(tmp_path: Path) -> None:
    path = madescans.write(tmp_path / "scan.json", 5)
    program = (
        "import sys\nimport lzr\nassert 'duckdb' not in sys.modules and 'numpy' not in sys.modules\n"
        "sys.modules['duckdb'] = None\nfrom coordinator.commands.main import main\n"
        f"sys.exit(main(['export', {str(path)!r}, '-o', {str(tmp_path / 'x.parquet')!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    how = f"{sys.executable} -m pip install 'lzr[analysis]'"
    assert done.stderr == f"lzr export: this needs DuckDB: {how}\n"
