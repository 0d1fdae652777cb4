"""Which server answers which handshake in a telling way: docs/response-matrix.md, measured.

    sudo .venv/bin/python -m benchmarks.response_matrix [--only http,tls,wait,newlines] [--output FILE]

Every daemon of the lab's fleet is brought up in a namespace and asked with every single handshake; a cell
is the label that came back. The last rows count the different protocols that one ACK with data identifies:
the reason why a scanner can begin with any of a few handshakes and still name most of what it finds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lzr.protocols import BY_NAME
from tests.lab import net
from tests.lab.daemons import Daemon
from tests.lab.fleet_core import CORE
from tests.lab.fleet_live import LIVE
from tests.lab.scan import scan
from tests.lab.town import found_town

OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "response-matrix.md"
ALL = (*CORE, *LIVE)
FIRST_HANDSHAKES = ("wait", "newlines", "newlines50", "http", "tls")
WAITS = ("-rt", "0.5", "-t", "2", "-rn", "1")

Cells = dict[str, dict[str, str]]
"""handshake -> daemon -> label, `""` where no data came."""


def asked() -> tuple[str, ...]:
    """The handshakes that differ on the wire: those that send nothing are all `wait`."""
    sending = [name for name in BY_NAME if BY_NAME[name].probe and name not in FIRST_HANDSHAKES]
    return (*FIRST_HANDSHAKES, *sorted(sending))


def measure(handshakes: Sequence[str]) -> tuple[Cells, list[Daemon]]:
    """One list scan of the whole fleet for each handshake."""
    cells: Cells = {}
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
            cells[handshake] = {}
            for one in up:
                records = services.get(one.service, [])
                said = records[0] if records else {}
                cells[handshake][one.daemon.name] = said.get("fingerprint", "") if said.get("data") else ""
            named = len(right(cells[handshake]))
            print(f"{handshake}: {named} protocols", file=sys.stderr, flush=True)
    return cells, [one.daemon for one in up]


def right(column: dict[str, str]) -> set[str]:
    """The different protocols that one handshake names rightly."""
    daemons = {daemon.name: daemon for daemon in ALL}
    return {daemons[name].label for name, label in column.items() if label in daemons[name].labels}


def render(cells: Cells, daemons: Sequence[Daemon]) -> str:
    """The document: the count for each handshake, then a row for each server."""
    counts = sorted(((len(right(column)), name) for name, column in cells.items()), reverse=True)
    best, name = counts[0]
    protocols = len({daemon.label for daemon in daemons})
    out = [
        "# Who answers what",
        "",
        "Written by `python -m benchmarks.response_matrix`; not edited by hand. Every server of the lab's",
        f"fleet ({len(daemons)} programs, {protocols} protocols) was asked with "
        f"every handshake by itself ({len(cells)}; those",
        "that send nothing are all `wait`), as a list scan with one retransmit.",
        "",
        f"**One ACK with data identifies up to {best} different protocols** (`{name}`).",
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
        "that drew no data are left out.",
        "",
        "| server | protocol | answers |",
        "|---|---|---|",
    ]
    for daemon in daemons:
        by_label: dict[str, list[str]] = {}
        for handshake, column in cells.items():
            label = column.get(daemon.name, "")
            if label:
                by_label.setdefault(label, []).append(handshake)
        parts = []
        for label in sorted(by_label, key=lambda label: (label not in daemon.labels, label)):
            names = by_label[label]
            short = f"all {len(names)}" if len(names) == len(cells) else ", ".join(f"`{n}`" for n in names)
            parts.append(f"**{label}**: {short}")
        out.append(f"| {daemon.name} | {daemon.label} | {'; '.join(parts) or 'nothing'} |")
    return "\n".join(out) + "\n"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="response_matrix")
    parser.add_argument("--only", help="handshakes, by comma; default all that differ on the wire")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(argv)
    handshakes = tuple(options.only.split(",")) if options.only else asked()
    cells, daemons = measure(handshakes)
    if not cells:
        return 1
    options.output.write_text(render(cells, daemons))
    return 0


if __name__ == "__main__":
    sys.exit(main())
