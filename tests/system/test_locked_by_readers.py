"""Whoever can only read a file may lock it (flock(2)); that keeps nobody from writing it, or from ending."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator.analysis.following import _locked
from coordinator.files.opening import WhileWaiting, open_written
from coordinator.results.resultfile import open_result
from lzr.errors import UsageError
from tests import ROOT

pytestmark = pytest.mark.root

READER = """
import fcntl, os, sys
os.setgid(65534); os.setuid(65534)
fcntl.flock(0, getattr(fcntl, sys.argv[1]))
print("locked", flush=True)
os.read(3, 1)
"""
WRITER = """
import os, sys
from coordinator.files.opening import open_written
held = open_written(sys.argv[1], None, append=True, alone=True)
print("locked", flush=True)
sys.stdin.read()
"""


def start(
    script: str, *words: str, stdin: int = subprocess.PIPE, kept: int | None = None
) -> subprocess.Popen[str]:
    """A process that has said its word. kept: a descriptor that it inherits."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *words],
        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        pass_fds=() if kept is None else (kept,),
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "found.json").write_text("")
    return str(tmp_path / "found.json")


@pytest.mark.parametrize("kind", ["LOCK_EX", "LOCK_SH"])
def test_a_reader_keeps_nobody_from_writing(path: str, kind: str) -> None:
    """Nor from seeing that a scan has ended; and two scans still do not write the same file."""
    said: list[str] = []
    reads, writes = os.pipe()
    with open(path, "rb") as only_read:
        reader = start(READER.replace("3", str(reads)), kind, stdin=only_read.fileno(), kept=reads)
    with reader:
        descriptor = open_written(path, None, append=True, alone=True, waiting=WhileWaiting(say=said.append))
        assert len(said) == 1, said
        assert f"process {reader.pid} (" in said[0]
        assert "which it can only read: it is not heeded" in said[0]
        if kind == "LOCK_EX":
            assert _locked(descriptor) is False
        assert refused(path)
        os.close(writes)
        assert reader.wait(120) == 0
    os.close(reads)
    assert refused(path), "the reader has gone, and we still have the file"
    os.close(descriptor)


def refused(path: str) -> bool:
    """Whether another process may not write to a file, for it is written."""
    process = start(WRITER, path)
    said = process.communicate("", timeout=120)[1]
    return process.returncode == 1 and "is being written by another lzr" in said


def test_who_writes_is_named(path: str) -> None:
    writer = start(WRITER, path)
    with writer:
        with pytest.raises(UsageError, match=rf"is being written by another lzr: process {writer.pid} "):
            open_written(path, None, append=True, alone=True)
        with pytest.raises(UsageError, match=rf"is being written by another lzr: process {writer.pid} "):
            open_result(path, "json", None, None, overwrite=False, resumed=False)
        with open(path, "rb") as only_read:
            assert _locked(only_read.fileno())
        writer.communicate("", timeout=120)
    os.close(open_result(path, "json", None, None, overwrite=False, resumed=False).descriptor)
