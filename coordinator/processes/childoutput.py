"""What the children print: it goes into a pipe, and never to the operator's terminal directly.

A process that parses what strangers send may be taken over one day. So it has no descriptor of the terminal:
it can neither write escape sequences there nor read what is typed. The coordinator makes its lines harmless,
cuts them to a length and a number, and passes them on.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable

from lzr import safetext
from lzr.safetext import plain

_CHUNK = 1 << 16  # bytes of one read
_AT_A_TIME = 16  # reads in one turn of the loop
_LONGEST = 4000  # characters of a line
_MOST = 2000
"""Lines of a scan that are passed on, unless it says otherwise."""
_KEPT = 200
"""Most lines kept while nothing can be shown. The first are kept: a failure states its reason first."""
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\n\t"


class ChildOutput:
    """The reading end of the pipe that is stdout and stderr of all children.

    show, hidden, most: as in `pass_to`.
    """

    def __init__(
        self,
        show: Callable[[str], None] | None = None,
        hidden: Callable[[], bool] = lambda: False,
        most: int | None = _MOST,
    ) -> None:
        self.descriptor, self._theirs = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.descriptor, False)
        self._count = 0
        self._begun = b""  # of a line
        self._waiting: list[str] = []
        self.pass_to(show, hidden, most)

    def pass_to(
        self,
        show: Callable[[str], None] | None = None,
        hidden: Callable[[], bool] = lambda: False,
        most: int | None = _MOST,
    ) -> None:
        """Where lines go from now on.

        show: takes one harmless line; None: they go to stderr. hidden: whether a line shown now would be lost
        or in the wrong place; then lines wait. most: lines that are passed on in all, None for any number.
        """
        self._show = show or _to_stderr
        self._hidden = hidden
        self._most = most

    @property
    def theirs(self) -> int:
        """The writing end, until `handed_over` closes it."""
        return self._theirs

    def handed_over(self) -> None:
        """Close our copy of the writing end."""
        os.close(self._theirs)

    def read(self) -> None:
        """Pass on the lines that have come; at most `_AT_A_TIME` reads, since a process may print without
        end.
        """
        for _ in range(_AT_A_TIME):
            try:
                data = os.read(self.descriptor, _CHUNK)
            except OSError:  # nothing just now
                break
            if not data:
                break
            *lines, self._begun = (self._begun + data).split(b"\n")
            if len(self._begun) > _LONGEST:
                lines, self._begun = [*lines, self._begun], b""
            self._take(lines)
        self._pass_on()

    def close(self) -> None:
        """Pass on the rest, a last line without its end too. To be called when nobody writes any more."""
        self.read()
        if self._begun:
            self._take([self._begun])
        self._hidden = lambda: False
        self._pass_on()
        os.close(self.descriptor)

    def _take(self, lines: list[bytes]) -> None:
        for line in lines:
            self._count += 1
            if self._most is not None and self._count > self._most:
                if self._count == self._most + 1:
                    self._waiting.append("lzr: the workers print more than that; the rest is not shown")
                return
            harmless = len(line) <= _LONGEST and not line.translate(None, _PRINTABLE)
            text = line.decode("ascii") if harmless else plain(line.decode("latin-1"), _LONGEST)
            self._waiting.append(text)

    def _pass_on(self) -> None:
        if self._hidden():
            del self._waiting[_KEPT:]
            return
        for line in self._waiting:
            self._show(line)
        self._waiting.clear()


def _to_stderr(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(safetext.line(line), file=sys.stderr, flush=True)
