"""Opens files by name to be written, as root, in directories that others may write too.

Nothing here waits without telling the user, follows another user's symbolic link, or empties a file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import stat
from collections.abc import Callable
from typing import IO, Any

from msgspec import Struct

from coordinator.files import holders
from coordinator.files.reach import Place, give, reach, trusted
from lzr.errors import UsageError, printable

_STEP = 0.1  # seconds between two looks whether a FIFO has a reader
_TRIES = 100
"""How often a file is tried that others make and remove at the same time."""
_TIMEOUT = 6.0  # for the processes of a killed scan, which still hold its files
_SILENT = 0.5  # seconds after which it is said that there is none


class Interrupted(Exception):
    """The user did not want to wait any longer."""


class WhileWaiting(Struct, frozen=True):
    """What is done while a file has to be waited for: a FIFO without a reader, a lock that others hold.

    pause: waits so many seconds, returns whether the user wants to end; then Interrupted is raised.
    say: takes a sentence for the user.
    """

    pause: Callable[[float], bool] = lambda _: False
    say: Callable[[str], None] = lambda _: None


SILENTLY = WhileWaiting()
"""Nobody is told."""


class OpenFile(Struct, frozen=True):
    """An open file. made: it did not exist before this call. regular: it is a regular file."""

    descriptor: int
    made: bool
    regular: bool


def open_output(
    name: str,
    invoker: tuple[int, int] | None,
    *,
    create: bool = True,
    fresh: bool = False,
    waiting: WhileWaiting = SILENTLY,
) -> OpenFile:
    """Open a file for results: what is written goes to its end, also after somebody has cut it short.

    invoker: whom a new file is to belong to. fresh: it must not be there yet, else FileExistsError is raised.
    waiting: for a FIFO that has no reader. Raises UsageError, Interrupted.
    """
    try:
        with reach(name, invoker) as place:
            mode = place.mode()
            _refuse_directory(name, mode)
            if fresh and mode:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            if stat.S_ISFIFO(mode) and place.directory is not None:
                _suspect(place, name, invoker)
                return OpenFile(_open_fifo(place, name, waiting), made=False, regular=False)
            if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                return OpenFile(_open_device(place, name, invoker, 0), made=False, regular=False)
            return _open(place, name, invoker, create=create, fresh=fresh, append=True, access=os.O_RDWR)
    except OSError as error:
        if fresh and isinstance(error, FileExistsError):
            raise
        raise UsageError(f"cannot write {printable(name)}: {error.strerror}") from error


def open_written(
    name: str,
    invoker: tuple[int, int] | None,
    *,
    append: bool,
    alone: bool = False,
    fresh: bool = False,
    waiting: WhileWaiting = SILENTLY,
) -> int:
    """Open a file that is written beside the results (log, metadata, profile ...): a descriptor.

    append: write at its end; else from its beginning, what it holds stays until the caller cuts it off.
    alone: a regular file is locked, since what two scans write there at the same time is nobody's.
    fresh: it must not be there yet, else FileExistsError is raised.
    Only a file that this call makes is given to `invoker`. waiting: as for `open_output`.
    Raises OSError, UsageError, Interrupted.
    """
    if alone:
        descriptor = open_written(name, invoker, append=append, waiting=waiting)
        try:
            if is_regular(descriptor) and (taken := lock(descriptor, _TIMEOUT, waiting)):
                raise UsageError(f"{printable(name)} {taken}")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor
    with reach(name, invoker) as place:
        mode = place.mode()
        _refuse_directory(name, mode)
        if fresh and mode:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        if stat.S_ISFIFO(mode) and place.directory is not None:
            _suspect(place, name, invoker)
            return _open_fifo(place, name, waiting)
        if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return _open_device(place, name, invoker, os.O_APPEND if append else 0)
        return _open(
            place, name, invoker, create=True, fresh=fresh, append=append, access=os.O_WRONLY
        ).descriptor


def open_lines(
    name: str,
    invoker: tuple[int, int] | None,
    what: str = "",
    *,
    fresh: bool = False,
    waiting: WhileWaiting = SILENTLY,
) -> IO[str]:
    """Open a file for lines of text at its end (the log, the status). what: how to call it, with a trailing
    blank.

    A reader through a pipe is not waited for: lines that find no room there are dropped, and counted
    (`why_not_whole`). fresh, waiting: as for `open_output`. Raises UsageError, Interrupted.
    """
    try:
        descriptor = open_written(name, invoker, append=True, fresh=fresh, waiting=waiting)
    except OSError as error:
        if fresh and isinstance(error, FileExistsError):
            raise
        raise UsageError(f"cannot write {what}{printable(name)}: {error.strerror}") from error
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.set_blocking(descriptor, False)
        leaky: Any = _Leaky(descriptor)
        return io.TextIOWrapper(leaky, "utf-8", "backslashreplace", write_through=True)
    return os.fdopen(descriptor, "a", buffering=1, encoding="utf-8", errors="backslashreplace")


def why_not_whole(file: IO[str], name: str) -> str:
    """Why not all is kept that was written to a file that is still open; empty if it is. name: its path.

    What could not be written at all has raised OSError before.
    """
    try:
        push(file.fileno())
    except OSError as error:
        return f"{error.strerror}"
    if dropped := getattr(getattr(file, "buffer", None), "dropped", 0):
        lines = "1 line" if dropped == 1 else f"{dropped:,} lines"
        return f"{lines} found no room, since its reader was behind, and are left out"
    return "it was deleted while it was written" if is_deleted(file.fileno(), name) else ""


class _Leaky(io.BufferedIOBase):
    """A pipe into which a line is written as a whole, or dropped if its reader leaves no room."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.dropped = 0

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            os.write(self._descriptor, data)
        except BlockingIOError:
            self.dropped += 1
        return len(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._descriptor)


