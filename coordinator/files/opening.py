"""Opening a file by name that is to be written, as root, in directories that others may write too.

The law: nothing here waits without saying so, follows somebody else's symbolic link, or empties anything.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from lzr.errors import UsageError

_STEP = 0.1  # seconds between two looks whether a FIFO has a reader
_SILENT = 0.5  # seconds after which it is said that there is none
_HELD = ("/dev/fd/", "/dev/std", "/proc/")  # links of the kernel's to what is open already


class Interrupted(Exception):
    """The user gave up waiting."""


@dataclass(frozen=True)
class Opened:
    """made: by us, just now."""

    descriptor: int
    made: bool
    regular: bool


def open_output(
    name: str,
    owner: tuple[int, int] | None,
    *,
    create: bool = True,
    pause: Callable[[float], bool] = lambda _: False,
    say: Callable[[str], None] = lambda _: None,
) -> Opened:
    """Open a file for results: what is written goes to its end, also after somebody has cut it short.

    owner: whom a new file is to belong to. pause: waits so many seconds, returns whether the user wants to
    end; then Interrupted is raised. say: told once if a FIFO has no reader. Raises UsageError.
    """
    try:
        path = _followed(name, owner)
        mode = _mode(path)
        if stat.S_ISFIFO(mode) and not path.startswith(_HELD):
            return Opened(_open_fifo(path, pause, say), made=False, regular=False)
        if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return Opened(os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY), made=False, regular=False)
        return _open(path, owner, create=create)
    except OSError as error:
        raise UsageError(f"cannot write {name}: {error.strerror}") from error


def _open(path: str, owner: tuple[int, int] | None, *, create: bool) -> Opened:
    """A regular file, or one that is not there yet."""
    held = path.startswith(_HELD)
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | (0 if held else os.O_NOFOLLOW)
    try:
        if not create or held:
            raise FileExistsError
        descriptor, made = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644), True
    except FileExistsError:
        descriptor, made = os.open(path, flags), False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # it has become something else since we looked
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if made and owner is not None:
            os.fchown(descriptor, *owner)
    except OSError:
        os.close(descriptor)
        raise
    return Opened(descriptor, made, regular=True)


def _followed(name: str, owner: tuple[int, int] | None) -> str:
    """The name without symbolic links at its end. Raises UsageError for one an outsider has put there."""
    for _ in range(40):
        if name.startswith(_HELD):
            return name
        try:
            found = os.lstat(name)
        except FileNotFoundError:
            return name
        if not stat.S_ISLNK(found.st_mode):
            return name
        directory = os.stat(os.path.dirname(name) or ".")
        trusted = {0, os.geteuid(), directory.st_uid} | ({owner[0]} if owner is not None else set())
        if directory.st_mode & 0o022 and found.st_uid not in trusted:
            raise UsageError(
                f"{name} is a symbolic link of somebody else's, in a directory that others can write"
            )
        name = os.path.join(os.path.dirname(name), os.readlink(name))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _mode(path: str) -> int:
    """0: there is nothing yet, or nothing that we may look at."""
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def _open_fifo(path: str, pause: Callable[[float], bool], say: Callable[[str], None]) -> int:
    """Once it has a reader: opening it would wait for one, deaf to everything (fifo(7))."""
    waited = 0.0
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        else:
            fcntl.fcntl(descriptor, fcntl.F_SETFL, 0)
            return descriptor
        if waited < _SILENT <= waited + _STEP:
            say(f"{path} is a FIFO that nobody reads yet: waiting for its reader")
        if pause(_STEP):
            raise Interrupted
        waited += _STEP


def lock(descriptor: int, pause: Callable[[float], bool], seconds: float) -> bool:
    """Hold a file as long as one of our processes has it open; False if another scan does.

    seconds: how long to try; the processes of a scan that was killed need a moment to end.
    """
    waited = 0.0
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waited >= seconds:
                return False
        except OSError:
            return True  # a file system without locks
        else:
            return True
        if pause(_STEP):
            raise Interrupted
        waited += _STEP
