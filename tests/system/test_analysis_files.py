"""What the commands over results write as root in directories where others can put links."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from coordinator.analysis.following import NumberedParts
from coordinator.commands import export
from coordinator.files import exclusive
from coordinator.prediction.loop import LoopDirectory
from lzr.errors import UsageError
from tests import madescans

pytestmark = [pytest.mark.root, pytest.mark.attack]

STRANGER = 65534


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory like /tmp, without its protection of links, which a kernel may not have."""
    place = tmp_path / "shared"
    place.mkdir()
    place.chmod(0o777)
    return place


def planted(link: Path, target: Path) -> None:
    link.symlink_to(target)
    os.lchown(link, STRANGER, STRANGER)


def test_a_strangers_link_is_not_written_through(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = madescans.write(tmp_path / "scan.json", 50)
    precious = tmp_path / "precious"
    precious.write_text("root's")
    planted(shared / "out.csv", precious)
    assert export.main([str(scan), "-o", str(shared / "out.csv"), "--overwrite"]) == 2
    assert "symbolic link of somebody else's" in capsys.readouterr().err
    (tmp_path / "secret").mkdir()
    planted(shared / "dir", tmp_path / "secret")
    assert export.main([str(scan), "-o", str(shared / "dir" / "out.csv")]) == 2
    assert "symbolic link of somebody else's" in capsys.readouterr().err
    assert precious.read_text() == "root's"
    assert not list((tmp_path / "secret").iterdir())
    (tmp_path / "mine").symlink_to(precious)
    assert export.main([str(scan), "-o", str(tmp_path / "mine"), "--overwrite", "--format", "csv"]) == 0
    assert precious.read_text().startswith("saddr,")


def test_what_is_made_under_sudo_is_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    monkeypatch.setenv("SUDO_GID", str(STRANGER))
    scan = madescans.write(tmp_path / "scan.json", 50)
    assert export.main([str(scan), "-o", str(tmp_path / "out.csv")]) == 0
    assert (tmp_path / "out.csv").stat().st_uid == STRANGER


def test_a_loop_keeps_what_it_knows_where_nobody_else_writes(shared: Path, tmp_path: Path) -> None:
    with ExitStack() as stack, pytest.raises(UsageError, match="others can write in it"):
        LoopDirectory(str(shared), stack)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, STRANGER, STRANGER)
    with ExitStack() as stack, pytest.raises(UsageError, match="belongs to somebody else"):
        LoopDirectory(str(theirs), stack)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def test_a_loop_follows_no_link_of_who_called_sudo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack
) -> None:
    """The directory is the caller's, so he may have put anything there."""
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    monkeypatch.setenv("SUDO_GID", str(STRANGER))
    precious = tmp_path / "precious"
    precious.write_text("root's")
    state = LoopDirectory(str(tmp_path / "state"), stack)
    assert (tmp_path / "state").stat().st_uid == STRANGER
    for name in ("round-0001.list.part", "round-0001.done.part", "round-0002.list"):
        planted(tmp_path / "state" / name, precious)
    state.begin(1, iter(["192.0.2.1:80\n"]))
    state.end(1, 0)
    assert precious.read_text() == "root's"
    assert (tmp_path / "state" / "round-0001.list").stat().st_uid == STRANGER
    assert state.done(1)
    with pytest.raises(UsageError, match="symbolic links"):
        state.open_list(2)


def test_a_loop_removes_nothing_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack
) -> None:
    """He may also put a link in the place of the directory itself."""
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    monkeypatch.setenv("SUDO_GID", str(STRANGER))
    kept = tmp_path / "precious" / "round-0001.checkpoint"
    kept.mkdir(parents=True)
    (kept / "checkpoint").write_text("root's")
    state = LoopDirectory(str(tmp_path / "state"), stack)
    (tmp_path / "state" / "round-0001.checkpoint").mkdir()
    (tmp_path / "state").rename(tmp_path / "moved")
    planted(tmp_path / "state", tmp_path / "precious")
    state.end(1, 0)
    assert (kept / "checkpoint").read_text() == "root's"
    left = {path.name for path in (tmp_path / "moved").iterdir()}
    assert left == {"round-0001.done", exclusive.NAME}


def test_parts_are_removed_in_the_directory_that_was_looked_at(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may rename it puts a link in its place once it was looked at."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "scan-00000.parquet").write_text("root's")
    (shared / "parts").mkdir()
    (shared / "parts" / "scan-00000.parquet").touch()
    look = os.listdir

    def looked_too_early(place: str | int = ".") -> list[str]:
        found = look(place)
        if not (shared / "parts").is_symlink():
            (shared / "parts").rename(shared / "moved")
            planted(shared / "parts", tmp_path / "precious")
        return found

    monkeypatch.setattr(os, "listdir", looked_too_early)
    NumberedParts(str(shared / "parts" / "scan.parquet"), "parquet", "", overwrite=True)
    assert (tmp_path / "precious" / "scan-00000.parquet").read_text() == "root's"
    assert look(shared / "moved") == []
