"""``lzr fleet watch PLAN``: all boxes on one screen, as the controller on this machine hears them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from coordinator.commandline import running
from coordinator.fleet import lockfile
from coordinator.fleet.engine import controllerclient
from coordinator.fleet.watching import screen
from coordinator.fleet.watching.hearing import heard, kept, over
from coordinator.fleet.watching.screen import Looked
from lzr.errors import UsageError, two_dashes
from lzr.fleet.lock import Lock
from lzr.fleet.view import LastReport, view

NAME = "fleet watch"
_TIMEOUT = 2.0


def main(argv: list[str]) -> int:
    """The exit status: 0, or 2 for a mistake."""
    return running.ended(NAME, lambda: _run(argv))


def _run(argv: list[str]) -> int:
    asked = _parser().parse_args(two_dashes(argv, ("until-done", "help")))
    controller = ControllerStatus(asked.plan)
    controller.ask()  # where there is none, that is a mistake told at once; later it may come back
    return screen.watch(controller.look, until=controller.is_over if asked.until_done else lambda _: False)


class ControllerStatus:
    """What the controller of a plan says of its boxes, as far as it can be asked."""

    def __init__(self, plan: str) -> None:
        """Raises UsageError."""
        self._plan = plan
        self._lock: Lock = lockfile.settled(plan)
        self._heard: dict[str, LastReport] = {}
        self._asked = time.time()
        self._over = False

    def ask(self) -> None:
        """Raises UsageError where it does not answer."""
        reply = controllerclient.ask(self._lock, _TIMEOUT, do="status")
        if reply.get("generation") != self._lock.generation:
            self._lock = lockfile.settled(self._plan)
        self._heard = kept(heard(reply), self._heard)
        self._asked = time.time()
        self._over = over(reply)

    def look(self) -> Looked:
        """All boxes; where the controller is away, as they were when it was asked last."""
        warnings: tuple[str, ...] = ()
        try:
            self.ask()
        except UsageError as error:
            since = datetime.fromtimestamp(self._asked, UTC)
            warnings = (f"nothing is heard of the controller since {since:%H:%M:%S}Z: {error}",)
        lock = self._lock
        seen = view(lock.plan.name, lock.current, self._heard, self._asked, warnings)
        return screen.looked(seen, self._heard)

    def is_over(self, _: Looked) -> bool:
        """Whether every run has ended."""
        return self._over


def _parser() -> running.Parser:
    parser = running.Parser(
        prog="lzr fleet watch",
        description="All boxes of a plan on one screen, as the controller on this machine (lzr fleet start) "
        "hears them; a line every few seconds where there is no terminal. Closing it changes nothing.",
        allow_abbrev=False,
    )
    parser.add_argument("plan", metavar="PLAN", help="the plan, settled by lzr fleet check")
    parser.add_argument("--until-done", action="store_true", help="close it when every run has ended")
    return parser
