"""Attends to the runs of a box: attaches to a scan at work, resumes an interrupted one, starts one that never
ran, and reports how one has ended.

However many callers there are at once, there is only one scan: whoever decides holds the lock of its
checkpoint, and hands it down to the scan that it starts.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable

from coordinator.commands import ctl
from coordinator.endpoints.named import ControlError
from coordinator.fleet import boxscan, leasefile, rundirectory
from coordinator.fleet.boxscan import Outcome
from coordinator.fleet.rundirectory import RunDirectory
from lzr.errors import UsageError
from lzr.exitstatus import FAILED
from lzr.fleet.lock import Lock, Run

_LOOK, _RARELY = 0.1, 1.0
"""Seconds between two looks at the lock of a scan, at first and after a while, as many may wait for hours."""
_ENDING = 20.0
"""Seconds that a scan which was given up may take to end: it stops at once, but writes what it has."""


def attend(
    lock: Lock,
    box: str,
    *,
    generation: int | None = None,
    wait: bool = True,
    ended: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Attend to the runs of this box, one after the other, until all are done or one is not.

    generation: only the run of this one. wait: stay until it has ended; else say that it is running. ended:
    whether who called wants to leave, which the scan does not notice. Raises UsageError, before a packet.
    """
    lock.plan.box(box)
    rundirectory.make_plan(lock)
    lock = rundirectory.keep(lock)
    withdraw_all(lock, box)
    runs = [run for run in lock.runs_of(box) if generation in (None, run.generation)]
    if not runs:
        whose = lock.run_named(box, generation) if generation is not None else None
        if whose is not None:
            raise UsageError(_given_up(lock, whose))
        raise UsageError(f"{box} has no shard in generation {lock.generation}")
    outcome = Outcome("done", 0, "", 0, 0)
    for run in runs:
        outcome = attend_run(lock, run, wait=wait, ended=ended)
        if outcome.state != "done":
            break
    return outcome


def attend_run(
    lock: Lock, run: Run, *, wait: bool = True, ended: Callable[[], bool] = lambda: False
) -> Outcome:
    """`attend` for one run, which the box's lock has. Raises UsageError."""
    found = rundirectory.make(lock, run)
    process: subprocess.Popen[bytes] | None = None
    attached, pause, before = False, _LOOK, _ending_of(found)
    while True:
        held = rundirectory.take(found)
        if held is not None:
            try:
                status = None if process is None else process.wait()
                if process is None and before is not None and _ending_of(found) == before:
                    attached = False  # who held the lock has started no scan: that takes the metadata away
                outcome = boxscan.outcome(lock, run, found, status)
                if attached or outcome.state == "done":
                    return outcome
                withheld = leasefile.withheld(lock)
                if withheld:
                    sentence = f"{run.name} {withheld}"
                    return Outcome("interrupted", FAILED, sentence, outcome.records, outcome.inputs)
                process = boxscan.start(lock, run, found, held)
                attached = True
            finally:
                os.close(held)
        elif not wait or ended():
            return _running(run, found)
        else:
            attached = True
        time.sleep(pause)
        pause = min(_RARELY, pause * 1.05)


def look(lock: Lock, run: Run) -> Outcome:
    """How a run stands; changes nothing. Raises UsageError."""
    found = rundirectory.of_run(lock, run)
    if rundirectory.is_running(found):
        return _running(run, found)
    return boxscan.outcome(lock, run, found)


def withdraw_all(lock: Lock, box: str) -> None:
    """End the scans of all runs of a box whose shards others have now. Raises UsageError."""
    for run in lock.runs:
        if run.box == box and not lock.is_current(run):
            withdraw(lock, run)


def withdraw(lock: Lock, run: Run) -> None:
    """End the scan of a run whose shards another box has now. Raises UsageError if it does not end."""
    found = rundirectory.of_run(lock, run)
    until = time.monotonic() + _ENDING
    while rundirectory.is_running(found):
        if time.monotonic() > until:
            raise UsageError(f"{_given_up(lock, run)}, and its scan does not end here")
        with contextlib.suppress(ControlError):  # it is not there yet, or no more
            ctl.ask(found.control, "quit")
        time.sleep(_LOOK)


def _ending_of(found: RunDirectory) -> tuple[int, int] | None:
    """Which file of metadata is there; None where none is, as while a scan is at work."""
    try:
        status = os.stat(found.metadata)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _given_up(lock: Lock, run: Run) -> str:
    after = lock.run_of(run.shards[0])
    return f"the shards of {run.name} are {after.name}'s now"


def _running(run: Run, found: RunDirectory) -> Outcome:
    records, inputs = boxscan.counts(boxscan.load_quietly(found))
    return Outcome("running", 0, f"{run.name} is running: {records:,} records so far", records, inputs)
