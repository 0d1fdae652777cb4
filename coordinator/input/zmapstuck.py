"""Tells whether the ZMap that is to write our input hangs before its scan begins.

From Linux 6.9 on the kernel ends a list of neighbours in the same message as its last entries, for whose end
the ZMap of Debian 12 and 13 (2.1.1) and others before 2025 then wait for ever (zmap/zmap issue 924). They ask
for that list unless they are given the gateway's hardware address.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

ADVICE = (
    "the zmap in front has not begun to scan: before 2025 (2.1.1 of Debian 12 and 13) it hangs on Linux 6.9 "
    "and later unless it is given the gateway: zmap --gateway-mac=MAC (lzr doctor names it)"
)


def hangs(descriptor: int, processes: Path = Path("/proc")) -> bool:
    """Whether a program called zmap has this pipe as its standard output and has no thread but its first.

    A ZMap that scans has some for sending, receiving and telling how far it is; so ask only when it has had
    time to begin. False where that cannot be known.

    descriptor: our end of the pipe.
    """
    try:
        status = os.fstat(descriptor)
        names = os.listdir(processes) if stat.S_ISFIFO(status.st_mode) else []
    except OSError:
        return False
    return any(_hangs(processes / name, status) for name in names if name.isdigit())


def _hangs(process: Path, pipe: os.stat_result) -> bool:
    try:
        if (process / "comm").read_bytes() != b"zmap\n":
            return False
        return os.path.samestat(os.stat(process / "fd/1"), pipe) and len(os.listdir(process / "task")) == 1
    except OSError:
        return False  # it has ended, or is somebody else's
