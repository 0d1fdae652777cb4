"""Who holds a lock (flock(2)) on a file that we want to write, and whether he could write to it at all.

Whoever may read a file may lock it, so that a lock alone does not say that a file is being written. The
kernel tells root of each open file whether it is locked by it and how it was opened (proc_pid_fdinfo(5)): who
can only read is nobody to wait for. While such a lock keeps us from having our own, we hold another in its
place: on a byte, whose number follows from the file, of a file that root alone can open.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
from pathlib import Path
from typing import NamedTuple

from coordinator.files.exclusive import open_locks
from lzr.safetext import plain

LOCKS = Path("/run/lzr/files.lock")
_PROC = Path("/proc")
_NAME = 40  # characters of a process's name


class Holder(NamedTuple):
    """A process with an open file that holds the lock. writes: the file was opened to be written."""

    pid: int
    name: str
    writes: bool

    def __str__(self) -> str:
        return f"process {self.pid} ({self.name})"


class Instead:
    """Locks in place of those that readers keep us from having. They hold until this process ends."""

    def __init__(self) -> None:
        self._locks: int | None = None
        self._tried = False

    def free(self, descriptor: int) -> bool:
        """Whether no other scan holds one for this file."""
        answer = self._do(fcntl.F_OFD_GETLK, descriptor)
        return answer is None or struct.unpack_from("h", answer)[0] == fcntl.F_UNLCK

    def hold(self, descriptor: int) -> bool:
        """Hold one for this file; False where another scan does, or there is no place for such locks."""
        return self._do(fcntl.F_OFD_SETLK, descriptor) is not None

    def _do(self, what: int, descriptor: int) -> bytes | None:
        if not self._tried:
            self._tried = True
            self._locks = open_locks(LOCKS) if os.geteuid() == 0 else None
        if self._locks is None:
            return None
        wanted = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, _number(descriptor), 1, 0)
        try:
            return fcntl.fcntl(self._locks, what, wanted)
        except OSError:
            return None


INSTEAD = Instead()


def _number(descriptor: int) -> int:
    status = os.fstat(descriptor)
    digest = hashlib.sha256(f"{status.st_dev}:{status.st_ino}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 2


def holders(descriptor: int) -> list[Holder]:
    """Who holds a lock on this open file, as far as we may look at other processes."""
    status, found = os.fstat(descriptor), []
    for process in _PROC.iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it has ended, or is none of ours
            for number in os.listdir(process / "fd"):
                with contextlib.suppress(OSError):
                    there = os.stat(process / "fd" / number)
                    if os.path.samestat(there, status) and (held := _held(process / "fdinfo" / number)):
                        name = plain((process / "comm").read_text(errors="replace").strip(), _NAME)
                        found.append(Holder(int(process.name), name, held == "writes"))
    return found


def _held(fdinfo: Path) -> str:
    """ "writes" or "reads" for an open file that holds a lock of flock(2), else empty. Raises OSError."""
    lines = fdinfo.read_text().splitlines()
    if not any(line.startswith("lock:") and " FLOCK " in line for line in lines):
        return ""
    flags = next(line for line in lines if line.startswith("flags:"))
    return "reads" if int(flags.split()[1], 8) & os.O_ACCMODE == os.O_RDONLY else "writes"
