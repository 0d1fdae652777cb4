"""Progress of a command on the terminal."""

from __future__ import annotations

import contextlib
import sys
import threading
import time

from lzr import safetext


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
