"""``lzr fleet check PLAN``: checks a plan as far as this machine can, and settles it.

Relative file names become absolute ones, from the plan's directory: on every box they must be the same files,
which their hashes prove.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from coordinator.commandline import running
from coordinator.files.filereader import FileReader
from coordinator.fleet import leasefile, lockfile, shardlookup
from coordinator.input import networklists
from lzr import __version__, safetext
from lzr.errors import UsageError, printable, two_dashes
from lzr.exitstatus import OK
from lzr.fleet import distribution, planoptions
from lzr.fleet import lock as locks
from lzr.fleet import plan as plans
from lzr.fleet.lock import Lock
from lzr.fleet.plan import Plan
from lzr.options import parse
from lzr.rows import Rows
from lzr.targets.blocklist import Blocklist
from lzr.targets.lists import ListReader

NAME = "fleet check"
_MOST = 1 << 24
"""Targets that are looked at; a list of more that are all blocked is taken to have others behind them."""

Runs = Callable[[Lock], bool]
"""Whether a controller works by a lock on this machine, if that can be told."""


def main(argv: list[str], runs: Runs = lambda _: False) -> int:
    """The exit status: 0 settled (or nothing has changed), 2 a mistake."""
    return running.ended(NAME, partial(_run, argv, runs))


def _run(argv: list[str], runs: Runs) -> int:
    asked = _parser().parse_args(two_dashes(argv, ("overwrite", "quiet", "help")))
    where = lockfile.beside(asked.plan)
    lock = settle(asked.plan)
    before = lockfile.there(where)
    if before is None or before.id != lock.id:
        if before is not None and not asked.overwrite:
            raise UsageError(
                f"{printable(where)} settles the plan as it was before (plan id {before.id}); boxes that "
                "scan by it do not go on with another: --overwrite settles this one, which begins anew"
            )
        if before is not None and runs(before):
            raise UsageError(
                f"lzr fleet start runs here by {printable(where)}, and its boxes could be told nothing any "
                "more: end it first (lzr fleet quit ends the scans, too)"
            )
        before = _put(asked.plan, where, before, lock)
    lock, news = (
        (lock, f"settled in {printable(where)}")
        if before is None
        else (before, f"nothing has changed since {printable(where)} was written")
    )
    if not asked.quiet:
        for run in lock.current:
            shards = distribution.ranges(run.shards)
            print(safetext.line(f"{run.box}: shards {shards}, from {', '.join(run.source)}"))
        print(safetext.line(f"plan id {lock.id}, generation {lock.generation}: {news}"))
    return OK


def _put(plan: str, where: str, before: Lock | None, lock: Lock) -> Lock | None:
    """Write a lock in the place of `before`; returns the one that is there if it settles the same plan, which
    somebody else has done meanwhile. Raises UsageError.
    """
    with leasefile.held(plan):
        found = lockfile.there(where)
        if found is not None and found.id == lock.id:
            return found
        same = [None if one is None else (one.id, one.generation) for one in (before, found)]
        if same[0] != same[1]:
            raise UsageError(f"{printable(where)} was changed meanwhile: look at it again")
        lockfile.write(where, lock)
        return None


def settle(path: str) -> Lock:
    """The lock of the plan in this file, as it is before anybody begins. Raises UsageError."""
    data = lockfile.read_plan(path)
    plan = plans.of_toml(data, printable(path))
    folder = os.path.dirname(os.path.abspath(path))
    if not folder.isprintable():
        raise UsageError(
            f"{printable(folder)}: names of the plan's files go to all boxes as text of one line, and the "
            "name of this directory is none: move the plan to another"
        )
    plan = replace(
        plan,
        input=None if plan.input is None else os.path.join(folder, plan.input),
        blocklist=tuple(os.path.join(folder, name) for name in plan.blocklist),
        options=planoptions.flags(plan.options, partial(os.path.join, folder)),
    )
    digest, lines = (None, None) if plan.input is None else lockfile.digest_of_input(plan.input)
    blocked = lockfile.digest_of_lists(plan)
    _check_leftover(plan)
    return locks.settled(plan, __version__, lockfile.sum_of(data), digest, lines, blocked)


def _check_leftover(plan: Plan) -> None:
    """Raises UsageError where blocklists and allowlists leave nothing of what the plan is to scan.

    Where a name decides that, or ZMap chooses the targets, nothing is said.
    """
    if plan.zmap is not None:
        return
    names: list[str] = []

    def leave(name: str) -> Sequence[Any]:
        """What a name stands for is for the boxes to find out."""
        names.append(name)
        raise OSError

    try:
        if plan.input is None:
            shardlookup.whole(plan, leave)
            return
        options = parse.parse([*shardlookup.listed(plan), "--send-syns"])
        lists = networklists.policy(options, FileReader(lambda _: False, lambda _: None), leave)
    except UsageError:
        if names:
            return
        raise
    if lists is not None and (count := _all_blocked(plan.input, lists)):
        raise UsageError(
            f"nothing is left to scan of {printable(plan.input)}: blocklist or allowlist keep out all of "
            f"its {count:,} targets"
        )


def _all_blocked(path: str, lists: Blocklist) -> int:
    """How many targets a list has, where all of them are blocked; 0 where one is not, or there is none."""
    reader, count = ListReader(), 0

    def passes(rows: Rows) -> bool:
        nonlocal count
        count += len(rows)
        return count > _MOST or bool(lists.allowed(rows["peer_hi"], rows["peer_lo"]).any())

    for chunk in itertools.chain(lockfile.lines_of_input(path), (b"",)):  # as it comes: it may be long
        batch = reader.feed(chunk) if chunk else reader.finish()
        if batch.names or passes(batch.rows):
            return 0
        while reader.pending:
            batch = reader.more()
            if batch.names or passes(batch.rows):
                return 0
    return count


def _parser() -> running.Parser:
    parser = running.Parser(
        prog="lzr fleet check",
        description="Look at a plan (plan.toml) and settle it: which version, input and blocklist it is, and "
        "which box has which shards. Writes plan.lock.json beside it.",
        allow_abbrev=False,
    )
    parser.add_argument("plan", metavar="PLAN", help="the plan, as TOML")
    parser.add_argument("--overwrite", action="store_true", help="settle a plan that has changed anew")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing of what was settled")
    return parser
