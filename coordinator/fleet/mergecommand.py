"""``lzr fleet merge`` and ``lzr fleet ledger``: merges what all boxes have found, and checks that it is
complete.

The files may include metadata of runs (recognised by their content); a directory stands for all files in it.
If there are metadata, the ledger is reported with the merge.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from coordinator.analysis import askedhosts, reading, writing
from coordinator.commandline import progressbar, running, wholefile
from coordinator.fleet import fetching, lockfile, shardlookup
from coordinator.fleet.merging import Merger
from lzr.errors import UsageError, printable, two_dashes
from lzr.exitstatus import OK
from lzr.fleet import audit
from lzr.fleet.keptrecords import Chosen, Generations
from lzr.fleet.lock import Lock

NAME = "fleet merge"
DIFFERS, MISSING = 1, 3
"""DIFFERS: the ledger does not agree. MISSING: results may be missing, or were left out."""

_RESULTS = (".json", ".jsonl", ".ndjson", ".json.gz", ".json.zst")
_NONE = frozenset(("status.json", "blocks.jsonl", "zmap.jsonl", "zmap-shard.json", "lease.json"))
_OF_PLAN = (".lock.json", ".wanted.json", ".leases.json", ".blocks.jsonl")
"""Names, and ends of names, of files in the directory of a run or of a plan that are neither results nor
metadata."""


def merge(argv: list[str]) -> int:
    """The exit status: 0, 3 where something could not be taken or the ledger does not agree, 2 a mistake."""
    return running.ended(NAME, partial(_merge, argv))


def tell_ledger(argv: list[str]) -> int:
    """The exit status: 0 every input has its fate once, 1 it is not so, 2 a mistake."""
    return running.ended("fleet ledger", partial(_ledger, argv))


def _merge(argv: list[str]) -> int:
    asked = _parser().parse_intermixed_args(two_dashes(argv, ("output", "overwrite", "quiet", "help")))
    lock = lockfile.read(asked.plan)
    paths = _files(lock, asked)
    metadata, results, boxes = sorted_out(lock, paths)
    if not results:
        raise UsageError(_nothing(asked))
    form = writing.form_of(asked.output, None)
    if form == "csv":
        raise UsageError("what is merged is written as JSON lines or Parquet; lzr export makes CSV of it")
    if form == "parquet":
        reading.duckdb()  # or a sentence, before anything is read
    inputs = (*paths, asked.plan, lockfile.beside(asked.plan))
    with (
        wholefile.output(asked.output, overwrite=asked.overwrite, inputs=inputs) as to,
        Merger(Generations(lock.runs, lock.plan.shards, shardlookup.of(lock))) as merger,
    ):
        with progressbar.Bar("read") as bar:
            bar.total = sum(map(_size, results))
            before = 0
            for path in results:
                merger.read(path, _behind(bar, before), box_of(lock, path))
                before += _size(path)
        kept = merger.settle()
        with progressbar.Bar("write") as bar:
            _write(merger, kept, to, form, bar)
        found = merger.by_box(lock.runs, kept)
    for sentence in (sentence for file in merger.files for sentence in file.trouble()):
        running.say(NAME, sentence)
    if asked.output != "-" and not asked.quiet:
        running.say(NAME, _sentence(kept, len(results), to.name))
    whole = merger.whole
    if metadata:
        whole &= _say_ledger(NAME, lock, metadata, boxes, found, quiet=asked.quiet)
    return OK if whole else MISSING


def _nothing(asked: argparse.Namespace) -> str:
    """Why there is nothing to go by."""
    if asked.files:
        return "none of the files that are named has results or metadata of a run"
    where = printable(lockfile.results_of(asked.plan))
    return f"nothing has been fetched into {where}: lzr fleet start does that, or name files of the boxes"


def _behind(bar: progressbar.Bar, before: int) -> Callable[[int], None]:
    """What moves the bar for one file of several. before: bytes of those that were read already."""
    return lambda done: bar(before + done)


def _write(merger: Merger, kept: Chosen, to: wholefile.Destination, form: str, bar: progressbar.Bar) -> None:
    if form == "json":
        merger.write(to.descriptor, kept, bar)
        return
    with tempfile.NamedTemporaryFile(dir=reading.temporary(), suffix=".json") as lines:
        merger.write(lines.fileno(), kept, bar)
        connection = reading.connect(memory=1 << 28, files=True)
        with reading.Records(lines.name) as records:
            records.register(connection, "lzr_records")
            writing.write(connection, records, "lzr_records", to, form, "lzr")
            records.finish()


def _sentence(kept: Chosen, files: int, name: str) -> str:
    """A sentence on what was merged."""
    text = f"{audit.many(len(kept.rows), 'record')} of {audit.many(files, 'file')} in {name}"
    if kept.same:
        text += f"; {audit.many(kept.same, 'line')} came more than once"
    if kept.other:
        text += f"; {audit.many(kept.other, 'record')} of what was asked twice left out for another"
    return text


def _ledger(argv: list[str]) -> int:
    asked = _ledger_parser().parse_intermixed_args(two_dashes(argv, ("quiet", "help")))
    lock = lockfile.read(asked.plan)
    metadata, _, boxes = sorted_out(lock, _files(lock, asked))
    if not metadata:
        raise UsageError(_nothing(asked))
    return OK if _say_ledger("fleet ledger", lock, metadata, boxes, quiet=asked.quiet) else DIFFERS


def _say_ledger(
    name: str,
    lock: Lock,
    metadata: Sequence[tuple[str, Any]],
    boxes: Sequence[str | None],
    found: Mapping[str, int] | None = None,
    *,
    quiet: bool,
) -> bool:
    """Tell the ledger; whether it agrees. found: records of each box, where those were counted."""
    balance = audit.of(lock, metadata, boxes)
    if found is not None:
        balance.compare(found)
    for sentence in balance.faults:
        running.say(name, sentence)
    if balance.warning:
        running.say(name, balance.warning)
    if not quiet or not balance.agrees:
        running.say(name, balance.sentence())
    return balance.agrees


def _files(lock: Lock, asked: argparse.Namespace) -> list[str]:
    """The files that are named, directories as what lies in them. Raises UsageError."""
    found: list[str] = []
    fetched = lockfile.results_of(asked.plan)
    if not asked.files:
        if not os.path.isdir(fetched):
            raise UsageError(_nothing(asked))
        _look_whose(lock, fetched)
    for path in asked.files or [fetched]:
        if path == "-" or not os.path.isdir(path):
            found.append(path)
            continue
        try:
            names = sorted(os.listdir(path))
        except OSError as error:
            raise UsageError(f"cannot read {printable(path)}: {error.strerror}") from None
        names = [name for name in names if name not in _NONE and not name.endswith(_OF_PLAN)]
        found += [os.path.join(path, name) for name in names if name.endswith(_RESULTS)]
    return found


def _look_whose(lock: Lock, fetched: str) -> None:
    """Raises UsageError where these results are of another plan."""
    try:
        theirs = fetching.plan_of(fetched)
    except OSError as error:
        raise UsageError(f"cannot read {printable(fetched)}: {error.strerror}") from None
    if theirs not in ("", lock.id):
        raise UsageError(
            f"{printable(fetched)} has the results of another plan ({printable(theirs)}), and this one is "
            f"{lock.id}: name the files that are meant"
        )


def box_of(lock: Lock, path: str) -> str | None:
    """The box whose results, or metadata, a file holds, by its name: fra1-g1.json and fra1-g1.metadata.json
    as they are fetched, or results.json and metadata.json in fra1-g1.
    """
    directory, name = os.path.split(os.path.abspath(path))
    for suffix in (".metadata.json", *_RESULTS):
        stem = name.removesuffix(suffix)
        if stem != name:
            stem = os.path.basename(directory) if stem in ("results", "metadata") else stem
            return next((run.box for run in lock.runs if run.name == stem), None)
    return None


def sorted_out(lock: Lock, paths: Sequence[str]) -> tuple[list[tuple[str, Any]], list[str], list[str | None]]:
    """Metadata of runs, (name, what is in it), files of results, and of each of the former whose it is, where
    that is known. What a box gives as its metadata is never taken for results. Raises UsageError.
    """
    metadata: list[tuple[str, Any]] = []
    results: list[str] = []
    boxes: list[str | None] = []
    for path in paths:
        box = box_of(lock, path)
        if box is not None and path.endswith("metadata.json") and os.path.isfile(path):
            boxes.append(box)
            metadata.append((printable(path), _of_box(path)))
        elif (found := _metadata(path)) is not None:
            boxes.append(box)
            metadata.append((printable(path), found))
        else:
            results.append(path)
    return metadata, results, boxes


def _of_box(path: str) -> Any:
    """The metadata that a box has given; None where they are none."""
    try:
        return askedhosts.read(path)
    except UsageError:
        return None


def _metadata(path: str) -> Any:
    """The content of a file of metadata, None where it is something else. Raises UsageError."""
    if path == "-" or not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except OSError as error:
        raise UsageError(f"cannot read {printable(path)}: {error.strerror}") from None
    return askedhosts.read(path) if b'"program"' in head.split(b":")[0] else None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _parser() -> running.Parser:
    parser = running.Parser(
        prog="lzr fleet merge",
        description="Make one file of the results of all runs of a plan: one record for each address, port "
        "and handshake, in their order. The same files in any order give the same bytes, and so does the "
        "result with any of them again.",
        epilog="exit status: 0 done; 3 done, but something could not be taken, or inputs are without their "
        "fate; 2 a mistake. example: lzr fleet merge plan.toml -o found.json fra1-g1/ ams1-g1/",
        allow_abbrev=False,
    )
    parser.add_argument("plan", metavar="PLAN", help="the plan, or its lock")
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="results (JSON lines; gzip, bzip2, xz and zstd too), metadata, directories of them; nothing: "
        "what lzr fleet start has fetched",
    )
    parser.add_argument(
        "-o", "--output", default="-", metavar="FILE", help="what to write: .json or .parquet (stdout)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    parser.add_argument("-q", "--quiet", action="store_true", help="do not say what there was")
    return parser


def _ledger_parser() -> running.Parser:
    parser = running.Parser(
        prog="lzr fleet ledger",
        description="Say whether every input of a plan has its fate exactly once, by its runs' metadata.",
        epilog="exit status: 0 it is so, 1 it is not, 2 a mistake",
        allow_abbrev=False,
    )
    parser.add_argument("plan", metavar="PLAN", help="the plan, or its lock")
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="metadata of runs, directories of them; nothing: what lzr fleet start has fetched",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing where it is so")
    return parser
