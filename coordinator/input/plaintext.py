"""The input as plain text: decompressed, in UTF-8, each line ended by a line feed. Other kinds of file are
refused by name.

One `read` returns some megabytes at most, however much a compressed chunk holds: the rest is `pending`.
"""

from __future__ import annotations

from coordinator.input.stream import Stream
from lzr.errors import UsageError
from lzr.targets import filetypes
from lzr.targets.decompress import Decompressor, NotHere, compression, may_begin
from lzr.targets.textencoding import Text, coding


class PlainText:
    """Reads a stream, which ends where it cannot be read, or is damaged."""

    def __init__(self, stream: Stream, *, binary: bool = False) -> None:
        """binary: the input is no text (ZMap's fast dry run) and goes through as it is."""
        self.stream = stream
        self._damage = ""  # of a compressed input
        self._binary = binary
        self._first: bytes | None = b""  # until it is known whether the input is compressed
        self._form = ""  # of the compression
        self._packed: Decompressor | None = None
        self._head: bytes | None = b""  # until it is known what kind of text the input is
        self._text = Text()
        self._finished = False

    @property
    def trouble(self) -> str:
        """Why the input was not read to its end; empty while nothing is wrong."""
        return self.stream.trouble or self._damage

    @property
    def pending(self) -> bool:
        """Whether `read` has something to return though the stream may have nothing."""
        packed = self._packed
        return self.stream.pending or (packed is not None and (packed.pending or bool(packed.trouble)))

    def ready(self) -> bool:
        """Whether `read` has something to return (the end of the input counts)."""
        return self.pending or self.stream.ready()

    def read(self) -> bytes | None:
        """The next chunk of text; empty at the end; None if there is nothing yet. Raises UsageError."""
        if self._binary:
            return self.stream.read()
        chunk = self._unpacked()
        if chunk is None:
            return None
        return self._take(chunk) or None if chunk else self._end()

    def _unpacked(self) -> bytes | None:
        """The next chunk of decompressed bytes, in the encoding of the input; otherwise as `read`."""
        if self._first is not None:
            return self._begin()
        packed = self._packed
        if packed is None:
            return self.stream.read()
        plain = packed.read()
        if not plain and not packed.trouble:
            chunk = self.stream.read()
            if chunk is None:
                return None
            if chunk:
                packed.feed(chunk)
                return packed.read() or None
            packed.finish()
        self._damage = packed.trouble
        return plain

    def _begin(self) -> bytes | None:
        chunk = self.stream.read()
        if chunk is None or self._first is None:
            return None
        first = self._first + chunk
        if chunk and may_begin(first):
            self._first = first
            return None
        self._first = None
        self._form = compression(first)
        if not self._form:
            return first
        try:
            self._packed = Decompressor(self._form)
        except NotHere as missing:
            raise UsageError(f"the input is compressed ({self._form}): {missing}") from None
        self._packed.feed(first)
        return self._packed.read() or None

    def _take(self, chunk: bytes) -> bytes:
        """The text of a chunk, once the encoding is known. Raises UsageError."""
        if self._head is None:
            return chunk if self._text.passes else self._text.feed(chunk)
        self._head += chunk
        if filetypes.may_begin(self._head) or coding(self._head) is None:
            return b""
        return self._open(self._head)

    def _open(self, head: bytes) -> bytes:
        self._head = None
        if self._form and compression(head):
            raise UsageError("the input is compressed twice")
        text = self._text.feed(head)
        found = filetypes.what(text if coding(head) else head)
        if found:
            raise UsageError(f"the input is no list of targets, it is {found}")
        return text

    def _end(self) -> bytes:
        if self._finished:
            return b""
        self._finished = True
        rest = b"" if self._head is None else self._open(self._head)
        return rest + self._text.finish()
