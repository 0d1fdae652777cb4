"""What a controller knows of one box, and what it is doing with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lzr.fleet import preflight
from lzr.fleet.blockorders import Kept, Order
from lzr.fleet.nextstep import Known
from lzr.safetext import plain

OVER = ("done", "interrupted", "failed")
"""How a run can have ended, as a box says."""
RETRY = 2.0
"""Seconds before something is tried again that a box refused, or an interrupted run is resumed."""
MOST_RESUMED = 5
"""How often a run is resumed that makes no progress."""
MOST_FAILED = 3
"""How often a scan is tried again that has failed, as where one of its processes was killed."""


@dataclass
class BoxRecord:
    """name: of the box. known: what its next step depends on."""

    name: str
    known: Known = field(default_factory=Known)
    step: asyncio.Task[None] | None = None
    attending: asyncio.Future[None] | None = None
    not_before: float = 0.0  # when a step may be tried again, on the monotonic clock
    session: str = ""  # with a connected box: a random text that it was given with its lock
    facts: preflight.BoxFacts | None = None
    faults: tuple[str, ...] = ()
    state: str = ""  # as the box says: running, done, interrupted, failed
    sentence: str = ""
    records: int = 0
    inputs: int = 0
    resumed: int = 0
    failed: int = 0
    silent: bool = False
    since: float = 0.0  # of being heard, or not; seconds since 1970
    steered: float = 0.0  # when its scan was last told something, monotonic
    giving: asyncio.Lock = field(default_factory=asyncio.Lock)
    again: bool = False  # its scan is ending as it was told to, and it was told since that it is to go on
    given: str = ""  # the session in which it got all orders to block

    @property
    def rests(self) -> bool:
        """Whether it is there, and has said that no scan runs, and none is to go on by itself."""
        known = self.known
        return known.here and known.ended and (self.state in OVER or not (self.state or known.begun))

    def lacking(self, orders: Kept) -> Sequence[Order]:
        """The orders to block that it is to be given: over a new connection all of them, as it may have lost
        what it confirmed, with its disk or by another installation."""
        return orders.missing(self.name) if self.given == self.session else orders.orders

    def set(self, **what: bool) -> None:
        """Set facts of `known`."""
        if any(getattr(self.known, name) != value for name, value in what.items()):
            self.known = Known(**{name: getattr(self.known, name) for name in Known.__slots__} | what)

    def go_on(self) -> None:
        """Have its run go on that somebody has ended; one that is done is."""
        if self.state != "done":
            self.resumed = self.failed = 0
            self.set(ended=False)

    def note(self, answer: Mapping[str, Any]) -> None:
        """How it says that its run is."""
        state, sentence = answer.get("state"), answer.get("sentence")
        self.state = state if isinstance(state, str) and state in ("running", *OVER) else ""
        self.sentence = plain(sentence, 500) if isinstance(sentence, str) else ""
        numbers = [answer.get(name) for name in ("records", "inputs")]
        before = self.inputs
        self.records, self.inputs = (one if isinstance(one, int) and one >= 0 else 0 for one in numbers)
        if self.inputs > before:
            self.resumed = 0
        self.set(begun=answer.get("begun") is True)

    def over(self, answer: Mapping[str, Any], now: float, *, to_end: bool) -> str:
        """What follows from how its run has ended, which `note` knows: another try, or no more. Returns a
        sentence for the user, or nothing. answer: of the box; to_end: it was told to end. now: monotonic.
        """
        if self.state == "failed" and answer.get("status") == 1 and not to_end and self.failed < MOST_FAILED:
            self.failed += 1
            self.not_before = now + RETRY
        elif self.state in ("done", "failed") or to_end:
            self.set(ended=True)
        elif answer.get("by_order") is True and self.again:
            self.again = False
            self.not_before = now + RETRY
        elif answer.get("by_order") is True:
            self.set(ended=True)
            return "was told to end there: lzr fleet start goes on with it"
        elif self.state == "interrupted":
            self.resumed += 1
            self.not_before = now + RETRY
            if self.resumed > MOST_RESUMED:
                self.set(ended=True)
                return f"was cut off {self.resumed} times and gets nowhere: it is left alone"
        return ""
