"""Notes which functions of ours each process of a scan calls, and when: what `benchmarks.journeys` reads.

A process writes into memory that it shares with a file: a worker may neither open files nor write to them.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

VARIABLE = "LZR_CALLS"
"""Of the environment: the file."""
PLACES, SIZE = 128, 1 << 21
"""How many processes may write, each to a place of its own by its number, and the bytes of a place."""
_EVERY = 0.2
"""Seconds in which a function is noted once."""
_ROOT = f"{Path(__file__).parents[1]}/"
_SOURCES = tuple(f"{_ROOT}{top}/" for top in ("coordinator", "lzr", "workers"))


class _Place:
    """Where this process writes; after a fork it is another."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._pid = self._at = self._end = 0
        self._seen: set[tuple[object, int]] = set()

    def note(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(_SOURCES):
            return
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._at = self._pid % PLACES * SIZE
            self._end = self._at + SIZE
            self._seen.clear()
        now = time.monotonic()
        if (code, int(now / _EVERY)) in self._seen:
            return
        self._seen.add((code, int(now / _EVERY)))
        name = getattr(code, "co_qualname", code.co_name)
        line = f"{self._pid} {now:.6f} {code.co_filename.removeprefix(_ROOT)} {name}\n".encode()
        if self._at + len(line) < self._end:
            self._memory[self._at : self._at + len(line)] = line
            self._at += len(line)


def begin() -> None:
    """Note from now on what this process, and those it forks, call."""
    descriptor = os.open(os.environ[VARIABLE], os.O_RDWR | os.O_CLOEXEC)
    place = _Place(mmap.mmap(descriptor, PLACES * SIZE))
    os.close(descriptor)
    sys.setprofile(place.note)


def main() -> int:
    """`lzr` with the arguments of this program; all of its processes are recorded."""
    from coordinator.processes import launch

    launch._FORKSERVER = f"from benchmarks import callrecord; callrecord.begin()\n{launch._FORKSERVER}"
    begin()
    from coordinator.commands.main import main as lzr

    return lzr()


if __name__ == "__main__":
    sys.exit(main())
