"""An output: bytes written whole, or an exception that says whose fault it is."""

from __future__ import annotations

import errno
import os
import select
import stat
from dataclasses import dataclass


class OutputGone(Exception):
    """The reader of our output has gone (EPIPE): quiet, quick."""


class OutputFull(Exception):
    """The output cannot be written; the sentence says why."""


@dataclass
class Sink:
    """offset: how much of it counts, where it is a file."""

    descriptor: int
    offset: int = 0

    def cut_back(self) -> None:
        """Drop what a predecessor wrote and nobody acknowledged."""
        if stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            os.ftruncate(self.descriptor, self.offset)
            os.lseek(self.descriptor, self.offset, os.SEEK_SET)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                done = os.write(self.descriptor, view)
            except BlockingIOError:
                select.select([], [self.descriptor], [], 1.0)
                continue
            except BrokenPipeError as error:
                raise OutputGone from error
            except OSError as error:
                raise OutputFull(os.strerror(error.errno or errno.EIO)) from error
            self.offset += done
            view = view[done:]
