"""``lzr report``: a scan as one page to look at and to pass on, which needs no network and no other file.

With a second, older file it shows what has changed since. `--static` leaves out every script.
"""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from importlib import util

from coordinator.analysis import askedhosts
from coordinator.analysis.reading import connect, load
from coordinator.commandline import extras
from coordinator.commandline.progressbar import Bar
from coordinator.commandline.running import Parser, ended, tell
from coordinator.commandline.wholefile import output
from coordinator.reports import comparefiles
from coordinator.reports.report import make
from lzr import __version__
from lzr.analysis.columns import NAMES
from lzr.analysis.page.document import write
from lzr.errors import UsageError, printable, two_dashes
from lzr.exitstatus import LOST, OK

NAME = "report"
_FLAGS = ("output", "static", "overwrite", "metadata", "old-metadata", "asked", "title", "help")


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0, 2 for a mistake, 3 for what could not be read."""
    return ended(NAME, lambda: _run(_parser().parse_args(two_dashes(argv, _FLAGS))))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="lzr report",
        description="Make one HTML page of a scan: what was found, unexpected services, products, "
        "firewalls and "
        "middleboxes, how the run went, and a table of services that can be searched. It loads nothing from "
        "anywhere. With an older scan it shows what has changed since.",
        epilog="example: lzr report found.json -o report.html",
    )
    parser.add_argument(
        "scan", metavar="SCAN", help="results: JSON, CSV, Parquet, compressed or not; - is stdin"
    )
    parser.add_argument("older", nargs="?", metavar="OLDER", help="results of an older scan, to compare with")
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="where the page goes; - is stdout"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE where it exists")
    parser.add_argument(
        "--static", action="store_true", help="no script at all: charts as SVG, a shorter table"
    )
    parser.add_argument("--title", metavar="TEXT", help="a heading in place of the file's name")
    parser.add_argument(
        "--metadata",
        metavar="FILE",
        help="the run's metadata (default: NAME.metadata.json beside the results)",
    )
    parser.add_argument("--old-metadata", metavar="FILE", help="those of the older scan")
    parser.add_argument(
        "--asked",
        action="append",
        default=[],
        metavar="FILE",
        help="what the newer scan covered, as lzr diff takes it; several add up",
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    plotly = None if options.static else _plotly()
    if options.scan == options.older == "-":
        raise UsageError("only one of the two scans can come from stdin")
    if [options.scan, options.older, *options.asked].count("-") > 1:
        raise UsageError("a scan and who was asked cannot both come from stdin: name a file for one of them")
    metadata, metadata_name = askedhosts.given(options.metadata, options.scan)
    read = (options.scan, options.older, metadata_name, options.old_metadata, *options.asked)
    inputs = tuple(path for path in read if path)
    with output(options.output, overwrite=options.overwrite, inputs=inputs) as out:
        connection = connect(memory=comparefiles.MEMORY, files=True)
        difference = None
        if options.older:
            compared, asked = comparefiles.compared(
                connection,
                options.older,
                options.scan,
                old_metadata=options.old_metadata,
                new_metadata=options.metadata,
                listed=options.asked,
                columns=NAMES,
                name=NAME,
            )
            difference = compared, asked, os.path.basename(options.older)
            status = LOST if compared.incomplete else OK
        else:
            with Bar(f"reading {printable(options.scan)}") as bar:
                reading = load(connection, options.scan, "new", progress=bar)
            status = tell(NAME, reading)
        name = "standard input" if options.scan == "-" else os.path.basename(options.scan)
        made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        foot = f"Made by lzr {__version__} on {made}."
        if plotly is not None:
            foot += " Charts by plotly.js (MIT licence; its notice stands in the page)."
        with Bar("counting", 1000) as bar:
            report = make(
                connection,
                options.title or name,
                metadata=metadata,
                metadata_name=os.path.basename(metadata_name),
                difference=difference,
                foot=foot,
                turn=lambda _, share: bar(round(share * 1000)),
            )
        with open(os.dup(out.descriptor), "w", encoding="utf-8", newline="") as page:
            page.writelines(write(report, plotly))
    return status


def _plotly() -> str:
    """The text of plotly.min.js, from the package plotly, without importing it. Raises UsageError."""
    spec = util.find_spec("plotly")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        path = os.path.join(place, "package_data", "plotly.min.js")
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except OSError:
            continue
        if "</script" not in text and "<!--" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
    added = extras.install("analysis")
    raise UsageError(f"the charts need plotly: {added}; or ask for --static, which needs none")
