"""The file of --status-updates-file: a line each second, and whether it holds all of them.
Its columns are rows of `coordinator.monitor.figures`.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from typing import IO

from coordinator.files.opening import WhileWaiting, open_lines, why_not_whole
from coordinator.monitor import status
from coordinator.monitor.snapshot import Snapshot
from lzr import safetext
from lzr.errors import UsageError, printable


class StatusFile:
    """Written a line at a time, to its end; a file that cannot be written any more is closed, and said."""

    def __init__(
        self,
        path: str,
        invoker: tuple[int, int] | None,
        waiting: WhileWaiting,
        miss: Callable[[str, str], None],
    ) -> None:
        """invoker, waiting: as for `opening.open_lines`. miss: told what is not whole, and why.

        Raises Interrupted, and UsageError, also where there is no room for the first line.
        """
        self._path = path
        self._miss = miss
        self._file: IO[str] | None = open_lines(path, invoker, waiting=waiting)
        there = os.fstat(self._file.fileno())
        if stat.S_ISREG(there.st_mode) and there.st_size:
            return
        try:
            self._file.write(status.CSV_HEADER + "\n")
        except OSError as error:
            self._close()
            raise UsageError(f"cannot write {printable(path)}: {error.strerror}") from error

    def write(self, snapshot: Snapshot) -> None:
        """Add the line of a moment."""
        if self._file is None:
            return
        try:
            self._file.write(status.csv_row(snapshot) + "\n")
        except OSError as error:
            self._miss(
                "status updates", f"cannot write {safetext.line(self._path)} any more: {error.strerror}"
            )
            self._close()

    def close(self) -> None:
        """Say if it does not hold all, and close it. May be called twice."""
        if self._file is not None and (why := why_not_whole(self._file, self._path)):
            self._miss("status updates", f"{safetext.line(self._path)} does not hold every status: {why}")
        self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        with contextlib.suppress(OSError):  # what a write could not do before, and was said
            if file is not None:
                file.close()
