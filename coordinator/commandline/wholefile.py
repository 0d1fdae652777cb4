"""A file that is written as a whole or not at all: written beside its place, then renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from coordinator.files.opening import WhileWaiting, is_regular, open_written
from coordinator.files.reach import give, reach
from coordinator.files.renaming import rename_new
from coordinator.processes.users import invoking_user
from lzr.errors import UsageError, printable


@dataclass(frozen=True)
class Destination:
    """Where a result goes. path: to write to, by whoever wants a name (DuckDB); name: to call it by."""

    path: str
    name: str
    descriptor: int


@contextlib.contextmanager
def output(
    path: str, *, overwrite: bool, inputs: tuple[str, ...] = (), force_pipe: bool = False
) -> Iterator[Destination]:
    """A file that is there whole or not at all: written beside its place, then renamed.

    ``-`` is standard output; what is no regular file (a FIFO, a device) is written to as it is. inputs: files
    that it must not be. Raises UsageError: it exists (and not `overwrite`), it is an input, it cannot be
    written.
    """
    name = "the standard output" if path == "-" else printable(path)
    status = None
    if path == "-":
        sys.stdout.flush()
        descriptor = sys.stdout.fileno()
        status = os.fstat(descriptor)
        if stat.S_ISCHR(status.st_mode) and os.isatty(descriptor) and not force_pipe:
            raise UsageError("this is not for a terminal: name a file with -o, or send it into a pipe")
    else:
        if "\0" in path or not path:
            raise UsageError(f"cannot write {name}: that is no name of a file")
        with contextlib.suppress(OSError):
            status = os.stat(path)
    for other in inputs:
        _refuse_same(status, name, other)
    if path == "-":
        yield Destination(f"/proc/self/fd/{descriptor}", name, descriptor)
        return
    if (status is not None and stat.S_ISDIR(status.st_mode)) or path.endswith("/"):
        raise UsageError(f"cannot write {name}: it is a directory")
    user = invoking_user()
    invoker = None if user is None else (user.uid, user.gid)
    if status is not None and not stat.S_ISREG(status.st_mode):
        with _opened(path, name, invoker) as descriptor, _read_to_its_end(name, status):
            yield Destination(f"/proc/self/fd/{descriptor}", name, descriptor)
        return
    if status is not None and not overwrite:
        raise UsageError(f"{name} exists; --overwrite replaces it")
    try:
        with _unnamed(path, name, invoker) as (descriptor, keep):
            if status is not None:
                os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            yield Destination(f"/proc/self/fd/{descriptor}", name, descriptor)
            os.fsync(descriptor)
            keep(overwrite)
    except FileExistsError:
        raise UsageError(f"{name} exists; --overwrite replaces it") from None
    except OSError as error:
        raise UsageError(f"cannot write {name}: {error.strerror or error}") from error
    except Exception as error:
        if "No space left" in str(error):  # DuckDB, which writes by the name, has errors of its own
            raise UsageError(f"cannot write {name}: no space left on device") from error
        raise


@contextlib.contextmanager
def _read_to_its_end(name: str, status: os.stat_result) -> Iterator[None]:
    """Raises UsageError where whoever reads a FIFO went before all was written, unless it is standard output
    by another name: of that a shell sees how its reader ended."""
    try:
        yield
    except Exception as error:
        # DuckDB has errors of its own.
        gone = isinstance(error, BrokenPipeError) or "Broken pipe" in str(error)
        if not gone or _is_stdout(status):
            raise
        raise UsageError(f"cannot write all of {name}: its reader has gone") from error


def _is_stdout(status: os.stat_result) -> bool:
    try:
        return os.path.samestat(status, os.fstat(1))
    except OSError:
        return False


@contextlib.contextmanager
def _unnamed(
    target: str, name: str, invoker: tuple[int, int] | None
) -> Iterator[tuple[int, Callable[[bool], None]]]:
    """A file without a name in the directory of `target`, and what gives it that name. invoker: who called
    sudo, whose it is to be.

    Whoever is killed leaves nothing then. Where the file system has no such files, one with a name that
    begins with a dot and ends with .part. Raises UsageError; what it gives raises OSError, FileExistsError.
    """
    with reach(target, invoker) as place:
        last, there, named = place.name, place.directory, False
        if there is None:
            raise UsageError(f"cannot write {name}: it cannot be replaced")
        beside = f".{last[:100]}.{secrets.token_hex(6)}.part"
        try:
            descriptor = os.open(".", os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o666, dir_fd=there)
        except OSError:
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                descriptor = os.open(beside, flags, 0o666, dir_fd=there)
            except OSError as error:
                raise UsageError(f"cannot write {name}: {error.strerror or error}") from error
            named = True
        give(descriptor, invoker)

        def keep(overwrite: bool) -> None:
            nonlocal named
            if not named and not overwrite:
                _link(descriptor, last, there)
                return
            if not named:
                _link(descriptor, beside, there)
                named = True
            if overwrite:
                os.replace(beside, last, src_dir_fd=there, dst_dir_fd=there)
            else:
                rename_new(beside, last, there)
            named = False

        try:
            yield descriptor, keep
        finally:
            os.close(descriptor)
            if named:
                with contextlib.suppress(OSError):
                    os.unlink(beside, dir_fd=there)


def _link(descriptor: int, name: str, there: int) -> None:
    """Give an open file a name in the directory `there`."""
    os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=there, follow_symlinks=True)


@contextlib.contextmanager
def _opened(path: str, name: str, invoker: tuple[int, int] | None) -> Iterator[int]:
    """What was no regular file when it was looked at; a FIFO once it has a reader. A link that a stranger has
    put there since then is not followed. Raises UsageError.
    """
    try:
        descriptor = open_written(path, invoker, append=False, waiting=WhileWaiting(_nap))
    except OSError as error:
        raise UsageError(f"cannot write {name}: {error.strerror or error}") from error
    try:
        if is_regular(descriptor):
            raise UsageError(f"cannot write {name}: it has become another file meanwhile")
        yield descriptor
    finally:
        os.close(descriptor)


def _nap(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _refuse_same(status: os.stat_result | None, name: str, other: str) -> None:
    if status is None or not stat.S_ISREG(status.st_mode):
        return
    try:
        found = os.fstat(sys.stdin.fileno()) if other == "-" else os.stat(other)
    except (OSError, ValueError, AttributeError):
        return
    if (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino):
        raise UsageError(f"{name} is the input too")


def write_whole(descriptor: int, data: bytes) -> None:
    """All of it, also into a pipe. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
