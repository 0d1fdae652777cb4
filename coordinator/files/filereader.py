"""Reads files that the user names: whole lists, or an open descriptor of the input.

Opening a FIFO waits for its writer, and so does reading it (fifo(7)). Here the user is told of such a wait,
and a signal ends it. What has been read is kept, since what came through a FIFO cannot be read again.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Callable

from coordinator.files.opening import Interrupted
from lzr.errors import UsageError

_STEP = 0.1  # seconds between two looks whether we are to end
_SILENT = 0.5  # seconds after which it is said that nothing comes
_CHUNK = 1 << 16  # bytes of one read: what a pipe holds
_MOST = 1 << 28
"""Bytes of one list at most: some ten million networks. It keeps a device such as /dev/zero from being read
for ever."""


class FileReader:
    """pause: waits so many seconds, returns whether the user wants to end. say: takes a sentence about what
    is waited for. most: bytes that a file has at most; what: how a file is called.
    """

    def __init__(
        self,
        pause: Callable[[float], bool] = lambda _: False,
        say: Callable[[str], None] = lambda _: None,
        *,
        most: int = _MOST,
        what: str = "list",
    ) -> None:
        self.pause = pause
        self.say = say
        self._most = most
        self._what = what
        self._kept: dict[str, bytes] = {}

    def whole(self, path: str) -> bytes:
        """All bytes of a file; read once, then kept. Raises UsageError, or Interrupted."""
        if path not in self._kept:
            descriptor = self.open(path)
            try:
                self._kept[path] = self._read(path, descriptor)
            except OSError as error:
                raise UsageError(f"cannot read {path}: {error.strerror}") from error
            finally:
                os.close(descriptor)
        return self._kept[path]

    def open(self, path: str) -> int:
        """A descriptor to read from, once there is something; a FIFO without a writer is waited for.

        Raises UsageError, or Interrupted.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(mode):
                raise UsageError(f"cannot read {path}: {os.strerror(errno.EISDIR)}")
            if stat.S_ISFIFO(mode):
                self._await(descriptor, f"{path} is a FIFO to which nobody writes: waiting for its writer")
            os.set_blocking(descriptor, True)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _read(self, path: str, descriptor: int) -> bytes:
        mode = os.fstat(descriptor).st_mode
        chunks: list[bytes] = []
        length = 0
        while True:
            if not stat.S_ISREG(mode):
                self._await(descriptor, f"waiting for the end of {path}")
            chunk = os.read(descriptor, _CHUNK)
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
            length += len(chunk)
            if length > self._most:
                raise UsageError(f"{path} is no {self._what}: it has more than {self._most >> 20} MiB")

    def _await(self, descriptor: int, sentence: str) -> None:
        waited = 0.0
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while not poll.poll(0):
            if waited < _SILENT <= waited + _STEP:
                self.say(sentence)
            if self.pause(_STEP):
                raise Interrupted
            waited += _STEP
