"""One of several processes at a time in a directory, by a lock that nobody else can hold.

Whoever may read a file or a directory may lock it (flock(2)), and keep it locked: another user of this host
could have us wait for ever. So what is locked is a file that its owner alone can open.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator

from lzr.errors import UsageError

NAME = ".lzr.lock"


@contextlib.contextmanager
def exclusive(place: int) -> Iterator[None]:
    """A context in which no other process is in this of the same directory.

    place: a descriptor of the directory, whose owner is to own the file. Raises OSError, and UsageError where
    somebody else has put a file there.
    """
    directory = os.fstat(place)
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        held = os.open(NAME, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place)
        if os.geteuid() == 0 and directory.st_uid != 0:
            os.fchown(held, directory.st_uid, directory.st_gid)
    except FileExistsError:
        held = os.open(NAME, flags, dir_fd=place)
    try:
        status = os.fstat(held)
        owners = {0, os.geteuid(), directory.st_uid}
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in owners or status.st_mode & 0o077:
            raise UsageError(f"{NAME} there is not ours alone: remove it")
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
