"""Writes to a pipe, socket or terminal whose reader may have stopped reading, for a bounded time.

A pager that nobody scrolls, a terminal stopped with Ctrl-S, a supervisor that hangs: a plain write would
block there for ever, and with it the scan, its signals, and the removal of the guard. This module imports
little, since it is used before the options are read.
"""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

AT_ONCE = 4096
"""PIPE_BUF: a pipe that has room at all takes as much without waiting (pipe(7))."""
TIMEOUT = 0.5
"""Seconds for which a line on stderr waits for room. A judgement: the scan is blocked meanwhile."""
METADATA = 5.0
"""Seconds for which a file that is written whole into a pipe (metadata, a profile) waits for room. A
judgement: its reader wants it, and nothing else is left to do then."""


class StuckError(OSError):
    """The other end takes nothing."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "its reader takes nothing")


def write(descriptor: int, data: bytes, seconds: float) -> int:
    """Write until all is written or there was no room for `seconds`; how many bytes were. Raises OSError."""
    own = _reopened(descriptor)
    try:
        return _write(descriptor if own is None else own, data, seconds)
    finally:
        if own is not None:
            os.close(own)


def write_whole(descriptor: int, data: bytes, seconds: float = METADATA) -> None:
    """Write all of `data`. Raises StuckError if there was no room for `seconds`, OSError."""
    if write(descriptor, data, seconds) < len(data):
        raise StuckError


def _write(descriptor: int, data: bytes, seconds: float) -> int:
    poll, done = select.poll(), 0
    poll.register(descriptor, select.POLLOUT)
    end = time.monotonic() + seconds
    while done < len(data):
        if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
            break
        try:
            written = os.write(descriptor, data[done : done + AT_ONCE])
        except BlockingIOError:
            if time.monotonic() >= end:
                break
            time.sleep(0.01)  # room, but less than that takes
            continue
        done += written
        end = time.monotonic() + seconds
    return done


def _reopened(descriptor: int) -> int | None:
    """Open the same pipe or terminal again with O_NONBLOCK, which affects nobody else who has it open.

    None where that is impossible (a socket, another user's pipe, no /proc): then `poll` has to do.
    """
    try:
        return os.open(
            f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        )
    except OSError:
        return None


class Stderr(io.BufferedIOBase):
    """The raw stream under sys.stderr. What finds no room in time, or none on a full disk, or no reader, is
    dropped, and how much is reported later: what is said must not change what the exit status says.

    seconds: to wait for room; None: for as long as it takes.
    """

    def __init__(self, descriptor: int = 2, seconds: float | None = TIMEOUT) -> None:
        self._descriptor = descriptor
        self._own = None if seconds is None or _regular(descriptor) else _reopened(descriptor)
        self._seconds = seconds
        self._stuck = self._torn = False
        self.lost = 0
        """Lines that found no room since the last that did."""

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Write what finds room in time, and drop the rest; always says that all is written."""
        octets = bytes(data)
        text = octets
        if self.lost:
            left_out = b"lzr: %d lines found no room here and are left out\n" % self.lost
            text = (b"\n" if self._torn else b"") + left_out + octets
        out = self._descriptor if self._own is None else self._own
        done = 0
        try:
            if self._seconds is None:
                while done < len(text):
                    done += _write_all_that_fits(out, text[done:])
            else:
                done = _write(out, text, 0.0 if self._stuck else self._seconds)
        except OSError:
            pass
        self._stuck = done < len(text)
        self._torn = self._stuck and (done > 0 or self._torn)
        self.lost = self.lost + octets.count(b"\n") if self._stuck else 0
        return len(octets)


def _write_all_that_fits(descriptor: int, data: bytes) -> int:
    """As os.write, and waits for room also where whoever shares the descriptor has set O_NONBLOCK."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    while True:
        try:
            return os.write(descriptor, data)
        except BlockingIOError:
            poll.poll()
            time.sleep(0.001)  # a pipe may have room, but less than a small write takes


def set_up_stderr(seconds: float | None = TIMEOUT) -> None:
    """Make sys.stderr a `Stderr`."""
    try:
        os.fstat(2)
        if sys.stderr.fileno() != 2:
            return
    except (OSError, ValueError, AttributeError):
        return
    raw: Any = Stderr(2, seconds)
    sys.stderr = io.TextIOWrapper(raw, sys.stderr.encoding, "backslashreplace", line_buffering=True)


def _regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)
