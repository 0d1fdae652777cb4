"""An output: bytes are written whole, or an exception says why they cannot be.
`workers.collect.collector` tells the coordinator, and ends.

Into a pipe goes a group of whole lines at a time, as many as the kernel takes without a break (PIPE_BUF,
pipe(7)). So its reader sees no broken line, whoever is killed, unless a single line is longer than that.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PIPE_BUF = 4096
_PATIENCE_MS = 250
"""How often waiting for a reader is reported while a pipe is full: as often as figures are."""
UNKNOWN = -1
"""The length of an output that nobody has begun to write, or that is not a file of ours alone."""


class OutputGone(Exception):
    """The reader of our output has gone (EPIPE; ECONNRESET of a socket that was not read to its end): the
    scan ends without an error, as users of `| head` expect.
    """


class OutputFull(Exception):
    """The output cannot be written; the sentence says why."""


@dataclass
class Sink:
    """An output that lines are written to.

    offset: bytes of a file up to the end of the last line that is written.
    whole: (1,) int64 or None: shared memory in which the same length is kept for the fork server.
    shared: other programs write there too, so nothing may be cut off.
    waiting: called while the reader of a pipe leaves no room in it, with the seconds since the last call.
    """

    descriptor: int
    offset: int = 0
    whole: Any = None
    shared: bool = False
    waiting: Callable[[float], None] | None = None

    def __post_init__(self) -> None:
        mode = os.fstat(self.descriptor).st_mode
        self.is_pipe = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        """It has a reader, who may be slow, or go: some programs have socket pairs in place of pipes."""
        self.can_cut = stat.S_ISREG(mode) and not self.shared

    def cut_back(self) -> None:
        """Cut the file back to `offset`: what follows was written by a predecessor and not acknowledged."""
        if self.can_cut:
            if os.fstat(self.descriptor).st_size > self.offset:  # never make it longer: somebody cut it short
                os.ftruncate(self.descriptor, self.offset)
            os.lseek(self.descriptor, self.offset, os.SEEK_SET)
            self._note()

    def write(self, data: bytes) -> None:
        """Write all of `data`, which is whole lines. Raises OutputGone, or OutputFull and none of it
        counts."""
        before = self.end()
        try:
            if self.is_pipe:
                at = 0
                while at < len(data):
                    end = group(data, at)
                    self._await_room()
                    self._write(memoryview(data)[at:end])
                    at = end
            else:
                self._write(memoryview(data))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise OutputGone from error
        except OSError as error:
            self.offset = before
            self.cut_back()  # a full disk takes part of a line
            raise OutputFull(os.strerror(error.errno or errno.EIO)) from error
        self._note()

    def end(self) -> int:
        """`offset`, which is where a file ends if somebody has cut it short, as where it is rotated by
        copying and emptying: so what is not acknowledged can be cut off it again.
        """
        if self.can_cut:
            self.offset = min(self.offset, os.fstat(self.descriptor).st_size)
        return self.offset

    def _await_room(self) -> None:
        """Wait until the pipe has room for PIPE_BUF bytes, so that a write of as many does not block."""
        poller = select.poll()
        poller.register(self.descriptor, select.POLLOUT)
        if poller.poll(0):
            return
        ready = False
        while not ready:
            before = time.monotonic()
            ready = bool(poller.poll(_PATIENCE_MS))
            if self.waiting is not None:
                self.waiting(time.monotonic() - before)

    def _write(self, view: memoryview) -> None:
        while view:
            try:
                done = os.write(self.descriptor, view)
            except BlockingIOError:
                self._await_room()
                continue
            self.offset += done
            view = view[done:]

    def _note(self) -> None:
        if self.whole is not None and self.can_cut:
            self.whole[0] = self.offset


def group(data: bytes, at: int) -> int:
    """The end of the lines, from `at` on, that go into a pipe together; or of one line that is longer."""
    if len(data) - at <= PIPE_BUF:
        return len(data)
    return data.rfind(b"\n", at, at + PIPE_BUF) + 1 or data.find(b"\n", at) + 1 or len(data)
