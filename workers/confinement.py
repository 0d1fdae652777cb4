"""Confines a child process: it can open no file by name, and make only the system calls of its loop.

What a child needs was opened before. The ordinary user it runs as has a home, and everybody has /tmp: with
Landlock (landlock(7), Linux 5.13) no file can be read or written, none made or removed, no program run; from
Linux 6.7 on no TCP connection made or accepted; from 6.12 on no other process signalled. What has been loaded
by then (workers/preload.py) is all there is. Other system calls are refused by a filter (lzr/syscalls.py).
"""

from __future__ import annotations

import ctypes
import errno
import os

from lzr import syscalls
from workers.privilege import PrivilegeError

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # the same on every architecture
_VERSION = 1
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2

# linux/landlock.h: by the version that brought them
_FILES = (
    (1, (1 << 13) - 1),  # execute, write, read, list, remove and make of every kind
    (2, 1 << 13),  # rename or link into another directory
    (3, 1 << 14),  # truncate
    (5, 1 << 15),  # control a device
)
_TCP = 4, 1 << 0 | 1 << 1  # bind, connect
_SCOPES = 6, 1 << 0 | 1 << 1  # abstract Unix sockets, signals


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


def version() -> int:
    """The version of the kernel's Landlock; 0 where there is none, or it is switched off."""
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return 0
        raise


def confine() -> bool:
    """Forbid this process and all its children to use files by name, for good; returns whether the kernel
    can.

    PR_SET_NO_NEW_PRIVS must be set. Raises PrivilegeError, after which the caller must end.
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
            _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
        finally:
            os.close(ruleset)
    except OSError as error:
        raise PrivilegeError(f"Landlock: {error.strerror}") from error
    return True


def filter_calls(more: dict[str, syscalls.Limits] | None = None) -> bool:
    """Allow this process only the system calls of a worker's loop, for good; returns whether kernel and
    machine can.

    more: further calls to allow. To be called while there are no other threads; PR_SET_NO_NEW_PRIVS must be
    set. Raises PrivilegeError, after which the caller must end.
    """
    more = syscalls.scheduling(os.sched_getscheduler(0)) | (more or {})
    code = syscalls.program(os.uname().machine, more)
    if code is None:
        return False
    program = _Program(len(code) // 8, code)
    # As the C library declares it: each an unsigned long, and one of them a pointer.
    libc = ctypes.CDLL(None, use_errno=True)
    words = (ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(program), ctypes.c_ulong(0), ctypes.c_ulong(0))
    if libc.prctl(PR_SET_SECCOMP, *words):
        code_of = ctypes.get_errno()
        if code_of == errno.EINVAL:  # a kernel without CONFIG_SECCOMP_FILTER
            return False
        raise PrivilegeError(f"system calls cannot be limited: {os.strerror(code_of)}")
    return True


def _call(number: int, *arguments: object) -> int:
    result = int(ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
