"""Standard descriptors that are closed, or open the wrong way round; a working directory that is gone.

A file that is opened next would get the number of a closed one, and what is meant for stderr would go into
it (or into the results, if that is stdout). So a closed one is filled first, and in such a way that what was
meant to be read or written there fails: then both mistakes are one, and have one sentence.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys

_READ, _WRITTEN = (os.O_RDONLY, os.O_RDWR), (os.O_WRONLY, os.O_RDWR)


def fill_closed() -> None:
    """Fill what is closed; what is printed to a stderr that cannot be written goes nowhere."""
    for descriptor, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDWR)):
        try:
            os.fstat(descriptor)
        except OSError:
            made = os.open(os.devnull, flags)
            if made != descriptor:
                os.dup2(made, descriptor)
                os.close(made)
            os.set_inheritable(descriptor, True)
    if sys.stderr is None or not _open_for(2, _WRITTEN):
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    append(2)


def stdin_trouble() -> str:
    """Why nothing can be read from stdin; empty if it can."""
    return "" if _open_for(0, _READ) else "stdin, which is the input, is closed or not open for reading"


def stdout_trouble() -> str:
    """Why nothing can be written to stdout; empty if it can."""
    return "" if _open_for(1, _WRITTEN) else "stdout is closed or not open for writing"


def directory_trouble() -> str:
    """Why no file can be named from where we are; empty if that is possible."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return "the directory that this was started in is gone, and so are files named from it: cd to another"
    return ""


def append(descriptor: int) -> None:
    """Set O_APPEND, so that what is written goes to the end also after somebody has emptied the file.

    Shells open with ``>``; after a log has been rotated by copying and emptying it, the next line would stand
    at its old place, behind as many zeros.
    """
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and os.lseek(descriptor, 0, os.SEEK_CUR) == status.st_size:
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
            if not flags & os.O_APPEND:
                fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
    except OSError:
        pass


def _open_for(descriptor: int, ways: tuple[int, ...]) -> bool:
    try:
        return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE in ways
    except OSError:
        return False
