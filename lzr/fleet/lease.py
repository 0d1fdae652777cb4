"""Leases: until when a scan goes on without its controller, and from when on it certainly has ended.

A box states its clock; the controller records that it renews the lease, and answers with the clock that the
box stated: from there the lease counts. So on the box it always ends before it ends for the controller,
however long the answer took. Clocks of boxes are CLOCK_BOOTTIME: seconds that also count while a machine is
suspended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

LEAST, MOST = 30, 30 * 86400
"""Seconds of a plan's lease."""
RESERVE = 3.0
"""Seconds before the end of the lease at which a scan begins to end: its processes have two seconds to write
what they have, and are then killed."""
MARGIN, DRIFT = 5.0, 0.01
"""Seconds, and seconds for each second of the lease, that the controller waits beyond it: for a clock that
runs up to a hundredth slower than another (NTP slews one by 0.05 % at most), and for messages on their way.
"""
OVER = "its lease has run out: no controller has renewed it"
INTERRUPTED = 128 + 15
"""Exit status of a scan whose lease has run out: the same as after SIGTERM."""


class Lease:
    """Until when a scan may go on. until: on the clock of every `now` here; None: without a limit."""

    def __init__(self, until: float | None = None) -> None:
        self.until = until
        self._over = False

    def over(self, now: float) -> bool:
        """Whether the scan has to end. Once it is over it stays over."""
        self._over |= self.until is not None and now >= self.until - RESERVE
        return self._over

    def renew(self, seconds: float, since: float | None, now: float) -> None:
        """Extend the lease to `seconds` after `since` (None: now); one that already lasts longer stays."""
        until = min(now, now if since is None else since) + seconds
        if not self.over(now):
            self.until = until if self.until is None else max(self.until, until)


class Clock(Struct, frozen=True):
    """A moment on one machine. at: seconds since 1970. boot: names its boot. up: seconds since that."""

    at: float
    boot: str
    up: float


def interval(lease: float) -> float:
    """Seconds between two renewals."""
    return min(10.0, lease / 10)


def free_in(lease: float, renewed: Clock, now: Clock) -> float:
    """Seconds until no box can be scanning by a lease that a controller has renewed; 0 or less: now.

    renewed, now: by the clocks of the controller's machine. If it was not rebooted in between, the slower of
    its two clocks counts, so that setting the time forward frees nothing.
    """
    passed = now.at - renewed.at
    if now.boot == renewed.boot:
        passed = min(passed, now.up - renewed.up)
    return lease + MARGIN + DRIFT * lease - passed


def clock_of(value: object) -> Clock | None:
    """The moment in a table from outside; None where it is none."""
    if not isinstance(value, Mapping):
        return None
    boot = value.get("boot")
    times: list[Any] = [value.get("at"), value.get("up")]
    if not isinstance(boot, str) or not 0 < len(boot) <= 64 or not boot.isascii():
        return None
    if not all(isinstance(one, float) and 0 <= one < 1e12 for one in times):
        return None
    return Clock(times[0], boot, times[1])


def to_json(plan: str, clocks: Mapping[str, Clock]) -> bytes:
    """What a controller keeps: the plan's id, and by box its last renewal."""
    boxes = {name: asdict(clock) for name, clock in sorted(clocks.items())}
    return (json.dumps({"plan": plan, "renewed": boxes}) + "\n").encode()


def of_json(data: bytes, plan: str) -> dict[str, Clock]:
    """The renewals that `to_json` wrote; empty where they are another plan's, or cannot be read."""
    try:
        table: Any = json.loads(data)
        if table["plan"] != plan:
            return {}
        found = {str(name): clock_of(value) for name, value in table["renewed"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: clock for name, clock in found.items() if clock is not None}
