"""The input as it comes, read from the first moment.

ZMap writes its lines in the thread that reads its packets: while we load our modules and find the network, a
full pipe would make it lose answers. So a thread reads ahead (bounded) until the scan's own loop takes over;
from then on there is no thread, and what is not read pushes back.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import select
import stat
import threading
import time
from collections import deque

CHUNK = 1 << 18
_AHEAD = 1 << 26  # bytes
_PIPE = 1 << 20


class Source:
    def __init__(self, descriptor: int) -> None:
        """descriptor: of the input, which need not be a pipe."""
        self._descriptor = descriptor
        self._chunks: deque[tuple[bytes, float]] = deque()
        self._born = time.monotonic()
        self.age = 0.0
        """When the last chunk that `read` gave was read, in seconds since the start."""
        self._ended = False
        self._thread: threading.Thread | None = None
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._born = -math.inf
            return  # nobody is held up by a file that is read late, and what it tells of is past
        with contextlib.suppress(OSError):  # not a pipe
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
        self._told, self._tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._stopped, self._stop = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._read_ahead, daemon=True)
        self._thread.start()

    def _read_ahead(self) -> None:
        held = 0
        try:
            while held < _AHEAD:
                ready, _, _ = select.select([self._descriptor, self._stopped], [], [])
                if self._stopped in ready:
                    return
                chunk = os.read(self._descriptor, CHUNK)
                held += len(chunk)
                self._chunks.append((chunk, time.monotonic() - self._born))
                os.write(self._tell, b"+")
                if not chunk:
                    return
        except OSError:
            return  # the loop, which reads on from here, will meet it too

    def settle(self) -> None:
        """Stop reading ahead: from now on `read` reads."""
        if self._thread is not None:
            os.write(self._stop, b".")
            self._thread.join()
            self._thread = None
            for descriptor in (self._told, self._tell, self._stopped, self._stop):
                os.close(descriptor)

    def fileno(self) -> int:
        """Becomes readable when there is something to `read`, unless it is `pending` already."""
        return self._descriptor if self._thread is None else self._told

    @property
    def descriptor(self) -> int:
        return self._descriptor

    @property
    def pending(self) -> bool:
        """Whether something was read ahead that `read` has not given yet: `fileno` does not tell of it."""
        return bool(self._chunks) or self._ended

    def ready(self) -> bool:
        """Whether `read` has something (the end counts)."""
        return self.pending or bool(select.select([self.fileno()], [], [], 0)[0])

    def read(self) -> bytes | None:
        """The next piece; empty at the end; None if there is nothing yet."""
        if self._thread is not None:
            try:
                os.read(self._told, 1)
            except BlockingIOError:
                return None
        if self._chunks:
            chunk, self.age = self._chunks.popleft()
        elif self._ended:
            chunk = b""
        elif self._thread is not None:
            return None
        else:
            chunk, self.age = os.read(self._descriptor, CHUNK), time.monotonic() - self._born
        self._ended = not chunk
        return chunk
