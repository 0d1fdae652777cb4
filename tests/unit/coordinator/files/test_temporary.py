"""What processes that were killed have left beside: removed if it is ours and nobody's, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coordinator.files import temporary
from tests.effort import examples

_MAKES = """
import sys
from coordinator.files import temporary
path, place = temporary.made()
open(path + "/duckdb_temp_7_0_storage_DEFAULT-0.tmp", "w").write("spilt")
open(path + "/duckdb_temp_7_0_owner", "w").close()
print(path, flush=True)
sys.stdin.read()
"""


def _process(around: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", _MAKES], env={**os.environ, "TMPDIR": str(around)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_process_left_goes_and_what_a_running_one_uses_stays(tmp_path: Path) -> None:
    process, path = _process(tmp_path)
    try:
        assert path.parent == tmp_path
        temporary.remove_leftovers(str(tmp_path))
        assert len(list(path.iterdir())) == 2
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        temporary.remove_leftovers(str(tmp_path))
        assert not path.exists()
    finally:
        process.kill()
        process.communicate()


def test_a_new_directory_that_another_process_takes_for_a_left_over_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tempfile.mkdtemp
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    removed: list[str] = []

    def made_and_removed(prefix: str, dir: str) -> str:
        path = make(prefix=prefix, dir=dir)
        if not removed:
            os.rmdir(path)
            removed.append(path)
        return path

    monkeypatch.setattr("tempfile.mkdtemp", made_and_removed)
    path, place = temporary.made()
    assert os.path.samestat(os.stat(path), os.fstat(place))
    assert path not in removed
    os.close(place)


def test_many_make_directories_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each looks for left-over ones first, and finds those of the others before they are locked."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def make(_: int) -> None:
        for _ in range(examples(100)):
            path, place = temporary.made()
            assert os.path.samestat(os.stat(path), os.fstat(place))
            os.close(place)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(make, range(8)))


def test_making_a_directory_removes_leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "lzr-spill-abcdefgh"
    old.mkdir(0o700)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path, place = temporary.made()
    try:
        assert [Path(path)] == list(tmp_path.iterdir())
        temporary.remove_leftovers(str(tmp_path))
        assert Path(path).is_dir()
    finally:
        os.close(place)


@pytest.mark.parametrize("case", ["name", "mode", "link", "foreign file", "directory inside", "owner"])
def test_what_is_not_certainly_left_over_stays(case: str, tmp_path: Path) -> None:
    around, outside = tmp_path / "around", tmp_path / "outside"
    for folder in (around, outside):
        folder.mkdir()
    (outside / "duckdb_temp_block-1.block").write_text("somebody's")
    os.chmod(outside, 0o700)
    path = around / ("lzr-spill-abcdefg" if case == "name" else "lzr-spill-abcdefgh")
    if case == "link":
        path.symlink_to(outside)
    else:
        path.mkdir(0o700)
        (path / "duckdb_temp_block-1.block").write_text("x")
    if case == "mode":
        path.chmod(0o770)
    if case == "foreign file":
        (path / "notes.txt").write_text("mine")
    if case == "directory inside":
        (path / "duckdb_temp_block-2.block").mkdir()
        (path / "duckdb_temp_block-2.block" / "kept").write_text("x")
    if case == "owner":
        if os.geteuid():
            pytest.skip("only root can give a directory away")
        os.chown(path, 65534, 65534)
    temporary.remove_leftovers(str(around))
    assert os.path.lexists(path)
    if case == "directory inside":
        assert (path / "duckdb_temp_block-2.block" / "kept").exists()
    elif case != "link":
        assert (path / "duckdb_temp_block-1.block").exists()
    assert (outside / "duckdb_temp_block-1.block").exists()


def test_a_link_inside_is_removed_and_what_it_names_stays(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("x")
    path = tmp_path / "lzr-spill-abcdefgh"
    path.mkdir(0o700)
    (path / "duckdb_temp_block-1.block").symlink_to(kept)
    temporary.remove_leftovers(str(tmp_path))
    assert not path.exists()
    assert kept.read_text() == "x"
