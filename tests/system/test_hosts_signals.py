"""Signals at any moment of the start: a clean end with its status, and no guard left behind."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults import lines_in, read
from tests.lab.net import Lab, wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.system.test_e2e_responder import services

pytestmark = pytest.mark.root

QUICK = ("-sendSYNs", "-rt", "0.3", "-t", "6", "-c", "5", "-w", "1", "--no-dashboard", "-q", "-f")
NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture(scope="module")
def here() -> Iterator[Range]:
    with Lab() as lab:
        made = Range(lab)
        made.respond(first=FIRST, count=64, port=PORT, source=SCANNER, classes="h")
        yield made


def started_and_ended(here: Range, turn: int) -> tuple[int, int, str]:
    """A start that gets its signal at some moment. (that signal, its exit status, what it said)"""
    number = NUMBERS[turn % 3]
    process = here.scanner.popen(
        *(LZR, *QUICK, "-"),
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(turn * 0.02)  # whichever moment of the start this is on this machine
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    return number, process.returncode, said


def test_a_signal_while_it_starts(here: Range) -> None:
    with ThreadPoolExecutor(6) as pool:
        for number, status, said in pool.map(lambda turn: started_and_ended(here, turn), range(18)):
            assert status in (128 + number, -number), (status, said)
            assert said == ""
    wait_for(lambda: "lzr_" not in here.scanner.rules(), "an end of all guards", 60)


def test_what_the_caller_ignores_stays_ignored(here: Range, tmp_path: Path) -> None:
    """As under nohup, and what a script starts with &."""
    target = tmp_path / "found"
    process = here.scanner.popen(
        *("sh", "-c", 'trap "" HUP INT; exec "$@"', "sh", LZR, *QUICK, target),
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    lines = services(16)
    process.stdin.write("".join(lines[:8]))
    process.stdin.flush()
    wait_for(lambda: lines_in(target) > 0, "a record")
    for number in (signal.SIGHUP, signal.SIGINT):
        process.send_signal(number)
    process.stdin.write("".join(lines[8:]))
    process.stdin.close()
    process.stdin = None
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert len(read(target)) == 16
