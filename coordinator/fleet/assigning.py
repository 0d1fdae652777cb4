"""``lzr fleet assign PLAN --from BOX --to BOX``: other boxes get a box's shards, and scan from their own
addresses.

Where a controller runs, it does this (`engine.assigncommand`); what is allowed is decided in
`lzr.fleet.assigning`. This never happens by itself, as a box that is away may come back. It writes the next
generation of plan.lock.json; a box that is shown it ends its scan of shards that are not its own any more
(`coordinator.fleet.boxruns`).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from coordinator.commandline import running
from coordinator.fleet import boxruns, leasefile, lockfile, rundirectory
from coordinator.fleet.boxscan import Outcome
from lzr import safetext
from lzr.errors import UsageError, printable, two_dashes
from lzr.exitstatus import OK
from lzr.fleet.assigning import check, consequences
from lzr.fleet.lock import Lock, Run

NAME = "fleet assign"
_FLAGS = ("from", "to", "force", "reason", "yes", "help")
NOT_DONE = 1

OutcomeOf = Callable[[Lock, Run], Outcome | None]
"""How a run stands, if that can be told; else None."""


def here(lock: Lock, run: Run) -> Outcome | None:
    """How a run stands whose directory is on this machine; else None."""
    found = rundirectory.of_run(lock, run)
    return boxruns.look(lock, run) if os.path.isdir(found.here) else None


def main(argv: list[str], heard: OutcomeOf = here) -> int:
    """The exit status: 0 done, 1 nothing was changed, 2 a mistake."""
    return running.ended(NAME, partial(_run, argv, heard))


def _run(argv: list[str], heard: OutcomeOf) -> int:
    asked = _parser().parse_args(two_dashes(argv, _FLAGS))
    lock = lockfile.read(asked.plan)
    lock.plan.box(asked.box)
    after = lock.assigned(asked.box, asked.to.split(","), asked.reason or "")
    outcomes = [heard(lock, run) for run in lock.runs_of(asked.box)]
    standing = [None if outcome is None else outcome.state for outcome in outcomes]
    _check(asked, lock, standing)
    known = None if None in outcomes else sum(one.inputs for one in outcomes if one is not None)
    if None in standing and not asked.force:
        print(safetext.line(f"{asked.box} is not heard of; its lease is over, and with it its scan"))
    for sentence in consequences(lock, after, asked.box, known):
        print(safetext.line(sentence))
    if not asked.yes and not _agreed():
        running.say(NAME, "nothing was changed; --yes does it")
        return NOT_DONE
    where = lockfile.beside(asked.plan)
    with leasefile.held(asked.plan):  # a box that is back since then may scan on
        there = lockfile.there(where)
        if there is None or (there.id, there.generation) != (lock.id, lock.generation):
            raise UsageError(f"{printable(where)} was changed meanwhile: look at it again")
        _check(asked, lock, standing)
        lockfile.write(where, after)
    print(
        safetext.line(f"generation {after.generation} is in {printable(where)}: lzr fleet start takes it up")
    )
    return OK


def _check(asked: argparse.Namespace, lock: Lock, standing: Sequence[str | None]) -> None:
    """Check that this may be done. Raises UsageError."""
    free = leasefile.free_in(asked.plan, lock, asked.box)
    at = "" if free is None else time.strftime("%H:%M:%S", time.localtime(time.time() + free))
    check(asked.box, standing, force=asked.force, reason=asked.reason or "", free_in=free, free_at=at)


def _agreed() -> bool:
    """Whether the user at the terminal agrees."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    sys.stdout.flush()
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _parser() -> running.Parser:
    parser = running.Parser(
        prog="lzr fleet assign",
        description="Give the shards of a box to others, who scan them from their beginning and from their "
        "own addresses: a new generation of the plan. Never done by itself. Says beforehand how many targets "
        "may be asked twice.",
        allow_abbrev=False,
    )
    parser.add_argument("plan", metavar="PLAN", help="the plan or its lock")
    parser.add_argument("--from", dest="box", required=True, metavar="BOX", help="who has the shards now")
    parser.add_argument("--to", required=True, metavar="BOX[,BOX...]", help="who is to have them, by weight")
    parser.add_argument("--force", action="store_true", help="although the box may be scanning still")
    parser.add_argument("--reason", metavar="TEXT", help="why; it is kept in the lock")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser
