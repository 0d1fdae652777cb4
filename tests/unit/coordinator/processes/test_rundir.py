"""The directory of the sockets: root's alone, reached by descriptor, swept when its run is dead."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coordinator.processes import rundir
from coordinator.processes.rundir import Scratch, ScratchError
from tests import ROOT
from tests.private import PYTHON
from tests.system.test_privilege import NOBODY, in_child
from workers.privilege import drop

ME = (os.getuid(), os.getgid())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where directories are made, as systemd would say it."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    return tmp_path


@pytest.fixture
def made(place: Path) -> Iterator[Callable[..., Scratch]]:
    """Makes directories, and removes them in the end."""
    all_of_them: list[Scratch] = []

    def make(owner: tuple[int, int] = ME) -> Scratch:
        all_of_them.append(Scratch(owner))
        return all_of_them[-1]

    yield make
    for one in all_of_them:
        one.remove()
    assert not any(path.name.startswith(f"run-{os.getpid()}-") for path in place.iterdir())


class Another:
    """Another run: its directory, until it is killed."""

    def __init__(self) -> None:
        code = (
            "import os; from coordinator.processes.rundir import Scratch; "
            "made = Scratch((os.getuid(), os.getgid())); "
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


def test_what_a_killed_run_left_is_removed_and_nothing_else(
    place: Path, made: Callable[..., Scratch]
) -> None:
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


@pytest.mark.root
def test_what_another_user_made_is_let_be(place: Path, made: Callable[..., Scratch]) -> None:
    theirs = place / "run-1-theirs"
    theirs.mkdir(0o700)
    os.chown(theirs, NOBODY, NOBODY)
    made()
    assert theirs.is_dir()


def test_a_tree_without_end_ends_no_start(place: Path, made: Callable[..., Scratch]) -> None:
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
    place: Path, made: Callable[..., Scratch], monkeypatch: pytest.MonkeyPatch
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


@pytest.mark.root
def test_the_workers_user_may_connect_and_nothing_more(place: Path, made: Callable[..., Scratch]) -> None:
    """With the descriptor that it is given, wherever the directory lies."""
    place.chmod(0o700)
    mine = made((NOBODY, NOBODY))
    listener = socket.socket(fileno=mine.listen("reports"))
    status = mine.path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, NOBODY, 0o710)
    name = f"{mine.here}/reports"
    status = os.stat(name)
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (NOBODY, 0o600)

    def tries(act: Callable[[], object]) -> str:
        def child() -> object:
            drop(NOBODY, NOBODY)
            return act()

        return in_child(child)

    def connect() -> None:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(name)

    assert tries(connect) == "None"
    (there, _) = listener.accept()
    there.close()
    for act in (
        lambda: os.unlink(name),
        lambda: os.rename(name, f"{mine.here}/other"),
        lambda: os.symlink("/etc/shadow", f"{mine.here}/link"),
        lambda: os.link(name, f"{mine.here}/second"),
        lambda: os.mkdir(f"{mine.here}/more"),
        lambda: socket.socket(socket.AF_UNIX).bind(f"{mine.here}/mine"),
        lambda: os.listdir(mine.here),
        lambda: os.chmod(mine.here, 0o777),
        lambda: os.rmdir(mine.path),
        lambda: os.open(mine.here, os.O_RDONLY),
        lambda: os.stat(mine.path),
    ):
        assert tries(act).startswith("PermissionError")
    listener.close()
    mine.forget("reports")
    assert not list(mine.path.iterdir())


@pytest.mark.root
def test_others_of_the_same_group_may_not_connect(place: Path, made: Callable[..., Scratch]) -> None:
    """A user's group may be everybody's."""
    mine = made((NOBODY, NOBODY))
    listener = socket.socket(fileno=mine.listen("reports"))

    def child() -> None:
        drop(12345, NOBODY)
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(f"{mine.here}/reports")

    assert in_child(child).startswith("PermissionError")
    listener.close()


def test_addresses_are_short_however_long_the_path_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = tmp_path
    while len(str(far)) < 300:
        far /= "x" * 60
        far.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(far))
    mine = Scratch(ME)
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
    mine = Scratch(ME)
    assert mine.path.parent == sticky
    mine.remove()
    assert rundir.where() == [sticky]
    among(file, shared)
    assert rundir.where() == []
    with pytest.raises(ScratchError) as caught:
        Scratch(ME)
    assert str(caught.value) == (
        f"no place for the sockets of a run ({file}: Not a directory; "
        f"{shared}: others may rename what is in it)"
    )


@pytest.mark.root
def test_nor_a_directory_of_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(0o755)
    os.chown(theirs, NOBODY, NOBODY)
    monkeypatch.setattr(rundir, "_places", lambda: iter([(theirs, "lzr-run-")]))
    with pytest.raises(ScratchError):
        Scratch(ME)


NAMES = ("reports", "orders-flow-0.1", "feed-flow-0.1", "results-collect-0.1")
_ATTACK = f"""
import os, sys, time
until = time.monotonic() + 0.5
tried = 0
print("ready", flush=True)
while time.monotonic() < until:
    for name in {NAMES}:
        tried += 1
        try:
            os.rename(name, "mine", src_dir_fd={{0}}, dst_dir_fd={{0}})
            os.symlink(sys.argv[1], name, dir_fd={{0}})
        except OSError:
            pass
print(tried)
"""


class Attacker:
    """A process of the workers' user that puts links to a file where sockets were, to be given it."""

    def __init__(self, directory: int, prize: Path) -> None:
        self._process = subprocess.Popen(
            [PYTHON, "-c", _ATTACK.format(directory), prize],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            pass_fds=[directory],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    @property
    def works(self) -> bool:
        return self._process.poll() is None

    def tries(self) -> int:
        said, _ = self._process.communicate(timeout=60)
        return int(said)


@pytest.fixture
def prize(place: Path) -> Path:
    file = place / "prize"
    file.write_text("root's")
    file.chmod(0o600)
    return file


@pytest.mark.root
def test_a_race_for_the_sockets_gives_nothing_away(made: Callable[..., Scratch], prize: Path) -> None:
    for _ in range(6):
        mine = made((NOBODY, NOBODY))
        attacker = Attacker(mine.descriptor, prize)
        while attacker.works:
            for name in NAMES:
                os.close(mine.listen(name))
                assert stat.S_ISSOCK(os.stat(name, dir_fd=mine.descriptor, follow_symlinks=False).st_mode)
                mine.forget(name)
        assert attacker.tries() > 100
        assert (prize.stat().st_uid, stat.S_IMODE(prize.stat().st_mode)) == (0, 0o600)


@pytest.mark.root
def test_the_attack_wins_where_the_directory_is_the_users(place: Path, prize: Path) -> None:
    """What the test above would see: sockets given away by their names in a directory of that user's."""
    theirs = place / "theirs"
    theirs.mkdir(0o700)
    os.chown(theirs, NOBODY, NOBODY)
    handle = os.open(theirs, os.O_PATH)
    for _ in range(20):
        attacker = Attacker(handle, prize)
        while attacker.works and prize.stat().st_uid == 0:
            for name in NAMES:
                path = theirs / name
                # Between the attack's two steps the name is gone; just after them it is taken again.
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                    with socket.socket(socket.AF_UNIX) as sock:
                        sock.bind(str(path))
                    os.chown(path, NOBODY, NOBODY)
        attacker.tries()
        if prize.stat().st_uid == NOBODY:
            break
    os.close(handle)
    assert prize.stat().st_uid == NOBODY
