"""The private directory of a run's sockets, and the removal of those that killed runs left.

Law: a directory of ours is locked as long as its run lives; one that nobody has locked is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

_PREFIX = "lzr-run-"
_NEW = 60.0
"""Seconds in which a directory may be made and not locked yet."""


def make(owner: tuple[int, int]) -> Path:
    """A new directory that is `owner`'s (uid, gid) and no one else's, locked until this process ends."""
    _sweep(Path(tempfile.gettempdir()))
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    fcntl.flock(os.open(directory, os.O_RDONLY | os.O_DIRECTORY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.chown(directory, *owner)
    return directory


def _sweep(parent: Path) -> None:
    for directory in parent.glob(f"{_PREFIX}*"):
        try:
            handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # gone, or another user's
            continue
        try:
            if time.time() - os.fstat(handle).st_mtime > _NEW:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
        except OSError:  # its run lives
            pass
        finally:
            os.close(handle)
