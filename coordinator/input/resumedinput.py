"""Before the first packet: whether a file is the input with which the resumed scan was begun."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from coordinator.checkpoint.hashes import InputHash, Mark
from coordinator.input.plaintext import PlainText
from coordinator.input.stream import Stream


def compare(descriptor: int, binary: bool, marks: Sequence[Mark], prefix: bytes) -> None:
    """Read a file that is the input of a resumed scan and compare its hashes. Raises InputDiffers.

    binary: as for `PlainText`. Anything but a regular file is left alone.
    """
    if not marks or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return
    try:
        again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # it is compared as it is read
    try:
        os.lseek(again, os.lseek(descriptor, 0, os.SEEK_CUR), os.SEEK_SET)
        plain, found, end = PlainText(Stream(again), binary=binary), InputHash(marks, prefix), max(marks)[0]
        while found.length < end:
            chunk = plain.read()
            if chunk == b"":
                found.finish()
                return
            found.feed(chunk or b"")
    finally:
        os.close(again)
