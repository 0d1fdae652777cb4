"""Writes to a file that may be a pipe whose reader takes nothing, for a bounded time."""

from __future__ import annotations

import os
import select
import stat
import time

SECONDS = 3.0
"""Seconds for which a pipe may have no room. A judgement: its reader wants the data, and the end of the scan
waits."""
_AT_ONCE = 4096
"""PIPE_BUF: so many bytes go into a pipe together, or not at all (pipe(7))."""

_STUCK = "its reader takes nothing"


def write(descriptor: int, data: bytes, seconds: float = SECONDS, ending: int | None = None) -> None:
    """Write all of `data`, to a pipe in pieces that end with a line where there are lines.

    seconds: how long to wait for room. ending: a descriptor; once it can be read no more than SECONDS are
    waited. Raises TimeoutError where there was no room, OSError.
    """
    view = memoryview(data)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        while view:
            view = view[os.write(descriptor, view) :]
        return
    end = time.monotonic() + seconds
    while view:
        _await_room(descriptor, end, ending)
        piece = bytes(view[:_AT_ONCE])
        if len(view) > _AT_ONCE:
            piece = piece[: piece.rfind(b"\n") + 1] or piece
        try:
            view = view[os.write(descriptor, piece) :]
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError(0, _STUCK) from None
            time.sleep(0.01)  # another process was first
            continue
        end = time.monotonic() + seconds


def _await_room(descriptor: int, end: float, ending: int | None) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    if ending is not None:
        poll.register(ending, select.POLLIN)
    while True:
        ready = dict(poll.poll(max(0.0, end - time.monotonic()) * 1000))
        if descriptor in ready:
            return
        if not ready:
            raise TimeoutError(0, _STUCK)
        assert ending is not None
        poll.unregister(ending)
        end = min(end, time.monotonic() + SECONDS)
