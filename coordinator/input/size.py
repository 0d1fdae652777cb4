"""Estimates how many inputs are still to come, where that can be known: a regular file has a length.

It is made from the bytes read and the inputs they held. It is for people (progress bar, time left); nothing
is decided by it. When the input has ended, the count is known and the estimate is not used any more.
"""

from __future__ import annotations

import os
import stat


class InputSize:
    """How many inputs a regular file holds, from the bytes read so far; unknown for a pipe.

    Make it before the first byte is read: what was read before is not counted.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._start = self._size = 0
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            self._start = os.lseek(descriptor, 0, os.SEEK_CUR)
            self._size = status.st_size
        self._at = self._start

    def total(self, read: int) -> int | None:
        """The number of inputs in all, where `read` have been read so far; None: not known."""
        if self._size <= self._start:
            return None
        self._at = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        taken = self._at - self._start
        if not taken or not read:
            return None
        left = max(0, self._size - self._at)  # a file may be cut or grow while it is read
        return read + round(left * read / taken)
