"""The input as it comes, read from the first moment.

ZMap writes its lines in the thread that reads its packets, so a full pipe makes it lose answers. Therefore a
thread reads ahead (bounded) while we load our modules, find the network and start the workers, until the
scan's own loop has caught up. From then on there is no thread, and what is neither read nor buffered pushes
back.

ZMap also flushes every line, so what the loop is given is joined: how much it gets at a time depends on how
much there is, not on how many writes it came in.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import stat
import sys
import termios
import threading
import time
from collections import deque

from coordinator.files import pipes, readiness

CHUNK = 1 << 18  # bytes that one `read` gives at most, about: some 1,400 of ZMap's lines
_AHEAD = 1 << 26
"""Bytes that are read ahead at most: ten seconds of ZMap's JSON at 36,000 lines a second."""
_SOCKET = 1 << 15
"""About how many bytes fit into the buffer of a Unix socket when each line is a write of its own: each takes
several times its length there."""
_SMALL = 1 << 14
"""Bytes: after reading fewer, the thread waits for `_REST` so that more gathers. A judgement: a quarter of
what a pipe holds."""
_REST = 0.002
"""Seconds; `python -m benchmarks.calm` shows the CPU of a slow input."""
_STALE = 10.0
"""Seconds after which a line is too old to be buffered in place of newer ones. A judgement: hosts repeat a
SYN-ACK for up to a minute, so a line of ten seconds ago is still good, but no better than one that ZMap is
about to write."""
_SPAN = 0.05  # seconds between the first and the last part of what one `read` gives
_FULL = 0.875
"""Share of its size from which a pipe counts as full: writes of whole lines leave the end of each page
unused."""


