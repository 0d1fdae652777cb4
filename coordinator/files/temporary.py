"""A directory for what does not fit into memory, and what is left of those of processes that were killed.

A process holds a lock (flock) on its directory for as long as it runs. The kernel lets go of it however the
process ends, so a directory that nobody holds is left over. Which process made it is not asked: numbers of
processes come again.

The directory around is often everybody's (/tmp). What is removed is ours and was closed to all others, and
of that only files with the names that DuckDB and Python's tempfile give; a link is not followed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile

_BEGIN = "lzr-spill-"
_NAME = re.compile(rf"{_BEGIN}[a-z0-9_]{{8}}")
_FILES = re.compile(r"duckdb_temp_[a-zA-Z0-9_-]+(?:\.(?:tmp|block))?|tmp[a-z0-9_]{8}(?:\.json)?")
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST = 10_000
"""Names that are looked at: a directory of everybody's may hold any number of them."""


def made() -> tuple[str, int]:
    """A new directory (TMPDIR), writable for us only, and the descriptor that holds it. Removes what is left
    over beside it. Raises OSError."""
    around = tempfile.gettempdir()
    remove_leftovers(around)
    while True:
        path = tempfile.mkdtemp(prefix=_BEGIN, dir=around)
        try:
            place = os.open(path, _FLAGS)
        except FileNotFoundError:  # somebody took it for a left-over one, just now
            continue
        with contextlib.suppress(OSError):  # some file systems have no locks
            fcntl.flock(
                place, fcntl.LOCK_EX
            )  # whoever has it, to look whether it is left over, has it shortly
        if _same(path, place):
            return path, place
        os.close(place)


def remove_leftovers(around: str) -> None:
    """Remove the directories in `around` that nobody holds, and that are ours. What cannot be is left."""
    with contextlib.suppress(OSError):
        outer = os.open(around, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.scandir(outer) as entries:
                seen = (entry.name for _, entry in zip(range(_MOST), entries, strict=False))
                names = [name for name in seen if _NAME.fullmatch(name)]
            for name in names:
                with contextlib.suppress(OSError):
                    _remove(outer, name)
        finally:
            os.close(outer)


def _remove(outer: int, name: str) -> None:
    """Raises OSError."""
    place = os.open(name, _FLAGS, dir_fd=outer)
    try:
        status = os.fstat(place)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) != 0o700 or not _held(place):
            return
        for file in os.listdir(place):
            if not _FILES.fullmatch(file):
                return
        for file in os.listdir(place):
            os.unlink(file, dir_fd=place)
        os.rmdir(name, dir_fd=outer)
    finally:
        os.close(place)


def _held(place: int) -> bool:
    """Whether the directory could be locked; some file systems have no locks, and then nothing is removed."""
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _same(path: str, place: int) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    return os.path.samestat(there, os.fstat(place))