def _refuse_directory(name: str, mode: int) -> None:
    """Raises OSError for a name that ends in a slash, which only a directory may have: `reach` goes by the
    steps of a path.
    """
    if name.endswith("/"):
        number = errno.ENOTDIR if mode and not stat.S_ISDIR(mode) else errno.EISDIR
        raise OSError(number, os.strerror(number))


def _open(
    place: Place,
    name: str,
    invoker: tuple[int, int] | None,
    *,
    create: bool,
    append: bool,
    access: int,
    fresh: bool = False,
) -> OpenFile:
    """A regular file, or one that is not there yet. Raises OSError, UsageError."""
    flags = access | os.O_NONBLOCK | (os.O_APPEND if append else 0)
    create = create and place.directory is not None
    for tries in reversed(range(_TRIES)):
        try:
            if not create:
                raise FileExistsError
            descriptor, made = place.open(flags | os.O_CREAT | os.O_EXCL), True
        except FileExistsError:
            if fresh:
                raise
            try:
                descriptor, made = place.open(flags), False
            except FileNotFoundError:
                if create and tries:  # another scan that made it has taken it back since then
                    continue
                raise
        break
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):  # it has become something else since we looked
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if not made:
            _suspect(place, name, invoker, status)
        else:
            give(descriptor, invoker)
    except (OSError, UsageError):
        os.close(descriptor)
        raise
    return OpenFile(descriptor, made, regular=True)


def _open_device(place: Place, name: str, invoker: tuple[int, int] | None, flags: int) -> int:
    """Open what is neither file, directory nor FIFO, and has not become one since we looked. Does not wait.

    Raises OSError, UsageError.
    """
    if place.directory is None:  # open already, whatever it is
        return place.open(os.O_WRONLY | flags)
    descriptor = place.open(os.O_WRONLY | os.O_NONBLOCK | flags)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode):
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        _suspect(place, name, invoker, status)
        os.set_blocking(descriptor, True)
    except (OSError, UsageError):
        os.close(descriptor)
        raise
    return descriptor


def _suspect(
    place: Place, name: str, invoker: tuple[int, int] | None, status: os.stat_result | None = None
) -> None:
    """Raise UsageError for a file that another user may have put there for us to write to, or to wait for.

    As the kernel does where fs.protected_regular and fs.protected_hardlinks are set, proc_sys_fs(5).
    """
    if place.directory is None or not place.others_write:
        return
    if status is None:
        status = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
    directory = os.fstat(place.directory)
    shared = bool(directory.st_mode & stat.S_ISVTX)
    if shared and status.st_uid not in trusted(invoker) | {directory.st_uid}:
        raise UsageError(f"{printable(name)} belongs to somebody else, in a directory that others can write")
    if os.geteuid() == 0 and stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        raise UsageError(f"{printable(name)} has a second name (link), in a directory that others can write")


def _open_fifo(place: Place, name: str, waiting: WhileWaiting) -> int:
    """Open a FIFO for writing once it has a reader. A plain open waits for one and sees no signal
    (fifo(7))."""
    waited = 0.0
    while True:
        try:
            descriptor = place.open(os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        else:
            fcntl.fcntl(descriptor, fcntl.F_SETFL, 0)
            return descriptor
        if waited < _SILENT <= waited + _STEP:
            waiting.say(f"{printable(name)} is a FIFO that nobody reads yet: waiting for its reader")
        if waiting.pause(_STEP):
            raise Interrupted
        waited += _STEP


def is_regular(descriptor: int) -> bool:
    """Whether an open file is a regular one."""
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def push(descriptor: int) -> None:
    """Have a file system that keeps files elsewhere (NFS, FUSE) say now what it could not keep: it does so
    whenever a descriptor is closed (close(2)). Others have said it with the write. Raises OSError.
    """
    os.close(os.dup(descriptor))


def is_deleted(descriptor: int, name: str) -> bool:
    """Whether an open file has no name any more, so that what it holds is lost when it is closed.

    name: by which it was opened. One that never had another than the kernel's own (/dev/fd/5 for a temporary
    file of our parent) is not lost.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink:
        return False
    with contextlib.suppress(OSError):
        return not os.path.samestat(os.stat(name), status)
    return True


def lock(descriptor: int, seconds: float, waiting: WhileWaiting = SILENTLY) -> str:
    """Hold a lock on a file as long as one of our processes has it open. Returns who keeps us from that, as
    the end of a sentence that begins with the name of the file; empty where it is held.

    seconds: how long to try, since the processes of a scan that was killed need a moment to end. A lock of
    somebody who can only read the file is not heeded after that, and `waiting.say` is told.
    """
    waited = 0.0
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waited >= seconds:
                return _in_spite_of(descriptor, waiting)
        except OSError:
            return ""  # a file system without locks
        else:
            return "" if holders.INSTEAD.free(descriptor) else _TAKEN
        if waiting.pause(_STEP):
            raise Interrupted
        waited += _STEP


_TAKEN = "is being written by another lzr"


def _in_spite_of(descriptor: int, waiting: WhileWaiting) -> str:
    """Hold a lock in place of the one that others have, if all of them can only read; as `lock`."""
    found = holders.holders(descriptor)
    if not found:
        return f"{_TAKEN}, or somebody holds a lock on it (lslocks shows who)"
    if writer := next((one for one in found if one.writes), None):
        return f"{_TAKEN}: {writer}"
    if not holders.INSTEAD.hold(descriptor):
        return f"{_TAKEN}, or cannot be locked: {found[0]} holds a lock on it"
    name = os.readlink(f"/proc/self/fd/{descriptor}")
    waiting.say(f"{found[0]} holds a lock on {printable(name)}, which it can only read: it is not heeded")
    return ""
