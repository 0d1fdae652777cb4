"""Copies results to a terminal, so that no collector holds a descriptor of it.

A collector that an attacker has taken over could write escape sequences to a terminal and read what is typed.
So it gets a pipe, and what comes out of that is made harmless: records are printable ASCII anyway
(`lzr.records.escape`), and anything else is escaped.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from lzr.safetext import SHOWN

_CHUNK = 1 << 16  # bytes of one read: what a pipe holds
_TIMEOUT = 2.0
"""Seconds without progress on a terminal after which the end does not wait for it."""
_TABLE = tuple(text.encode("ascii") for text in SHOWN)
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\n"


class Relay:
    """Copies results to terminals. descriptors: of the outputs. handed: the same, with a pipe in place of
    each terminal; a thread copies from the pipe.
    """

    def __init__(self, descriptors: Sequence[int]) -> None:
        self.handed: list[int] = []
        self._pipes: list[int] = []
        self._threads: list[_Carrier] = []
        for descriptor in descriptors:
            if not os.isatty(descriptor):
                self.handed.append(descriptor)
                continue
            reader, writer = os.pipe2(os.O_CLOEXEC)
            self.handed.append(writer)
            self._pipes.append(writer)
            self._threads.append(_Carrier(reader, descriptor))
            self._threads[-1].start()

    def handed_over(self) -> None:
        """Close our writing ends, once the fork server has them: a pipe ends when the last collector does."""
        for descriptor in self._pipes:
            os.close(descriptor)
        self._pipes.clear()

    def finish(self) -> bool:
        """Wait until everything is copied, as long as the terminal takes anything; whether all of it was.

        To be called when nobody writes any more.
        """
        for thread in self._threads:
            carried = -1
            while thread.is_alive() and carried != thread.carried:
                carried = thread.carried
                thread.join(_TIMEOUT)
        return not any(thread.is_alive() or thread.cut_short for thread in self._threads)


class _Carrier(threading.Thread):
    def __init__(self, reader: int, terminal: int) -> None:
        super().__init__(daemon=True)
        self._reader, self._terminal = reader, terminal
        self.carried = 0
        self.cut_short = False  # the terminal was gone before it had all

    def run(self) -> None:
        """Copy until there is no more, or the terminal is gone."""
        try:
            while data := os.read(self._reader, _CHUNK):
                view = memoryview(harmless(data))
                while view:
                    done = os.write(self._terminal, view)
                    self.carried += done
                    view = view[done:]
        except OSError:  # the terminal is gone: who writes into the pipe after that is told by its end
            self.cut_short = True
        finally:
            os.close(self._reader)


def harmless(data: bytes) -> bytes:
    """Line feeds and printable ASCII as they are, the rest escaped."""
    if not data.translate(None, _PRINTABLE):
        return data
    return b"".join(b"\n" if byte == 10 else _TABLE[byte] for byte in data)
