"""A Unix socket that listens under a name, safe in a directory that others may write.

Whoever may write that directory can rename and replace what is in it at any moment. So the path is resolved
only once: the directory is reached as for a file that is written (`coordinator.files.reach`), and the name is
looked at, bound and removed in it. Of several processes of ours one at a time does so (`alone`): a socket of
which another has just bound the name, and which does not listen yet, looks dead.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from coordinator.files.reach import reach, trusted
from lzr.errors import UsageError, printable

LONGEST_PATH = 107  # bytes: sun_path of unix(7), less its closing NUL
_TIMEOUT = 2.0
"""Seconds for which a directory is waited for. Others hold it for milliseconds; where somebody else may open
it, he can hold it for as long as he likes."""


class ControlError(OSError):
    """The socket cannot be made or reached; the text says why."""


class Named:
    """sock: the listening socket, mode 0600. A dead socket of ours under that name is replaced."""

    def __init__(self, path: Path, invoker: tuple[int, int] | None = None) -> None:
        """invoker: user and group of who called sudo. Raises ControlError."""
        shown = printable(str(path))
        if len(os.fsencode(path)) > LONGEST_PATH:
            raise ControlError(f"the path of the control socket is longer than {LONGEST_PATH} bytes: {shown}")
        try:
            with reach(os.fspath(path), invoker) as place:
                if place.directory is None:
                    raise ControlError(f"{shown} is there and is no socket")
                self._directory, self._name = os.dup(place.directory), place.name
        except UsageError as error:
            raise ControlError(str(error)) from error
        except OSError as error:
            if isinstance(error, ControlError):
                raise
            raise _cannot(shown, error) from error
        self._by = f"/proc/self/fd/{self._directory}/{self._name}"
        if len(os.fsencode(self._by)) > LONGEST_PATH and not place.others_write:
            self._by = os.fspath(path)
        try:
            with alone(self._directory):
                self._clear(shown, trusted(invoker))
                self.sock = self._listen(shown)
                self._inode = self._status().st_ino
        except BaseException:
            os.close(self._directory)
            raise

    def remove(self) -> None:
        """Remove the name, unless a later scan has put its own socket in its place. To be called while `sock`
        is open: a later scan's has another inode as long as ours is in use, and does not take ours for dead.
        """
        with contextlib.suppress(OSError):
            if self._status().st_ino == self._inode:
                os.unlink(self._name, dir_fd=self._directory)
        os.close(self._directory)

    def _status(self) -> os.stat_result:
        return os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)

    def _clear(self, shown: str, friends: set[int]) -> None:
        try:
            there = self._status()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(there.st_mode):
            raise ControlError(f"{shown} is there and is no socket")
        if there.st_uid not in friends:
            raise ControlError(f"{shown} is a socket of somebody else's")
        if not refuses(self._by):
            raise ControlError(f"{shown} is the control socket of another scan that is running")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._directory)  # a killed run left it behind

    def _listen(self, shown: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)
        try:
            sock.bind(self._by)  # where something lies by now, a link too, it fails
            sock.listen(8)
        except OSError as error:
            sock.close()
            raise _cannot(shown, error) from error
        finally:
            os.umask(before)
        return sock


def _cannot(shown: str, error: OSError) -> ControlError:
    return ControlError(f"cannot make the control socket {shown}: {error.strerror or error}")


@contextlib.contextmanager
def alone(directory: int, timeout: float = _TIMEOUT) -> Iterator[bool]:
    """A context in which no other process of ours makes or removes sockets in a directory: whether that is
    so, which it is not where the directory cannot be locked. timeout: seconds. Does not raise.
    """
    try:
        held = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        yield False
        return
    try:
        yield _locked(held, time.monotonic() + timeout)
    finally:
        os.close(held)


def _locked(descriptor: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.005)
        except OSError:
            return False
        else:
            return True


def alive(path: str | Path) -> bool:
    """Whether somebody listens there, also one who is stopped and to whom no more can connect."""
    return _connected(path) in (0, errno.EAGAIN)


def refuses(path: str | Path) -> bool:
    """Whether nobody listens there any more. Any other error proves nothing."""
    return _connected(path) == errno.ECONNREFUSED


def _connected(path: str | Path) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
        return sock.connect_ex(os.fspath(path))
