"""Whether an input is the same as before: a hash of its lines, taken as they are read.

The lines are hashed as the readers see them, decompressed and in UTF-8, so the hash of a plain list is that
of ``sha256sum``. A checkpoint keeps a few marks, (length, hash), at lengths that quadruple and for all that
was read; a resumed scan compares at each. A file is compared before the first packet, a pipe as it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from lzr.errors import UsageError
from lzr.options.table import Options

Mark = tuple[int, bytes]

_PREFIX = 4096  # bytes of the beginning of an input that are kept and compared as they are
LISTS = ("blocklist_file", "allowlist_file", "targets_file", "handshakes_by_port")


class InputDiffers(UsageError):
    """A resumed scan was given another input."""

    def __init__(self, where: str = "") -> None:
        super().__init__(
            f"the input is not that of the scan to be resumed{where}: inputs are known by their place in it, "
            "so it has to begin with the same lines"
        )


class InputHash:
    """awaited: the marks of the scan that is resumed. prefix: the first bytes of its input."""

    def __init__(self, awaited: Sequence[Mark] = (), prefix: bytes = b"") -> None:
        self._sum = hashlib.sha256()
        self.length = 0
        self._passed: list[Mark] = []
        self._awaited = sorted({length: was for length, was in awaited if length}.items())
        self._next = _PREFIX
        self._prefix = b""
        self._first = prefix

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes of the input. Raises InputDiffers."""
        self._compare_beginning(chunk)
        view = memoryview(chunk)
        while view:
            stop = min([self._next, *(length for length, _ in self._awaited[:1])])
            part, view = view[: stop - self.length], view[stop - self.length :]
            self._sum.update(part)
            self.length += len(part)
            if self.length == self._next:
                self._passed.append((self.length, self._sum.digest()))
                self._next *= 4
            if self._awaited and self.length == self._awaited[0][0]:
                length, was = self._awaited.pop(0)
                if self._sum.digest() != was:
                    raise InputDiffers(f" (it differs within its first {length:,} bytes)")

    def _compare_beginning(self, chunk: bytes) -> None:
        """Compare the first bytes, before a host is contacted. Raises InputDiffers."""
        if len(self._prefix) < _PREFIX:
            self._prefix += chunk[: _PREFIX - len(self._prefix)]
            both = min(len(self._prefix), len(self._first))
            if self._prefix[:both] != self._first[:both]:
                raise InputDiffers

    def finish(self) -> None:
        """The input has ended. Raises InputDiffers if it was longer when the scan was begun."""
        if self._awaited:
            raise InputDiffers(f" (it ends after {self.length:,} bytes, and had more)")

    @property
    def prefix(self) -> bytes:
        """The first bytes of the input."""
        return max(self._prefix, self._first, key=len)

    def marks(self) -> list[Mark]:
        """For the checkpoint: the marks passed, one for all that was read, and those not reached yet."""
        return [*self._passed, (self.length, self._sum.digest()), *self._awaited]

    def as_dict(self) -> dict[str, object]:
        """Length and hash of what was read, as the metadata have them."""
        return {"bytes": self.length, "sha256": self._sum.hexdigest()}


def digests(options: Options, read: Callable[[str], bytes]) -> dict[str, str]:
    """The lists of networks and the orders by port, by attribute: a hash of what is in them, one after the
    other.

    read: gives what is in a file, and raises UsageError.
    """
    found = {}
    for attr in LISTS:
        paths: tuple[str, ...] = getattr(options, attr)
        total = hashlib.sha256()
        for path in paths:
            total.update(read(path))
        if paths:
            found[attr] = total.hexdigest()
    return found
