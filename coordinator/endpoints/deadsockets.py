"""Removes control sockets that killed runs left behind; checks whether a directory may hold ours.

Only what is certainly ours and certainly dead is removed. The directory is opened once, without following a
link, must be ours alone, and nobody makes a socket in it meanwhile; a socket must be ours and refuse to be
connected to (a scan in a container has another pid in here, but answers). That of a scan also bears the pid
of a process that is gone; that of a fleet's controller bears the id of its plan.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path

from coordinator.endpoints.named import alone, refuses

_NAME = re.compile(r"([1-9]\d{0,9})\.sock|[0-9a-f]{16}\.fleet", re.ASCII)
_TIMEOUT = 0.2


def private(status: os.stat_result) -> bool:
    """Whether this is a directory of ours that only we may enter. In /tmp somebody could have made it
    first.
    """
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.geteuid()
        and not stat.S_IMODE(status.st_mode) & 0o077
    )


def remove_dead(directory: Path) -> list[str]:
    """Remove dead sockets from `directory`; returns their names. Nothing that lies there makes it raise."""
    try:
        place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return []
    gone: list[str] = []
    try:
        with alone(place, _TIMEOUT) as we_are:
            if we_are and private(os.fstat(place)):
                for name in os.listdir(place):
                    with contextlib.suppress(OSError):
                        if _dead(place, name):
                            os.unlink(name, dir_fd=place)
                            gone.append(name)
    finally:
        os.close(place)
    return gone


def _dead(place: int, name: str) -> bool:
    numbered = _NAME.fullmatch(name)
    if numbered is None or _lives(numbered[1]):
        return False
    status = os.stat(name, dir_fd=place, follow_symlinks=False)
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid():
        return False
    # Looked at once more last: a new process may have got the number, and made its socket, meanwhile.
    return refuses(f"/proc/self/fd/{place}/{name}") and not _lives(numbered[1])


def _lives(pid: str | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
