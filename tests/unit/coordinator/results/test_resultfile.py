"""The result file, by real scans: appended to, never emptied unasked, never two scans in one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coordinator.files import opening, samefile
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
