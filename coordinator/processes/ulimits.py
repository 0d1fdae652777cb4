"""The limits that a scan is started with (`ulimit`): descriptors and threads are raised, addresses looked at.

The limits that a worker is given are another thing: `workers.childlimits`.
"""

from __future__ import annotations

import contextlib
import os
import resource

LEAST = 40
"""Descriptors that a scan needs at least."""
_WANTED = 12288  # descriptors: 1,280 processes, and 256 shards with a few each
_THREADS = 4096
_EACH, _SPARE = 8, 32
"""Descriptors here for each worker or collector: of a flow worker's two sockets of ZeroMQ's each listens, is
connected and wakes us, and its reports have a connection. Those to spare are for whatever else comes."""


def raise_descriptors(wanted: int = _WANTED) -> int:
    """Raise the limit of open descriptors to `wanted`, or as far as allowed. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def most_children() -> int:
    """How many workers and collectors may be there at once, as descriptors are limited: without the last one
    ZeroMQ ends the process. To be called before there are any.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return 1 << 20
    return (limit - len(os.listdir("/proc/self/fd")) - _SPARE) // _EACH


def raise_threads(wanted: int = _THREADS) -> None:
    """Raise the limit of threads of a user (`ulimit -u`) to `wanted`, where we may, else as far as allowed:
    that of who called sudo would be the workers', too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NPROC, (wanted, wanted))
            return
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))


def room_trouble(least: int) -> str:
    """A sentence where the limit of the address space (`ulimit -v`) is below so many MiB; else empty."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or limit >= least << 20:
        return ""
    return (
        f"there is not memory enough: ulimit -v allows {limit >> 20} MiB of addresses, and this needs "
        f"{least} MiB at least (ulimit -v {least << 10})"
    )
