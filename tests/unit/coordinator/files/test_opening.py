"""Files that are written beside the results."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from coordinator.commandline import wholefile
from coordinator.files.opening import open_output, open_written, why_not_whole
from coordinator.monitor.profiling import open_profiles
from coordinator.results.metadata import open_metadata
from coordinator.results.outputs import Outputs
from lzr.errors import UsageError
from lzr.options.parse import parse


def test_of_two_scans_one_has_a_file(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    first = open_written(path, None, append=True, alone=True)
    with pytest.raises(UsageError, match="is being written by another lzr"):
        open_written(path, None, append=True, alone=True)
    os.close(open_written(path, None, append=True))  # a log may be several scans'
    os.close(first)
    os.close(open_written(path, None, append=True, alone=True))


def test_what_is_no_regular_file_is_anybodys() -> None:
    descriptors = [open_written("/dev/null", None, append=False, alone=True) for _ in range(2)]
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_slash_at_the_end_is_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    for name, reason in (("file", "Not a"), ("directory", "Is a"), ("nothing", "Is a")):
        path = f"{tmp_path / name}/"
        with pytest.raises(OSError, match=f"{reason} directory"):
            open_written(path, None, append=True)
        with pytest.raises(UsageError, match=f"{reason} directory"):
            open_output(path, None)
        with pytest.raises(UsageError, match="it is a directory"), wholefile.output(path, overwrite=True):
            pass
    assert not (tmp_path / "nothing").exists()


def test_metadata_and_profiles_are_of_one_scan(tmp_path: Path) -> None:
    options = parse(["-m", str(tmp_path / "meta"), "--cpuprofile", str(tmp_path / "cpu")])
    taken = pytest.raises(UsageError, match="is being written by another lzr")
    with open_metadata(options, [], 0), taken, open_metadata(options, [], 0):
        pass
    with open_profiles(options, "first", None) as files:
        os.write(files.descriptors[0], b"whole\n")
        with taken, open_profiles(options, "second", None):
            pass
        assert (tmp_path / "cpu").read_bytes() == b"whole\n"


def test_what_a_file_system_elsewhere_could_not_keep_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so when a descriptor is closed, and not before."""
    path = tmp_path / "log"
    outputs = Outputs([1], ["json"], [0])
    with path.open("w", buffering=1) as file:
        file.write("a line\n")
        assert why_not_whole(file, str(path)) == ""
        outputs.descriptors = [file.fileno()]
        assert outputs.unkept() == ""

        def full(_: int) -> int:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

        monkeypatch.setattr(os, "dup", full)
        assert why_not_whole(file, str(path)) == os.strerror(errno.EDQUOT)
        assert outputs.unkept() == f"cannot write results: {os.strerror(errno.EDQUOT)}"
        monkeypatch.undo()
