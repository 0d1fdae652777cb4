"""``lzr diff``: what has appeared, gone or changed from one scan to the next.

A service is an address and a port; what it says is compared without what differs each time it is asked. It is
called gone only where the newer scan is known to have asked for it. The exit status says whether anything
changed, as that of diff(1) does: 0 nothing, 1 something, 2 a mistake; 3: part of a file could not be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from coordinator.analysis.reading import connect
from coordinator.commandline.running import Parser, ended, say
from coordinator.reports import comparefiles, compareservices
from coordinator.reports.compareservices import CHANGES, KINDS, Compared
from lzr import safetext
from lzr.analysis import asked as asking
from lzr.analysis.asked import Coverage
from lzr.errors import UsageError, printable, two_dashes
from lzr.exitstatus import LOST, OK

if TYPE_CHECKING:
    pass

NAME = "diff"
CHANGED = 1
_FLAGS = ("json", "confirm", "asked", "ignore", "old-metadata", "new-metadata", "not-asked", "help")
_SIGNS = {"appeared": "+", "gone": "-", "changed": "~", "not_asked": "?"}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0 where nothing changed, 1 where something did, 2 for a mistake, 3
    where part of a file could not be read."""
    found: list[int] = []
    status = ended(NAME, lambda: _run(_parser().parse_args(two_dashes(argv, _FLAGS)), found))
    return status or max(found, default=OK)  # whoever reads of it may have left before the end


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="lzr diff",
        description="Say what has appeared (+), gone (-) or changed (~) from an older scan to a newer one. "
        "A service "
        "is gone only where the newer scan asked for it and had no answer: shown by its records, or by its "
        "metadata (--metadata-file, also found beside the results as NAME.metadata.json).",
        epilog="exit status: 0 nothing changed, 1 something did, 2 a mistake, 3 part of a file could not be "
        "read; example: lzr diff monday.json tuesday.json || mail -s changes you@example.net",
    )
    parser.add_argument(
        "old", metavar="OLD", help="results of the older scan: JSON, CSV, Parquet, compressed or not"
    )
    parser.add_argument("new", metavar="NEW", help="results of the newer one; - is stdin, for one of the two")
    parser.add_argument(
        "--json", action="store_true", help="print a JSON object for each change, and a summary"
    )
    parser.add_argument(
        "--confirm",
        action="store_true",
        help="print only those that are gone, one address:port a line, to ask again: | lzr -sendSYNs",
    )
    parser.add_argument(
        "--ignore",
        default="",
        metavar="KIND,KIND",
        help=f"kinds of change that do not count, of {', '.join(KINDS)}",
    )
    parser.add_argument(
        "--not-asked", action="store_true", help="list what the newer scan did not ask for, too"
    )
    parser.add_argument(
        "--asked",
        action="append",
        default=[],
        metavar="FILE",
        help="what the newer scan covered, where its metadata cannot tell (zmap | lzr): a network, range or "
        "address a line, with :PORT or without; - is stdin; several add up",
    )
    parser.add_argument("--old-metadata", metavar="FILE", help="the metadata of the older scan")
    parser.add_argument("--new-metadata", metavar="FILE", help="the metadata of the newer scan")
    return parser


def _run(options: argparse.Namespace, found: list[int]) -> int:
    """found: gets the status, once it is known."""
    if options.json and options.confirm:
        raise UsageError("--confirm prints a list and --json objects: ask for one of them")
    if options.old == options.new == "-":
        raise UsageError("only one of the two scans can come from stdin")
    if [options.old, options.new, *options.asked].count("-") > 1:
        raise UsageError("a scan and who was asked cannot both come from stdin: name a file for one of them")
    ignored = [kind.strip() for kind in options.ignore.split(",") if kind.strip()]
    for kind in ignored:
        if kind not in KINDS:
            raise UsageError(f"--ignore: no change is called {printable(kind)}; there are {', '.join(KINDS)}")
    connection = connect(memory=comparefiles.MEMORY, files=True, ordered=False)
    compared, asked = comparefiles.compared(
        connection,
        options.old,
        options.new,
        old_metadata=options.old_metadata,
        new_metadata=options.new_metadata,
        listed=options.asked,
        kinds=tuple(kind for kind in KINDS if kind not in ignored),
        name=NAME,
    )
    status = LOST if compared.incomplete else CHANGED if compared.differ else OK
    found.append(status)
    out = sys.stdout
    if options.confirm:
        for key, port, *_ in comparefiles.rows(connection, ("gone",)):
            out.write(f"{asking.shown(asking.number(key), port)}\n")
        for line in _summary(compared, asked):
            say(NAME, line)
        return status
    shown = (*CHANGES, "not_asked") if options.not_asked else CHANGES
    for row in comparefiles.rows(connection, shown):
        out.write(_object(row) if options.json else _line(row))
    if options.json:
        summary = {
            "old": compared.old, "new": compared.new, **compared.counts, "kinds": compared.kinds,
            "not_asked_because": compared.not_asked, "notes": [*compared.notes, *filter(None, [asked.why])],
        }  # fmt: skip
        out.write(json.dumps({"summary": summary}) + "\n")
    else:
        out.write("".join(f"{line}\n" for line in _summary(compared, asked)))
    return status


def _object(row: tuple[Any, ...]) -> str:
    key, port, change, kinds, how = row[:5]
    old, new = comparefiles.sides(row)
    address, _, _ = asking.shown(asking.number(key), port).rpartition(":")
    found: dict[str, Any] = {"change": change, "saddr": address.strip("[]"), "sport": port}
    if change == "changed":
        found["kinds"] = compareservices.kinds_of(kinds)
    elif how:
        found["how"] = how
    if change != "appeared":
        found["old"] = old
    if change in ("appeared", "changed"):
        found["new"] = new
    return json.dumps(found) + "\n"


def _line(row: tuple[Any, ...]) -> str:
    key, port, change = row[:3]
    label, what = comparefiles.brief(row)
    named, value = safetext.plain(label, 24, mark="..."), safetext.plain(what, 300, mark="...")
    where = asking.shown(asking.number(key), port)
    return f"{_SIGNS[change]} {where:<21}  {named:<12}  {value}".rstrip() + "\n"


def _summary(compared: Compared, asked: Coverage) -> list[str]:
    counts = compared.counts
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in compared.kinds.items() if count)
    lines = [
        f"{_services(compared.old)} before, {compared.new:,} now: {counts['appeared']:,} appeared, "
        f"{counts['gone']:,} gone, {counts['changed']:,} changed{f' ({kinds})' if kinds else ''}, "
        f"{counts['same']:,} the same"
    ]
    if counts["not_asked"]:
        why = f": {asked.why}" if asked.why else ""
        lines.append(f"{_services(counts['not_asked'])} of before not asked for, so not called gone{why}")
    return lines + compared.notes


def _services(count: int) -> str:
    return "1 service" if count == 1 else f"{count:,} services"
