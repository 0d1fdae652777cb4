"""``lzr predict``: where services are likely that a seed scan has not shown, the likeliest first.

Called once, it prints a list for ``lzr -sendSYNs``. With ``--loop`` it also scans the list, batch by batch,
and learns from each.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import TYPE_CHECKING, Any

from coordinator.analysis import askedhosts
from coordinator.commandline.progressbar import Bar
from coordinator.commandline.running import Parser, ended, say
from coordinator.files.filereader import FileReader
from coordinator.input import networklists
from lzr.addresstext import ranges_of
from lzr.analysis import asked as asking
from lzr.errors import UsageError, printable, two_dashes
from lzr.exitstatus import LOST, OK
from lzr.ranges import Range, intersection, union
from lzr.sweep.reader import hosts

if TYPE_CHECKING:
    from coordinator.prediction.loop import LoopPlan

NAME = "predict"
_FLAGS = (
    "space", "budget", "asked", "blocklist-file", "allowlist-file", "allow-printers", "explain", "json",
    "loop", "batch", "stop-at", "state", "follow-hosts", "help",
)  # fmt: skip
_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)([kKmMgG]?)", re.A)
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_SHARE = re.compile(r"(\d*\.?\d+)(%?)", re.A)


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0, 2 for a mistake, 3 for what could not be read of a seed (or what
    a scan of a loop lost), that of the scan that ended a loop."""
    own, dashes, scan = _divided(argv)
    return ended(NAME, lambda: _run(_parser().parse_args(two_dashes(own, _FLAGS)), scan if dashes else None))


def _divided(argv: list[str]) -> tuple[list[str], bool, list[str]]:
    if "--" not in argv:
        return argv, False, []
    at = argv.index("--")
    return argv[:at], True, argv[at + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="lzr predict",
        description="Print the pairs of address and port that are likeliest to answer and have not been "
        "asked, the likeliest first, one address:port a line for lzr -sendSYNs. It learns from what has "
        "answered (and who has not: --asked) which ports go together, with which product, banner, "
        "certificate and network.",
        epilog="example: lzr predict seed.json --asked seed.hosts --space 198.51.100.0/22 "
        "--budget 5K > next.txt",
    )
    add = parser.add_argument
    several: dict[str, Any] = {"action": "append", "default": [], "metavar": "FILE"}
    add("seed", nargs="+", metavar="SEED", help="results of scans: JSON, CSV, Parquet; - is stdin")
    add("--space", required=True, action="append", metavar="NET,NET", help="networks to ask, and nobody else")
    add("--budget", required=True, metavar="N", help="lines to print, or probes of a loop (K, M allowed)")
    add(
        "--asked",
        help="what the seed asked, whether it answered or not: an address, network or range a line, with "
        ":PORTS (80,443,8000-8100) or without (all), - is stdin; the metadata of a sweep beside its results "
        "say it, too",
        **several,
    )
    add("-b", "--blocklist-file", help="networks never to ask (ZMap's format)", **several)
    add("-w", "--allowlist-file", help="ask only these", **several)
    add("--allow-printers", action="store_true", help="ask on ports 9100 to 9107, too")
    add("--explain", action="store_true", help="say on each line why, as a comment")
    add("--json", action="store_true", help="print an object for each line, with chance and reason")
    loop = parser.add_argument_group("the loop: lzr predict ... --loop -- OPTIONS OF THE SCANS").add_argument
    loop("--loop", action="store_true", help="scan each batch with lzr -sendSYNs OPTIONS, learn, and go on")
    loop("--batch", default="200K", metavar="N", help="probes of a batch (default: 200K)")
    loop(
        "--stop-at",
        default="0",
        metavar="SHARE",
        help="end when fewer of a batch answer: 0.001 or 0.1%% (default: 0)",
    )
    loop(
        "--state",
        default="predicted",
        metavar="DIR",
        help="lists, results (found.json) and what the same command needs to go on (default: predicted)",
    )
    loop(
        "--follow-hosts",
        action="store_true",
        help="ask hosts that the loop finds on further ports, too, chosen once, by what answered first; off "
        "by default: see docs/analysis.md",
    )
    return parser


