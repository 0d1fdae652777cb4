"""Makes a pipe hold more.

ZMap loses the answers that come while it waits for room in the pipe to us, so the pipe is widened as far as
we are allowed to, as soon as possible: its 64 KiB hold nine milliseconds of ZMap's lines at 50,000 a second.
"""

from __future__ import annotations

import contextlib
import fcntl

_SIZES = (1 << 20, 1 << 19, 1 << 18, 1 << 17)  # the first that we are allowed (pipe(7), pipe-max-size)


def widen(descriptor: int) -> int:
    """Make a pipe hold as many bytes as we are allowed to. Returns how many that is; 0 if it is no pipe."""
    try:
        has = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    except OSError:
        return 0
    for size in _SIZES:
        with contextlib.suppress(OSError):
            return has if has >= size else fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size)
    return has
