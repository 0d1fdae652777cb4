"""Sockets of killed runs are taken away; whatever might belong to somebody stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.endpoints import control
from coordinator.endpoints.deadsockets import remove_dead
from coordinator.endpoints.named import alone


@pytest.fixture
def dead() -> int:
    """The number of a process that was."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    directory.mkdir(mode=0o700)
    return directory


def left_behind(path: Path) -> Path:
    """A socket that nobody listens at any more."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
    return path


@pytest.fixture
def alive(place: Path, dead: int) -> Iterator[Path]:
    """A socket with the number of a dead process that answers all the same: a scan in a container's."""
    path = place / f"{dead}.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        yield path


def test_the_socket_of_a_killed_run_goes(place: Path, dead: int) -> None:
    path = left_behind(place / f"{dead}.sock")
    assert remove_dead(place) == [path.name]
    assert list(place.iterdir()) == []


def test_the_socket_of_a_killed_controller_goes(place: Path) -> None:
    path = left_behind(place / "0123456789abcdef.fleet")
    other = place / "fedcba9876543210.fleet"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(other))
        sock.listen()
        assert remove_dead(place) == [path.name]
    assert list(place.iterdir()) == [other]


def test_nothing_goes_while_somebody_makes_a_socket(place: Path, dead: int) -> None:
    """His is bound, and refuses until it listens."""
    path = left_behind(place / f"{dead}.sock")
    directory = os.open(place, os.O_PATH)
    with alone(directory):
        assert remove_dead(place) == []
    os.close(directory)
    assert path.exists()


def test_a_new_scan_and_ctl_remove_dead_sockets(
    place: Path, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "directories", lambda: [place])
    path = left_behind(place / f"{dead}.sock")
    assert control.running() == []
    assert not path.exists()
    left_behind(path)
    assert control.default_path(os.getpid()).parent == place
    assert not path.exists()


def test_after_a_real_kill(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "directories", lambda: [place])
    script = (
        "import os, signal\nfrom pathlib import Path\nfrom coordinator.endpoints import control\n"
        f"server = control.ControlServer(Path({str(place)!r}) / f'{{os.getpid()}}.sock')\n"
        "print('up', flush=True)\nsignal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        assert [path.name for path in control.running()] == [f"{child.pid}.sock"]
        child.send_signal(signal.SIGKILL)
    assert control.running() == []
    assert list(place.iterdir()) == []


def test_what_answers_stays(place: Path, alive: Path) -> None:
    assert remove_dead(place) == []
    assert alive.is_socket()


def test_what_a_living_process_has_stays(place: Path) -> None:
    """It may be between bind and listen."""
    path = left_behind(place / f"{os.getpid()}.sock")
    assert remove_dead(place) == []
    assert path.is_socket()


@pytest.mark.parametrize(
    "name", ["scan.sock", "0.sock", "01.sock", "-1.sock", "{}.sock.old", "{}.SOCK", "²{}.sock"]
)
def test_another_name_stays(place: Path, dead: int, name: str) -> None:
    path = left_behind(place / name.format(dead))
    assert remove_dead(place) == []
    assert path.is_socket()


def test_no_link_is_followed(place: Path, dead: int, tmp_path: Path) -> None:
    elsewhere = left_behind(tmp_path / f"{dead}.sock")
    link = place / f"{dead}.sock"
    link.symlink_to(elsewhere)
    file = place / f"{dead + 1}.sock"
    file.write_text("no socket")
    directory = place / f"{dead + 2}.sock"
    directory.mkdir()
    assert remove_dead(place) == []
    assert link.is_symlink()
    assert elsewhere.is_socket()
    (tmp_path / "link").symlink_to(place)
    assert remove_dead(tmp_path / "link") == []
    assert file.exists()
    assert remove_dead(tmp_path / "nowhere") == []


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o750, 0o701])
def test_a_directory_that_others_may_enter_is_left_alone(
    place: Path, dead: int, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = left_behind(place / f"{dead}.sock")
    place.chmod(mode)
    assert remove_dead(place) == []
    monkeypatch.setattr(control, "directories", lambda: [place])
    assert control.running() == []
    assert path.is_socket()
