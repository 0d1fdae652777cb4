"""Where a child process may write by name: in the directory of our sockets, and nowhere else.

The law of this file: **what a child was given it holds open already**. The ordinary user that it runs as has
a home, and everybody has /tmp: with Landlock (landlock(7), Linux 5.13) neither can be written, no program
can be run, and from Linux 6.7 on no TCP connection be made or awaited, from 6.12 on nobody else be signalled.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from workers.privilege import PrivilegeError

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION, _PATH_BENEATH = 1, 1

# linux/landlock.h: by the version that brought them
_EXECUTE, _WRITE_FILE = 1 << 0, 1 << 1
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE = sum(1 << bit for bit in range(6, 13))
_MAKE_SOCK = 1 << 9
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_FILES = ((1, _EXECUTE | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE), (2, _REFER), (3, _TRUNCATE))
_TCP = 4, 1 << 0 | 1 << 1  # bind, connect
_SCOPES = 6, 1 << 0 | 1 << 1  # abstract Unix sockets, signals


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Of the kernel's Landlock; 0 where there is none, or it is not switched on."""
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return 0
        raise


def confine(directory: Path) -> bool:
    """For good, and for all children: no writing by name but sockets in `directory`, which may be removed.

    Whether the kernel knows how. There may be no new privileges any more. Raises PrivilegeError, after which
    the caller must end.
    """
    try:
        known = version()
        if not known:
            return False
        files = sum(rights for since, rights in _FILES if known >= since)
        tcp, scopes = (rights if known >= since else 0 for since, rights in (_TCP, _SCOPES))
        attributes = _Ruleset(files, tcp, scopes)
        size = ctypes.c_size_t(ctypes.sizeof(attributes))
        ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), size, ctypes.c_uint32(0))
        try:
            _allow(ruleset, directory, _MAKE_SOCK | _REMOVE_FILE | _REMOVE_DIR)
            _allow(ruleset, directory.parent, _REMOVE_DIR)
            _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
        finally:
            os.close(ruleset)
    except OSError as error:
        raise PrivilegeError(f"Landlock: {error.strerror}") from error
    return True


def _allow(ruleset: int, directory: Path, rights: int) -> None:
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        rule = ctypes.byref(_Beneath(rights, handle))
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(handle)


def _call(number: int, *arguments: object) -> int:
    result = int(ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
