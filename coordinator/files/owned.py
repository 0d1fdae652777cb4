"""Opens a directory whose files decide what we do later: it has to be ours, and writable only for us."""

from __future__ import annotations

import os

from coordinator.files.reach import Place, give, reach, trusted
from lzr.errors import UsageError, printable


def enter(
    directory: str, invoker: tuple[int, int] | None, *, create: bool, purpose: str, missing: str = ""
) -> int:
    """Open the directory, and make it if needed: a descriptor. Raises UsageError.

    invoker: who called sudo, who may own it, and gets it if it is made. purpose: completes "cannot use
    DIRECTORY ...". missing: the sentence to raise where it does not exist and is not to be made.
    """
    shown = printable(directory)
    try:
        with reach(directory, invoker) as found:
            made = create and not found.mode() and _make(found)
            place = found.open(os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError as error:
        raise UsageError(f"cannot make {shown}" if create else missing) from error
    except OSError as error:
        raise UsageError(f"cannot use {shown} {purpose}: {error.strerror}") from error
    status = os.fstat(place)
    wrong, group = "", 0 if invoker is None else invoker[1]
    if status.st_uid not in trusted(invoker):
        wrong = "it belongs to somebody else"
    elif status.st_mode & 0o002 or (os.geteuid() == 0 and status.st_mode & 0o020 and status.st_gid != group):
        wrong = "others can write in it"
    if wrong:
        os.close(place)
        raise UsageError(f"cannot use {shown} {purpose}: {wrong}")
    if made:
        give(place, invoker)
    return place


def _make(place: Place) -> bool:
    """Make a directory; False where somebody else has made it since we looked. Raises OSError."""
    try:
        os.mkdir(place.name, 0o755, dir_fd=place.directory)
    except FileExistsError:
        return False
    return True
