"""Leases on disk: on a box, until when it may scan; on the controller, when it has renewed which box's.

A box goes only by a lease given since its last boot, because its clock begins anew with each boot.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from coordinator.commandline import wholefile
from coordinator.files.exclusive import exclusive
from coordinator.fleet import lockfile, rundirectory
from lzr.errors import UsageError, printable
from lzr.fleet import lease
from lzr.fleet.lease import Clock
from lzr.fleet.lock import Lock

MOST_BYTES = 1 << 20
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def now() -> Clock:
    """This machine's clocks."""
    return Clock(time.time(), _BOOT.read_text().strip(), uptime())


def uptime() -> float:
    """Seconds since this machine was booted, those that it was suspended for among them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# --- on a box ----------------------------------------------------------------------------------------------


def take(lock: Lock, boot: object, since: object) -> float:
    """Store what a controller has granted; returns the seconds of the lease. since: by `uptime`, of boot
    `boot`.

    Raises UsageError.
    """
    length, here = lock.plan.lease, now()
    if length is None:
        raise UsageError("the plan has no lease")
    if boot != here.boot or type(since) is not float or not 0 <= since <= here.up:
        raise UsageError("that is no moment since this box was booted")
    until = max(since + length, until_of(lock) or 0.0)
    data = json.dumps({"boot": here.boot, "until": until}).encode()
    rundirectory.put(rundirectory.of_plan(lock), "lease", data)
    return float(length)


def until_of(lock: Lock) -> float | None:
    """Until when this box may scan by a plan that has leases, by `uptime`; None: it may not."""
    table = _table(_of_box(lock))
    until = table.get("until")
    if table.get("boot") != now().boot or type(until) is not float or not until < 1e12:
        return None
    return until


def withheld(lock: Lock) -> str:
    """Why no scan of this plan may begin here now; empty if one may."""
    if lock.plan.lease is None:
        return ""
    until = until_of(lock)
    if until is None:
        return "has no lease: it begins when lzr fleet start gives it one"
    return f"does not go on: {lease.OVER}" if lease.Lease(until).over(uptime()) else ""


def words(lock: Lock) -> list[str]:
    """The flags for a scan of this plan that begins now."""
    return [] if lock.plan.lease is None else [f"--lease-until={until_of(lock) or 0.0:.3f}"]


def _of_box(lock: Lock) -> str:
    return f"{rundirectory.of_plan(lock)}/lease.json"


# --- on the controller -------------------------------------------------------------------------------------


@contextlib.contextmanager
def held(plan: str) -> Iterator[None]:
    """A context in which no lease is renewed and no shard is given away. plan: its path. Raises
    UsageError.
    """
    folder = os.path.dirname(os.path.abspath(lockfile.beside(plan)))
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"cannot use {printable(folder)}: {error.strerror}") from error
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, place)
        try:
            stack.enter_context(exclusive(place))
        except OSError as error:
            raise UsageError(f"cannot use {printable(folder)}: {error.strerror}") from error
        yield
        os.fsync(place)


def renew(plan: str, lock: Lock, boxes: Iterable[str]) -> bool:
    """Record that these boxes may scan on from now, by this lock. False where there is a later lock.

    It is on the disk when this returns. Raises UsageError.
    """
    with held(plan):
        there = lockfile.there(lockfile.beside(plan))
        if there is None or (there.id, there.generation) != (lock.id, lock.generation):
            return False
        moment = now()
        clocks = {**_renewed(plan, lock), **dict.fromkeys(boxes, moment)}
        with wholefile.output(_of_controller(plan), overwrite=True) as to:
            wholefile.write_whole(to.descriptor, lease.to_json(lock.id, clocks))
    return True


def free_in(plan: str, lock: Lock, box: str) -> float | None:
    """Seconds until this box cannot be scanning any more; None where that cannot be told. Raises
    UsageError.
    """
    renewed = _renewed(plan, lock).get(box)
    if lock.plan.lease is None or renewed is None:
        return None
    return lease.free_in(lock.plan.lease, renewed, now())


def _renewed(plan: str, lock: Lock) -> Mapping[str, Clock]:
    return lease.of_json(_read(_of_controller(plan)), lock.id)


def _of_controller(plan: str) -> str:
    return f"{os.path.abspath(lockfile.beside(plan)).removesuffix('.lock.json')}.leases.json"


# --- files -------------------------------------------------------------------------------------------------


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(MOST_BYTES)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise UsageError(f"cannot read {printable(path)}: {error.strerror}") from error


def _table(path: str) -> Mapping[str, Any]:
    try:
        found = json.loads(_read(path) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
