"""The private directory: removed once nobody has it, never before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator import scratch


def age(directory: Path) -> None:
    os.utime(directory, (1, 1))


def test_what_a_killed_run_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    code = (
        "import os, tempfile; from coordinator import scratch; "
        f"tempfile.tempdir = {str(tmp_path)!r}; "
        "print(scratch.make((os.getuid(), os.getgid())), flush=True); input()"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    with run:
        assert run.stdout is not None
        theirs = Path(run.stdout.readline().strip())
        (theirs / "reports").touch()
        age(theirs)
        mine = scratch.make((os.getuid(), os.getgid()))
        assert theirs.is_dir(), "its run lives"
        run.kill()
    young = tmp_path / "lzr-run-young"
    young.mkdir()
    foreign = tmp_path / "lzr-other"
    foreign.mkdir()
    link = tmp_path / "lzr-run-link"
    link.symlink_to(foreign)
    age(foreign)
    age(mine)
    another = scratch.make((os.getuid(), os.getgid()))
    assert sorted(tmp_path.iterdir()) == sorted([mine, another, young, foreign, link])
