"""Files that are written beside the results."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coordinator.files.opening import open_written
from coordinator.monitor.profiling import open_profiles
from coordinator.results.metadata import open_metadata
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
