"""While ZMap's lines come by a pipe all processes of a scan run at a lower priority, and not after that."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from coordinator.processes.priority import LOWER
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.lab.writer import write_lines

pytestmark = pytest.mark.root


def processes(process: subprocess.Popen[Any]) -> list[int]:
    """The scan's, once there are four: coordinator, fork server, flow worker, collector; else none."""
    tree = [process.pid]
    with contextlib.suppress(OSError):  # a program of the start that has ended meanwhile
        for number in tree:
            path = Path(f"/proc/{number}/task/{number}/children")
            tree += [int(word) for word in path.read_text().split()]
        found = [number for number in tree if Path(f"/proc/{number}/cmdline").read_bytes()[:4] == b"lzr:"]
        return found if len(found) == 4 else []
    return []


def nice(process: subprocess.Popen[Any]) -> list[int]:
    """Of all their threads."""
    threads = [int(name) for number in processes(process) for name in os.listdir(f"/proc/{number}/task")]
    found = []
    for thread in threads:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            found.append(os.getpriority(os.PRIO_PROCESS, thread))
    return found


def group(process: subprocess.Popen[Any]) -> str:
    """The nice value of the children's autogroup, if this kernel has them."""
    path = Path(f"/proc/{processes(process)[-1]}/autogroup")
    return path.read_text().rpartition(" ")[2].strip() if path.exists() else ""


def test_who_writes_lines_goes_first_until_the_last(arena: Range) -> None:
    directory, count = arena.lab.directory, 200
    write_lines(directory / "lines", count, "q")
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes="q", more=["--premade"])
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    lower = min(usual + LOWER, 19)
    words = ("-w", "1", "-t", "12", "--no-dashboard", "-f", directory / "out", "-u", directory / "status")
    process = arena.scanner.popen(LZR, *words, stdin=subprocess.PIPE)
    assert process.stdin is not None
    lines = (directory / "lines").read_bytes().splitlines(keepends=True)
    process.stdin.write(b"".join(lines[:100]))
    process.stdin.flush()
    wait_for(lambda: processes(process), "a flow worker and a collector")
    # One thread reads ahead, until the scan is up with its input, and is as before.
    wait_for(lambda: nice(process).count(usual) <= 1, "the lower priority")
    assert nice(process).count(lower) >= 4
    assert group(process) in ("", str(lower))
    process.stdin.write(b"".join(lines[100:]))
    process.stdin.close()
    wait_for(lambda: set(nice(process)) == {usual}, "the usual priority")
    assert group(process) in ("", str(usual))
    assert process.wait(120) == 0
    assert (directory / "out").read_bytes().count(b"\n") == count


def test_a_list_in_a_file_keeps_nobody_waiting(arena: Range) -> None:
    directory, count = arena.lab.directory, 100
    write_lines(directory / "lines", count, "q")
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes="q", more=["--premade"])
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with (directory / "lines").open("rb") as lines:
        words = ("-w", "1", "-t", "12", "--no-dashboard", "-f", directory / "out")
        process = arena.scanner.popen(LZR, *words, stdin=lines)
    wait_for(lambda: processes(process), "a flow worker and a collector")
    wait_for(lambda: set(nice(process)) == {usual}, "the usual priority")
    assert process.wait(120) == 0
