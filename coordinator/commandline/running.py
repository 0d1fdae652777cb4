"""What commands share: a parser whose complaints are UsageErrors, how they end, sentences on stderr.

A command is ``main(argv) -> int`` and runs inside `ended`: the user's mistakes become one sentence and status
2, as does an output that cannot be written; Ctrl-C, SIGTERM and a closed terminal leave no half file.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from coordinator.commandline import troubles
from coordinator.commandline.argumentparser import ArgumentParser
from lzr import safetext
from lzr.errors import UsageError
from lzr.exitstatus import LOST, MISTAKE, OK


class Parser(ArgumentParser):
    """An ArgumentParser whose complaint is a UsageError."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def ended(name: str, run: Callable[[], int]) -> int:
    """The exit status of `run`, a command's body; `name` is the command's, as in ``lzr NAME``."""
    came: list[int] = []

    def interrupted(number: int, _: object) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt  # what is half done is taken away, as after Ctrl-C

    before: dict[int, Any] = {}
    try:
        with contextlib.suppress(ValueError):  # not in the main thread
            for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(signum) is not signal.SIG_IGN:  # as under nohup, or behind a script's &
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
        say(name, troubles.unwritten(error) or f"{error.strerror or error}")
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
    loaded = sys.modules.get("duckdb")
    return loaded is not None and isinstance(error, loaded.Error)


def _io(error: Exception) -> str:
    """What DuckDB says of a disk or of memory, short."""
    text = str(error)
    if "No space left" in text:
        return "cannot write: no space left on device"
    if text.startswith("Out of Memory"):
        return f"there is not enough memory ({text.partition(': ')[2].partition(chr(10))[0][:160]})"
    return text.partition("\n")[0][:200]


class HasTrouble(Protocol):
    """A reader of files, who knows what of one could not be read (`coordinator.analysis.reading.Reading`)."""

    def trouble(self) -> str: ...


def tell(name: str, *readings: HasTrouble) -> int:
    """Say on stderr what of files could not be read. The exit status: LOST if there was anything, else OK."""
    troubles = [trouble for reading in readings if (trouble := reading.trouble())]
    for trouble in troubles:
        say(name, trouble)
    return LOST if troubles else OK
