"""One process at a time, and nobody else can keep it out."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest

from coordinator.checkpoint.checkpoint import open_checkpoint
from coordinator.files.exclusive import NAME, exclusive
from coordinator.fleet import leasefile, rundirectory
from lzr.errors import UsageError
from lzr.options.parse import parse
from tests import madefleet


@pytest.fixture
def place(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_one_at_a_time(place: int) -> None:
    inside: list[int] = []

    def enter(number: int) -> None:
        for _ in range(30):
            with exclusive(place):
                inside.append(number)
                time.sleep(0.0001)
                assert inside == [number]
                inside.remove(number)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(enter, range(6)))


def test_nobody_else_can_open_it(place: int, tmp_path: Path) -> None:
    with exclusive(place):
        assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("error", [PermissionError(errno.EPERM, ""), None])
def test_a_file_system_without_owners_and_modes(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError | None
) -> None:
    """FAT: chmod(2) is refused, or (mount option quiet) does nothing; chown(2) is refused."""
    (tmp_path / NAME).touch()
    (tmp_path / NAME).chmod(0o755)
    with pytest.raises(UsageError, match="is not ours alone"), exclusive(place):
        pass
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o755, "who has it open could still keep us out"
    monkeypatch.setattr("os.fchmod", mock.Mock(side_effect=error))
    monkeypatch.setattr("os.fchown", mock.Mock(side_effect=PermissionError(errno.EPERM, "")))
    with exclusive(place), pytest.raises(BlockingIOError), exclusive(place, wait=False):
        pass
    (tmp_path / NAME).unlink()
    os.chown(tmp_path, 12345 if os.geteuid() == 0 else -1, -1)
    with exclusive(place):  # whose mode a new file has, too
        assert (tmp_path / NAME).stat().st_uid == os.geteuid()


def test_where_a_group_writes_the_group_takes_turns(place: int, tmp_path: Path) -> None:
    """A plan that several people work on: they could replace it anyway."""
    tmp_path.chmod(0o770)
    with exclusive(place):
        status = (tmp_path / NAME).stat()
    assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, tmp_path.stat().st_gid)
    if os.geteuid() == 0:
        os.chown(tmp_path / NAME, 12345, tmp_path.stat().st_gid)
    with exclusive(place):
        pass
    tmp_path.chmod(0o700)
    with pytest.raises(UsageError, match="is not ours alone"), exclusive(place):
        pass


def test_a_directory_that_becomes_the_groups(place: int, tmp_path: Path) -> None:
    """Or one whose maker was killed before the group had it: its owner sees to it."""
    with exclusive(place):
        pass
    tmp_path.chmod(0o2770)
    with exclusive(place):
        assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o660


@pytest.mark.parametrize("mode", [0o1777, 0o2770])
def test_another_users_file_is_named(
    place: int, tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where two have plans in /tmp."""
    tmp_path.chmod(mode)
    opens = os.open

    def anothers(name: str, flags: int, *words: int, **more: int) -> int:
        if name == NAME:
            raise FileExistsError if flags & os.O_EXCL else PermissionError(13, "Permission denied")
        return opens(name, flags, *words, **more)

    monkeypatch.setattr(os, "open", anothers)
    with pytest.raises(UsageError, match=f"/{NAME} is the file of another user"), exclusive(place):
        pass


def test_one_whose_maker_is_not_ready(place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the making of a file and its mode others of the group cannot open it."""
    tmp_path.chmod(0o770)
    with exclusive(place):
        pass
    opens, refused = os.open, [PermissionError(13, "Permission denied")] * 3

    def not_yet(name: str, flags: int, *words: int, **more: int) -> int:
        if name == NAME and not flags & os.O_EXCL and refused:
            raise refused.pop()
        return opens(name, flags, *words, **more)

    monkeypatch.setattr(os, "open", not_yet)
    with exclusive(place):
        assert not refused


@pytest.mark.parametrize("mode", [0o666, 0o644])
def test_one_that_others_can_open_is_not_trusted(place: int, tmp_path: Path, mode: int) -> None:
    (tmp_path / NAME).touch()
    (tmp_path / NAME).chmod(mode)
    with pytest.raises(UsageError, match="is not ours alone"), exclusive(place):
        pass


def test_a_link_is_not_followed(place: int, tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"), exclusive(place):
        pass
    assert not (tmp_path / "other").exists()


def test_whoever_locks_the_directories_of_a_plan_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Any user who may read them can: no lease would be renewed, and scans would end."""
    lock = madefleet.lock(madefleet.PLAN.replace("seed = 7", f'seed = 7\ndirectory = "{tmp_path}/state"'))
    here = rundirectory.make_plan(lock)
    strangers = [os.open(path, os.O_RDONLY) for path in (tmp_path, here)]
    for stranger in strangers:
        fcntl.flock(stranger, fcntl.LOCK_EX)

    def work() -> None:
        with leasefile.held(str(tmp_path / "plan.toml")):
            pass
        rundirectory.keep(lock)
        rundirectory.put(here, "lease", b"{}")

    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(work)
        try:
            done.result(20)
        finally:
            for stranger in strangers:
                os.close(stranger)


def test_nobody_else_can_lock_a_checkpoint(tmp_path: Path) -> None:
    with open_checkpoint(parse(["-sendSYNs", "--checkpoint", str(tmp_path / "kept")])):
        assert stat.S_IMODE((tmp_path / "kept" / "lock").stat().st_mode) == 0o600
