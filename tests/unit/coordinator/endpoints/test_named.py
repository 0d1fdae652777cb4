"""A listening socket by its name, where somebody else renames and replaces what lies there meanwhile."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

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
