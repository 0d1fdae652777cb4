"""The subcommands of `lzr`: what each takes and does, in one table.

Help, man page and completions are made from it; `coordinator.commands.main` and `coordinator.guard.early` use
it; a test compares `bin/lzr` with it. It imports nothing, as the guard goes up before anything slow is
imported.
"""

from __future__ import annotations


class Subcommand:
    """takes: what follows the name. brief: for --help. what: for the man page. words: what completes it."""

    __slots__ = ("brief", "name", "takes", "what", "words")

    def __init__(self, name: str, takes: str, brief: str, what: str, words: str) -> None:
        self.name, self.takes, self.brief, self.what, self.words = name, takes, brief, what, words


SUBCOMMANDS = (
    Subcommand(
        "identify",
        "[FLAGS] < REPLIES",
        "fingerprint replies you already have",
        "read replies from a file or a capture and print the fingerprint of each",
        "",
    ),
    Subcommand(
        "diff",
        "OLD NEW [FLAGS]",
        "what changed between two scans",
        "compare two files of results: what appeared, what is gone (only where it was asked for), what "
        "changed; exit status 0 nothing, "
        "1 something, 2 a mistake",
        "",
    ),
    Subcommand(
        "report",
        "SCAN [OLDER] -o FILE",
        "a scan as one page to look at",
        "make one HTML page of a file of results that needs nothing else; with an older one, what changed",
        "",
    ),
    Subcommand(
        "plan",
        "[SCAN] [FLAGS]",
        "which handshakes are worth it, by port",
        "learn from a scan with -forceAllHandshakes which handshakes are worth their packets on which port, "
        "and write the file for -handshakes-by-port",
        "",
    ),
    Subcommand(
        "predict",
        "SEED --space NET",
        "where services are likely, best first",
        "list the pairs of address and port that a seed makes likely, the likeliest first, or scan them "
        "batch by batch and learn from each",
        "",
    ),
    Subcommand(
        "export",
        "FILE -o OUTPUT ...",
        "results as Parquet, CSV or JSON",
        "write results as Parquet with typed columns, CSV or JSON lines, also of a running scan",
        "",
    ),
    Subcommand(
        "enrich",
        "FILE --asn TABLE ...",
        "whose each address is, and where",
        "add the autonomous system and country of each address, looked up in files of yours",
        "",
    ),
    Subcommand(
        "doctor",
        "[TARGET] [FLAGS]",
        "see whether a scan would begin here",
        "say what is right and what is not for a scan from this host: exit status 0 all is well "
        "(or notes), 1 warnings, 2 a fault; takes a target, a scan's flags, --json",
        "",
    ),
    Subcommand(
        "guard",
        "on|off|status ...",
        "hold back the kernel's RSTs beforehand",
        "hold the kernel's RSTs back before zmap starts, or let them go again",
        "on off status",
    ),
    Subcommand(
        "ctl",
        "status|workers|rate ...",
        "watch and steer a running scan",
        "ask a running scan for its status, change its workers and rate, or have it contact a network no "
        "more",
        "status workers rate pause resume drain quit block lease help",
    ),
    Subcommand(
        "fleet",
        "check|shard|assign ...",
        "one scan on several boxes",
        "settle a plan for several boxes, run this box's part of it, and look at all of them",
        "check shard assign certs worker start up down status watch rate pause resume drain quit block merge "
        "ledger",
    ),
)
"""Subcommands that are programs of their own, and answer ``lzr help NAME`` themselves."""

ANSWERS = (
    Subcommand(
        "help",
        "[COMMAND|TOPIC]",
        "this, or help on one thing",
        "print help: on scanning, on a command, or on options, handshakes, fields or modules",
        " ".join((*(row.name for row in SUBCOMMANDS), "options handshakes fields modules")),
    ),
    Subcommand(
        "version",
        "",
        "the version",
        "print the version, and why the kernels run in Python where they do",
        "",
    ),
)
"""Words that ask for a text, as ``--help`` and ``--version`` do."""

ALL = (*SUBCOMMANDS, *ANSWERS)
PROGRAMS = tuple(row.name for row in SUBCOMMANDS)
TEXTS = tuple(row.name for row in ANSWERS)
NAMES = tuple(row.name for row in ALL)
