"""Outputs that are no regular files: written to as they are, and as what they were."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coordinator.commandline import wholefile
from lzr.errors import UsageError

pytestmark = pytest.mark.attack


def write(path: Path) -> None:
    with wholefile.output(str(path), overwrite=True) as to:
        wholefile.write_whole(to.descriptor, b"results\n")


def test_a_fifo_is_written_to_once_it_has_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as threads:
        written = threads.submit(write, path)
        assert path.read_bytes() == b"results\n"
        written.result(20)


def test_a_fifo_whose_reader_goes_early_is_a_mistake(tmp_path: Path) -> None:
    """What was not read is lost, and nobody else could say so."""
    path = tmp_path / "fifo"
    os.mkfifo(path)

    def read_a_little() -> None:
        with path.open("rb", 0) as file:
            file.read(10)

    def write_more() -> None:
        with wholefile.output(str(path), overwrite=True) as to:
            wholefile.write_whole(to.descriptor, bytes(1 << 20))

    with ThreadPoolExecutor(1) as threads:
        read = threads.submit(read_a_little)
        with pytest.raises(UsageError, match="its reader has gone"):
            write_more()
        read.result(20)


def test_a_device_is_written_to(tmp_path: Path) -> None:
    write(Path("/dev/null"))


@pytest.mark.parametrize("link", [True, False])
def test_what_is_put_in_the_place_of_a_fifo_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: bool
) -> None:
    """A link of a stranger's, or a file, once the FIFO there was looked at."""
    path, victim = tmp_path / "fifo", tmp_path / "victim"
    victim.write_text("somebody's")
    os.mkfifo(path)
    tmp_path.chmod(0o1777)
    look = os.stat

    def looked_too_early(name: str, *words: object, **more: object) -> os.stat_result:
        found = look(name, *words, **more)  # type: ignore[arg-type]
        if name == str(path) and path.is_fifo():
            path.unlink()
            if link:
                path.symlink_to(victim)
                os.lchown(path, 12345, 12345)
            else:
                victim.rename(path)
        return found

    monkeypatch.setattr(wholefile.os, "stat", looked_too_early)
    with pytest.raises(UsageError, match="link of somebody else" if link else "has become another file"):
        write(path)
    assert (victim if link else path).read_text() == "somebody's"
