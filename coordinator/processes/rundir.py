"""The directory of a run's sockets, in which nobody else can create, rename or remove anything.

* The directory is ours (root's, in a scan under sudo), and only we may write in it: only we make, hand over
  or remove anything there. The workers' user may pass through it to sockets that it owns, and may not even
  list it.
* It is reached through a descriptor (``/proc/self/fd/N``), by us and by the children that were given one. So
  it may lie where the children cannot go, and the address of a socket is short (unix(7): 107 bytes), however
  long the path is.
* It is locked as long as its run lives. One of ours without a lock belongs to a dead run and is cleaned up:
  the sockets in it, nothing else, and never what another user made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

_BACKLOG = 128  # connections that may wait to be accepted by a socket
_IN_OUR_OWN, _AMONG_OTHERS = "run-", "lzr-run-"


class RunDirError(Exception):
    """There is no place for the directory; the sentence says why."""


class RunDir:
    """A new directory that exists and is locked until it is removed or this process ends."""

    def __init__(self, run_as: tuple[int, int]) -> None:
        """run_as: the workers' user and group. Raises RunDirError."""
        self._run_as = run_as
        trouble = []
        for parent, prefix in _places():
            try:
                if prefix == _IN_OUR_OWN:
                    parent.mkdir(0o700, exist_ok=True)
                self._parent = _open_parent(parent)
            except OSError as error:
                trouble.append(f"{parent}: {error.strerror or error}")
                continue
            try:
                _sweep(self._parent, prefix)
                self._name, self._lock = _make(self._parent, prefix, run_as)
            except OSError as error:
                os.close(self._parent)
                trouble.append(f"{parent}: {error.strerror or error}")
                continue
            break
        else:
            raise RunDirError(f"no place for the sockets of a run ({'; '.join(trouble)})")
        self.path = parent / self._name
        self.descriptor = os.open(self._name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._parent)
        """What a child needs to reach the sockets: it gives no right that the child has not."""
        self.closed = False

    @property
    def here(self) -> str:
        """The path by which this process reaches the directory."""
        return f"/proc/self/fd/{self.descriptor}"

    def listen(self, name: str) -> int:
        """A new listening socket which the workers' user may connect to: its descriptor."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
            sock.bind(f"{self.here}/{name}")
            os.chmod(name, 0o600, dir_fd=self._lock)
            os.chown(name, *self._given(), dir_fd=self._lock, follow_symlinks=False)
            sock.listen(_BACKLOG)
            return sock.detach()

    def forget(self, name: str) -> None:
        """Remove this socket: nobody connects to it any more."""
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._lock)

    def remove(self) -> None:
        """Remove the directory with all that is in it; once is enough."""
        if not self.closed:
            self.closed = True
            _remove(self._parent, self._name, self._lock)
            for descriptor in (self.descriptor, self._lock, self._parent):
                os.close(descriptor)

    def _given(self) -> tuple[int, int]:
        return self._run_as if os.geteuid() == 0 else (-1, -1)


def where() -> list[Path]:
    """The possible parent directories, best first, including those that would have to be made."""
    found = []
    for path, prefix in _places():
        with contextlib.suppress(OSError):
            made = path if prefix != _IN_OUR_OWN or path.exists() else path.parent
            os.close(_open_parent(made))
            found.append(made)
    return found


def _places() -> Iterator[tuple[Path, str]]:
    """Where a directory may be made, best first, and how its name begins there."""
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]  # systemd.exec(5)
    if runtime:
        yield Path(runtime), _IN_OUR_OWN
    if os.geteuid() == 0:
        yield Path("/run/lzr"), _IN_OUR_OWN
    elif runtime := os.environ.get("XDG_RUNTIME_DIR", ""):
        yield Path(runtime) / "lzr", _IN_OUR_OWN
    yield Path(temporary()), _AMONG_OTHERS
    yield Path("/dev/shm"), _AMONG_OTHERS


def temporary() -> str:
    """The directory for temporary files. Python's own way to find it writes a file there, which would be left
    where the scan is killed then, and cannot be written where a disk is full."""
    given = (os.environ.get(name, "") for name in ("TMPDIR", "TEMP", "TMP"))
    for path in (*given, "/tmp", "/var/tmp"):
        if os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK):
            return os.path.abspath(path)
    return "/tmp"


def _open_parent(path: Path) -> int:
    """A directory in which nobody else can take away what we make. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    status = os.fstat(handle)
    others_write = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
    if status.st_uid not in (0, os.geteuid()) or others_write:
        os.close(handle)
        raise OSError(None, "others may rename what is in it")
    return handle


def _make(parent: int, prefix: str, run_as: tuple[int, int]) -> tuple[str, int]:
    """Make and lock a directory: its name and descriptor. Raises OSError."""
    while True:
        name = f"{prefix}{os.getpid()}-{secrets.token_hex(4)}"
        os.mkdir(name, 0o700, dir_fd=parent)
        try:
            handle = _open_ours(parent, name)
        except FileNotFoundError:
            continue  # another run swept it before we had it locked
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            break
        os.close(handle)
    if os.geteuid() == 0:
        os.fchown(handle, -1, run_as[1])
        os.fchmod(handle, 0o710)
    return name, handle


def _sweep(parent: int, prefix: str) -> None:
    """Remove what killed runs of ours have left here."""
    with os.scandir(parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(prefix)]
    for name in names:
        try:
            handle = _open_ours(parent, name)
        except OSError:  # gone, or another user's
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(parent, name, handle)
        except OSError:  # its run lives
            pass
        finally:
            os.close(handle)


def _open_ours(parent: int, name: str) -> int:
    """A directory that is ours, and in which nobody else can write. Raises OSError."""
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    status = os.fstat(handle)
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        os.close(handle)
        raise PermissionError("it is not ours")
    return handle


def _remove(parent: int, name: str, handle: int) -> None:
    """A directory of sockets. What else is in it stays, and the directory with it."""
    with os.scandir(handle) as entries:
        for entry in entries:
            if stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                with contextlib.suppress(OSError):
                    os.unlink(entry.name, dir_fd=handle)
    with contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=parent)