def _run(options: argparse.Namespace, scan: list[str] | None) -> int:
    budget = number_of("--budget", options.budget)
    if scan is not None and not options.loop:
        raise UsageError("OPTIONS behind -- are for a scan: they need --loop")
    if options.loop and (options.explain or options.json):
        raise UsageError("--loop prints no list: --explain and --json go without it")
    if options.json and options.explain:
        raise UsageError("--json has the reasons already: leave --explain out")
    if options.seed.count("-") > 1:
        raise UsageError("only one seed can come from stdin")
    if [*options.seed, *options.asked].count("-") > 1:
        raise UsageError("a seed and who was asked cannot both come from stdin: name a file for one of them")
    if options.loop and "-" in options.seed:
        raise UsageError("a loop reads its seed more than once: name a file, not stdin")
    ranges = _space(options)
    if options.loop:
        from coordinator.prediction import loop

        plan: LoopPlan = loop.LoopPlan(
            tuple(options.seed),
            tuple(_asked(options)),
            tuple(ranges),
            budget,
            number_of("--batch", options.batch),
            share_of("--stop-at", options.stop_at),
            options.state,
            options.follow_hosts,
            options.allow_printers,
            tuple(scan or ()),
        )
        return loop.run(plan, lambda sentence: say(NAME, sentence))
    return _once(options, ranges, budget)


def _asked(options: argparse.Namespace) -> list[asking.Part]:
    """What the files of --asked name. Raises UsageError."""
    return [part for path in options.asked for part in askedhosts.listed(path)]


def _once(options: argparse.Namespace, ranges: list[Range], budget: int) -> int:
    from coordinator.prediction import lists
    from lzr.prediction.predict import compare

    parts = _asked(options)
    given = (parts.pop() for _ in range(len(parts)))  # they are large, and are not to stay
    troubles: list[str] = []
    with Bar("reading and learning", ticking=True) as bar:
        learnt = lists.learn(options.seed, given, ranges, strangers=True, progress=bar, say=troubles.append)
        found = lists.listed(learnt, budget, printers=options.allow_printers)
    for note in (*troubles, *learnt.seed.notes):
        say(NAME, note)
    if not len(found):
        say(NAME, "the seed gives no reason to ask anybody in this space who has not been asked")
    for sentence in (*lists.sentences(compare(learnt.model, found)), *lists.doubts(learnt, found)):
        say(NAME, sentence)
    out = sys.stdout
    if options.json:
        out.writelines(json.dumps(reason) + "\n" for reason in lists.reasons(learnt, found))
    elif options.explain:
        out.writelines(lists.explained_lines(learnt, found))
    else:
        out.writelines(lists.lines(found, learnt.seed.six))
    return LOST if troubles else OK


def number_of(name: str, text: str) -> int:
    """A count with K, M or G. Raises UsageError."""
    match = _NUMBER.fullmatch(text)
    value = round(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if not 1 <= value <= 1_000_000_000:
        raise UsageError(f"{name} wants a number from 1 to 1G, as in 200K, not {printable(text)}")
    return value


def share_of(name: str, text: str) -> float:
    """A share, as 0.001 or 0.1%. Raises UsageError."""
    match = _SHARE.fullmatch(text)
    value = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"{name} wants a share from 0 to 1, or a percentage, not {printable(text)}")
    return value


def _space(options: argparse.Namespace) -> list[Range]:
    """What may be asked. Raises UsageError."""
    asked: list[Range] = []
    for word in ",".join(options.space).split(","):
        try:
            asked += ranges_of(word.strip())
        except ValueError:
            raise UsageError(f"--space: {printable(word)} is no network") from None
    reader = FileReader()
    allowed = union(asked)
    if options.allowlist_file:
        allowed = intersection(allowed, networklists.prefixes(options.allowlist_file, reader).ranges())
    blocked = networklists.prefixes(options.blocklist_file, reader).ranges() if options.blocklist_file else []
    left = hosts(allowed, blocked)
    if not left:
        raise UsageError("nothing is left of the space: all of it is blocked, not allowed, or nobody's")
    return left
