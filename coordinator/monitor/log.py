"""The log: what the program has to say besides results and status.

One line each, as ZMap writes them (``Nov 22 09:31:00.123 [INFO] lzr: sentence``), to one place: the file of
--log-file or --log-directory, else stderr. While the dashboard has the terminal, nothing is written to
stderr; what is important is among the dashboard's warnings. --verbosity sets how much is written; a log that
cannot be written any more never ends a scan, which ends with a status that says so.

    0 FATAL  why the scan ended        3 INFO   what is scanned how, and how it ended
    1 ERROR  what went wrong           4 DEBUG  processes, network, workers
    2 WARN   what the user should know 5 TRACE  every status line
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from coordinator.files.opening import SILENTLY, WhileWaiting, open_lines, why_not_whole
from lzr import safetext
from lzr.errors import UsageError
from lzr.options.table import Options
from lzr.safetext import plain

FATAL, ERROR, WARN, INFO, DEBUG, TRACE = range(6)
NAMES = ("FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE")
_LONGEST = 2000  # characters of a line


class Log:
    """verbosity: the highest level that is written. file: where to, None for stderr. name: of the file."""

    def __init__(self, verbosity: int = WARN, file: IO[str] | None = None, name: str = "") -> None:
        self.verbosity = verbosity
        self.file = file
        self.name = name
        self.screen_taken = False
        self._trouble = ""

    def write(self, level: int, sentence: str, wall: float | None = None) -> None:
        """A line, if the level is wanted. wall: seconds since the epoch, now unless given."""
        if level > self.verbosity:
            return
        text = line(level, sentence, time.time() if wall is None else wall)
        if self.file is None:
            if not self.screen_taken:
                with contextlib.suppress(OSError, ValueError):
                    print(safetext.line(text), file=sys.stderr, flush=True)
            return
        try:
            self.file.write(text + "\n")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", "") or error
            self._trouble = f"{self._name} cannot be written any more: {why}"
            self.close()
            self.file = None
            self.write(ERROR, f"{self._trouble}; what follows is on stderr")
            self.write(level, sentence, wall)

    @property
    def trouble(self) -> str:
        """Why the file does not hold all that was written to it; empty where it does, or there is none."""
        if self.file is not None and (why := why_not_whole(self.file, self.name)):
            return f"{self._name} is not whole: {why}"
        return self._trouble

    @property
    def _name(self) -> str:
        return f"the log {safetext.line(self.name)}" if self.name else "the log file"

    def fatal(self, sentence: str) -> None:
        """Into the file only: the caller prints it on stderr, as every mistake is printed."""
        if self.file is not None:
            self.write(FATAL, sentence)

    def note(self, sentence: str) -> None:
        """As `info`, but into the file only: on stderr the summary says it better."""
        if self.file is not None:
            self.write(INFO, sentence)

    def error(self, sentence: str) -> None:
        self.write(ERROR, sentence)

    def warn(self, sentence: str) -> None:
        self.write(WARN, sentence)

    def info(self, sentence: str) -> None:
        self.write(INFO, sentence)

    def debug(self, sentence: str) -> None:
        self.write(DEBUG, sentence)

    def trace(self, sentence: str) -> None:
        self.write(TRACE, sentence)

    def close(self) -> None:
        if self.file is not None:
            with contextlib.suppress(OSError, ValueError):
                self.file.close()


def line(level: int, sentence: str, wall: float) -> str:
    """The line of the log, without its end; printable whatever somebody's words are in it."""
    moment = datetime.fromtimestamp(wall).astimezone()
    stamp = f"{moment:%b %d %H:%M:%S}.{moment.microsecond // 1000:03}"
    return f"{stamp} [{NAMES[level]}] lzr: {plain(sentence, _LONGEST)}"


def file_names(moment: datetime) -> Iterator[str]:
    """Of the log in --log-directory: ``lzr-2026-11-22T093100+0000.log``, and what comes after it where that
    is taken; without end.
    """
    stem = f"lzr-{moment:%Y-%m-%dT%H%M%S%z}"
    yield f"{stem}.log"
    for number in itertools.count(2):
        yield f"{stem}_{number}.log"


@contextmanager
def open_log(
    options: Options,
    invoker: tuple[int, int] | None = None,
    *,
    waiting: WhileWaiting = SILENTLY,
) -> Iterator[Log]:
    """The log of a scan; how the scan failed is its last line. invoker: whom a new file is to belong to.

    waiting: see `opening.open_output`. Raises UsageError when it cannot be written.
    """
    file, name = _open(options, invoker, waiting)
    verbosity = TRACE if options.debug else options.verbosity
    if options.quiet and file is None and verbosity == INFO:
        verbosity = ERROR
    log = Log(verbosity, file, name)
    try:
        yield log
    except (UsageError, ChildProcessError) as error:
        log.fatal(str(error))
        raise
    except Exception as error:
        log.fatal(f"a mistake of ours: {error!r}")
        raise
    finally:
        log.close()


def _open(
    options: Options,
    invoker: tuple[int, int] | None,
    waiting: WhileWaiting,
) -> tuple[IO[str] | None, str]:
    path = options.log_file
    if options.log_directory is not None:
        for name in file_names(datetime.now().astimezone()):
            path = str(Path(options.log_directory) / name)
            with contextlib.suppress(FileExistsError):  # a scan that began in the same second has it
                return open_lines(path, invoker, "the log ", fresh=True, waiting=waiting), path
    if path is None or path == "-":
        return None, ""
    return open_lines(path, invoker, "the log ", waiting=waiting), path
