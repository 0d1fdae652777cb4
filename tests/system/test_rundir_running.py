"""`coordinator.processes.rundir` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from coordinator.processes import rundir
from coordinator.processes.rundir import RunDir, RunDirError
from tests.private import PYTHON
from tests.system.test_privilege import NOBODY, in_child
from tests.unit.coordinator.processes.test_rundir import ME, made, place  # noqa: F401  # fixtures too
from workers.privilege import drop

pytestmark = pytest.mark.attack


@pytest.mark.root
def test_what_another_user_made_is_let_be(place: Path, made: Callable[..., RunDir]) -> None:
    theirs = place / "run-1-theirs"
    theirs.mkdir(0o700)
    os.chown(theirs, NOBODY, NOBODY)
    made()
    assert theirs.is_dir()


@pytest.mark.root
def test_the_workers_user_may_connect_and_nothing_more(place: Path, made: Callable[..., RunDir]) -> None:
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
def test_others_of_the_same_group_may_not_connect(place: Path, made: Callable[..., RunDir]) -> None:
    """A user's group may be everybody's."""
    mine = made((NOBODY, NOBODY))
    listener = socket.socket(fileno=mine.listen("reports"))

    def child() -> None:
        drop(12345, NOBODY)
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(f"{mine.here}/reports")

    assert in_child(child).startswith("PermissionError")
    listener.close()


@pytest.mark.root
def test_nor_a_directory_of_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(0o755)
    os.chown(theirs, NOBODY, NOBODY)
    monkeypatch.setattr(rundir, "_places", lambda: iter([(theirs, "lzr-run-")]))
    with pytest.raises(RunDirError):
        RunDir(ME)


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
        said, _ = self._process.communicate(timeout=120)
        return int(said)


@pytest.fixture
def prize(place: Path) -> Path:
    file = place / "prize"
    file.write_text("root's")
    file.chmod(0o600)
    return file


@pytest.mark.root
def test_a_race_for_the_sockets_gives_nothing_away(made: Callable[..., RunDir], prize: Path) -> None:
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
    for _ in range(100):
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
