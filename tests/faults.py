"""Running scans that are going to be hurt: `lzr` as a process whose family is known, and who is in it.

A process is found by its parent, never by its name, so a test can only kill what it has started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.lab.net import LabError, Namespace, wait_for
from tests.lab.scan import LZR, Record, parse


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def family(pid: int) -> list[int]:
    """All descendants of `pid`."""
    found = []
    for child in children(pid):
        found += [child, *family(child)]
    return found


def title(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
    return ""


def open_files(pid: int) -> dict[int, str]:
    """The descriptors of a process, and what they are. Those it closes meanwhile are left out."""
    found = {}
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def kilobytes(pid: int, what: str = "Pss") -> int:
    """The proportional share of memory of a process, from smaps_rollup."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1])
    return 0


class Victim:
    """A running `lzr`, its output in `target`, its stderr in a file."""

    def __init__(
        self, namespace: Namespace, *options: str | Path, stdin: Any, name: str = "victim", **more: Any
    ) -> None:
        directory = namespace.lab.directory
        self.log = directory / f"{name}.log"
        with self.log.open("ab") as log:
            self.process: subprocess.Popen[bytes] = namespace.popen(
                LZR, "--no-dashboard", *options, stdin=stdin, stderr=log, cwd=directory, **more
            )

    @property
    def pid(self) -> int:
        """The coordinator: `ip netns exec` and the launcher become it."""
        return self.process.pid

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def forkserver(self) -> int:
        def look() -> int:
            return next((pid for pid in children(self.pid) if "fork server" in title(pid)), 0)

        return wait_for(look, "a fork server")

    def of_role(self, role: str) -> list[int]:
        """`flow worker` or `collector`: the pids that run now."""
        forkserver = next((pid for pid in children(self.pid) if "fork server" in title(pid)), 0)
        return [pid for pid in children(forkserver) if role in title(pid)] if forkserver else []

    def worker(self, role: str = "flow worker", seconds: float = 60) -> int:
        def look() -> int:
            if self.process.poll() is not None:
                raise LabError(f"lzr has ended: {self.said()[-2000:]}")
            return next(iter(self.of_role(role)), 0)

        return wait_for(look, f"a {role}", seconds)

    def wait_for(self, fact: Callable[[], bool], what: str, seconds: float = 120) -> None:
        """Wait for something that happens while it runs; says what it said where that does not come."""

        def look() -> bool:
            if self.process.poll() is not None:
                raise LabError(f"lzr has ended, without {what}: {self.said()[-2000:]}")
            return fact()

        try:
            wait_for(look, what, seconds)
        except LabError as error:
            raise LabError(f"{error}: {self.said()[-2000:]}") from error

    def kill(self, role: str) -> int:
        """`kill -9` one process of a role; its pid, 0 if there was none."""
        if role == "coordinator":
            pid = self.pid if self.process.poll() is None else 0
        elif role == "forkserver":
            pid = next((pid for pid in children(self.pid) if "fork server" in title(pid)), 0)
        else:
            pid = next(iter(self.of_role(role)), 0)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pid

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 120) -> int:
        return self.process.wait(seconds)


def lines_in(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes().count(b"\n")
    return 0


def read(path: Path) -> list[Record]:
    """The records of a file; none of its lines may be torn."""
    records, torn = parse(path.read_text())
    assert not torn, torn[:3]
    return records


def once_each(records: Iterable[Record], wanted: Iterable[tuple[str, int]]) -> None:
    """Every service has exactly one record."""
    seen = Counter((record["saddr"], record["sport"]) for record in records)
    wanted = set(wanted)
    twice = [service for service, count in seen.items() if count > 1]
    missing = [service for service in wanted if service not in seen]
    stray = [service for service in seen if service not in wanted]
    assert not twice and not missing and not stray, (  # noqa: PT018
        f"{len(twice)} twice such as {twice[:3]}, {len(missing)} missing such as {missing[:3]}, "
        f"{len(stray)} not asked for such as {stray[:3]}"
    )
