"""What the commands over results share: their parser, how they end, the file they write, progress.

A command is ``main(argv) -> int`` and runs inside `ended`: the user's mistakes become one sentence and status
2, as does an output that cannot be written; Ctrl-C leaves no half file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from coordinator.analysis.reading import Reading, duckdb
from coordinator.analysis.source import Progress
from coordinator.files.reach import reach
from coordinator.processes.privilege import invoking_user
from lzr import safetext
from lzr.errors import UsageError, printable

OK, MISTAKE = 0, 2


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaint is a UsageError."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def ended(name: str, run: Callable[[], int]) -> int:
    """The exit status of `run`, a command's body; `name` is the command's, as in ``lzr NAME``."""
    came: list[int] = []

    def interrupted(number: int, _: object) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt  # SIGTERM too: what is half done is taken away as after Ctrl-C

    before: dict[int, Any] = {}
    try:
        with contextlib.suppress(ValueError):  # not in the main thread
            for signum in (signal.SIGINT, signal.SIGTERM):
                before[int(signum)] = signal.signal(signum, interrupted)
        status = run()
        sys.stdout.flush()
        return status
    except UsageError as error:
        say(name, str(error))
    except BrokenPipeError:
        # What is left in the buffer has no reader; the interpreter must not find that out once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        say(name, f"{error.strerror or error}")
    except MemoryError:
        say(name, "there is not enough memory")
    except Exception as error:
        if came:  # DuckDB, which was interrupted, has errors of its own for that
            raise KeyboardInterrupt from None
        if not _of_duckdb(error):
            raise
        if "Broken pipe" in str(error):
            return OK
        say(name, f"{_io(error)}")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return MISTAKE


def say(name: str, sentence: str) -> None:
    """A sentence on stderr."""
    with contextlib.suppress(OSError):
        print(safetext.line(f"lzr {name}: {sentence}"), file=sys.stderr, flush=True)


def _of_duckdb(error: Exception) -> bool:
    """Not where DuckDB was never loaded: it may not even be installed."""
    return sys.modules.get("duckdb") is not None and isinstance(error, duckdb().Error)


def _io(error: Exception) -> str:
    """What DuckDB says of a disk or of memory, short."""
    text = str(error)
    if "No space left" in text:
        return "cannot write: no space left on device"
    return text.partition("\n")[0][:200]


@dataclass(frozen=True)
class Output:
    """Where a result goes. path: to write to, by whoever wants a name (DuckDB); name: to call it by."""

    path: str
    name: str
    descriptor: int


@contextlib.contextmanager
def output(
    path: str, *, overwrite: bool, inputs: tuple[str, ...] = (), force_pipe: bool = False
) -> Iterator[Output]:
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
        yield Output(f"/proc/self/fd/{descriptor}", name, descriptor)
        return
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise UsageError(f"cannot write {name}: it is a directory")
    if status is not None and not stat.S_ISREG(status.st_mode):
        with _opened(path, os.O_WRONLY, name) as descriptor:
            yield Output(f"/proc/self/fd/{descriptor}", name, descriptor)
        return
    if status is not None and not overwrite:
        raise UsageError(f"{name} exists; --overwrite replaces it")
    try:
        user = invoking_user()
        with _unnamed(path, name, None if user is None else (user.uid, user.gid)) as (descriptor, keep):
            if status is not None:
                os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            yield Output(f"/proc/self/fd/{descriptor}", name, descriptor)
            os.fsync(descriptor)
            keep(overwrite)
    except FileExistsError:
        raise UsageError(f"{name} exists; --overwrite replaces it") from None
    except OSError as error:
        raise UsageError(f"cannot write {name}: {error.strerror or error}") from error
    except Exception as error:
        if _of_duckdb(error) and "No space left" in str(error):
            raise UsageError(f"cannot write {name}: no space left on device") from error
        raise


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
        if invoker is not None:
            os.fchown(descriptor, *invoker)

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
                named = False
            else:  # unlike a rename, a link replaces nothing that has come meanwhile
                os.link(beside, last, src_dir_fd=there, dst_dir_fd=there)

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
def _opened(path: str, flags: int, name: str) -> Iterator[int]:
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {name}: {getattr(error, 'strerror', '') or error}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


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


class Bar:
    """Progress on stderr, where that is a terminal, of what takes longer than a second."""

    def __init__(self, what: str, total: int = 0, *, ticking: bool = False) -> None:
        """total: bytes to read; 0: not known. ticking: seconds go on while nobody says how much is done."""
        self.total = total
        self._done = 0
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True) if ticking else None
        self._what = what
        self._began = time.monotonic()
        self._last = self._began + 0.75
        self._shown = False
        self._terminal = sys.stderr is not None and sys.stderr.isatty()

    def __call__(self, done: int) -> None:
        """So many bytes are done."""
        self._done = done
        now = time.monotonic()
        if not self._terminal or now - self._last < 0.25:
            return
        self._last, self._shown = now, True
        text = f"{self._what}: {done / 1e6:,.0f} MB"
        if self.total:
            share = min(done / self.total, 1.0)
            filled = round(share * 30)
            text = f"{self._what} [{'#' * filled}{'.' * (30 - filled)}] {share:4.0%}"
        self._write(f"{text}  {now - self._began:.0f} s")

    def _tick(self) -> None:
        while not self._over.wait(0.5):
            self(self._done)

    def end(self) -> None:
        """Take the line away."""
        self._over.set()
        if self._ticker is not None and self._ticker.is_alive():
            self._ticker.join()
        if self._shown:
            self._write("")
            self._shown = False

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write("\r" + safetext.line(text) + "\x1b[K")
            sys.stderr.flush()

    def __enter__(self) -> Bar:
        if self._ticker is not None and self._terminal:
            self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def tell(name: str, reading: Reading) -> None:
    """Say on stderr what of a file could not be read."""
    if trouble := reading.trouble():
        say(name, trouble)


__all__ = ["MISTAKE", "OK", "Bar", "Output", "Parser", "Progress", "ended", "output", "say", "tell"]
