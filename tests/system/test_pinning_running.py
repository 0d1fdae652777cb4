"""`lzr.pinning` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from coordinator.processes import cpus
from lzr.pinning import core_of
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.lab.zmaplines import lines


class Pinned:
    """A scan with --pin, held open by a pipe, and where its processes may run."""

    def __init__(self, arena: Range, *options: str) -> None:
        self.arena, self.socket = arena, arena.lab.directory / "pinned.sock"
        self.said = arena.lab.directory / "pinned.err"
        words: list[str | Path] = ["--no-dashboard", "--control-socket", self.socket, "-f", "/dev/null"]
        with self.said.open("w") as stderr:
            self.process = arena.scanner.popen(
                LZR, "--pin", *words, *options, stdin=subprocess.PIPE, stderr=stderr
            )
        assert self.process.stdin is not None
        self.process.stdin.write("".join(lines(100)).encode())
        self.process.stdin.flush()
        wait_for(self.socket.exists, "the control socket")

    def ctl(self, *words: str) -> str:
        return str(self.arena.scanner.run(LZR, "ctl", "--socket", self.socket, *words, timeout=120).stdout)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ctl("status", "--json"))
        return found

    def pids(self) -> dict[str, int]:
        status = self.status()
        return {each["name"]: each["pid"] for each in (*status["workers"], *status["collectors"])}

    def right(self) -> None:
        """Each worker and each of its threads may run on its core alone, the coordinator anywhere."""
        order = cpus.order()
        for name, pid in self.pids().items():
            role, _, index = name.partition(" ")
            threads = [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]
            assert len(threads) > 1
            for thread in threads:
                assert os.sched_getaffinity(thread) == {core_of(role, int(index), order)}, name
        assert os.sched_getaffinity(self.status()["coordinator"]["pid"]) == set(order)

    def end(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(120) == 0
        return self.said.read_text()


@pytest.mark.root
def test_processes_are_bound_and_so_are_their_successors(arena: Range) -> None:
    arena.respond(first=FIRST, count=100, port=PORT, source=SCANNER, more=["--premade"])
    scan = Pinned(arena, "-w", "flow=2,collect=1", "-rt", "0.3", "-t", "6")
    wait_for(lambda: len(scan.pids()) == 3 and all(scan.pids().values()), "all processes")
    scan.right()
    for name in ("flow 0", "collect 0"):
        before = scan.pids()[name]
        os.kill(before, signal.SIGKILL)
        wait_for(lambda name=name, before=before: scan.pids().get(name, 0) not in (0, before), "a successor")  # type: ignore[misc]
        scan.right()
    scan.ctl("--wait", "workers", "flow=4", "collect=3")
    wait_for(lambda: len(scan.pids()) == 7 and all(scan.pids().values()), "more of them")
    scan.right()
    said = scan.end()
    assert "pinned: flow workers to core" in said
    assert "eth0 has no interrupts of its own to line up" in said  # it is one end of a veth pair
    assert "(agree)" in said
