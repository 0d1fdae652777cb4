"""``lzr fleet shard PLAN K``: runs the scan that has this shard on this box, only once however often it is
called.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial

from coordinator.commandline import running
from coordinator.fleet import boxruns, lockfile, rundirectory
from lzr import safetext
from lzr.errors import UsageError, printable, two_dashes
from lzr.exitstatus import MISTAKE

NAME = "fleet shard"
_FLAGS = ("box", "no-wait", "json", "quiet", "help")


def main(argv: list[str]) -> int:
    """The exit status: 0 done, 3 done and results lost, 2 a mistake; else that of the scan, or 1."""
    return running.ended(NAME, partial(_run, argv))


def _run(argv: list[str]) -> int:
    asked = _parser().parse_args(two_dashes(argv, _FLAGS))
    if (asked.shard is None) == (asked.box is None):
        raise UsageError("name a shard, or the box that this is: lzr fleet shard PLAN K, or --box NAME")
    lock = lockfile.read(asked.plan)
    if asked.box is not None:
        box, generation = asked.box, None
    else:
        if not (asked.shard.isascii() and asked.shard.isdigit() and len(asked.shard) < 7):
            raise UsageError(f"{printable(asked.shard)} is no shard: they count from 0")
        rundirectory.make_plan(lock)
        run = rundirectory.keep(lock).run_of(int(asked.shard))
        box, generation = run.box, run.generation
    outcome = boxruns.attend(lock, box, generation=generation, wait=not asked.no_wait)
    if asked.json:
        print(json.dumps(asdict(outcome)))
    elif not asked.quiet:
        print(safetext.line(outcome.sentence))
    elif outcome.status == MISTAKE:  # calling it again, as cron does, does not help
        running.say(NAME, outcome.sentence)
    return outcome.status


def _parser() -> running.Parser:
    parser = running.Parser(
        prog="lzr fleet shard",
        description="Attach to the scan that has this shard if it is running, go on with it if it was "
        "interrupted, start it if it never ran, and say how it has ended. It may be called as often and by "
        "as many as you like: there is one scan, and it goes on when this is ended.",
        allow_abbrev=False,
    )
    parser.add_argument("plan", metavar="PLAN", help="the plan or its lock")
    parser.add_argument("shard", nargs="?", metavar="K", help="a shard, from 0; this has to be its box")
    parser.add_argument("--box", metavar="NAME", help="all shards of this box, in the place of K")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the end of the scan")
    parser.add_argument("--json", action="store_true", help="say the outcome as JSON")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but mistakes")
    return parser
