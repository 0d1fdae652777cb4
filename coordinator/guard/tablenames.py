"""The names of guards: to which process a guard belongs, and whether that process still runs.

A guard is stale only when its owner is proved dead. A guard's name contains its owner, ``lzr_<pid
namespace>_<pid>_<start time>_<n>``. The pid alone would not do: it is reused, and a scan in a container has
pids that mean other processes outside. The start time (clock ticks since boot, proc(5) ``/proc/pid/stat``
field 22) settles the first, the namespace the second. An owner that cannot be judged counts as living. A
guard set by hand is named ``lzr_manual_…`` and is never stale. The first guard of a run, which a shell puts
up (``bin/lzr``), has namespace 0 where the kernel does not tell a shell which it has (before Linux 5.14). It
exists for some 50 ms, so where not all processes are seen it counts as living for a minute.
"""

from __future__ import annotations

import os

PREFIX = "lzr_"
MANUAL = "lzr_manual_"
_FIRST_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO: the inode of the namespace that sees every process
_YOUNG = 60.0
"""Seconds for which a first guard without a namespace may still be in use. A judgement: it is replaced within
0.1 s, on a machine that has something else to do within seconds."""
_count = 0


def new_name() -> str:
    """A name for a guard of this process; each is different."""
    global _count
    _count += 1
    pid = os.getpid()
    return f"{PREFIX}{_namespace('self')}_{pid}_{_start_time(str(pid))}_{_count}"


def manual_name(ports: tuple[int, int]) -> str:
    """The name of a guard that was set by hand for these ports."""
    return f"{MANUAL}{ports[0]}_{ports[1]}"


def is_ours(name: str) -> bool:
    """Whether the name has the form of this program's guards."""
    return name.startswith(MANUAL) or _parts(name) is not None


def is_manual(name: str) -> bool:
    """Whether this is the name of a guard set by hand."""
    return name.startswith(MANUAL)


def pid_of(name: str) -> int | None:
    """The owner's pid, as its own namespace counts, or None for a guard set by hand."""
    parts = _parts(name)
    return parts[1] if parts else None


def is_stale(name: str) -> bool:
    """Whether the owner named here is certainly dead."""
    parts = _parts(name)
    if parts is None:
        return False
    namespace, pid, start = parts
    here = _namespace("self")
    try:
        if here == 0 or os.readlink("/proc/self") != str(os.getpid()):
            return False  # this /proc shows somebody else's processes
    except OSError:
        return False
    if namespace in (here, 0) and _lives(str(pid), start):
        return False
    if namespace == here:
        return True
    if here != _FIRST_NAMESPACE:
        return not namespace and _age(start) > _YOUNG
    return not any(
        namespace in (0, _namespace(entry)) and _inner_pid(entry) == pid and _lives(entry, start)
        for entry in os.listdir("/proc")
        if entry.isdigit()
    )


def _parts(name: str) -> tuple[int, int, int] | None:
    if not name.startswith(PREFIX):
        return None
    fields = name[len(PREFIX) :].split("_")
    if len(fields) != 4 or not all(field.isascii() and field.isdigit() for field in fields):
        return None
    return int(fields[0]), int(fields[1]), int(fields[2])


def _namespace(pid: str) -> int:
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return 0


def _stat(pid: str) -> list[str] | None:
    """Fields of /proc/pid/stat from the third on; the second is a name that may hold spaces and brackets."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.read(fd, 4096).rpartition(b")")[2].decode().split()
    except OSError:
        return None
    finally:
        os.close(fd)


def _start_time(pid: str) -> int:
    fields = _stat(pid)
    return int(fields[19]) if fields and len(fields) > 19 else 0


def _lives(pid: str, start: int) -> bool:
    fields = _stat(pid)
    if not fields or len(fields) <= 19:
        return False
    return fields[0] not in "ZX" and int(fields[19]) == start


def _age(start: int) -> float:
    """Seconds since a process began, by its start time; none where that is not known."""
    try:
        with open("/proc/uptime") as uptime:
            return float(uptime.read().split()[0]) - start / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def _inner_pid(pid: str) -> int:
    """The pid that a process has in its own namespace, last on the line ``NSpid:``."""
    try:
        with open(f"/proc/{pid}/status", "rb") as status:  # the name of a process may be any bytes
            for line in status:
                if line.startswith(b"NSpid:"):
                    return int(line.split()[-1])
    except OSError:
        pass
    return 0
