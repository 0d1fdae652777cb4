"""The limits that a worker or collector gets before it begins: memory, descriptors, threads (setrlimit(2)).

A process that was taken over cannot fill the host's memory, nor its tables of files and processes. The limits
are far above what a scan needs, and only root can raise them again.
"""

from __future__ import annotations

import os
import resource

_LEAST_MEMORY = 1 << 30
"""Bytes. All processes together take 370 MB with a million flows in flight (benchmarks/README.md)."""
_ROOM = 64  # descriptors of ZeroMQ's and Python's own
_THREADS = 4  # of a child, with one to spare
_OTHERS = 1024  # children beside the flow workers, at most: `lzr ctl` takes no larger number


def memory() -> int:
    """Bytes that a child may have of its own: half of the machine's, but at least a gigabyte."""
    return max(_LEAST_MEMORY, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)


def bound(octets: int, highest: int, shards: int, *, own_user: bool) -> None:
    """Set the limits of this process, for good. To be called while it has no other threads.

    octets: of memory of its own. highest: highest open descriptor. own_user: no other processes run as this
    user, so its threads can be limited.
    """
    _lower(resource.RLIMIT_DATA, octets)
    _lower(resource.RLIMIT_NOFILE, highest + 1 + _ROOM + 2 * (shards + _OTHERS))
    if own_user:
        _lower(resource.RLIMIT_NPROC, _THREADS * (shards + _OTHERS))
    _lower(resource.RLIMIT_MEMLOCK, 0)
    _lower(resource.RLIMIT_CORE, 0)  # it would hold the secrets of the scan


def _lower(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(which, (most, most))
