"""Numbers of runs' own: none twice, none that anybody has, and none where root cannot give one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from coordinator.files import exclusive
from coordinator.processes import ownuser
from coordinator.processes.ownuser import FIRST, LAST, OwnUser, take
from coordinator.processes.users import UserError, choose_user

pytestmark = pytest.mark.attack


@pytest.fixture
def rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """We are root, with all its rights, and the whole range is ours to give."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(ownuser, "capabilities", lambda: -1)
    monkeypatch.setattr(ownuser, "mapped", lambda number, table: True)
    monkeypatch.setattr(exclusive, "_trusted", lambda directory: True)


def taken(locks: Path) -> OwnUser:
    found = take(locks)
    assert found is not None
    return found


def test_none_twice(rich: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even by chance, until one is given back."""
    monkeypatch.setattr(ownuser, "LAST", FIRST + 9)
    monkeypatch.setattr(ownuser, "_has_a_name_or_process", lambda number: False)
    held = [taken(tmp_path / "users") for _ in range(10)]
    assert sorted(one.user.uid for one in held) == list(range(FIRST, FIRST + 10))
    assert all(one.user.gid == one.user.uid for one in held)
    assert take(tmp_path / "users") is None
    held[3].release()
    held[3].release()
    again = taken(tmp_path / "users")
    assert again.user.uid == held[3].user.uid
    for one in [*held, again]:
        one.release()


def test_what_another_process_holds_is_free_when_it_ends(
    rich: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownuser, "LAST", FIRST)
    code = (
        "import os, sys, pathlib\n"
        "from coordinator.processes import ownuser\n"
        "os.geteuid = lambda: 0\n"
        "ownuser.capabilities, ownuser.mapped = lambda: -1, lambda number, table: True\n"
        "from coordinator.files import exclusive\n"
        "exclusive._trusted, ownuser.LAST = lambda directory: True, ownuser.FIRST\n"
        "held = ownuser.take(pathlib.Path(sys.argv[1]))\n"
        "print(held.user.uid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "users"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == f"{FIRST}\n"
        assert take(tmp_path / "users") is None
        other.kill()
    taken(tmp_path / "users").release()


@pytest.mark.parametrize("place", ["nowhere/at/all", "file/users"])
def test_without_locks_there_is_one_all_the_same(rich: None, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    found = taken(tmp_path / place)
    assert FIRST <= found.user.uid <= LAST
    found.release()


def test_a_link_in_the_place_of_the_locks_is_not_followed(rich: None, tmp_path: Path) -> None:
    prize = tmp_path / "prize"
    (tmp_path / "users").symlink_to(prize)
    taken(tmp_path / "users").release()
    assert not prize.exists()


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("mapped", lambda number, table: table != "gid_map"),
        ("capabilities", lambda: 1 << 7),
        ("capabilities", lambda: 1 << 6),
        ("_has_a_name_or_process", lambda number: True),
    ],
)
def test_where_there_is_none(
    rich: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, instead: Callable[..., object]
) -> None:
    monkeypatch.setattr(ownuser, name, instead)
    assert take(tmp_path / "users") is None


def test_who_is_not_root_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert take(tmp_path / "users") is None


def test_who_has_a_name_or_a_process() -> None:
    assert ownuser._has_a_name_or_process(0)
    assert ownuser._has_a_name_or_process(os.getuid())
    assert not ownuser._has_a_name_or_process(LAST + 1_000_000)
    assert ownuser.is_own(FIRST)
    assert not ownuser.is_own(65534)


def test_a_number_of_any_length_is_a_user_that_is_not_there() -> None:
    with pytest.raises(UserError, match="there is no such user"):
        choose_user("9" * 5000)
