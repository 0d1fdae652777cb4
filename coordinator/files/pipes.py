"""How much a pipe holds.

A writer that must not wait (ZMap loses the answers that come meanwhile) gets as much as we may give it, as
soon as we can: 64 KiB, which a pipe has by itself, are nine milliseconds of ZMap's lines at 50,000 a second.
"""

from __future__ import annotations

import contextlib
import fcntl

_SIZES = (1 << 20, 1 << 19, 1 << 18, 1 << 17)  # the first that we are allowed (pipe(7), pipe-max-size)


def widen(descriptor: int) -> int:
    """Let a pipe hold as much as we may. Returns how many bytes that is; 0: it is no pipe."""
    try:
        has = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    except OSError:
        return 0
    for size in _SIZES:
        with contextlib.suppress(OSError):
            return has if has >= size else fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size)
    return has
