"""Takes over a terminal and gives it back.

Whatever happens, the terminal ends as it began (cursor, modes, screen), and it is never waited for: a
terminal that does not take its bytes (Ctrl-S, a stalled ssh) gets the next picture when it has taken this
one. Keys may be meant for a shell: they are read only while this process group is in the foreground, since a
read or a change of modes from the background would stop the scan.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import shutil
import sys
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from msgspec import Struct

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"  # other screen, no cursor, no wrapping, empty
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
SAVE_CURSOR, RESTORE_CURSOR = "\x1b7", "\x1b8"
LEAVE = "\x1b[r\x1b[2J\x1b[?7h\x1b[?25h\x1b[?1049l"
_MANY = 10_000


class Abilities(Struct, frozen=True):
    """What a terminal can do."""

    cursor: bool  # it moves its cursor
    colours: bool
    unicode: bool


def abilities(stream: IO[str], environ: Mapping[str, str] | None = None) -> Abilities:
    """The abilities by the user's environment (Python itself changes LC_CTYPE when there is no locale)."""
    environ = _ENVIRON if environ is None else environ
    term = environ.get("TERM", "")
    cursor = term not in ("", "dumb", "unknown")
    colours = cursor and not environ.get("NO_COLOR")
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    unicode = "utf-8" in locale.lower() or "utf8" in locale.lower()
    return Abilities(cursor, colours, unicode)


def columns(stream: IO[str]) -> int:
    """How many columns the terminal behind a stream has; many where it is none, or does not know."""
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or _MANY
    return _MANY


def _first_environ() -> Mapping[str, str]:
    try:
        raw = Path("/proc/self/environ").read_bytes()
    except OSError:
        return os.environ
    pairs = (entry.partition(b"=") for entry in raw.split(b"\0") if entry)
    first = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
    return first or os.environ


_ENVIRON = _first_environ()  # now: a process that changes its title writes it over its environment


def wanted(asked: bool | None, results_on_stdout: bool) -> bool:
    """Whether to show the dashboard: only on a terminal with a cursor, and by default only if no results go
    there.
    """
    if not sys.stderr.isatty() or not abilities(sys.stderr).cursor:
        return False  # TERM=dumb: a picture could only be printed under the last
    if asked is not None:
        return asked
    return not (results_on_stdout and sys.stdout.isatty())


