"""Reads the configuration file (--config), which may be a FIFO, or anything else that has a name."""

from __future__ import annotations

import os
import stat
import sys

_MOST = 1 << 24
"""Bytes of a configuration file at most; one with every option has some 10 KB."""
_ENDINGS = (1, 2, 15)  # SIGHUP, SIGINT, SIGTERM


class SignalError(Exception):
    """A signal came that asks to end, before the file had been read; number: which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def read(path: str) -> bytes:
    """What is in the file. Raises OSError, UsageError, or SignalError by a signal that is held back."""
    if stat.S_ISREG(os.stat(path).st_mode):
        with open(path, "rb") as file:
            data = file.read(_MOST + 1)
        if len(data) > _MOST:
            from lzr.errors import UsageError, printable

            raise UsageError(f"--config {printable(path)} is no configuration: it has more than 16 MiB")
        return data
    import time

    from coordinator.files.filereader import FileReader
    from coordinator.files.opening import Interrupted
    from lzr import safetext

    def pause(seconds: float) -> bool:
        time.sleep(seconds)
        return bool(_pending())

    def say(sentence: str) -> None:
        print(safetext.line(f"lzr: {sentence}"), file=sys.stderr)

    try:
        return FileReader(pause, say, most=_MOST, what="configuration").whole(path)
    except Interrupted:
        raise SignalError(min(_pending())) from None


def _pending() -> set[int]:
    """Signals that are held back, except those that our parent has set to be ignored."""
    import signal

    return {
        int(number)
        for number in signal.sigpending()
        if number in _ENDINGS and signal.getsignal(number) is not signal.SIG_IGN
    }
