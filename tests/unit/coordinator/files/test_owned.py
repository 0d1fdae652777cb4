"""Opening directories that have to be ours."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from coordinator.checkpoint.checkpoint import open_checkpoint
from coordinator.commandline.wholefile import output
from coordinator.files import reach
from coordinator.files.opening import open_output
from coordinator.files.owned import enter
from lzr.errors import UsageError
from lzr.options.table import Options

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


@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL])
def test_what_is_made_stays_ours_where_nobody_else_can_own_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As on FAT, or on a share; or the user is none of our namespace."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fchown", refuse)
    os.close(enter(str(tmp_path / "new"), (4711, 4711), create=True, purpose=PURPOSE))
    os.close(open_output(str(tmp_path / "found.json"), (4711, 4711)).descriptor)
    with output(str(tmp_path / "page.html"), overwrite=False):
        pass
    with open_checkpoint(Options(checkpoint=str(tmp_path / "kept"), send_syns=True), (4711, 4711)) as made:
        assert made is not None
        assert made.finish([], [], {}) == ""


def test_a_quota_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(UsageError, match="quota"):
        open_output(str(tmp_path / "found.json"), (4711, 4711))
