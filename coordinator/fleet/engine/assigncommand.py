"""``lzr fleet assign`` where a controller runs: it asks the box itself whether it is scanning."""

from __future__ import annotations

from typing import Any

from coordinator.fleet import assigning
from coordinator.fleet.boxscan import Outcome
from coordinator.fleet.engine import controllerclient
from lzr.errors import UsageError
from lzr.fleet.lock import Lock, Run

STATES = ("done", "interrupted", "failed", "running")


def main(argv: list[str]) -> int:
    """The exit status: 0 done, 1 nothing was changed, 2 a mistake."""
    return assigning.main(argv, heard)


def heard(lock: Lock, run: Run) -> Outcome | None:
    """How a run stands: as this machine knows, if it is its box, else as the box tells the controller now."""
    found = assigning.here(lock, run)
    if found is not None:
        return found
    try:
        answer = controllerclient.ask(lock, do="call", what="state", box=run.box)["answer"]
    except UsageError:  # no controller, or no box
        return None
    return outcome(answer)


def outcome(answer: Any) -> Outcome | None:
    """The outcome that a box has reported of its run; None if it is not valid."""
    if not isinstance(answer, dict):
        return None
    state, inputs = answer.get("state"), answer.get("inputs")
    if state == "" and answer.get("begun") is False:
        return Outcome("interrupted", 1, "it has not begun", 0, 0)
    if state not in STATES or type(inputs) is not int or not 0 <= inputs < 1 << 63:
        return None
    return Outcome(state, 0, "", 0, inputs)
