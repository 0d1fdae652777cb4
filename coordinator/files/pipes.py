"""Enlarges the buffer of a pipe.

ZMap loses answers that come while it waits for room in the pipe to us. So the pipe is enlarged as far as
allowed, as soon as possible: its default of 64 KiB holds nine milliseconds of ZMap's lines at 50,000 a
second.
"""

from __future__ import annotations

import contextlib
import fcntl

_SIZES = (1 << 20, 1 << 19, 1 << 18, 1 << 17)  # the first that we are allowed (pipe(7), pipe-max-size)


def widen(descriptor: int) -> int:
    """Make a pipe as large as allowed. Returns its size in bytes; 0 if this is no pipe."""
    try:
        has = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    except OSError:
        return 0
    for size in _SIZES:
        with contextlib.suppress(OSError):
            return has if has >= size else fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size)
    return has
