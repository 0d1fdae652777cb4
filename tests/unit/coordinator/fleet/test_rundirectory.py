"""The directories of a run: made safely, and its lock says who is at work."""

from __future__ import annotations

import fcntl
import os
import pwd
import threading
from pathlib import Path

import pytest

from coordinator.fleet import lockfile, rundirectory
from lzr.errors import UsageError
from lzr.fleet.lock import Lock
from tests.unit.lzr.fleet.test_lock import made
from tests.unit.lzr.fleet.test_plan import PLAN


def there(directory: Path) -> Lock:
    return made(PLAN.replace("rate = 60000", f'rate = 60000\ndirectory = "{directory}"'))


def test_they_are_made_and_the_lock_is_kept(tmp_path: Path) -> None:
    lock = there(tmp_path / "a" / "b")
    found = rundirectory.make(lock, lock.runs[0])
    assert found.here == f"{tmp_path}/a/b/{lock.id}/fra1-g1"
    assert os.path.isdir(found.checkpoint)
    assert rundirectory.keep(lock) == lock
    later = lock.assigned("fra1", ["ams1"], "")
    assert rundirectory.keep(later) == later
    assert rundirectory.keep(lock) == later, "the box knows better"
    assert lockfile.read(found.lock) == later


def test_two_locks_of_one_generation_are_told_apart(tmp_path: Path) -> None:
    """Two people have given shards away, each by a plan.lock.json of his own: one's would be asked by two."""
    lock = there(tmp_path)
    rundirectory.make_plan(lock)
    one, other = lock.assigned("fra1", ["ams1"], ""), lock.assigned("ams1", ["fra1"], "")
    assert rundirectory.keep(one) == one
    with pytest.raises(UsageError, match="another generation 2"):
        rundirectory.keep(other)
    assert rundirectory.keep(one) == one


def test_one_has_the_lock_of_a_run(tmp_path: Path) -> None:
    lock = there(tmp_path)
    assert not rundirectory.is_running(rundirectory.of_run(lock, lock.runs[0]))
    found = rundirectory.make(lock, lock.runs[0])
    held = rundirectory.take(found)
    assert held is not None
    assert rundirectory.take(found) is None
    assert rundirectory.is_running(found)
    os.close(held)
    assert not rundirectory.is_running(found)
    again = rundirectory.take(found)
    assert again is not None
    os.close(again)


def test_who_only_looks_is_in_nobodys_way(tmp_path: Path) -> None:
    """A look takes the lock for a moment, shared: whoever would start the scan then took it for at work."""
    lock = there(tmp_path)
    found = rundirectory.make(lock, lock.runs[0])
    looking = os.open(f"{found.checkpoint}/lock", os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(looking, fcntl.LOCK_SH)
    end = threading.Timer(0.02, os.close, (looking,))
    end.start()
    held = rundirectory.take(found)
    end.join()
    assert held is not None
    assert rundirectory.is_running(found)
    os.close(held)


def test_where_others_can_write_nothing_is_kept(tmp_path: Path) -> None:
    lock = there(tmp_path / "open")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UsageError, match="others can write in it"):
        rundirectory.make(lock, lock.runs[0])


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    lock = there(tmp_path)
    found = rundirectory.make(lock, lock.runs[0])
    (tmp_path / "elsewhere").touch()
    os.symlink(tmp_path / "elsewhere", f"{found.checkpoint}/lock")
    with pytest.raises(UsageError, match="cannot use"):
        rundirectory.take(found)


def test_a_socket_with_too_long_a_name_is_told_at_once(tmp_path: Path) -> None:
    lock = there(tmp_path / ("x" * 90))
    with pytest.raises(UsageError, match="give the plan a shorter directory"):
        rundirectory.of_run(lock, lock.runs[0])


def test_whose_directory_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = made()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert rundirectory.root(lock.plan) == "/var/lib/lzr/fleet"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/home/ada/state")
    assert rundirectory.root(lock.plan) == "/home/ada/state/lzr/fleet"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/ada")
    assert rundirectory.root(lock.plan) == "/home/ada/.local/state/lzr/fleet"


def test_who_has_no_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    monkeypatch.setenv("XDG_STATE_HOME", "")
    plan = made(PLAN).plan
    for home in ("", "relative"):
        monkeypatch.setenv("HOME", home)
        assert rundirectory.root(plan) == f"{pwd.getpwuid(65534).pw_dir}/.local/state/lzr/fleet"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "geteuid", lambda: 65533)
    with pytest.raises(UsageError, match="this user has no home directory"):
        rundirectory.root(plan)


def test_the_home_of_another_user_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As sudo leaves it to who goes on as another user."""
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    plan = made(PLAN).plan
    assert rundirectory.root(plan) == f"{pwd.getpwuid(65534).pw_dir}/.local/state/lzr/fleet"
    monkeypatch.setattr(os, "geteuid", lambda: 65533)
    monkeypatch.setattr(os, "stat", lambda _: os.stat_result((0, 0, 0, 0, os.geteuid(), 0, 0, 0, 0, 0)))
    assert rundirectory.root(plan) == f"{tmp_path}/.local/state/lzr/fleet"
