"""Leases: until when a scan goes on without its controller, and when nobody can be scanning by one any more.

A box tells its clock, the controller writes down that it renews the lease and answers with what the box told:
the lease counts from there. So the box's end of it lies before the controller's, however long the answer was
on its way. Clocks of boxes are CLOCK_BOOTTIME, seconds that also count while a machine is suspended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LEAST, MOST = 30, 30 * 86400
"""Seconds of a plan's lease."""
RESERVE = 3.0
"""Seconds before its end at which a scan begins to end: its processes have two to put away what they
have, and are then killed."""
MARGIN, DRIFT = 5.0, 0.01
"""Seconds, and seconds for each of the lease, that the controller waits beyond it: for a clock that
runs up to a hundredth slower than another (NTP bends one by 0.05 % at most), and for what is on its way."""
OVER = "its lease has run out: no controller has renewed it"
INTERRUPTED = 128 + 15
"""Exit status of a scan whose lease has run out: as that of one that was sent SIGTERM."""


class Lease:
    """Until when a scan may go on. until: on the clock that `now` is of everywhere here; None: for good."""

    def __init__(self, until: float | None = None) -> None:
        self.until = until
        self._over = False

    def over(self, now: float) -> bool:
        """Whether the scan has to end. What is over stays so."""
        self._over |= self.until is not None and now >= self.until - RESERVE
        return self._over

    def renew(self, seconds: float, since: float | None, now: float) -> None:
        """It holds `seconds` from `since` (None: now) on; one that holds longer already is not cut short."""
        until = min(now, now if since is None else since) + seconds
        if not self.over(now):
            self.until = until if self.until is None else max(self.until, until)


@dataclass(frozen=True, slots=True)
class Clock:
    """A moment on one machine. at: seconds since 1970. boot: names its boot. up: seconds since that."""

    at: float
    boot: str
    up: float


def interval(lease: float) -> float:
    """Seconds between two renewals."""
    return min(10.0, lease / 10)


def free_in(lease: float, renewed: Clock, now: Clock) -> float:
    """Seconds until nobody can be scanning by a lease that a controller has renewed; 0 or less: now.

    renewed, now: by the clocks of the controller's machine. Where it was not booted meanwhile, the slower of
    its two clocks counts, so that putting the time forward frees nothing.
    """
    passed = now.at - renewed.at
    if now.boot == renewed.boot:
        passed = min(passed, now.up - renewed.up)
    return lease + MARGIN + DRIFT * lease - passed


def clock_of(value: object) -> Clock | None:
    """The moment in a table, which may be anybody's; None where it is none."""
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
    """What a controller keeps: of which plan, and by box the last renewal."""
    boxes = {name: asdict(clock) for name, clock in sorted(clocks.items())}
    return (json.dumps({"plan": plan, "renewed": boxes}) + "\n").encode()


def of_json(data: bytes, plan: str) -> dict[str, Clock]:
    """The same read back; nothing where it is of another plan, or cannot be read."""
    try:
        table: Any = json.loads(data)
        if table["plan"] != plan:
            return {}
        found = {str(name): clock_of(value) for name, value in table["renewed"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: clock for name, clock in found.items() if clock is not None}
