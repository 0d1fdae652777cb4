"""Turns text as editors and systems save it into lines in UTF-8 that end in a line feed.

It reads UTF-16 and UTF-32 (PowerShell's ``>`` writes UTF-16), known by their byte-order mark or by the zeros
beside the first character, and lines that end in a carriage return alone. Text that is in this form already
passes unchanged: the first line end decides, and nothing after it is examined.
"""

from __future__ import annotations

import codecs

_MARKS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def coding(head: bytes) -> str | None:
    """The name of the coding that text begins in: empty for one that goes through; None: too little to tell.

    >>> coding(b"1\\x000\\x00")
    'utf-16-le'
    """
    if len(head) < 4:  # no target is so short
        return None
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    zeros = [byte == 0 for byte in head[:4]]
    if zeros == [False, True, False, True]:
        return "utf-16-le"
    return "utf-16-be" if zeros == [True, False, True, False] else ""


class Text:
    """Takes a text in chunks of bytes, cut anywhere; gives its lines in UTF-8, each ended by a line feed."""

    def __init__(self) -> None:
        self._head = b""
        self._coding: codecs.IncrementalDecoder | None = None
        self._known = False  # which coding it is
        self._ends: str = ""  # "lf" or "cr", once it is known
        self._return = False  # a carriage return is held back: what follows it decides
        self.passes = False
        """Whether what comes from now on passes unchanged, so that `feed` need not be called."""

    def feed(self, data: bytes) -> bytes:
        """The lines, in UTF-8, that these bytes complete."""
        if not self._known:
            self._head += data
            name = coding(self._head)
            if name is None:
                return b""
            self._tell(name)
            data, self._head = self._head, b""
        if self._coding is not None:
            data = self._coding.decode(data).encode("utf-8", "replace")
        if self._ends != "lf":
            data = self._lines(data)
        self.passes = self._coding is None and self._ends == "lf"
        return data

    def finish(self) -> bytes:
        """The input has ended: what was held back."""
        rest = b""
        if not self._known:
            self._tell("utf-16" if self._head[:2] in (b"\xff\xfe", b"\xfe\xff") else "")
            data, self._head = self._head, b""
            rest = self._lines(data if self._coding is None else self._coding.decode(data).encode("utf-8"))
        if self._coding is not None:
            rest = self._lines(self._coding.decode(b"", True).encode("utf-8", "replace"))
        return rest + (b"\n" if self._return else b"")

    def _tell(self, name: str) -> None:
        self._known = True
        if name:
            self._coding = codecs.getincrementaldecoder(name)("replace")

    def _lines(self, data: bytes) -> bytes:
        if self._ends == "lf" or not data:
            return data
        if self._return:
            data, self._return = b"\r" + data, False
        if not self._ends:
            self._ends = _line_end(data)
        if self._ends == "cr":
            return data.replace(b"\r", b"\n")
        if not self._ends and data.endswith(b"\r"):
            self._return = True
            return data[:-1]
        return data


def _line_end(data: bytes) -> str:
    """How the first line ends; empty if it does not, or cannot be told yet.

    A carriage return that blanks follow, and then a line feed, belongs to that.
    """
    feed = data.find(b"\n")
    start = data.find(b"\r")
    if start < 0 or 0 <= feed < start:
        return "lf" if feed >= 0 else ""
    after = data[start:].lstrip(b"\r")
    if not after:
        return ""
    return "lf" if after.startswith(b"\n") else "cr"
