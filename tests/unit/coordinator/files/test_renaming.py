"""A file gets a name that no other file has, on any file system."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.commandline import wholefile
from coordinator.files.renaming import rename_new, sync_names
from coordinator.fleet import certs
from coordinator.fleet.fetching import OF_PLAN, Fetcher
from lzr.errors import UsageError
from tests import madefleet


@pytest.fixture
def place(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(params=["links", "no links"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a memory stick or a share (vfat: neither links nor files without a name), or as it is."""
    if request.param == "links":
        return
    opens = os.open

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    def open_named(path: str, flags: int, *words: int, **more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return opens(path, flags, *words, **more)

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "open", open_named)


@pytest.mark.usefixtures("links")
def test_nothing_is_replaced(place: int, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).write_text(name)
    rename_new("one", "there", place)
    with pytest.raises(FileExistsError):
        rename_new("other", "there", place)
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        rename_new("other", "link", place)
    assert {path.name for path in tmp_path.iterdir()} == {"there", "other", "link"}
    assert (tmp_path / "there").read_text() == "one"


@pytest.mark.usefixtures("links")
def test_results_certificates_and_outputs_are_written_there(tmp_path: Path) -> None:
    lock = madefleet.lock()
    for _ in range(2):
        Fetcher(lock, str(tmp_path / "fetched"), lambda *_: None).close()  # type: ignore[arg-type,return-value]
    assert os.listdir(tmp_path / "fetched") == [OF_PLAN]
    certs.make(str(tmp_path / "certs"), ["fra1"], None)
    assert certs.load(str(tmp_path / "certs"), "fra1")
    for overwrite in (False, True):
        with wholefile.output(str(tmp_path / "out"), overwrite=overwrite) as to:
            os.write(to.descriptor, b"all")
    with (
        pytest.raises(UsageError, match="--overwrite replaces it"),
        wholefile.output(str(tmp_path / "out"), overwrite=False),
    ):
        pass
    assert (tmp_path / "out").read_text() == "all"
    assert not [name for _, _, names in os.walk(tmp_path) for name in names if name.endswith(".part")]


def test_a_directory_that_cannot_be_synced_is_left_alone(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on some network shares, whose names are as they are."""

    def refuse(number: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", lambda _: refuse(errno.EINVAL))
    sync_names(place)
    monkeypatch.setattr(os, "fsync", lambda _: refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        sync_names(place)
