"""Limits that are raised before processes are started, tried in a process of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")

_SOFT = """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_NPROC)
resource.setrlimit(resource.RLIMIT_NPROC, (min(50, hard) if hard >= 0 else 50, hard))
from coordinator.processes import ulimits
ulimits.raise_threads(1)
print(resource.getrlimit(resource.RLIMIT_NPROC) == (hard, hard))
"""


_ROOM = """
import os, resource
from coordinator.processes import ulimits
resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))
before = ulimits.most_children()
held = [os.dup(0) for _ in range(80)]
print(before, before - ulimits.most_children())
"""


def test_how_many_children_descriptors_allow() -> None:
    """Those that are open already are no longer to be had."""
    found = subprocess.run(
        [sys.executable, "-c", _ROOM], check=False, capture_output=True, text=True, timeout=60
    )
    before, less = map(int, found.stdout.split())
    assert (100 < before < 1000 // 7, less) == (True, 10), found.stderr


def test_a_soft_limit_of_threads_holds_no_worker_back() -> None:
    """What is checked before a scan is the hard limit, so that is the one that has to hold."""
    found = subprocess.run(
        [sys.executable, "-c", _SOFT], check=False, capture_output=True, text=True, timeout=60
    )
    assert (found.stdout, found.stderr) == ("True\n", "")
