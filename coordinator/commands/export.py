"""``lzr export``: results as Parquet, CSV or JSON lines, under our names or those of others."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial

from coordinator.commandline import progressbar, running, wholefile
from lzr.analysis import exportnames, schemas
from lzr.errors import UsageError, two_dashes
from lzr.exitstatus import OK

NAME = "export"
_FLAGS = (
    "output",
    "format",
    "as",
    "schema",
    "follow",
    "part-records",
    "part-seconds",
    "overwrite",
    "quiet",
    "help",
)


def main(argv: list[str]) -> int:
    """The exit status: 0, 2 for a mistake and what cannot be written, 3 for what could not be read."""
    return running.ended(NAME, partial(_run, argv))


def _run(argv: list[str]) -> int:
    options = _parser().parse_args(two_dashes(argv, _FLAGS))
    if options.schema:
        made = schemas.json_schema() if options.schema == "json" else schemas.bigquery()
        if options.output in (None, "-"):
            sys.stdout.write(json.dumps(made, indent=2) + "\n")
        else:
            text = json.dumps(made, indent=2) + "\n"
            with wholefile.output(options.output, overwrite=options.overwrite) as to:
                wholefile.write_whole(to.descriptor, text.encode("ascii"))
        return OK
    if options.file is None and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("name a file of results, as in: lzr export scan.json -o scan.parquet")
    path = "-" if options.file is None else options.file
    output = "-" if options.output is None else options.output
    from coordinator.analysis import writing  # needs DuckDB, a schema does not
    from coordinator.analysis.reading import Records, connect, duckdb

    duckdb()
    form = writing.form_of(output, options.format)
    if options.follow:
        return _follow(path, output, form, options)
    connection = connect(memory=1 << 28, files=True)
    with (
        wholefile.output(output, overwrite=options.overwrite, inputs=(path,)) as to,
        progressbar.Bar("read") as bar,
        Records(path, bar) as records,
    ):
        bar.total = records.size
        records.register(connection, "lzr_records")
        writing.write(connection, records, "lzr_records", to, form, options.view)
        reading = records.finish()
    status = running.tell(NAME, reading)
    if output != "-" and not options.quiet:
        running.say(NAME, f"{reading.counted()} in {to.name}")
    return status


def _follow(path: str, output: str, form: str, options: argparse.Namespace) -> int:
    from coordinator.analysis.following import Follower, NumberedParts

    if path == "-":
        raise UsageError("--follow needs the name of the file that a scan writes")
    say = partial(running.say, NAME)
    parts = NumberedParts(output, form, options.view, overwrite=options.overwrite)
    follower = Follower(path, parts, rows=options.part_records, seconds=options.part_seconds, say=say)
    reading = follower.run()
    status = running.tell(NAME, reading)
    if not options.quiet:
        say(
            f"{reading.counted()} in {'1 part' if len(parts.written) == 1 else f'{len(parts.written)} parts'}"
        )
    return status


def _parser() -> argparse.ArgumentParser:
    parser = running.Parser(
        prog="lzr export",
        description="Results as Parquet, CSV or JSON lines, with typed columns. Reads what lzr and LZR write "
        "(JSON lines, CSV, the feed for ZGrab2; gzip, bzip2, xz and zstd too), and Parquet made by this.",
        epilog="example: lzr export scan.json -o scan.parquet; "
        "lzr export scan.json --follow -o parts/scan.parquet",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="results; - or nothing is stdin")
    parser.add_argument("-o", "--output", metavar="FILE", help="what to write; - or nothing is stdout")
    parser.add_argument("--format", choices=("parquet", "csv", "json"), help="default: by the name")
    parser.add_argument(
        "--as",
        dest="view",
        choices=tuple(exportnames.VIEWS),
        default="lzr",
        help="whose names it has (lzr)",
    )
    parser.add_argument(
        "--schema",
        choices=("json", "bigquery"),
        help="print the schema of the lines (json) or the table, and end",
    )
    parser.add_argument(
        "--follow",
        action="store_true",
        help="of a running scan: write parts, OUTPUT-00000 and on, until it ends",
    )
    parser.add_argument(
        "--part-records", type=_positive, default=1_000_000, metavar="N", help="records in a part (1000000)"
    )
    parser.add_argument(
        "--part-seconds",
        type=_positive,
        default=60,
        metavar="S",
        help="seconds after which a part is made (60)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")
    parser.add_argument("-q", "--quiet", action="store_true", help="do not say how many records there were")
    return parser


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:12]) <= 10**9):
        raise argparse.ArgumentTypeError(f"{text[:40]!a} is no number from 1 to 1000000000")
    return int(text)
