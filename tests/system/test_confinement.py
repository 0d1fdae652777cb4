"""Landlock on real files, in children that report what they still can do."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import cannot_run
from tests.system.test_privilege import NOBODY, in_child
from workers import confinement
from workers.privilege import PrivilegeError, drop

pytestmark = [pytest.mark.root, pytest.mark.attack]


@pytest.fixture(autouse=True)
def _kernel() -> None:
    if not confinement.version():
        cannot_run("this kernel has no Landlock")


@pytest.fixture
def ours(open_path: Path) -> Path:
    """A directory of the user's, in one that all may enter."""
    directory = open_path / "ours"
    directory.mkdir(0o700)
    os.chown(directory, NOBODY, NOBODY)
    return directory


def confined(act: Callable[[], object]) -> str:
    def child() -> object:
        drop(NOBODY, NOBODY)
        assert confinement.confine()
        return act()

    return in_child(child)


def test_sockets_are_reached_and_none_is_made(ours: Path) -> None:
    """What is connected to is the business of the directory's modes (coordinator/processes/rundir.py)."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(ours / "one"))
        os.chown(ours / "one", NOBODY, NOBODY)
        listener.listen()

        def connect() -> None:
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(str(ours / "one"))

        assert confined(connect) == "None"
        for act in (
            lambda: socket.socket(socket.AF_UNIX).bind(str(ours / "two")),
            (ours / "one").unlink,
            ours.rmdir,
        ):
            assert confined(act).startswith("PermissionError")


def test_nothing_can_be_read_or_listed(ours: Path) -> None:
    """But what is open already."""
    mine = ours / "mine"
    mine.write_text("before")
    mine.chmod(0o644)

    def alone() -> object:
        drop(NOBODY, NOBODY)
        return mine.read_text(), os.listdir(ours)

    assert in_child(alone) == "('before', ['mine'])", "it is Landlock that refuses, not the place"
    for act in (
        mine.read_text,
        lambda: os.listdir(ours),
        lambda: os.listdir("/"),
        Path("/etc/passwd").read_text,
        Path("/proc/self/maps").read_text,
        lambda: os.open("/dev/null", os.O_RDWR),
    ):
        assert confined(act).startswith("PermissionError")
    with mine.open() as file:
        assert confined(file.read) == "'before'"


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
    assert confined(write).startswith("PermissionError")
    assert not path.exists()


def test_what_is_there_already_stays_as_it_is(ours: Path, open_path: Path) -> None:
    mine = open_path / "mine"
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
        assert confined(act).startswith("PermissionError")
    assert mine.read_text() == "before"


def test_open_descriptors_can_be_written_and_cut(tmp_path: Path) -> None:
    """As a collector does with the results."""
    with (tmp_path / "mine").open("w") as mine:

        def act() -> None:
            os.write(mine.fileno(), b"two lines")
            os.ftruncate(mine.fileno(), 3)

        assert confined(act) == "None"
    assert (tmp_path / "mine").read_text() == "two"


def test_no_program() -> None:
    assert confined(lambda: subprocess.run(["/bin/true"], check=True)).startswith("PermissionError")


def test_no_connection() -> None:
    if confinement.version() < 4:
        cannot_run("this kernel's Landlock does not know TCP")
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = server.getsockname()
        assert confined(lambda: socket.socket().connect(where)).startswith("PermissionError")
    assert confined(lambda: socket.socket().bind(("127.0.0.1", 0))).startswith("PermissionError")


def test_no_signal_to_others_of_the_same_user() -> None:
    if confinement.version() < 6:
        cannot_run("this kernel's Landlock does not know signals")
    other = subprocess.Popen(["sleep", "60"], user=NOBODY, group=NOBODY)
    try:
        assert confined(lambda: os.kill(other.pid, 0)).startswith("PermissionError")
    finally:
        other.kill()
        other.wait()


def test_children_are_confined_too_and_can_be_ended() -> None:
    """What the fork server does with its workers."""

    def act() -> str:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                Path(f"/tmp/lzr-proof-{os.getpid()}").write_text("x")
            except PermissionError:
                os.write(writer, b"refused")
            finally:
                signal.pause()
        said = os.read(reader, 20).decode()
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        return said

    assert confined(act) == "'refused'"


def filtered(act: Callable[[], object]) -> str:
    def child() -> object:
        drop(NOBODY, NOBODY)
        assert confinement.filter_calls()
        return act()

    return in_child(child)


def test_the_filter_of_calls_is_for_the_kernel_what_it_is_for_us() -> None:
    """The numbers are this machine's: what a loop does, threads and all, and what none does."""

    def work() -> object:
        done: list[int] = []
        thread = threading.Thread(target=lambda: done.append(1))
        thread.start()
        thread.join()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            said = sock.connect_ex("/nowhere")
        return done, said, len(bytearray(1 << 24)), bool(time.time())

    assert filtered(work) == f"([1], {errno.ENOENT}, {1 << 24}, True)"
    for act in (
        os.fork,
        lambda: os.open("/dev/null", os.O_RDONLY),
        lambda: os.stat("/"),
        lambda: socket.socket(socket.AF_INET),
        socket.socketpair,
        lambda: os.kill(os.getpid(), 0),
        lambda: os.execv("/bin/true", ["true"]),
        lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        os.pipe,
    ):
        assert filtered(act).startswith("PermissionError")


def test_a_machine_whose_calls_are_not_known_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement.syscalls, "program", lambda *_: None)
    assert confinement.filter_calls() is False


def test_without_landlock_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "version", lambda: 0)
    assert confinement.confine() is False


def test_privileges_that_could_come_back_are_an_error() -> None:
    """The kernel confines only who can gain nothing; a child that is neither must not go on."""

    def act() -> object:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return confinement.confine()

    assert in_child(act).startswith("PrivilegeError: Landlock")
    assert issubclass(PrivilegeError, Exception)
