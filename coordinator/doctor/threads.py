"""How many threads the processes of a scan may have: by the limit of their user, and by control groups."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

from coordinator.processes import cgroups

MANY = 1 << 14
"""A limit from which on nobody looks how much of it is used: reading /proc takes a while."""


def room_for_threads(uid: int, *, shared: bool, root: Path = Path("/")) -> tuple[int | None, str]:
    """How many threads of this user can still be started, and what leaves so many (`ulimit -u`, or the
    tightest of our control groups); None where nothing limits them.

    The limit of the user counts threads of all his processes, on the whole host; user 0 has none
    (getrlimit(2)). shared: whether other processes may be his. root: where /proc and /sys are.
    """
    found: list[tuple[int, str]] = []
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if uid and hard != resource.RLIM_INFINITY and hard < MANY:
        found.append((max(0, hard - (threads_of(uid, root) if shared else 0)), "ulimit -u leaves"))
    for _, folder in cgroups.folders("pids", root):
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            most, now = (int((folder / name).read_text()) for name in ("pids.max", "pids.current"))
            found.append((max(0, most - now), "the control group leaves"))
    return min(found, default=(None, ""))


def threads_of(uid: int, root: Path = Path("/")) -> int:
    """The threads of all processes whose real user this is, as far as /proc shows them."""
    count = 0
    for status in root.glob("proc/[0-9]*/status"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            lines = status.read_text(errors="replace").splitlines()  # a process's name may be any bytes
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            if int(fields.get("Uid", "-1").split()[0]) == uid:
                count += int(fields.get("Threads", "0"))
    return count
