"""Gives a file, once it is whole, the name by which it is known: one that no other file has."""

from __future__ import annotations

import contextlib
import errno
import os

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems say that have no second names: FAT, exFAT, many network shares."""


def rename_new(old: str, new: str, place: int) -> None:
    """Rename a file in the directory of which `place` is a descriptor.

    A rename would replace a file that has got the name meanwhile; a link does not. Where there are no links,
    one that comes between a look and the rename is replaced. Raises FileExistsError, OSError; then the file
    has its old name.
    """
    try:
        os.link(old, new, src_dir_fd=place, dst_dir_fd=place)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with contextlib.suppress(FileNotFoundError):
            os.stat(new, dir_fd=place, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(old, new, src_dir_fd=place, dst_dir_fd=place)
    else:
        os.unlink(old, dir_fd=place)


def sync_names(place: int) -> None:
    """Have a directory, of which `place` is a descriptor, on the disk. File systems that cannot sync one
    (EINVAL, fsync(2)) are left alone. Raises OSError.
    """
    try:
        os.fsync(place)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
