"""``lzr fleet``: one scan on several boxes. The second word says what, and a module of its own does it."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

from coordinator.commandline import extras
from lzr import safetext
from lzr.errors import UsageError, printable, suggest
from lzr.exitstatus import MISTAKE, OK


@dataclass(frozen=True)
class Word:
    """takes: what follows the word. brief: for the help. where: ``module:function`` that runs it with the
    words that follow and returns the exit status; "" where this version has none."""

    name: str
    takes: str
    brief: str
    where: str = ""


THIS_BOX = (
    Word(
        "check",
        "PLAN",
        "look at a plan and settle it: plan.lock.json",
        "coordinator.fleet.engine.checkcommand:main",
    ),
    Word(
        "shard",
        "PLAN K|--box NAME",
        "the scan that has this shard, on this box",
        "coordinator.fleet.shardcommand:main",
    ),
    Word(
        "assign",
        "PLAN --from BOX --to BOX",
        "give a box's shards to others, by hand",
        "coordinator.fleet.engine.assigncommand:main",
    ),
)
"""What needs no other box."""

ALL_BOXES = (
    Word(
        "certs",
        "PLAN",
        "make the certificates of all boxes",
        "coordinator.fleet.certs:main",
    ),
    Word(
        "worker",
        "PLAN --box NAME",
        "be a box of a plan, for its controller",
        "coordinator.fleet.serving.worker:main",
    ),
    Word(
        "start",
        "PLAN",
        "have every box begin, or go on with, its run",
        "coordinator.fleet.engine.startcommand:main",
    ),
    Word("up", "PLAN", "start workers on all boxes, through ssh", "coordinator.fleet.engine.ssh:up"),
    Word("down", "PLAN", "end those workers; scans go on", "coordinator.fleet.engine.ssh:down"),
    Word("status", "PLAN", "how every box is", "coordinator.fleet.engine.steercommands:status"),
    Word(
        "rate", "PLAN N", "set the rate of all boxes together", "coordinator.fleet.engine.steercommands:rate"
    ),
    Word("pause", "PLAN", "have all boxes, or one, wait", "coordinator.fleet.engine.steercommands:pause"),
    Word("resume", "PLAN", "have them go on", "coordinator.fleet.engine.steercommands:resume"),
    Word(
        "drain",
        "PLAN",
        "have all, or one, finish and end",
        "coordinator.fleet.engine.steercommands:drain",
    ),
    Word(
        "quit", "PLAN", "have all boxes, or one, end at once", "coordinator.fleet.engine.steercommands:quit_"
    ),
    Word(
        "block",
        "PLAN NET ...",
        "no packet more to a network, from any box",
        "coordinator.fleet.engine.steercommands:block",
    ),
)
"""What a controller does, on all boxes."""

LOOKING = (
    Word("watch", "PLAN", "all boxes on one screen", "coordinator.fleet.engine.watchcommand:main"),
    Word(
        "merge", "PLAN [FILE...]", "results of all runs as one file", "coordinator.fleet.mergecommand:merge"
    ),
    Word(
        "ledger",
        "PLAN [FILE...]",
        "has every input its fate, once?",
        "coordinator.fleet.mergecommand:tell_ledger",
    ),
)
"""What shows all boxes, and makes one of their results."""

EXTRA = ("cryptography", "dask", "distributed", "tornado")
"""Packages of the extra `fleet` that some words import."""

WORDS = (*THIS_BOX, *ALL_BOXES, *LOOKING)


def main(argv: list[str]) -> int:
    """Run one of `WORDS`; the exit status is its own, or 2 for a mistake."""
    there = [word for word in WORDS if word.where]
    asked = argv[0].lstrip("-") if argv else ""
    if asked in ("h", "help"):
        sys.stdout.write(safetext.lines(usage()))
        return OK
    if not argv:
        sys.stderr.write(safetext.lines(usage()))
        return MISTAKE
    for word in there:
        if word.name == argv[0]:
            return _run(word, argv[1:])
    sentence = f"lzr fleet: unknown command {printable(argv[0])}{suggest(argv[0], [w.name for w in there])}"
    print(safetext.line(sentence), file=sys.stderr)
    return MISTAKE


def _run(word: Word, argv: list[str]) -> int:
    module, _, function = word.where.partition(":")
    try:
        with _ended_at_once():
            run: Callable[[list[str]], int] = getattr(import_module(module), function)
        return run(argv)
    except UsageError as error:
        sentence = str(error)
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        sentence = f"{error.name} is missing: {extras.install('fleet')} brings it"
        if not isinstance(error, ModuleNotFoundError):  # it is there
            sentence = extras.trouble(error, str(error.name), "fleet")
    print(safetext.line(f"lzr fleet {word.name}: {sentence}"), file=sys.stderr)
    return MISTAKE


@contextlib.contextmanager
def _ended_at_once() -> Iterator[None]:
    """Ctrl-C ends the process meanwhile, without a word: there is nothing to put away yet, and modules in C
    that are being loaded make an ImportError of it."""
    before = None
    with contextlib.suppress(ValueError):  # not in the main thread
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def usage() -> str:
    """The help on all of them."""
    rows = [(f"{word.name} {word.takes}".strip(), word.brief) for word in WORDS if word.where]
    width = max(len(head) for head, _ in rows) + 2
    return (
        "usage: lzr fleet COMMAND ...\n\nOne scan on several boxes, each from its own address, as a plan "
        "says.\nlzr fleet COMMAND --help tells more.\n\n"
        + "".join(f"  {head.ljust(width)}{brief}\n" for head, brief in rows)
    )
