"""What a process tree costs, read from proc(5) while it runs: CPU to the nanosecond, memory as PSS.

Schedstat rather than ``stat``: a worker that wakes a thousand times a second for less than a tick would
show as nothing there. A process is known by its title, so successors of one name add up.
"""

from __future__ import annotations

import compileall
import contextlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path

_EVERY = 0.05
_MEMORY_EVERY = 20  # samples: smaps_rollup walks every page table


def compile_all() -> None:
    """Compile what is measured, as pip does for who installs it: in a checkout each start would compile it
    again (0.35 s of CPU) where PYTHONDONTWRITEBYTECODE is set."""
    for name in ("lzr", "coordinator", "workers"):
        compileall.compile_dir(Path(__file__).parents[1] / name, quiet=2)


@dataclass
class Process:
    title: str
    cpu: float = 0.0  # seconds, all threads
    pss: int = 0  # bytes, the most that was seen


def tree(pid: int) -> list[int]:
    """A process and all its descendants, those that live."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):
                children = Path(f"/proc/{parent}/task/{task}/children").read_text()
                found += [int(child) for child in children.split()]
    return found


def cpu(pid: int) -> float:
    """Seconds on a core so far, of all threads that live. Raises OSError."""
    spent = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        spent += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    return spent / 1e9


def title(pid: int) -> str:
    """What the process calls itself. Raises OSError."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")


def pss(pid: int) -> int:
    """Bytes, shared pages by their share. Raises OSError."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    return 0


class Watcher(threading.Thread):
    """Samples a tree until it is stopped. `processes`: by pid; `most`: bytes of all at one moment."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._over = threading.Event()
        self.processes: dict[int, Process] = {}
        self.most = 0

    def run(self) -> None:
        rounds = 0
        while not self._over.wait(_EVERY):
            self.sample(memory=rounds % _MEMORY_EVERY == 0)
            rounds += 1

    def sample(self, *, memory: bool) -> None:
        total = 0
        for pid in tree(self._pid):
            with contextlib.suppress(OSError):
                seen = self.processes.setdefault(pid, Process(""))
                seen.title = title(pid) or seen.title
                seen.cpu = max(seen.cpu, cpu(pid))
                if memory:
                    now = pss(pid)
                    seen.pss = max(seen.pss, now)
                    total += now
        self.most = max(self.most, total)

    def stop(self) -> None:
        self._over.set()
        self.join()

    def by_title(self) -> dict[str, Process]:
        """Processes of one title as one."""
        found: dict[str, Process] = {}
        for seen in self.processes.values():
            one = found.setdefault(seen.title, Process(seen.title))
            one.cpu += seen.cpu
            one.pss = max(one.pss, seen.pss)
        return dict(sorted(found.items()))
