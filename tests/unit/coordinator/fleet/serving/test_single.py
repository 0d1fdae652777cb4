"""The lock of a worker: who holds it is known from the kernel, and can be ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from coordinator.fleet.serving.single import Single

HOLD = """
import sys, time
from coordinator.fleet.serving.single import Single
single = Single(sys.argv[1])
print(single.take(), flush=True)
time.sleep(60)
"""


def hold(path: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_one_at_a_time_and_ended(tmp_path: Path) -> None:
    path = tmp_path / "fra1.worker.lock"
    single = Single(path)
    assert single.holder() is None
    assert single.end() is None
    first, took = hold(path)
    assert took == "True"
    second, took = hold(path)
    assert took == "False"
    assert single.take() is False
    assert single.holder() == first.pid
    assert single.end() == first.pid
    assert first.wait(60) == -15
    assert single.holder() is None
    assert second.poll() is None
    second.kill()
    second.wait(60)
    for process in (first, second):
        assert process.stdout is not None
        process.stdout.close()
    single.close()


def test_what_a_killed_one_left_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "fra1.worker.lock"
    process, took = hold(path)
    assert took == "True"
    process.kill()
    process.wait(60)
    assert process.stdout is not None
    process.stdout.close()
    single = Single(path)
    assert single.take() is True
    single.close()
