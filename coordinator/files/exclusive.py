"""One of several processes at a time in a directory, by a lock that nobody else can hold.

Whoever may read a file or a directory may lock it (flock(2)), and keep it locked: another user of this host
could have us wait for ever. So what is locked is a file that its owner alone can open, and a group where the
directory is the group's to write.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from coordinator.files.reach import NO_OWNERS
from lzr.errors import UsageError, printable

NAME = ".lzr.lock"
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_TRIES, _PAUSE = 50, 0.01
"""How often, and after how many seconds, a file is tried whose maker has not let the group have it yet."""


@contextlib.contextmanager
def exclusive(place: int, *, wait: bool = True) -> Iterator[None]:
    """A context in which no other process is in this of the same directory.

    place: a descriptor of the directory, whose owner is to own the file. wait: until nobody else is in it.
    Raises OSError, of which BlockingIOError says that somebody is, and UsageError where somebody else has put
    a file there.
    """
    directory = os.fstat(place)
    shared = directory.st_mode & 0o022 == 0o020
    shown = f"{printable(os.readlink(f'/proc/self/fd/{place}'))}/{NAME}"
    held = _opened(place, directory, 0o660 if shared else 0o600, shown)
    try:
        status = os.fstat(held)
        if shared and status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o600:
            _share(held, directory)  # the directory was not the group's, or its maker was killed
            status = os.fstat(held)
        ours = shared or status.st_uid in (0, os.geteuid(), directory.st_uid)
        closed = not stat.S_IMODE(status.st_mode) & (0o007 if shared else 0o077)
        if not (stat.S_ISREG(status.st_mode) and ours and (closed or not _has_modes(held, status))):
            raise UsageError(f"{shown} is not ours alone: remove it")
        fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(held)


def _opened(place: int, directory: os.stat_result, mode: int, shown: str) -> int:
    """The file, which is made where there is none. Raises OSError, UsageError."""
    try:
        made = os.open(NAME, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place)
    except FileExistsError:
        for tries in reversed(range(_TRIES if mode != 0o600 else 1)):
            try:
                return os.open(NAME, _FLAGS, dir_fd=place)
            except PermissionError:
                if tries:
                    time.sleep(_PAUSE)
        raise UsageError(
            f"{shown} is the file of another user, who has worked in that directory: let its owner remove "
            "it, or use a directory of your own"
        ) from None
    try:
        if os.geteuid() == 0 and directory.st_uid != 0:
            os.fchown(made, directory.st_uid, directory.st_gid)
            os.fchmod(made, mode)
        elif mode != 0o600:
            _share(made, directory)
    except OSError as error:
        if error.errno in NO_OWNERS:
            return made
        os.close(made)
        raise
    return made


def _has_modes(held: int, status: os.stat_result) -> bool:
    """Whether the file system keeps a mode for each file. FAT and many network shares have one for all: there
    nobody can be kept from the lock, and whoever may read could have us wait.
    """
    mode = stat.S_IMODE(status.st_mode)
    if os.geteuid() not in (0, status.st_uid):
        return True
    try:
        os.fchmod(held, mode & 0o700)
        if stat.S_IMODE(os.fstat(held).st_mode) == mode:
            return False
        os.fchmod(held, mode)  # as it was: somebody may have it open
    except OSError as error:
        return error.errno not in NO_OWNERS
    return True


def _share(held: int, directory: os.stat_result) -> None:
    """Let the group of the directory have the file. Raises OSError."""
    os.fchown(held, -1, directory.st_gid)
    os.fchmod(held, 0o660)


def open_locks(path: Path) -> int | None:
    """Open a file that is only locked, in a directory of root's. None where there can be none: then two runs
    may draw the same number, by chance."""
    try:
        path.parent.mkdir(0o700, exist_ok=True)
        if not _trusted(path.parent):
            return None
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY, 0o600)
    except OSError:
        return None


def _trusted(directory: Path) -> bool:
    status = os.stat(directory)
    return status.st_uid == 0 and not status.st_mode & 0o022
