"""Which server answers which handshake in a telling way: docs/response-matrix.md, measured.

    sudo .venv/bin/python -m benchmarks.response_matrix [--only http,tls,wait,newlines] [--output FILE]
    .venv/bin/python -m benchmarks.response_matrix --replies FILE    # labels those replies anew, asks nobody

Every daemon of the lab's fleet is brought up in a namespace and asked with every single handshake; a cell
is the label that came back. The last rows count the different protocols that one ACK with data identifies:
the reason why a scanner can begin with any of a few handshakes and still name most of what it finds.

With `--keep FILE` the replies themselves are written there, a JSON object a line: server, handshake, data.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from lzr.fingerprint.classifier import Classifier
from lzr.protocols import BY_NAME
from tests.lab import net
from tests.lab.daemons import Daemon
from tests.lab.fleet_core import CORE
from tests.lab.fleet_live import LIVE
from tests.lab.scan import scan
from tests.lab.town import found_town

OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "response-matrix.md"
ALL = (*CORE, *LIVE)
USUAL = ("http", "tls", "newlines", "wait")
FIRST_HANDSHAKES = ("wait", "newlines", "newlines50", "http", "tls")
WAITS = ("-rt", "0.5", "-t", "2", "-rn", "1")

Cells = dict[str, dict[str, str]]
"""handshake -> daemon -> label, `""` where no data came."""

Replies = dict[str, dict[str, bytes]]
"""handshake -> daemon -> what it said."""


def asked() -> tuple[str, ...]:
    """The handshakes that differ on the wire: those that send nothing are all `wait`."""
    sending = [name for name in BY_NAME if BY_NAME[name].probe and name not in FIRST_HANDSHAKES]
    return (*FIRST_HANDSHAKES, *sorted(sending))


def measure(handshakes: Sequence[str]) -> tuple[Cells, Replies]:
    """One list scan of the whole fleet for each handshake."""
    cells: Cells = {}
    replies: Replies = {}
    with net.lab() as lab:
        town = found_town(lab, ALL)
        up = [one for one in town.fleet.running if not one.trouble]
        lines = [f"{one.address}:{one.port}\n" for one in up]
        for handshake in handshakes:
            words = ("--handshakes", handshake, "-sendSYNs", "--allow-printers", *WAITS)
            found = scan(town.scanner, *words, lines=lines)
            if found.returncode:
                print(f"{handshake}: {found.stderr.strip()[-300:]}", file=sys.stderr)
                continue
            services = found.by_service()
            cells[handshake], replies[handshake] = {}, {}
            for one in up:
                said = next(iter(services.get(one.service, [])), {})
                data = said.get("data", "").encode("latin-1")
                replies[handshake][one.daemon.name] = data
                cells[handshake][one.daemon.name] = said["fingerprint"] if data else ""
            named = len(right(cells[handshake]))
            print(f"{handshake}: {named} protocols", file=sys.stderr, flush=True)
    return cells, replies


def labelled(replies: Replies) -> Cells:
    """What today's matchers say of kept replies."""
    cells: Cells = {}
    for handshake, column in replies.items():
        classify, sent = Classifier((handshake,)).classify, BY_NAME[handshake]
        cells[handshake] = {name: classify(data, sent) if data else "" for name, data in column.items()}
    return cells


def keep(path: Path, replies: Replies) -> None:
    with path.open("w") as out:
        for handshake, column in replies.items():
            for server, data in column.items():
                text = base64.b64encode(data).decode()
                print(json.dumps({"server": server, "handshake": handshake, "data_b64": text}), file=out)


def kept(lines: Iterable[str]) -> Replies:
    replies: Replies = {}
    for row in map(json.loads, lines):
        replies.setdefault(row["handshake"], {})[row["server"]] = base64.b64decode(row["data_b64"])
    return replies


def right(column: dict[str, str]) -> set[str]:
    """The different protocols that one handshake names rightly; an echo is none."""
    daemons = {daemon.name: daemon for daemon in ALL}
    found = {label for name, label in column.items() if label in daemons[name].labels}
    return found - {"echo"}