class Screen:
    """The output side."""

    def __init__(self, stream: IO[str], *, cursor: bool) -> None:
        self._stream = stream
        self._cursor = cursor
        self._entered = False
        self._pending = b""
        try:
            # A descriptor of its own: non-blocking for us, not for whoever shares stderr.
            self.tty: str | None = os.ttyname(stream.fileno())
            self._fd = os.open(self.tty, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            self.tty = None
            self._fd = os.dup(stream.fileno())

    def enter(self) -> None:
        """Take the terminal, if it can move its cursor: another screen, no cursor."""
        if self._cursor and not self._entered:
            self._entered = True
            atexit.register(self.leave)
            self.write(ENTER)

    def leave(self) -> None:
        """Give the terminal back as it was."""
        if not self._entered:
            return
        self._entered = False
        atexit.unregister(self.leave)
        if self._pending:  # a code cut in half must not swallow the next
            self._finish(0.5)
        self._pending = b""
        self.write(LEAVE)
        self._finish(0.5)

    def close(self, last_words: str) -> None:
        self.leave()
        os.close(self._fd)
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(last_words)
            self._stream.flush()

    def size(self) -> tuple[int, int]:
        try:
            size = os.get_terminal_size(self._fd)
        except OSError:
            size = shutil.get_terminal_size()
        return (size.columns or 80, size.lines or 24)

    def resized(self, height: int) -> None:
        """Clear the screen; scrolling is limited to the last two lines, where messages of other programs
        stay.
        """
        region = f"\x1b[{height - 1};{height}r" if height >= 3 else "\x1b[r"
        self.write(f"\x1b[0m{region}\x1b[2J")

    def write(self, text: str) -> None:
        """Write a text, as far as the terminal takes it now; the rest follows with later writes."""
        self._pending += text.encode("utf-8", "replace")
        self.flush()

    def flush(self) -> bool:
        """Write what the terminal takes now; returns whether that was everything."""
        for _ in range(16):
            if not self._pending:
                return True
            try:
                sent = os.write(self._fd, self._pending)
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                if not poll.poll(1):
                    return False
                continue
            except OSError:  # the terminal is gone; SIGHUP says so to whoever cares
                self._pending = b""
                return True
            self._pending = self._pending[sent:]
        return not self._pending

    def _finish(self, timeout: float) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        while not self.flush():
            if not poll.poll(timeout * 1000):
                return


_SEQUENCES = {b"[A": "up", b"[B": "down", b"[C": "right", b"[D": "left", b"OA": "up", b"OB": "down"}


_MOST_OF_A_KEY = 32


def _begun(data: bytes) -> bool:
    """Whether these bytes may be the beginning of a key that is sent as several, and not all of it."""
    if not data.startswith(b"\x1b") or len(data) > _MOST_OF_A_KEY:
        return False
    return len(data) == 1 or (data[1:2] in b"[O" and not any(0x40 <= byte <= 0x7E for byte in data[2:]))


class Keyboard:
    """The input side: single keys, without waiting, without echo."""

    def __init__(self, tty: str | None = None) -> None:
        self._fd = -1
        self._saved: list[Any] | None = None
        self._buffer = b""
        self._waited = False  # the rest of a key was waited for
        for path in (tty, "/dev/tty"):
            if path is None:
                continue
            with contextlib.suppress(OSError):
                self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
                break
        self._take()

    def fileno(self) -> int:
        return self._fd

    def _ours(self) -> bool:
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False

    def _take(self) -> None:
        if self._fd < 0 or self._saved is not None or not self._ours():
            return
        with contextlib.suppress(termios.error):
            modes = termios.tcgetattr(self._fd)
            self._saved = [*modes[:6], list(modes[6])]
            modes[3] &= ~(termios.ICANON | termios.ECHO)  # Ctrl-C and Ctrl-Z stay signals
            modes[6][termios.VMIN], modes[6][termios.VTIME] = 0, 0
            termios.tcsetattr(self._fd, termios.TCSANOW, modes)
            atexit.register(self.restore)

    def key(self) -> str | None:
        """The next key, if one was pressed. Of one that comes in parts, as a slow line brings it, the rest is
        waited for until the next call.
        """
        if self._fd < 0:
            return None
        if not self._buffer or _begun(self._buffer):
            before = len(self._buffer)
            self._read()
            if not self._buffer:
                return None
            if _begun(self._buffer) and not self._waited:
                self._waited = len(self._buffer) == before
                return None
        self._waited = False
        if self._buffer[:1] == b"\x1b":
            return self._escape()
        character, self._buffer = self._buffer[:1], self._buffer[1:]
        return character.decode("latin-1")

    def _read(self) -> None:
        if not self._ours():
            return
        self._take()  # started in the background, now in the foreground
        with contextlib.suppress(OSError):
            self._buffer += os.read(self._fd, 256)

    def _escape(self) -> str:
        for sequence, name in _SEQUENCES.items():
            if self._buffer[1:].startswith(sequence):
                self._buffer = self._buffer[1 + len(sequence) :]
                return name
        if self._buffer[1:2] in (b"[", b"O"):  # a key without a meaning here: skip all of it
            end = 2
            while end < len(self._buffer) and not 0x40 <= self._buffer[end] <= 0x7E:
                end += 1
            self._buffer = self._buffer[end + 1 :]
            return ""
        self._buffer = self._buffer[1:]
        return "esc"

    def restore(self) -> None:
        """Restore the terminal's modes."""
        atexit.unregister(self.restore)
        saved, self._saved = self._saved, None
        if saved is not None and self._ours():
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSANOW, saved)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