class Stream:
    """The bytes of the input: read ahead by a thread at first, then by `read` itself."""

    def __init__(self, descriptor: int) -> None:
        """descriptor: of the input, which need not be a pipe."""
        self._descriptor = descriptor
        self._blocks: deque[tuple[bytearray, float]] = deque()  # read ahead, with the age of each
        self._held = 0  # bytes in them
        self._lock = threading.Lock()
        self._born = time.monotonic()
        self._read_at = self._born
        self.age = 0.0
        """When the first byte of what `read` gave last was read, in seconds since the start."""
        self.slack = math.inf
        """Seconds for which the input may be left alone, at its speed, before its writer has to wait."""
        self.full = False
        """Whether the pipe was full before the last `read`: its writer had to wait for us."""
        self.overtaken = False
        """Whether we are so far behind that the writer has to wait, and `read_on` cannot help it."""
        self.trouble = ""
        """Why it could not be read to its end, which then seems to have come."""
        self._ended = False
        self._over = False  # the thread reads no more
        self._thread: threading.Thread | None = None
        self._capacity = self._pipe = 0  # bytes that a writer may be ahead of us; 0: nobody waits
        self._start = self._length = 0  # bytes of a regular file: where we begin, where it ends
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            self._start, self._length = os.lseek(descriptor, 0, os.SEEK_CUR), status.st_size
            self._born = -math.inf
            return  # nobody is held up by a file that is read late, and what it tells of is past
        self._pipe = pipes.widen(descriptor)
        self._capacity = self._pipe or _SOCKET
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._stopped, self._stop = os.pipe2(os.O_CLOEXEC)
        thread = threading.Thread(target=self._read_ahead, daemon=True)
        try:
            thread.start()
            self._thread = thread
        except RuntimeError:  # there can be none (ulimit -u, -v): `read` itself reads
            self._close_wakeups()

    # --- ahead -----------------------------------------------------------------------------------------

    def _read_ahead(self) -> None:
        small = min(_SMALL, self._capacity // 8)
        try:
            while self._held < _AHEAD:  # or it comes faster than we can take it: from then on it has to wait
                ready = readiness.readable((self._descriptor, self._stopped))
                if self._stopped in ready:
                    return
                chunk = os.read(self._descriptor, CHUNK)
                self._keep(chunk)
                os.eventfd_write(self._wake, 1)
                if not chunk:
                    return
                if len(chunk) < small and readiness.readable([self._stopped], _REST):
                    return
        except BlockingIOError:
            return  # the loop reads on from here
        except OSError as error:  # a socket tells of it once only
            self.trouble = error.strerror or str(error)
            self._ended = True
        finally:
            self._over = True
            os.eventfd_write(self._wake, 1)

    def _keep(self, chunk: bytes) -> None:
        age = time.monotonic() - self._born
        with self._lock:
            if not chunk:
                self._ended = True
            elif self._blocks and len(self._blocks[-1][0]) < CHUNK and age < self._blocks[-1][1] + _SPAN:
                self._blocks[-1][0].extend(chunk)
            else:
                self._blocks.append((bytearray(chunk), age))
            self._held += len(chunk)

    @property
    def piped(self) -> bool:
        """Whether the input is a pipe, whose writer has to wait while it is full."""
        return self._pipe > 0

    def threads(self) -> list[int]:
        """The thread that reads ahead, by number, while there is one."""
        return [] if self._thread is None or self._thread.native_id is None else [self._thread.native_id]

    @property
    def behind(self) -> bool:
        """Whether more was read ahead than the next `read` would give."""
        return len(self._blocks) > 1

    def read_on(self) -> None:
        """Read ahead while there is no room for the lines, because ZMap loses answers that it cannot write.

        At most `_AHEAD` bytes, and nothing while the oldest line that is held is older than `_STALE`.
        """
        reads_ahead = self._thread is not None and not self._over
        if reads_ahead or self._ended or not self._capacity:
            return
        now = time.monotonic() - self._born
        if self._held >= _AHEAD or (self._blocks and now - self._blocks[0][1] > _STALE):
            self.overtaken = self.overtaken or self._is_full()
            return
        if readiness.readable([self._descriptor], 0):
            chunk = self._take()
            if chunk:
                self._keep(chunk)

    def stop_reading_ahead(self) -> None:
        """End the thread: when what it has read is taken, `read` itself reads."""
        if self._thread is not None:
            os.write(self._stop, b".")
            self._thread.join()
            self._thread = None
            self._close_wakeups()

    def _close_wakeups(self) -> None:
        for descriptor in (self._wake, self._stopped, self._stop):
            os.close(descriptor)

    # --- for the loop ----------------------------------------------------------------------------------

    def fileno(self) -> int:
        """Becomes readable when there is something to `read`, except for what is `pending`."""
        return self._descriptor if self._thread is None else self._wake

    @property
    def descriptor(self) -> int:
        """The descriptor that is read."""
        return self._descriptor

    @property
    def pending(self) -> bool:
        """Whether something was read ahead that `read` has not returned; `fileno` does not show it."""
        return bool(self._blocks) or self._ended

    def ready(self) -> bool:
        """Whether `read` has something to return (the end of the input counts)."""
        return self.pending or bool(readiness.readable([self.fileno()], 0))

    def read(self) -> bytes | None:
        """The next chunk of bytes; empty at the end; None if there is nothing yet."""
        with self._lock:
            if self._blocks:
                block, self.age = self._blocks.popleft()
                self._held -= len(block)
                self.full, self.slack = False, math.inf
                return bytes(block)
        if self._ended:
            self.stop_reading_ahead()
            return b""
        if self._thread is not None:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            over = self._over  # looked at first: what the thread kept before it ended is in the blocks then
            if self._blocks or not over:
                return None
            self.stop_reading_ahead()
        return self._take()

    def total(self, read: int) -> int | None:
        """About how many inputs there are in all, where `read` have been read so far; None: not known.

        A regular file has a length, and no thread reads ahead of us in it: so much was read for so many
        inputs, so much is left. For people (progress bar, time left); nothing is decided by it.
        """
        if self._length <= self._start:
            return None
        at = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        taken = at - self._start
        if not taken or not read:
            return None
        left = max(0, self._length - at)  # a file may be cut or grow while it is read
        return read + round(left * read / taken)

    def _take(self) -> bytes | None:
        self.full = False
        try:
            chunk = os.read(self._descriptor, CHUNK)
        except BlockingIOError:  # somebody made it so, and somebody else was quicker
            return None
        except OSError as error:  # a directory, a disk that fails, a peer that resets the connection
            self.trouble = error.strerror or str(error)
            chunk = b""
        if len(chunk) >= min(CHUNK, _FULL * self._pipe):  # else that was all, and not so much
            self.full = self._is_full(len(chunk))
        now = time.monotonic()
        self.age = now - self._born
        if chunk and self._capacity:
            self.slack = self._capacity / 4 / len(chunk) * (now - self._read_at)
        self._read_at = now
        self._ended = not chunk
        return chunk

    def _is_full(self, read: int = 0) -> bool:
        """Whether the pipe is nearly full, or was before `read` bytes were read from it."""
        if not self._pipe:
            return False
        held = bytearray(4)
        fcntl.ioctl(self._descriptor, termios.FIONREAD, held)
        return read + int.from_bytes(held, sys.byteorder) >= _FULL * self._pipe
