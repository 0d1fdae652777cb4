"""The result file, by real scans: appended to, never emptied unasked, never two scans in one."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest

from coordinator.files import opening, reach, samefile, standard
from coordinator.results import outputs
from coordinator.results.resultfile import ResultFile, another_form, open_result
from lzr.errors import UsageError
from lzr.options.parse import parse


def test_a_link_of_somebody_else_is_not_followed(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    link = shared / "out"
    link.symlink_to(tmp_path / "victim")
    os.lchown(link, 12345, 12345)
    with pytest.raises(UsageError, match="a symbolic link of somebody else's"):
        opening.open_output(str(link), None)
    assert not (tmp_path / "victim").exists()
    found = opening.open_output(str(link), (12345, 12345))  # whoever called us with sudo may have links
    os.close(found.descriptor)
    assert (tmp_path / "victim").stat().st_uid == 12345


def test_files_that_must_differ(tmp_path: Path) -> None:
    here = str(tmp_path / "a")
    fine = ["-f", here, "-I", str(tmp_path / "b"), "-m", str(tmp_path / "c"), "-l", str(tmp_path / "d")]
    samefile.check(parse(fine))
    samefile.check(parse(["-f", "/dev/null", "-m", "/dev/null", "-I", "/dev/null"]))
    for flag in ("-m", "-l", "-u", "-I", "-b", "--allowlist-file", "--cpuprofile", "--memprofile"):
        with pytest.raises(UsageError, match="are the same file"):
            samefile.check(parse(["-f", here, flag, str(tmp_path / "sub" / ".." / "a")]))


def nap(seconds: float) -> bool:
    time.sleep(seconds / 100)
    return False


def opened(name: Path) -> ResultFile:
    return open_result(
        str(name), "json", None, None, overwrite=False, resumed=False, waiting=opening.WhileWaiting(nap)
    )


def test_who_waits_for_a_file_that_is_taken_back_gets_one_that_has_a_name(tmp_path: Path) -> None:
    """Two scans are given the same file, and the one that made it ends before it begins, by a mistake."""
    name = tmp_path / "out"
    first = opened(name)
    waits = Event()

    def pause(_: float) -> bool:
        if not waits.is_set():
            waits.set()
            first.take_back()
            os.close(first.descriptor)
        return False

    second = open_result(
        str(name), "json", None, None, overwrite=False, resumed=False, waiting=opening.WhileWaiting(pause)
    )
    assert waits.is_set()
    assert os.path.samestat(os.fstat(second.descriptor), name.stat())
    os.close(second.descriptor)


def test_a_file_that_is_taken_back_just_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tmp_path / "out"
    name.touch()
    really = reach.Place.open

    def removed_meanwhile(place: reach.Place, flags: int, mode: int = 0o644) -> int:
        try:
            return really(place, flags, mode)
        except FileExistsError:
            name.unlink(missing_ok=True)
            raise

    monkeypatch.setattr(reach.Place, "open", removed_meanwhile)
    found = opened(name)
    assert found.made
    assert os.path.samestat(os.fstat(found.descriptor), name.stat())
    os.close(found.descriptor)


def test_a_default_name_that_another_scan_takes_after_we_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    look: Callable[[reach.Place], int] = reach.Place.mode

    def looked_too_early(place: reach.Place) -> int:
        mode = look(place)
        if not os.listdir():
            (tmp_path / place.name).touch()
        return mode

    monkeypatch.setattr(reach.Place, "mode", looked_too_early)
    with outputs.open_outputs(parse(["-sendSYNs"])) as found:
        assert found.file is not None
        assert found.file.made
    assert len(os.listdir()) == 2


def test_many_scans_begin_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    together = Barrier(8, timeout=30)

    def begin(_: int) -> str:
        together.wait()
        with outputs.open_outputs(parse(["-sendSYNs"])) as found:
            together.wait()
            return found.name

    with ThreadPoolExecutor(8) as threads:
        names = list(threads.map(begin, range(8)))
    assert sorted(names) == sorted(os.listdir())


def test_only_the_file_itself_is_taken_back(tmp_path: Path) -> None:
    """Its directory was renamed, and a link to another has come into its place."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    other.mkdir()
    mine.chmod(0o777)
    found = opened(mine / "out")
    os.link(mine / "out", other / "out")
    mine.rename(tmp_path / "away")
    mine.symlink_to(other)
    os.lchown(mine, 12345, 12345)
    tmp_path.chmod(0o1777)
    found.take_back()
    os.close(found.descriptor)
    assert (other / "out").exists()


def test_a_look_at_who_writes_to_stdout_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As lzr export --follow looks: a shared lock, for a moment."""
    path = tmp_path / "out"
    looked = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(looked, fcntl.LOCK_SH)
    monkeypatch.setattr(standard, "append", lambda _: None)
    before = os.dup(1)
    file = os.open(path, os.O_RDWR | os.O_APPEND)
    os.dup2(file, 1)

    def pause(_: float) -> bool:
        fcntl.flock(looked, fcntl.LOCK_UN)
        return False

    try:
        with outputs.open_outputs(
            parse(["-sendSYNs", "-f", "-"]), waiting=opening.WhileWaiting(pause)
        ) as found:
            assert found.name == "stdout"
    finally:
        os.dup2(before, 1)
        for descriptor in (before, file, looked):
            os.close(descriptor)


@pytest.mark.parametrize(
    ("name", "form", "says"),
    [
        ("a/found.csv", "json", "-O csv"),
        ("found.CSV", "csv", ""),
        ("found.json", "json", ""),
        ("found.json", "csv", "-O json"),
        ("found.parquet", "json", "lzr export"),
        ("found", "json", ""),
        ("found.csv", "zgrab", ""),
    ],
)
def test_a_name_that_tells_another_form(name: str, form: str, says: str) -> None:
    said = another_form(name, form)
    assert bool(said) == bool(says)
    assert says in said
