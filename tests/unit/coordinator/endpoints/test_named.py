"""A listening socket by its name, where somebody else renames and replaces what lies there meanwhile."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest

from coordinator.endpoints import named
from coordinator.endpoints.named import ControlError, Named, alive

pytestmark = pytest.mark.attack


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory in which others may rename what they like."""
    found = tmp_path / "place"
    found.mkdir()
    found.chmod(0o777)
    (tmp_path / "victim").mkdir()
    return found


def meanwhile(monkeypatch: pytest.MonkeyPatch, does: Callable[[], object]) -> None:
    """It is done when the name has been looked at and before the socket is made."""
    clear = Named._clear

    def instead(self: Named, shown: str, friends: set[int]) -> None:
        clear(self, shown, friends)
        does()

    monkeypatch.setattr(Named, "_clear", instead)


def test_it_listens_for_us_alone_and_goes(place: Path) -> None:
    path = place / "s"
    made = Named(path)
    assert alive(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made.remove()
    made.sock.close()
    assert not path.exists()


def test_a_directory_that_is_swapped_changes_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = place.with_name("victim")

    def swap() -> None:
        place.rename(place.with_name("moved"))
        place.symlink_to(victim)

    meanwhile(monkeypatch, swap)
    made = Named(place / "s")
    (victim / "s").write_text("somebody's")
    assert (place.with_name("moved") / "s").is_socket()
    made.remove()
    made.sock.close()
    assert (victim / "s").read_text() == "somebody's", "it is taken away where it was made"
    assert not (place.with_name("moved") / "s").exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_link_that_is_put_there_is_not_followed(
    place: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    target = place.with_name("victim") / "file"
    if there:
        target.write_text("somebody's")
    meanwhile(monkeypatch, lambda: (place / "s").symlink_to(target))
    with pytest.raises(ControlError, match=r"cannot make the control socket .*: Address already in use"):
        Named(place / "s")
    assert target.exists() == there
    assert (place / "s").is_symlink()


def test_what_is_somebody_elses_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    monkeypatch.setattr(named, "trusted", lambda invoker: {os.geteuid() + 1})
    with pytest.raises(ControlError, match="is a socket of somebody else's"):
        Named(path)
    assert path.is_socket()


def test_that_of_a_later_scan_stays(place: Path) -> None:
    path = place / "s"
    first = Named(path)
    path.unlink()
    second = Named(path)
    first.remove()
    assert alive(path)
    second.remove()
    assert not path.exists()
    for made in (first, second):
        made.sock.close()


def test_long_names_and_places_that_there_are_not(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    place.chmod(0o755)
    made = Named(Path("n" * 100))
    assert alive("n" * 100)
    made.remove()
    made.sock.close()
    for path, words in (
        ("n" * 108, "is longer than"),
        ("none/s", "No such file"),
        ("/dev/fd/0", "is no socket"),
    ):
        with pytest.raises(ControlError, match=words):
            Named(Path(path))


def test_many_take_over_a_dead_socket(tmp_path: Path) -> None:
    """One of them has it, and it is at its name; the others are told that there is a scan."""
    for number in range(30):
        path = tmp_path / str(number)
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
        together = Barrier(6, timeout=30)

        def take(_: int, path: Path = path, together: Barrier = together) -> Named | None:
            together.wait()
            try:
                return Named(path)
            except ControlError as error:
                assert "another scan that is running" in str(error)  # noqa: PT017
                return None

        with ThreadPoolExecutor(6) as threads:
            (winner,) = filter(None, threads.map(take, range(6)))
        assert alive(path)
        winner.remove()
        winner.sock.close()


def test_a_socket_that_is_bound_and_does_not_listen_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses as a dead one does: who comes then waits until it listens."""
    path = tmp_path / "s"
    bound, tried = Event(), Event()
    listen = Named._listen

    def slowly(self: Named, shown: str) -> socket.socket:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
            bound.set()
            tried.wait(0.5)
            path.unlink()
        return listen(self, shown)

    monkeypatch.setattr(Named, "_listen", slowly)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(Named, path)
        assert bound.wait(30)
        monkeypatch.setattr(Named, "_listen", listen)
        with pytest.raises(ControlError, match="another scan that is running"):
            Named(path)
        tried.set()
        made = first.result(30)
    assert alive(path)
    made.remove()
    made.sock.close()


def test_a_scan_that_is_stopped_is_not_dead(tmp_path: Path) -> None:
    """As after Ctrl-Z: it accepts nobody, and when as many wait as may, none can connect."""
    path = tmp_path / "s"
    made = Named(path)
    waiting = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(30)]
    assert errno.EAGAIN in [sock.connect_ex(str(path)) for sock in waiting]
    assert alive(path)
    with pytest.raises(ControlError, match="another scan that is running"):
        Named(path)
    assert path.is_socket()
    made.remove()
    for sock in (made.sock, *waiting):
        sock.close()


def test_a_directory_that_somebody_keeps_locked(tmp_path: Path) -> None:
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    directory = os.open(tmp_path, os.O_PATH)
    with named.alone(directory, 0.05) as we_are:
        assert not we_are
    os.close(holder)
    with named.alone(directory) as we_are:
        assert we_are
    os.close(directory)
