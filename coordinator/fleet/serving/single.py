"""One worker of a box at a time, by a lock that the kernel keeps: which process holds it, and how to end
that.

It is a lock of fcntl(2) and not of flock(2), because of the former the kernel tells which process holds it,
so no pid in a file has to be trusted.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import struct
import time
from pathlib import Path

from coordinator.files.reach import reach
from lzr.errors import UsageError, printable

_FLOCK = struct.Struct("hhqqi4x")
"""struct flock of fcntl(2) where off_t has 64 bits: l_type, l_whence, l_start, l_len, l_pid."""
ENDING = 10.0
"""Seconds for a worker to end; it waits for nobody."""


class Single:
    """The lock of the worker of one box. path: of its file, in a directory of ours."""

    def __init__(self, path: str | Path) -> None:
        """Raises UsageError."""
        self._shown = printable(os.fspath(path))
        try:
            with reach(os.fspath(path), None) as place:
                self._descriptor = place.open(os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UsageError(f"cannot use {self._shown}: {error.strerror}") from error

    def take(self) -> bool:
        """Hold it from now until this process ends; False where another does."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            raise UsageError(f"cannot lock {self._shown}: {error.strerror}") from error
        return True

    def holder(self) -> int | None:
        """The process that holds it; None where none does. Raises UsageError where it cannot be told."""
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(self._descriptor, fcntl.F_GETLK, asked))
        if kind == fcntl.F_UNLCK:
            return None
        if pid <= 0:
            raise UsageError(f"{self._shown} is held by a process that cannot be seen from here")
        return int(pid)

    def end(self) -> int | None:
        """End who holds it: its number, or None where none did. Raises UsageError."""
        first = pid = self.holder()
        until = time.monotonic() + ENDING
        while pid is not None:
            if time.monotonic() > until:
                raise UsageError(f"process {pid} does not end")
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
            except OSError as error:
                raise UsageError(f"process {pid} cannot be ended: {error.strerror}") from error
            time.sleep(0.05)
            pid = self.holder()
        return first

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