def render(cells: Cells, daemons: Sequence[Daemon]) -> str:
    """The document: the count for each handshake, then a row for each server."""
    counts = sorted(((len(right(column)), name) for name, column in cells.items()), reverse=True)
    best, name = counts[0]
    usual = max((count, name) for count, name in counts if name in USUAL or len(counts) < 5)
    protocols = len({daemon.label for daemon in daemons} - {"echo"})
    out = [
        "# Who answers what",
        "",
        "Written by `python -m benchmarks.response_matrix`; not edited by hand. Every server of the lab's",
        f"fleet ({len(daemons)} programs, {protocols} protocols) was asked with "
        f"every handshake by itself ({len(cells)}; those",
        "that send nothing are all `wait`), as a list scan with one retransmit.",
        "",
        f"**One ACK identifies {usual[0]} different protocols** (`{usual[1]}`, the best of "
        f"{', '.join(f'`{name}`' for name in USUAL)});",
        f"the best of all handshakes, {best} (`{name}`). An echo service counts as none.",
        "",
        "## Protocols named rightly by a single handshake",
        "",
        "| handshake | protocols | which |",
        "|---|--:|---|",
    ]
    for count, handshake in counts:
        out.append(f"| `{handshake}` | {count} | {', '.join(sorted(right(cells[handshake])))} |")
    out += [
        "",
        "## Server by server",
        "",
        "What each server's answer was called; `unknown` where it answered and nothing matched. Handshakes",
        "that drew no data are left out. A server can have several right names: a TLS port answers a broken",
        "request with an HTTP page, Samba speaks NetBIOS sessions too. Names that are none of these are in",
        "the list at the end.",
        "",
        "| server | protocol | answers |",
        "|---|---|---|",
    ]
    strange = []
    for daemon in daemons:
        by_label: dict[str, list[str]] = {}
        for handshake, column in cells.items():
            label = column.get(daemon.name, "")
            if label:
                by_label.setdefault(label, []).append(handshake)
        parts = []
        for label in sorted(by_label, key=lambda label: (label not in daemon.labels, label)):
            names = by_label[label]
            parts.append(f"**{label}**: {_listed(names, list(cells))}")
            if label not in {*daemon.labels, *daemon.others.values()}:
                strange.append(f"| {daemon.name} | {label} | {_listed(names, list(cells))} |")
        out.append(f"| {daemon.name} | {daemon.label} | {'; '.join(parts) or 'nothing'} |")
    out += ["", "## Answers without a name, or with another's", "", "| server | called | asked with |"]
    out += ["|---|---|---|", *strange]
    return "\n".join(out) + "\n"


def _listed(names: Sequence[str], of: Sequence[str]) -> str:
    """Names as code, the shorter way round."""
    left = [name for name in of if name not in names]
    if not left:
        return f"all {len(of)}"
    if len(left) < len(names) and len(left) <= 12:
        return f"all {len(of)} but {', '.join(f'`{name}`' for name in left)}"
    if len(names) > 40:
        return f"{len(names)} of {len(of)}, as {', '.join(f'`{name}`' for name in names[:12])}, …"
    return ", ".join(f"`{name}`" for name in names)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="response_matrix")
    parser.add_argument("--only", help="handshakes, by comma; default all that differ on the wire")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--keep", type=Path, help="write the replies there")
    parser.add_argument("--replies", type=Path, help="label kept replies instead of asking")
    options = parser.parse_args(argv)
    if options.replies:
        with options.replies.open() as lines:
            replies = kept(lines)
        cells = labelled(replies)
    else:
        cells, replies = measure(tuple(options.only.split(",")) if options.only else asked())
    if not cells:
        return 1
    if options.keep:
        keep(options.keep, replies)
    met = set(next(iter(cells.values())))
    options.output.write_text(render(cells, [daemon for daemon in ALL if daemon.name in met]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
