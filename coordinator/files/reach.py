"""The directory in which a file is to be made, reached step by step, so that nobody can change the way.

Each step of a path is opened itself, never followed by its name, and then looked at. A symbolic
link is followed if it is ours, root's or that of who called sudo; one that an outsider has put where he can
write is refused. What is done with the file afterwards is done in the directory that was reached, so it does
not matter what is renamed meanwhile.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from lzr.errors import UsageError, printable

_HELD = re.compile(r"/dev/(fd/\d+|stdin|stdout|stderr)|/proc/(self|thread-self|\d+)(/task/\d+)?/fd/\d+", re.A)
"""The kernel's own links to open descriptors, and no other paths: ``/proc/../tmp/x`` may be anybody's."""
NO_OWNERS = (errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems say that have neither owners nor modes: FAT, many network shares."""
_MOST_LINKS = 40  # as in the kernel, path_resolution(7)
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Place(NamedTuple):
    """directory: a descriptor; None where `name` is one of the kernel's own links (/proc/self/fd/1).

    name: of the file in it, which may not be there; it was no symbolic link when we looked.
    """

    directory: int | None
    name: str
    others_write: bool = False
    """Somebody whom we do not trust can put things into the directory."""

    def mode(self) -> int:
        """The file's mode; 0 if nothing is there, or nothing that we may look at."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=self.directory is None).st_mode
        except OSError:
            return 0

    def open(self, flags: int, mode: int = 0o644) -> int:
        """Raises OSError; ELOOP if there is a symbolic link by now."""
        held = self.directory is None
        flags |= os.O_CLOEXEC | os.O_NOCTTY | (0 if held else os.O_NOFOLLOW)
        return os.open(self.name, flags, mode, dir_fd=self.directory)


def trusted(invoker: tuple[int, int] | None) -> set[int]:
    """Users whose symbolic links we follow. invoker: who called sudo."""
    return {0, os.geteuid()} | ({invoker[0]} if invoker is not None else set())


def give(descriptor: int, owner: tuple[int, int] | None) -> None:
    """Have a file that we made belong to `owner`, user and group of who called sudo, if anybody did.

    It stays ours where the file system knows no owners (FAT, many network shares), or our user namespace
    knows no such user. Raises OSError.
    """
    try:
        if owner is not None:
            os.fchown(descriptor, *owner)
    except OSError as error:
        if error.errno not in NO_OWNERS:
            raise


def others_write(directory: os.stat_result, friends: set[int]) -> bool:
    """Whether somebody else can put things into this directory. For root that includes the directory's
    owner.
    """
    return bool(directory.st_mode & 0o022) or (os.geteuid() == 0 and directory.st_uid not in friends)


@contextmanager
def reach(path: str, invoker: tuple[int, int] | None) -> Iterator[Place]:
    """The place of a file. Raises OSError, and UsageError for a link that an outsider has put on the way."""
    if _HELD.fullmatch(path):
        yield Place(None, path)
        return
    friends = trusted(invoker)
    steps = deque(_steps(path))
    at = _enter(path)
    links = 0
    try:
        while True:
            name = steps.popleft()
            try:
                found = os.open(name, _LOOK, dir_fd=at)
            except FileNotFoundError:
                if steps:
                    raise
                break
            try:
                status, here = os.fstat(found), os.fstat(at)
                if stat.S_ISLNK(status.st_mode):
                    links += 1
                    if links > _MOST_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                    if others_write(here, friends) and status.st_uid not in friends:
                        raise UsageError(
                            f"{printable(path)}: {printable(name)} is a symbolic link of somebody else's, "
                            "in a directory that others can write"
                        )
                    target = os.readlink("", dir_fd=found)
                    if _HELD.fullmatch(target) and not steps:
                        yield Place(None, target)
                        return
                    steps.extendleft(reversed(_steps(target)))
                    if target.startswith("/"):
                        os.close(at)
                        at = _enter(target)
                elif steps:
                    if not stat.S_ISDIR(status.st_mode):
                        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                    at, found = found, at
                else:
                    break
            finally:
                os.close(found)
        yield Place(at, name, others_write(os.fstat(at), friends))
    finally:
        os.close(at)


def _steps(path: str) -> list[str]:
    return [step for step in path.split("/") if step] or ["."]


def _enter(path: str) -> int:
    return os.open("/" if path.startswith("/") else ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
