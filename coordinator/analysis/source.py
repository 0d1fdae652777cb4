"""The bytes of a file of results, or of standard input, decompressed, in chunks of whole lines.

Files may be of any size and of anybody's making, so what is held is bounded: a line beyond `LONGEST` is left
out and counted, and a compressed file that is damaged or cut ends where it was sound.
"""

from __future__ import annotations

import codecs
import os
import stat
import sys
from collections.abc import Callable, Iterator
from typing import IO

from coordinator.analysis import interrupts
from coordinator.files import readiness
from lzr.errors import UsageError, printable
from lzr.targets.decompress import Decompressor, NotHere, compression
from lzr.targets.textencoding import Text, coding

CHUNK = 4 << 20
"""Bytes of lines that are decoded together. A judgement: some 10,000 records, beside which the cost of a
batch is nothing."""
LONGEST = 32 << 20
"""Bytes of a line: a record with the largest reply that --max-size allows by default has 100 KB."""

_WAIT = 0.2  # seconds between two looks whether somebody wants to end

Progress = Callable[[int], None]
"""Told how many bytes of the file have been read so far."""


class Source:
    """An open file of results, or standard input (``-``).

    name: to call it by. size: of the file as it lies on the disk; 0: not known. head: its first bytes, plain.
    too_long: lines left out. damage: what is wrong with its compression, once that is found.
    """

    def __init__(self, path: str, progress: Progress | None = None) -> None:
        """Raises UsageError where it cannot be opened."""
        self.name = "the standard input" if path == "-" else printable(path)
        self.too_long = 0
        self.damage = ""
        self._progress = progress
        self._read = 0
        self._packed: Decompressor | None = None
        self._text: Text | None = None
        try:
            self._file: IO[bytes] = _stdin() if path == "-" else open(path, "rb", 0)  # noqa: SIM115
            status = os.fstat(self._file.fileno())
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            raise UsageError(f"cannot read {self.name}: {getattr(error, 'strerror', '') or error}") from error
        self.regular = stat.S_ISREG(status.st_mode)
        self.size = status.st_size if self.regular else 0
        first = self._more(least=8)
        form = compression(first)
        if form:
            try:
                self._packed = Decompressor(form)
            except NotHere as missing:
                self.close()
                raise UsageError(f"{self.name} is compressed ({form}): {missing}") from None
            self._packed.feed(first)
            first = self._plain()
        if coding(first):  # as PowerShell's > writes it
            self._text = Text()
            first = self._text.feed(first)
        self.head = self._left = first.removeprefix(codecs.BOM_UTF8)

    def fileno(self) -> int:
        return self._file.fileno()

    @property
    def packed(self) -> bool:
        return self._packed is not None

    @property
    def plain(self) -> bool:
        """Whether its lines lie in a file just as `chunks` gives them."""
        return self.regular and self._packed is None and self._text is None

    def close(self) -> None:
        self._file.close()

    def _more(self, least: int = 1) -> bytes:
        """The next bytes as they lie there: at least so many, but at the end. Raises UsageError."""
        data = b""
        while len(data) < least:
            interrupts.check()
            if not self.regular and not readiness.readable([self._file], _WAIT):
                continue
            try:
                part = self._file.read(CHUNK if self.regular else 1 << 18)
            except OSError as error:
                raise UsageError(f"cannot read {self.name}: {error.strerror or error}") from error
            if not part:
                break
            data += part
        self._read += len(data)
        if self._progress is not None:
            self._progress(self._read)
        return data

    def _plain(self) -> bytes:
        """The next bytes, decompressed; empty at the end."""
        packed = self._packed
        if packed is None:
            return self._more()
        while not self.damage:
            plain = packed.read()
            if plain:
                return plain
            data = b"" if packed.trouble else self._more()
            if data:
                packed.feed(data)
                continue
            packed.finish()
            self.damage = packed.trouble
            break
        return b""

    def chunks(self, *, each: bool = False) -> Iterator[bytes]:
        """Whole lines, `CHUNK` and more bytes of them at a time; the last may have no end.

        each: every line counts, so one that is too long raises UsageError, and is not read on.
        """
        left, self._left = self._left, b""
        skipping = False
        while True:
            data = b""
            while len(data) < CHUNK:
                part = self._plain()
                if not part:
                    if self._text is not None:
                        data, self._text = data + self._text.finish(), None
                    break
                if self._text is not None:
                    part = self._text.feed(part)
                data += part
            ended = not data
            if skipping:
                end = data.find(b"\n")
                if end < 0 and not ended:
                    continue
                skipping, data = False, data[end + 1 :]
            end = data.rfind(b"\n") + 1
            if ended:
                if left:
                    yield left
                return
            if not end:
                left += data
                if len(left) > LONGEST:
                    if each:
                        most = LONGEST >> 20
                        raise UsageError(f"{self.name} has a line longer than {most} MiB: it is no list")
                    self.too_long += 1
                    # A long line may stand behind whole ones.
                    whole = left.rfind(b"\n") + 1
                    if whole:
                        yield left[:whole]
                    left, skipping = b"", True
                continue
            yield left + data[:end]
            left = data[end:]


def _stdin() -> IO[bytes]:
    if sys.stdin is None:
        raise UsageError("stdin is closed, and no file is named")
    if sys.stdin.isatty():
        print("reading results from the terminal, up to ^D", file=sys.stderr, flush=True)
    return open(sys.stdin.fileno(), "rb", 0, closefd=False)
