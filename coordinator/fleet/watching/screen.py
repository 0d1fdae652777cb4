"""The live screen of a fleet, on a terminal; anywhere else a line every few seconds.

Like `coordinator.dashboard.dashboard` it writes only what has changed and never waits for the terminal.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from coordinator.dashboard.canvas import Line
from coordinator.dashboard.dashboard import painter
from coordinator.dashboard.terminal import Keyboard, Screen, abilities
from coordinator.fleet.watching import picture, summing
from coordinator.monitor.snapshot import Snapshot
from lzr import safetext
from lzr.fleet.view import FleetView, LastReport

FRAMES = 0.5
"""Seconds between two pictures; boxes are heard twice a second."""
LINES = 5.0
"""Seconds between two lines where there is no terminal."""


@dataclass(frozen=True)
class Looked:
    """All boxes at one moment. scans: the figures of those that have any, by name."""

    view: FleetView
    scans: Mapping[str, Snapshot]


def looked(view: FleetView, heard: Mapping[str, LastReport]) -> Looked:
    """The view with the figures that it was made of."""
    scans = {box: one.figures for box, one in heard.items() if isinstance(one.figures, Snapshot)}
    return Looked(view, scans)


class FleetScreen:
    """Keeps a terminal showing the last look: `start`, `update`, `closed`, `stop`."""

    def __init__(self, stream: IO[str]) -> None:
        self._can = abilities(stream)
        self._paint = painter(self._can.colours)
        self._screen = Screen(stream, cursor=True)
        self._keyboard = Keyboard(self._screen.tty)
        self._shown: list[str] = []
        self._size = (0, 0)
        self._screen.enter()

    def update(self, look: Looked) -> None:
        """Show it; skipped while the terminal is busy with the last picture."""
        screen = self._screen
        if not screen.flush():
            return
        width, height = screen.size()
        total = summing.added(look.view, look.scans)
        lines: list[Line] = picture.compose(look.view, total, width, height, unicode=self._can.unicode)
        painted = [self._paint(line) for line in lines]
        if (width, height) != self._size:
            self._size, self._shown = (width, height), []
            screen.resized(height)
        shown = self._shown
        out = [
            f"\x1b[{row + 1};1H{text}"
            for row, text in enumerate(painted)
            if row >= len(shown) or shown[row] != text or row >= height - 2
        ]
        self._shown = painted
        screen.write("".join([*out, f"\x1b[{height};1H"]))

    def fileno(self) -> int:
        """The descriptor on which keys arrive; -1 without a keyboard."""
        return self._keyboard.fileno()

    def closed(self) -> bool:
        """Whether a key was pressed that closes it."""
        while (key := self._keyboard.key()) is not None:
            if key in ("q", "Q", "esc"):
                return True
            if key == "\x0c":
                self._shown, self._size = [], (0, 0)
        return False

    def stop(self, last: str = "") -> None:
        """Give the terminal back as it was, and leave `last` on it."""
        self._keyboard.restore()
        self._screen.close(last)


def is_screen(stream: IO[str]) -> bool:
    """Whether pictures can be shown there."""
    return stream.isatty() and abilities(stream).cursor


def watch(look: Callable[[], Looked], *, until: Callable[[Looked], bool] = lambda _: False) -> int:
    """Show what `look` gives, until `q`, Ctrl-C, the end of the terminal or `until`; the exit status.

    look: is called twice a second and does not wait for long.
    """
    if not is_screen(sys.stdout):
        return _in_lines(look, until)
    with _signals() as woken:
        screen = FleetScreen(sys.stdout)
        last = ""
        try:
            while True:
                seen = look()
                last = safetext.line(picture.line(seen.view)) + "\n"
                screen.update(seen)
                if until(seen) or _pause(screen, woken, FRAMES):
                    return 0
        finally:
            screen.stop(last)


def _in_lines(look: Callable[[], Looked], until: Callable[[Looked], bool]) -> int:
    """A line at once and every few seconds: to a file, a pipe however slow, a terminal without a cursor."""
    with _signals() as woken:
        reader = sys.stdout.fileno() if _is_pipe(sys.stdout.fileno()) else -1
        while True:
            seen = look()
            print(safetext.line(picture.line(seen.view)), flush=True)
            ended = until(seen)
            if ended or _wait([woken], reader, LINES):
                return 0


def _pause(screen: FleetScreen, woken: int, seconds: float) -> bool:
    """Wait for the time of the next picture; whether it is to end."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if _wait([woken], -1, left, screen.fileno()):
            return True
        if screen.closed():
            return True
    return False


def _wait(ending: list[int], reader: int, seconds: float, keys: int = -1) -> bool:
    """Wait; whether one of `ending` can be read, or nobody reads the pipe `reader` any more."""
    poll = select.poll()
    for descriptor in ending:
        poll.register(descriptor, select.POLLIN)
    if reader >= 0:
        poll.register(reader, 0)  # POLLERR comes unasked
    if keys >= 0:
        poll.register(keys, select.POLLIN)
    found = dict(poll.poll(max(1, int(seconds * 1000))))
    return bool(found.keys() & {*ending, reader})


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


@contextlib.contextmanager
def _signals() -> Iterator[int]:
    """A descriptor that can be read once SIGINT, SIGTERM or SIGHUP has come; they do nothing else."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def came(*_: Any) -> None:
        with contextlib.suppress(OSError):
            os.write(writer, b"!")

    before = {
        number: signal.signal(number, came) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield reader
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)
