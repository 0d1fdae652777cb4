"""The directory of the sockets: root's alone, reached by descriptor, swept when its run is dead."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coordinator.processes import rundir
from coordinator.processes.rundir import RunDir, RunDirError
from tests import ROOT

pytestmark = pytest.mark.attack

ME = (os.getuid(), os.getgid())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where directories are made, as systemd would say it."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    return tmp_path


@pytest.fixture
def made(place: Path) -> Iterator[Callable[..., RunDir]]:
    """Makes directories, and removes them in the end."""
    all_of_them: list[RunDir] = []

    def make(owner: tuple[int, int] = ME) -> RunDir:
        all_of_them.append(RunDir(owner))
        return all_of_them[-1]

    yield make
    for one in all_of_them:
        one.remove()
    assert not any(path.name.startswith(f"run-{os.getpid()}-") for path in place.iterdir())


class Another:
    """Another run: its directory, until it is killed."""

    def __init__(self) -> None:
        code = (
            "import os; from coordinator.processes.rundir import RunDir; "
            "made = RunDir((os.getuid(), os.getgid())); "
            "made.listen('reports'); print(made.path, flush=True); input()"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        self.path = Path(self.process.stdout.readline().strip())

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def test_what_a_killed_run_left_is_removed_and_nothing_else(place: Path, made: Callable[..., RunDir]) -> None:
    another = Another()
    made()
    assert another.path.is_dir(), "its run lives"
    another.kill()
    assert [path.name for path in another.path.iterdir()] == ["reports"]
    kept = place / "run-kept"
    kept.mkdir(0o700)
    (kept / "notes").write_text("not a socket")
    foreign = place / "other"
    foreign.mkdir()
    link = place / "run-link"
    link.symlink_to(foreign)
    file = place / "run-file"
    file.touch()
    open_to_others = place / "run-open"
    open_to_others.mkdir()
    open_to_others.chmod(0o777)
    mine = made()
    assert not another.path.exists()
    assert {kept, foreign, link, file, open_to_others, mine.path} <= set(place.iterdir())
    assert (kept / "notes").exists()


def test_a_tree_without_end_ends_no_start(place: Path, made: Callable[..., RunDir]) -> None:
    """Anybody can make one in a place for temporary directories, under a name like ours."""
    handle = os.open(place, os.O_RDONLY)
    depth = 1500  # more than an interpreter calls itself
    for name in ("run-deep", *["d"] * depth):
        os.mkdir(name, 0o700, dir_fd=handle)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    try:
        made()
        assert (place / "run-deep" / "d").is_dir()
    finally:
        subprocess.run(["rm", "-rf", place / "run-deep"], check=True)


def test_a_directory_swept_before_it_was_locked_is_made_again(
    place: Path, made: Callable[..., RunDir], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run that starts at the same moment may take it for a dead one's."""
    swept: list[str] = []
    real = fcntl.flock

    def flock(handle: int, how: int) -> None:
        if how == fcntl.LOCK_EX and len(swept) < 2:
            name = os.readlink(f"/proc/self/fd/{handle}")
            os.rmdir(name)
            swept.append(name)
        real(handle, how)

    monkeypatch.setattr(rundir.fcntl, "flock", flock)
    mine = made()
    assert len(swept) == 2
    assert mine.path.is_dir()
    assert str(mine.path) not in swept


def test_addresses_are_short_however_long_the_path_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = tmp_path
    while len(str(far)) < 300:
        far /= "x" * 60
        far.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(far))
    mine = RunDir(ME)
    assert mine.path.parent == far
    with socket.socket(fileno=mine.listen("results-collect-255.1000000")) as listener:
        assert len(os.fsencode(listener.getsockname())) < 107
    mine.remove()
    mine.remove()
    assert list(far.iterdir()) == []


def test_places_in_which_others_may_rename_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, sticky, file = tmp_path / "shared", tmp_path / "sticky", tmp_path / "file"
    shared.mkdir()
    shared.chmod(0o777)
    sticky.mkdir()
    sticky.chmod(0o1777)
    file.touch()

    def among(*places: Path) -> None:
        monkeypatch.setattr(rundir, "_places", lambda: iter([(path, "lzr-run-") for path in places]))

    among(file, tmp_path / "nowhere", shared, sticky)
    mine = RunDir(ME)
    assert mine.path.parent == sticky
    mine.remove()
    assert rundir.where() == [sticky]
    among(file, shared)
    assert rundir.where() == []
    with pytest.raises(RunDirError) as caught:
        RunDir(ME)
    assert str(caught.value) == (
        f"no place for the sockets of a run ({file}: Not a directory; "
        f"{shared}: others may rename what is in it)"
    )


def test_the_directory_for_temporary_files_is_found_without_writing_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan that is killed meanwhile would leave the file, and a full disk would have none."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "file"))
    monkeypatch.setenv("TMP", str(tmp_path / "gone"))
    assert rundir.temporary() == "/tmp"
    monkeypatch.setenv("TEMP", str(tmp_path))
    unchanged = tmp_path.stat().st_mtime_ns
    assert tmp_path in rundir.where()
    assert tmp_path.stat().st_mtime_ns == unchanged
