"""A user number of a run's own, for the processes that read what strangers send.

A shared user (nobody, or who called sudo) has other processes: they could signal a worker and connect to
whatever it may connect to, and a worker that was taken over could do the same to them. So root gives each run
a number from a range that no distribution and no program gives to anybody: above the last ordinary user
(UID_MAX, 60000) and outside of systemd's ranges ("Users, Groups, UIDs and GIDs on systemd Systems"), yet
within the 65,536 that containers are usually given. Nothing is written into the user database.

A number is free if it has no name, no process has it, and no other run holds it. A run holds a number by a
lock on one byte of a file, which the kernel removes when the run ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import pwd
import struct
from pathlib import Path
from secrets import randbelow

from coordinator.files.exclusive import open_locks
from coordinator.processes.rights import capabilities, mapped
from coordinator.processes.users import User

FIRST, LAST = 60706, 61183
_SETGID, _SETUID = 6, 7
LOCKS = Path("/run/lzr/users")
"""The file of locks: byte N stands for the Nth number. Its directory is root's."""


class OwnUser:
    """A number that is this run's until `release`, or until the process ends."""

    def __init__(self, number: int, lock: int | None) -> None:
        self.user = User(str(number), number, number)
        self._lock = lock

    def release(self) -> None:
        """Give the number back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def take(locks: Path = LOCKS) -> OwnUser | None:
    """A number of our own, or None where root cannot give one: we are not root, may not become another user,
    or are in a container to which none of the range is mapped.
    """
    if os.geteuid() != 0 or not may_become_another():
        return None
    lock = open_locks(locks)
    count = LAST - FIRST + 1
    begin = randbelow(count)  # runs that do not see one another's locks (containers) rarely meet
    for step in range(count):
        number = FIRST + (begin + step) % count
        if not (mapped(number, "uid_map") and mapped(number, "gid_map")) or _has_a_name_or_process(number):
            continue
        if lock is None or _locked(lock, number):
            return OwnUser(number, lock)
    if lock is not None:
        os.close(lock)
    return None


def is_own(number: int) -> bool:
    """Whether this number is from the range that runs take theirs from."""
    return FIRST <= number <= LAST


def may_become_another() -> bool:
    """Whether we may take another user and group (CAP_SETUID, CAP_SETGID)."""
    try:
        held = capabilities()
    except OSError:
        return False
    return bool(held >> _SETUID & held >> _SETGID & 1)


def _has_a_name_or_process(number: int) -> bool:
    for ask in (pwd.getpwuid, grp.getgrgid):
        with contextlib.suppress(KeyError):
            ask(number)
            return True
    try:
        os.getpriority(os.PRIO_USER, number)  # ESRCH if nobody runs as that user, getpriority(2)
    except OSError:
        return False
    return True


def _locked(lock: int, number: int) -> bool:
    """A lock of the open file, not of the process (F_OFD_SETLK, fcntl(2)): it is gone with its descriptor."""
    wanted = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, number, 1, 0)
    try:
        fcntl.fcntl(lock, fcntl.F_OFD_SETLK, wanted)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True  # a file system without locks
    return True
