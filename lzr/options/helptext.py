"""What ``lzr`` prints when asked about itself: help, version, the lists. All of it fits 80 columns.

The texts about options come from the table in ``lzr.options.table``; those about handshakes and fields from
the tables that the scan itself uses.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from lzr import __version__
from lzr.options.groups.headings import GROUPS
from lzr.options.groups.option import Option
from lzr.options.subcommands import ALL
from lzr.options.table import ACTIONS, TABLE

WIDTH = 80
_COLUMN = 26

SUMMARY = "finds out which service really lives behind an open TCP port"

SYNOPSIS = (
    ("zmap ... -O json | lzr [FLAGS]", "go on with what ZMap half opened"),
    ("lzr -sendSYNs [FLAGS] < LIST", "open the connections ourselves"),
    *((f"lzr {row.name} {row.takes}".rstrip(), row.brief) for row in ALL),
)

EXAMPLES = (
    (
        "Fingerprint what ZMap finds on a port:",
        (
            'zmap -p 9002 192.0.2.0/24 -O json --output-filter="success=1 && repeat=0" \\',
            "  -f saddr,daddr,sport,dport,seqnum,acknum,window \\",
            "  | lzr --handshakes wait,http,tls -f found.json",
        ),
    ),
    (
        "Sweep networks without ZMap:",
        ("lzr -p 80,443,8000-8100 192.0.2.0/24 198.51.100.0/22 -f found.json",),
    ),
    (
        "Fingerprint a list of address:port:",
        ("lzr --handshakes http,tls -sendSYNs --rate 5000 < services",),
    ),
    (
        "Hand what is found to ZGrab2 as it comes:",
        ("... | lzr --handshakes http,tls -feedZGrab | zgrab2 multiple -c etc/all.ini",),
    ),
    (
        "Keep out hosts that acknowledge anything, and take an interrupted list up again:",
        (
            "lzr -sendSYNs -haf 5 --checkpoint state < services",
            "lzr -sendSYNs -haf 5 --resume state < services",
        ),
    ),
    (
        "Drive our own connections from ZMap's order of targets:",
        ("zmap -p 443 --dryrun 192.0.2.0/24 | lzr --handshakes tls -dryrun",),
    ),
    (
        "Only what matters, as CSV:",
        (
            "... | lzr -O csv --output-fields saddr,sport,fingerprint \\",
            "  --output-filter 'fingerprint != unknown && ackingFirewall = 0' -f -",
        ),
    ),
)

MODULES = (
    ("json", "one JSON object a line (the default)"),
    ("csv", "comma-separated values, with a header"),
    ("zgrab", "ip,,fingerprint,port lines, which zgrab2 multiple reads"),
)


TOPICS = {
    "": "help",
    "scan": "help",
    "scanning": "help",
    "all": "help-all",
    "options": "help-all",
    "flags": "help-all",
    "handshakes": "list-handshakes",
    "fields": "list-output-fields",
    "output-fields": "list-output-fields",
    "modules": "list-output-modules",
    "output-modules": "list-output-modules",
    "version": "version",
    "help": "help",
}
"""What ``lzr help TOPIC`` prints; the commands answer for themselves (`coordinator.commands.main`)."""


def answer(action: str) -> str:
    """The text for an action of ``table.ACTIONS``."""
    if action in ("help", "help-all"):
        return usage(everything=action == "help-all")
    if action == "version":
        return version()
    if action == "list-output-modules":
        return columns(MODULES)
    if action == "list-handshakes":
        return handshakes()
    from lzr.records import fields

    return fields.listing()


def version() -> str:
    """``--version``: a second line where the kernels are not those in C."""
    from lzr import kernels

    slow = f"{kernels.sentence()}\n" if kernels.WHY_PYTHON else ""
    return f"lzr {__version__}\n{slow}"


def usage(*, everything: bool) -> str:
    """The help text: the options most used, or every one."""
    lines = [f"lzr {__version__} {SUMMARY}", ""]
    lines += [f"{'Usage: ' if not i else ' ' * 7}{form:32} {what}" for i, (form, what) in enumerate(SYNOPSIS)]
    for title, commands in EXAMPLES if everything else EXAMPLES[:3]:
        lines += ["", title, *(f"  {command}" for command in commands)]
    for group in GROUPS:
        rows = [row for row in TABLE if row.group == group and (everything or row.common)]
        if rows:
            lines += ["", group]
            for row in rows:
                lines += entry(row)
    lines += ["", "Help"]
    for row in ACTIONS:
        lines += entry(row)
    lines += [
        "",
        *textwrap.wrap(
            "One dash or two, -flag value or -flag=value; -switch=false or --no-switch turns a switch off. "
            "Times are seconds, or 500ms, 2s, 5m, 1h. Given twice, the last wins; -b and -S add up."
            + ("" if everything else " The other options: lzr --help-all, man lzr."),
            WIDTH,
        ),
    ]
    return "\n".join(lines) + "\n"


def entry(row: Option) -> list[str]:
    """The lines of one option."""
    head = "  " + ", ".join(row.shown_names) + shown_metavar(row)
    text = row.help + (f" [{row.shown_default}]" if row.shown_default else "")
    wrapped = textwrap.wrap(text, WIDTH - _COLUMN, break_long_words=False, break_on_hyphens=False)
    if len(head) <= _COLUMN - 2:
        return [f"{head:{_COLUMN}}{wrapped[0]}", *(" " * _COLUMN + line for line in wrapped[1:])]
    return [head, *(" " * _COLUMN + line for line in wrapped)]


def shown_metavar(row: Option) -> str:
    """How the value is shown behind the name: `` FILE``, ``[=fast]`` or nothing."""
    if row.kind.bare is None:
        return f" {row.metavar}"
    return f"[={row.metavar}]" if row.metavar else ""


def columns(rows: Iterable[tuple[str, ...]], heads: tuple[str, ...] = ()) -> str:
    """A table in plain text; the last column is wrapped to the width of the page."""
    cells = [heads, *rows] if heads else list(rows)
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]) - 1)]
    margin = sum(widths) + 2 * len(widths)
    lines = []
    for row in cells:
        left = "".join(f"{cell:{width}}  " for cell, width in zip(row, widths, strict=False))
        wrapped = textwrap.wrap(row[-1], max(20, WIDTH - margin), break_long_words=False) or [""]
        lines += [(left + wrapped[0]).rstrip(), *(" " * margin + more for more in wrapped[1:])]
    return "\n".join(lines) + "\n"


_EARNS = {"socks4": "socks", "socks5": "socks", "websocket": "http", "vty": "telnet"}
"""Handshakes whose answer gets another label; those without one (`wait`) ask for nothing in particular."""


def handshakes() -> str:
    """``--list-handshakes``: name, who speaks first, bytes we send, what is recognised, defined where."""
    from lzr.options import handshakes as choice
    from lzr.protocols import PROTOCOLS, Random

    rows = []
    for protocol in sorted(PROTOCOLS, key=lambda p: p.name):
        sizes = [
            len(part) if isinstance(part, bytes) else part.size if isinstance(part, Random) else None
            for part in protocol.parts
        ]
        size = str(sum(size or 0 for size in sizes)) + ("+" if None in sizes else "")
        label = "same" if protocol.match else _EARNS.get(protocol.name, "any")
        rows.append((protocol.name, "client" if sizes else "server", size, label, protocol.spec))
    return columns(rows, ("name", "first", "bytes", "label", "defined in")) + "\n".join(
        (
            "",
            *(f"{name}: {', '.join(choice.preset(name))}." for name in choice.PRESETS if name != "all"),
            f"all: {len(choice.preset('all'))} handshakes, all that differ. Names of other tools",
            "(https, mariadb, ...) are understood too: docs/handshakes.md.",
            "none: no handshake, a port scan.",
            "",
            "first: who speaks first. bytes: what we send (+: and the peer's address).",
            "label: what the answer it asks for earns. Every reply is compared with every",
            "protocol, whatever was sent.",
            "",
        )
    )
