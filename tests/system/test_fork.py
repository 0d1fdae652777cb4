"""Workers are forked from a process that has one thread: a lock held by another would be held for ever."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.lab.net import process_name, wait_for
from tests.lab.responder import Range
from tests.lab.scan import LZR


@pytest.mark.root
def test_the_fork_server_has_one_thread(arena: Range, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with several cores numpy's OpenBLAS would have one for each; Python 3.12 warns of it."""
    monkeypatch.delitem(arena.lab.environment, "OPENBLAS_NUM_THREADS", raising=False)
    process = arena.scanner.popen(
        LZR,
        "-sendSYNs",
        "-gatewayMac",
        arena.gateway_mac,
        "--no-dashboard",
        "-f",
        arena.lab.directory / "out",
        stdin=subprocess.PIPE,
    )

    def forkservers() -> list[int]:
        # It is called so when it has loaded everything. One word: see there.
        return [pid for pid in arena.scanner.pids() if process_name(pid) == "lzr:forkserver"]

    (forkserver,) = wait_for(forkservers, "the fork server", seconds=60)
    assert len(os.listdir(f"/proc/{forkserver}/task")) == 1
    process.send_signal(signal.SIGINT)
    process.wait(120)
