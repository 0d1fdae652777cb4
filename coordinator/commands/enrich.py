"""``lzr enrich``: results with system and country of each address, from files of the user's."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from coordinator.commandline import progressbar, running, wholefile
from lzr.errors import UsageError, two_dashes

NAME = "enrich"
_FLAGS = ("asn", "mmdb", "products", "output", "format", "overwrite", "quiet", "help")


def main(argv: list[str]) -> int:
    """The exit status: 0, 2 for a mistake and what cannot be written, 3 for what could not be read."""
    return running.ended(NAME, partial(_run, argv))


def _run(argv: list[str]) -> int:
    options = _parser().parse_args(two_dashes(argv, _FLAGS))
    if not (options.asn or options.mmdb or options.products):
        raise UsageError(
            "say what to add: --asn ip2asn-combined.tsv.gz, --mmdb FILE.mmdb (system and country), --products"
        )
    if options.file is None and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("name a file of results, as in: lzr enrich scan.json --asn ip2asn-combined.tsv.gz")
    from coordinator.analysis import identifying, writing
    from coordinator.analysis.asnlookup import Places
    from coordinator.analysis.enriching import Enricher
    from coordinator.analysis.reading import Records, connect

    path = "-" if options.file is None else options.file
    output = "-" if options.output is None else options.output
    form = writing.form_of(output, options.format)
    connection = connect(memory=1 << 28, files=True)
    inputs = (path, *options.asn, *options.mmdb)
    with (
        wholefile.output(output, overwrite=options.overwrite, inputs=inputs) as to,
        progressbar.Bar("read") as bar,
        Records(path, bar) as records,
    ):
        products = identifying.Products() if options.products else None
        enricher = Enricher(Places(options.asn, options.mmdb), products)
        bar.total = records.size
        if form == "json" and records.form == "json":
            for lines in enricher.lines(records):
                wholefile.write_whole(to.descriptor, lines)
        elif records.form == "parquet":
            if options.products:
                raise UsageError(
                    "--products reads lines: enrich the JSON lines, or export this to JSON first"
                )
            records.register(connection, "lzr_records")
            enricher.joined(records, connection, "lzr_records")
            writing.write(connection, records, "lzr_enriched", to, form, "lzr")
        else:
            records.register(connection, "lzr_records", enricher.batches(records.batches()))
            writing.write(connection, records, "lzr_records", to, form, "lzr")
        reading = records.finish()
    status = running.tell(NAME, reading)
    if output != "-" and not options.quiet:
        counts = enricher.counts
        known = f"; a system is known for {counts.asn:,}, a country for {counts.country:,}"
        running.say(NAME, f"{reading.counted()} in {to.name}{known if counts.records else ''}")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = running.Parser(
        prog="lzr enrich",
        description="Results with the autonomous system and the country of each address, looked up in files "
        "of yours: nothing is fetched or sent.",
        epilog="example: lzr enrich scan.json --asn ip2asn-combined.tsv.gz --mmdb country.mmdb -o known.json",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="results; - or nothing is stdin")
    parser.add_argument(
        "--asn",
        action="append",
        default=[],
        metavar="FILE",
        help="ranges, as iptoasn.com has them (TSV, also .gz)",
    )
    parser.add_argument(
        "--mmdb", action="append", default=[], metavar="FILE", help="a MaxMind DB of systems or countries"
    )
    parser.add_argument(
        "--products",
        action="store_true",
        help="fill product, version, cpe, os and so on from the replies, as --enrich does in a scan",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="what to write; - or nothing is stdout")
    parser.add_argument("--format", choices=("parquet", "csv", "json"), help="default: by the name")
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")
    parser.add_argument("-q", "--quiet", action="store_true", help="do not say how many records there were")
    return parser
