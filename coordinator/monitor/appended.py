"""Checks that a file to which we would append (the log, the status updates) is one of ours.

In other tools ``-l list.txt`` is the list of targets; here the log would be appended to that list.
Whether a file of results may be appended to is decided in `lzr.records.existing`.
"""

from __future__ import annotations

import os
import re
import stat

from coordinator.monitor.status import CSV_HEADER
from lzr.errors import UsageError, printable
from lzr.options.table import Options

_HEAD = 4096  # bytes of a file that are looked at

_LOG_LINE = re.compile(rb"[^\n\[]{0,40}[0-9]{2}:[0-9]{2}:[0-9]{2}[.,]?[0-9]* \[[A-Z]+\] ")
"""A log of ours, or of ZMap's, which may share it: ``Nov 22 09:31:00.123 [INFO] zmap: ...``"""


def check(options: Options) -> None:
    """Raises UsageError if a file that would be appended to is something else."""
    for attr, what, ours in (
        ("log_file", "log", _is_log),
        ("status_updates_file", "file of status updates", _is_status),
    ):
        path = getattr(options, attr)
        if path is None or path == "-":
            continue
        head = _beginning(path)
        if head.strip() and not ours(head):
            flag = Options.rows[attr].flag
            raise UsageError(
                f"{flag} {printable(path)}: the file is there and is no {what}, so nothing is appended to it "
                f"(targets are read with -I {printable(path)})"
            )


def _beginning(path: str) -> bytes:
    """The first bytes of a file; empty if it cannot be read, which the caller finds out when it opens it."""
    try:
        # Not opened to wait: whoever can write in that directory may put a FIFO there at any moment.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _HEAD) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _is_log(head: bytes) -> bool:
    return _LOG_LINE.match(head.lstrip()) is not None


def _is_status(head: bytes) -> bool:
    return head.startswith(CSV_HEADER.partition(",")[0].encode() + b",")
