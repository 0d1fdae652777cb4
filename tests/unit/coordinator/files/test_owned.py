"""Opening directories that have to be ours."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from coordinator.files import reach
from coordinator.files.owned import enter
from lzr.errors import UsageError

PURPOSE = "for a test"


def test_it_is_made(tmp_path: Path) -> None:
    os.close(enter(str(tmp_path / "new"), None, create=True, purpose=PURPOSE))
    assert (tmp_path / "new").is_dir()


def test_another_makes_it_after_we_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look: Callable[[reach.Place], int] = reach.Place.mode

    def looked_too_early(place: reach.Place) -> int:
        mode = look(place)
        os.mkdir(tmp_path / place.name)
        return mode

    monkeypatch.setattr(reach.Place, "mode", looked_too_early)
    place = enter(str(tmp_path / "new"), None, create=True, purpose=PURPOSE)
    assert os.path.samestat(os.fstat(place), os.stat(tmp_path / "new"))
    os.close(place)


def test_many_make_it_at_once(tmp_path: Path) -> None:
    together = Barrier(8, timeout=30)

    def make(_: int) -> None:
        for name in range(50):
            together.wait()
            os.close(enter(str(tmp_path / str(name)), None, create=True, purpose=PURPOSE))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(make, range(8)))


def test_a_file_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("")
    with pytest.raises(UsageError, match="Not a directory"):
        enter(str(tmp_path / "new"), None, create=True, purpose=PURPOSE)


def test_one_that_others_can_write(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(UsageError, match="others can write in it"):
        enter(str(tmp_path / "shared"), None, create=True, purpose=PURPOSE)


def test_one_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing there"):
        enter(str(tmp_path / "new"), None, create=False, purpose=PURPOSE, missing="nothing there")
