"""`coordinator.input.zmapstuck`: a ZMap that hangs before its scan is told from one that scans."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from coordinator.input import zmapstuck
from tests.lab.net import wait_for


def _named(tmp_path: Path, name: str) -> str:
    """A program of this name that only waits."""
    sleep = shutil.which("sleep")
    assert sleep
    return shutil.copy(os.path.realpath(sleep), tmp_path / name)


@pytest.mark.parametrize(("name", "says"), [("zmap", True), ("cat", False), ("caf\udce9", False)])
def test_one_that_has_no_thread_but_its_first(tmp_path: Path, name: str, says: bool) -> None:
    """The last name is not UTF-8: anybody may have such a process beside us."""
    ours, theirs = os.pipe()
    other, another = os.pipe()
    with subprocess.Popen([_named(tmp_path, name), "60"], stdout=theirs) as program:
        try:
            # Popen returns when its descriptors are closed; a moment later the kernel gives it its name.
            comm = Path(f"/proc/{program.pid}/comm")
            wait_for(lambda: comm.read_bytes() == os.fsencode(f"{name}\n"), "its name")
            assert zmapstuck.hangs(ours) is says
            assert not zmapstuck.hangs(other), "that writes another pipe"
            with open(os.devnull) as nothing:
                assert not zmapstuck.hangs(nothing.fileno())
        finally:
            program.kill()
            for end in (ours, theirs, other, another):
                os.close(end)


def test_one_that_scans(tmp_path: Path) -> None:
    """The threads of a process are told by /proc, so a directory of that form will do."""
    ours, theirs = os.pipe()
    process = tmp_path / "4711"
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("zmap\n")
    (process / "fd/1").symlink_to(f"/proc/{os.getpid()}/fd/{theirs}")
    try:
        (process / "task/4711").mkdir(parents=True)
        assert zmapstuck.hangs(ours, tmp_path)
        (process / "task/4712").mkdir()
        assert not zmapstuck.hangs(ours, tmp_path)
    finally:
        os.close(ours)
        os.close(theirs)
