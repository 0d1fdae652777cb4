"""Landlock on real files, in children that report what they still can do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import cannot_run
from tests.test_privilege import NOBODY, in_child
from workers import confinement
from workers.privilege import PrivilegeError, drop

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def _kernel() -> None:
    if not confinement.version():
        cannot_run("this kernel has no Landlock")


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A directory of the user's, in one that all may enter."""
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)
    directory = tmp_path / "ours"
    directory.mkdir(0o700)
    os.chown(directory, NOBODY, NOBODY)
    return directory


def confined(directory: Path, act: Callable[[], object]) -> str:
    def child() -> object:
        drop(NOBODY, NOBODY)
        assert confinement.confine(directory)
        return act()

    return in_child(child)


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(path))


def test_sockets_in_the_directory_and_its_end(ours: Path) -> None:
    def act() -> None:
        bind(ours / "one")
        bind(ours / "two")
        (ours / "one").unlink()
        shutil.rmtree(ours)

    # The directory's own place belongs to root here; in a world-writable one it goes as well.
    assert "Permission denied: 'ours'" in confined(ours, act) or not list(ours.iterdir())
    assert not (ours / "two").exists()


def test_a_directory_of_its_own_in_a_place_for_all(tmp_path: Path) -> None:
    directory = Path(f"/tmp/lzr-confined-{os.getpid()}")
    directory.mkdir(0o700)
    os.chown(directory, NOBODY, NOBODY)

    def act() -> None:
        bind(directory / "one")
        shutil.rmtree(directory)

    assert confined(directory, act) == "None"
    assert not directory.exists()


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm", "/var/tmp", "ours"])
def test_no_new_file_even_where_all_may_write(ours: Path, place: str) -> None:
    path = (ours if place == "ours" else Path(place)) / f"lzr-proof-{os.getpid()}"

    def write() -> object:
        return path.write_text("x")

    def alone() -> object:
        drop(NOBODY, NOBODY)
        return write()

    assert in_child(alone) == "1", "it is Landlock that refuses, not the place"
    path.unlink()
    assert confined(ours, write).startswith("PermissionError")
    assert not path.exists()


def test_what_is_there_already_stays_as_it_is(ours: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("before")
    os.chown(mine, NOBODY, NOBODY)
    for act in (
        lambda: mine.write_text("after"),
        lambda: os.truncate(mine, 0),
        mine.unlink,
        lambda: mine.rename(ours / "mine"),
        lambda: (ours / "link").symlink_to(mine),
        lambda: os.mkfifo(ours / "pipe"),
        (ours / "more").mkdir,
    ):
        assert confined(ours, act).startswith("PermissionError")
    assert mine.read_text() == "before"


def test_open_descriptors_can_be_written_and_cut(ours: Path, tmp_path: Path) -> None:
    """As a collector does with the results."""
    with (tmp_path / "mine").open("w") as mine:

        def act() -> None:
            os.write(mine.fileno(), b"two lines")
            os.ftruncate(mine.fileno(), 3)

        assert confined(ours, act) == "None"
    assert (tmp_path / "mine").read_text() == "two"


def test_no_program(ours: Path) -> None:
    assert confined(ours, lambda: subprocess.run(["/bin/true"], check=True)).startswith("PermissionError")


def test_no_connection(ours: Path) -> None:
    if confinement.version() < 4:
        cannot_run("this kernel's Landlock does not know TCP")
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = server.getsockname()
        assert confined(ours, lambda: socket.socket().connect(where)).startswith("PermissionError")
    assert confined(ours, lambda: socket.socket().bind(("127.0.0.1", 0))).startswith("PermissionError")


def test_no_signal_to_others_of_the_same_user(ours: Path) -> None:
    if confinement.version() < 6:
        cannot_run("this kernel's Landlock does not know signals")
    other = subprocess.Popen(["sleep", "60"], user=NOBODY, group=NOBODY)
    try:
        assert confined(ours, lambda: os.kill(other.pid, 0)).startswith("PermissionError")
    finally:
        other.kill()
        other.wait()


def test_children_are_confined_too_and_can_be_ended(ours: Path) -> None:
    """What the nursery does with its workers."""

    def act() -> str:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                Path(f"/tmp/lzr-proof-{os.getpid()}").write_text("x")
            except PermissionError:
                os.write(writer, b"refused")
            socket.socket().accept()
        said = os.read(reader, 20).decode()
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        return said

    assert confined(ours, act) == "'refused'"


def test_a_directory_that_is_not_there_is_an_error(ours: Path) -> None:
    assert confined(ours / "none", lambda: None).startswith("PrivilegeError: Landlock: No such file")


def test_without_landlock_it_goes_on(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "version", lambda: 0)
    assert confinement.confine(ours) is False


def test_privileges_that_could_come_back_are_an_error(ours: Path) -> None:
    """The kernel confines only who can gain nothing; a child that is neither must not go on."""

    def act() -> object:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return confinement.confine(ours)

    assert in_child(act).startswith("PrivilegeError: Landlock")
    assert issubclass(PrivilegeError, Exception)
