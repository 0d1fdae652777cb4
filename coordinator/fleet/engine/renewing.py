"""The controller's side of leases: boxes that are heard may scan on; that is recorded before they are
told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from coordinator.fleet.engine.boxstate import BoxRecord
from coordinator.fleet.engine.controllerfiles import ControllerFiles
from coordinator.fleet.engine.engine import BoxError, Engine, Unheard
from lzr.errors import UsageError
from lzr.fleet import lease
from lzr.fleet.lease import Clock
from lzr.fleet.lock import Lock

TIMEOUT = 5.0
"""Seconds for a box to take it."""
HEARD = 3.0
"""Seconds that the moment may be old from which a box counts its lease: it is heard twice a second."""
RETRY = 2.0
"""Seconds before it is tried again with a box that has not taken it."""


class Renewing:
    """say: takes a sentence, of a box or of all ("")."""

    def __init__(self, engine: Engine, files: ControllerFiles, say: Callable[[str, str], None]) -> None:
        self._engine, self._files, self._say = engine, files, say
        self._writing: asyncio.Task[None] | None = None
        self._telling: dict[str, asyncio.Task[None]] = {}
        self._tried: dict[
            str, tuple[str, float]
        ] = {}  # by box, with which session, and when again (monotonic)
        self._holds: dict[str, tuple[str, float]] = {}
        # by box, the session in which it got its last lease, and when that ends (monotonic)
        self._said: dict[str, str] = {}

    def holds(self, lock: Lock, box: BoxRecord) -> bool:
        """Whether a box may scan: it got a lease after it got the lock, which is not over, or needs none."""
        if lock.plan.lease is None:
            return True
        session, until = self._holds.get(box.name, ("", 0.0))
        return bool(box.session) and session == box.session and time.monotonic() < until

    def turn(self, lock: Lock, boxes: Iterable[BoxRecord]) -> None:
        """Begin to renew what is due."""
        if lock.plan.lease is None or (self._writing is not None and not self._writing.done()):
            return
        now, due = time.monotonic(), dict[str, tuple[str, Clock]]()
        for box in boxes:
            heard = self._engine.heard(box.name)
            clock = None if heard is None else lease.clock_of(heard.report.get("clock"))
            ready = box.known.here and box.known.taken and bool(lock.runs_of(box.name))
            tried, again = self._tried.get(box.name, ("", 0.0))
            late = tried != box.session or now >= again
            at_it = box.name in self._telling and not self._telling[box.name].done()
            if clock is not None and ready and late and not at_it:
                due[box.name] = box.session, clock
        if due:
            self._writing = asyncio.ensure_future(self._renew(lock, due))

    def close(self) -> None:
        """Give up what is under way."""
        for task in (self._writing, *self._telling.values()):
            if task is not None:
                task.cancel()

    async def _renew(self, lock: Lock, due: dict[str, tuple[str, Clock]]) -> None:
        pause = lease.interval(lock.plan.lease or lease.LEAST)
        for name, (session, _) in due.items():
            wait = pause if self._holds.get(name, ("", 0.0))[0] == session else min(pause, RETRY)
            self._tried[name] = session, time.monotonic() + wait
        try:
            if not await asyncio.to_thread(self._files.renew, lock, sorted(due)):
                return
        except (UsageError, OSError) as error:
            self._complain("", f"no lease is renewed: {error}")
            return
        for name, (session, clock) in due.items():
            self._telling[name] = asyncio.ensure_future(self._tell(lock, name, session, clock))

    async def _tell(self, lock: Lock, name: str, session: str, clock: Clock) -> None:
        given = {"generation": lock.generation, "boot": clock.boot, "since": clock.up}
        until = time.monotonic() - HEARD + (lock.plan.lease or 0) - lease.RESERVE
        try:
            await self._engine.call(name, "lease", given, TIMEOUT)
            self._holds[name] = session, until
        except Unheard:
            pass  # that is said elsewhere
        except BoxError as error:
            self._complain(name, f"takes no lease: {error}")

    def _complain(self, name: str, sentence: str) -> None:
        """Say it, unless it was the last thing said of this box here."""
        if self._said.get(name) != sentence:
            self._said[name] = sentence
            self._say(name, sentence)
