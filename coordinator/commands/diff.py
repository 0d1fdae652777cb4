"""``lzr diff``: what has appeared, gone or changed from one scan to the next.

A service is an address and a port; what it says is compared without what differs each time it is asked. It is
called gone only where the newer scan is known to have asked for it. The exit status says whether anything
changed, as that of diff(1) does: 0 nothing, 1 something, 2 a mistake.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from coordinator.analysis import beside, comparing
from coordinator.analysis.comparing import CHANGES, KINDS, SHOWN, Compared
from coordinator.analysis.program import OK, Bar, Parser, ended, say, tell
from coordinator.analysis.reading import connect, load
from lzr import safetext
from lzr.analysis import asked as asking
from lzr.analysis.asked import Asked
from lzr.errors import UsageError, printable, two_dashes

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NAME = "diff"
CHANGED = 1
_FLAGS = ("json", "confirm", "asked", "ignore", "old-metadata", "new-metadata", "not-asked", "help")
_MEMORY = 2 << 30
_BATCH = 10_000
_SIGNS = {"appeared": "+", "gone": "-", "changed": "~", "not_asked": "?"}
_HOW = {
    "no_syn_ack": "no SYN-ACK",
    "rst": "RST",
    "fin": "FIN",
    "zero_window": "zero window",
    "acking_firewall": "ACKing firewall",
    "refused": "RST to the SYN",
}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0 where nothing changed, 1 where something did, 2 for a mistake."""
    return ended(NAME, lambda: _run(_parser().parse_args(two_dashes(argv, _FLAGS))))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="lzr diff",
        description="Say what has appeared (+), gone (-) or changed (~) from an older scan to a newer one. "
        "A service "
        "is gone only where the newer scan asked for it and had no answer: shown by its records, or by its "
        "metadata (--metadata-file, also found beside the results as NAME.metadata.json).",
        epilog="exit status: 0 nothing changed, 1 something did, 2 a mistake; example: lzr diff monday.json "
        "tuesday.json || mail -s changes you@example.net",
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
        metavar="FILE",
        help="what the newer scan covered, where its metadata cannot tell (zmap | lzr): a network, range or "
        "address a line, with :PORT or without",
    )
    parser.add_argument("--old-metadata", metavar="FILE", help="the metadata of the older scan")
    parser.add_argument("--new-metadata", metavar="FILE", help="the metadata of the newer scan")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.json and options.confirm:
        raise UsageError("--confirm prints a list and --json objects: ask for one of them")
    if options.old == options.new == "-":
        raise UsageError("only one of the two scans can come from stdin")
    ignored = [kind.strip() for kind in options.ignore.split(",") if kind.strip()]
    for kind in ignored:
        if kind not in KINDS:
            raise UsageError(f"--ignore: no change is called {printable(kind)}; there are {', '.join(KINDS)}")
    connection = connect(memory=_MEMORY)
    told, asked = compared(
        connection,
        options.old,
        options.new,
        old_metadata=options.old_metadata,
        new_metadata=options.new_metadata,
        listed=options.asked,
        kinds=tuple(kind for kind in KINDS if kind not in ignored),
    )
    out = sys.stdout
    if options.confirm:
        for key, port, *_ in _rows(connection, ("gone",)):
            out.write(f"{asking.shown(asking.number(key), port)}\n")
        for line in _summary(told, asked):
            say(NAME, line)
        return CHANGED if told.differ else OK
    shown = (*CHANGES, "not_asked") if options.not_asked else CHANGES
    for row in _rows(connection, shown):
        out.write(_object(row) if options.json else _line(row))
    if options.json:
        summary = {
            "old": told.old, "new": told.new, **told.counts, "kinds": told.kinds,
            "not_asked_because": told.not_asked, "notes": [*told.notes, *filter(None, [asked.why])],
        }  # fmt: skip
        out.write(json.dumps({"summary": summary}) + "\n")
    else:
        out.write("".join(f"{line}\n" for line in _summary(told, asked)))
    return CHANGED if told.differ else OK


def compared(
    connection: DuckDBPyConnection,
    old: str,
    new: str,
    *,
    old_metadata: str | None = None,
    new_metadata: str | None = None,
    listed: str | None = None,
    kinds: tuple[str, ...] = KINDS,
    name: str = NAME,
) -> tuple[Compared, Asked]:
    """Read two files into the tables `old` and `new`, and compare them. Raises UsageError.

    name: of the command, for what is said on stderr.
    """
    before, _ = beside.given(old_metadata, old)
    now, _ = beside.given(new_metadata, new)
    parts = _listed(listed) if listed is not None else ()
    records = 0
    for table, path in (("old", old), ("new", new)):
        with Bar(f"reading {printable(path)}") as bar:
            reading = load(connection, path, table, progress=bar)
        tell(name, reading)
        records = records or reading.records
    asked = asking.known(now, before, records=records)
    if parts:
        asked = replace(asked, parts=(*asked.parts, *parts), why="")
    with Bar("comparing", 1000) as bar:
        told = comparing.compare(
            connection,
            asked,
            handshakes=asking.names(before),
            kinds=kinds,
            turn=lambda _, share: bar(round(share * 1000)),
        )
    return told, asked


