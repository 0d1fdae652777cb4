"""What a controller knows of one box, and is doing with it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from lzr.fleet import preflight
from lzr.fleet.course import Known


@dataclass
class BoxState:
    """name: of the box. known: what its next step depends on."""

    name: str
    known: Known = field(default_factory=Known)
    step: asyncio.Task[None] | None = None
    attending: asyncio.Future[None] | None = None
    not_before: float = 0.0  # when a step may be tried again, on the monotonic clock
    ticket: str = ""  # what it was given with its lock
    facts: preflight.Facts | None = None
    faults: tuple[str, ...] = ()
    state: str = ""  # as the box says: running, done, interrupted, failed
    sentence: str = ""
    records: int = 0
    inputs: int = 0
    resumed: int = 0
    failed: int = 0
    silent: bool = False
    since: float = 0.0  # of being heard, or not; seconds since 1970
    told: float = 0.0  # when its scan was last told something, monotonic
    giving: asyncio.Lock = field(default_factory=asyncio.Lock)
