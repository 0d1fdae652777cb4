"""The limits of threads, read off this host and off made ones."""

from __future__ import annotations

import os
import resource
import sys
import threading
from pathlib import Path

import pytest

from coordinator.doctor.threads import MANY, room_for_threads, threads_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc, and control groups")


def host(root: Path, *, most: str, now: int) -> Path:
    """A root whose process is in a control group with this limit, below one without."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("0::/a/b\n")
    group = root / "sys/fs/cgroup/a/b"
    group.mkdir(parents=True)
    for name, text in (("pids.max", most), ("pids.current", str(now))):
        (group / name).write_text(f"{text}\n")
        (group.parent / name).write_text("max\n" if name == "pids.max" else "7\n")
    return root


def test_a_control_group(tmp_path: Path) -> None:
    assert room_for_threads(0, shared=False, root=host(tmp_path / "few", most="20", now=15)) == (
        5,
        "the control group leaves",
    )
    assert room_for_threads(0, shared=False, root=host(tmp_path / "more", most="20", now=25))[0] == 0
    assert room_for_threads(0, shared=False, root=host(tmp_path / "max", most="max", now=25))[0] is None
    assert room_for_threads(0, shared=False, root=tmp_path / "nothing is there")[0] is None


def test_the_limit_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = (50, 100)
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    for pid, uid, threads in ((1, 1000, 30), (2, 1000, 40), (3, 1001, 99)):
        (tmp_path / f"proc/{pid}").mkdir(parents=True)
        (tmp_path / f"proc/{pid}/status").write_text(
            f"Name:\tx: y\nUid:\t{uid}\t0\t0\t0\nThreads:\t{threads}\n"
        )
    assert room_for_threads(1000, shared=True, root=tmp_path) == (30, "ulimit -u leaves")
    assert room_for_threads(1000, shared=False, root=tmp_path) == (100, "ulimit -u leaves")
    assert room_for_threads(0, shared=True, root=tmp_path)[0] is None
    limits = (MANY, MANY)
    assert room_for_threads(1000, shared=True, root=tmp_path)[0] is None


def test_our_own_threads_count() -> None:
    before, ends = threads_of(os.getuid()), threading.Event()
    running = [threading.Thread(target=ends.wait) for _ in range(200)]
    for thread in running:
        thread.start()
    try:
        assert threads_of(os.getuid()) >= before + 100  # others come and go
    finally:
        ends.set()
        for thread in running:
            thread.join(60)


def test_a_process_counts_whatever_its_name(tmp_path: Path) -> None:
    status = tmp_path / "proc/4711/status"
    status.parent.mkdir(parents=True)
    status.write_bytes(b"Name:\tcaf\xc3\nUid:\t7\t7\t7\t7\nThreads:\t5\n")
    assert threads_of(7, tmp_path) == 5