def _listed(path: str) -> tuple[asking.Part, ...]:
    try:
        with open(path, "rb") as file:
            return asking.listed(file.read(1 << 30).decode("utf-8", "replace"))
    except ValueError as error:
        raise UsageError(f"{printable(path)}, {error}") from None
    except OSError as error:
        raise UsageError(f"cannot read {printable(path)}: {error.strerror or error}") from error


def _rows(connection: DuckDBPyConnection, changes: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """Of each service: key, port, change, kinds, how, and SHOWN of the old scan, then of the new one."""
    columns = ", ".join(f"{side}.{name}" for side in ("o", "n") for name in SHOWN)
    cursor = connection.cursor()
    cursor.execute(
        f"""SELECT c.key, c.sport, c.change, c.kinds, c.how, {columns}
        FROM changes c LEFT JOIN old o ON o.rowid = c.old_place LEFT JOIN new n ON n.rowid = c.new_place
        WHERE list_contains(?, c.change) ORDER BY c.key, c.sport""",
        [list(changes)],
    )
    while batch := cursor.fetchmany(_BATCH):
        yield from batch


def _sides(row: tuple[Any, ...]) -> tuple[dict[str, str], dict[str, str]]:
    old, new = row[5 : 5 + len(SHOWN)], row[5 + len(SHOWN) :]
    return (
        {name: value for name, value in zip(SHOWN, old, strict=True) if value is not None},
        {name: value for name, value in zip(SHOWN, new, strict=True) if value is not None},
    )


def _object(row: tuple[Any, ...]) -> str:
    key, port, change, kinds, how = row[:5]
    old, new = _sides(row)
    address, _, _ = asking.shown(asking.number(key), port).rpartition(":")
    found: dict[str, Any] = {"change": change, "saddr": address.strip("[]"), "sport": port}
    if change == "changed":
        found["kinds"] = comparing.kinds_of(kinds)
    elif how:
        found["how"] = how
    if change != "appeared":
        found["old"] = old
    if change in ("appeared", "changed"):
        found["new"] = new
    return json.dumps(found) + "\n"


def _line(row: tuple[Any, ...]) -> str:
    key, port, change, kinds, how = row[:5]
    old, new = _sides(row)
    where = asking.shown(asking.number(key), port)
    if change == "changed":
        what = "; ".join(_change(kind, old, new) for kind in comparing.kinds_of(kinds))
        label = new.get("fingerprint", "unknown")
    else:
        side = new if change == "appeared" else old
        label = side.get("fingerprint", "unknown")
        names = [side[name] for name in ("application", "product", "version") if side.get(name)]
        if change != "appeared":
            names.append(f"({_HOW.get(how, how)})")
        what = " ".join(names)
    named, told = safetext.plain(label, 24, mark="..."), safetext.plain(what, 300, mark="...")
    return f"{_SIGNS[change]} {where:<21}  {named:<12}  {told}".rstrip() + "\n"


def _change(kind: str, old: dict[str, str], new: dict[str, str]) -> str:
    if kind == "protocol":
        return f"protocol {old.get('fingerprint', 'unknown')} -> {new.get('fingerprint', 'unknown')}"
    if kind == "product":
        names = ("application", "product")
        before, now = (" ".join(side[name] for name in names if side.get(name)) for side in (old, new))
        return f"product {before or '-'} -> {now or '-'}"
    if kind == "version":
        product = new.get("product") or old.get("product") or ""
        return f"{product} {old.get('version', '-')} -> {new.get('version', '-')}".strip()
    if kind == "certificate" and old.get("subject") != new.get("subject"):
        return f"certificate {old.get('subject', '-')} -> {new.get('subject', '-')}"
    return {"certificate": "another certificate", "reply": "another reply"}[kind]


def _summary(told: Compared, asked: Asked) -> list[str]:
    counts = told.counts
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in told.kinds.items() if count)
    lines = [
        f"{_services(told.old)} before, {told.new:,} now: {counts['appeared']:,} appeared, "
        f"{counts['gone']:,} gone, {counts['changed']:,} changed{f' ({kinds})' if kinds else ''}, "
        f"{counts['same']:,} the same"
    ]
    if counts["not_asked"]:
        why = f": {asked.why}" if asked.why else ""
        lines.append(f"{_services(counts['not_asked'])} of before not asked for, so not called gone{why}")
    return lines + told.notes


def _services(count: int) -> str:
    return "1 service" if count == 1 else f"{count:,} services"
