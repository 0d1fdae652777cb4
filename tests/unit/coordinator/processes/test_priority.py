"""What the priority does where it can do nothing. (What it does in a scan: test_priority_running.)"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.processes.priority import Priority

_CHILD = """
import os, sys, threading
threading.Thread(target=sys.stdin.read, daemon=True).start()
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def leader() -> Iterator[int]:
    """A process of two threads in a session of its own, as the fork server is."""
    words = [sys.executable, "-c", _CHILD]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process.pid
        process.kill()


def nice(process: int) -> set[int]:
    return {os.getpriority(os.PRIO_PROCESS, int(name)) for name in os.listdir(f"/proc/{process}/task")}


def group(process: int) -> str:
    """The nice value of its autogroup, if the kernel has them."""
    path = Path(f"/proc/{process}/autogroup")
    return path.read_text().rpartition(" ")[2].strip() if path.exists() else ""


def test_what_could_not_be_raised_again_is_not_lowered(leader: int) -> None:
    before = nice(leader), group(leader)
    priority = Priority(leader, may_raise=False)
    priority.lower()
    assert (nice(leader), group(leader), priority.lowered) == (*before, False)


def test_one_that_has_ended_is_no_fault() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    priority = Priority(process.pid, may_raise=True)
    priority.restore([process.pid])
    assert not priority.lowered


def test_the_group_of_who_started_us_is_left_alone() -> None:
    """A process in somebody else's session shares its autogroup: that may be the user's shell."""
    before = group(os.getpid())
    words = [sys.executable, "-c", _CHILD]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        Priority(child.pid, may_raise=os.geteuid() == 0)
        usual = os.getpriority(os.PRIO_PROCESS, 0)
        assert nice(child.pid) == {min(usual + 10, 19) if os.geteuid() == 0 else usual}
        assert group(os.getpid()) == before
        child.kill()
