"""The options of lzr, and the arguments of ZMap, that a plan may contain.

Refused are those that the plan sets itself, that would differ from box to box, or that mean nothing for all
boxes together.
"""

from __future__ import annotations

from collections.abc import Callable

from lzr.errors import UsageError, printable
from lzr.options import handshakes, parse
from lzr.options.groups.option import Option
from lzr.options.kinds import texts
from lzr.options.table import TABLE, Options

DECIDED = {
    **dict.fromkeys(("targets", "targets_file"), "the plan's targets"),
    "target_ports": "the plan's target-ports",
    "input_file": "the plan's input",
    "blocklist_file": "the plan's blocklist",
    "seed": "the plan's seed",
    "rate": "the plan's rate",
    "source_ips": "source of a box",
    "interface": "interface of a box",
    **dict.fromkeys(("shards", "shard"), "the plan's shards"),
}
"""Options for which a plan has a key of its own, and that key."""

REFUSED = frozenset(
    (
        *("config", "dryrun", "gateway_mac", "max_targets", "max_results", "output_file", "overwrite"),
        *("output_module", "output_fields", "feed_zgrab", "metadata_file", "checkpoint", "resume"),
        *("resume_changed", "reopen", "quiet", "log_file", "log_directory", "status_updates_file"),
        *("dashboard", "dashboard_file", "targets_total", "metrics_port", "metrics_address"),
        *(
            "control_socket",
            "block_orders",
            "lease_until",
            "debug",
            "trace_pcap",
            "cpuprofile",
            "memprofile",
            "plan_id",
            "generation",
        ),
    )
)
"""Options that a fleet sets on each box, or that mean nothing for all boxes together."""

ZMAP_DECIDED = {
    **dict.fromkeys(("-o", "--output-file", "-O", "--output-module", "-f", "--output-fields"), "its output"),
    **dict.fromkeys(("--output-filter", "--output-args", "-q", "--quiet"), "its output"),
    **dict.fromkeys(("-S", "--source-ip", "-i", "--interface"), "interface and source of a box"),
    **dict.fromkeys(("-s", "--source-port"), "--source-port among the plan's options"),
    **dict.fromkeys(("-r", "--rate", "-B", "--bandwidth"), "the plan's rate"),
    **dict.fromkeys(("-e", "--seed"), "the plan's seed"),
    **dict.fromkeys(("--shards", "--shard"), "the plan's shards"),
    **dict.fromkeys(("-b", "--blocklist-file", "--blacklist-file"), "the plan's blocklist"),
    **dict.fromkeys(("-h", "--help", "-V", "--version", "-d", "--dryrun", "-C", "--config"), "the plan"),
    **dict.fromkeys(("-n", "--max-targets", "-N", "--max-results", "-t", "--max-runtime"), "the plan"),
}
"""Flags of ZMap that a plan sets itself, and by what."""

ZMAP_VALUED = frozenset(
    (
        *("-p", "--target-port", "--target-ports", "-P", "--probes", "-c", "--cooldown-time", "--retries"),
        *("-G", "--gateway-mac", "--source-mac", "--probe-args", "-T", "--sender-threads", "--cores"),
        *("--batch", "--max-sendto-failures", "--min-hitrate", "-v", "--verbosity", "--notes"),
    )
)
ZMAP_BARE = frozenset(
    (
        *("-X", "--vpn", "--iplayer", "--disable-syslog"),
        *("--ignore-invalid-hosts", "--ignore-blocklist-errors"),
    )
)
"""Flags that ZMap may have in a plan, with a value and without. The others write or read files of a box, or
ask for no SYN-ACKs. A name is written whole: ZMap would take any beginning of it."""


def check_zmap(words: tuple[str, ...], where: str) -> None:
    """Check that these words can be ZMap's arguments in a plan. Raises UsageError."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            continue  # a network
        name, joined, _ = word.partition("=") if word.startswith("--") else (word[:2], word[2:], "")
        if decided := ZMAP_DECIDED.get(name):
            raise UsageError(f"{where}: zmap: {printable(name)} is decided by {decided}")
        if name in ZMAP_VALUED:
            if not joined and next(rest, None) is None:
                raise UsageError(f"{where}: zmap: {printable(name)} has no value")
        elif name not in ZMAP_BARE or joined:
            raise UsageError(
                f"{where}: zmap: {printable(word)} is no flag that a plan can have; it can have "
                + ", ".join(sorted(ZMAP_VALUED | ZMAP_BARE, key=str.lower))
            )


def check(words: tuple[str, ...], where: str) -> None:
    """Check that these words can be the options of a plan, called `where`. Raises UsageError."""

    def no_file(path: str) -> bytes:
        raise UsageError("--config names options; write them down in the plan")

    try:
        options = parse.parse(words, no_file)
        handshakes.handshakes(options.handshakes)
    except UsageError as error:
        raise UsageError(f"{where}: options: {error}") from None
    except parse.ShowText as answer:
        raise UsageError(f"{where}: options: --{answer.action} asks for a text, not for a scan") from None
    for row in TABLE:
        if row.attr in options.given:
            _check_row(row, options, where)


def flags(words: tuple[str, ...], absolute: Callable[[str], str]) -> tuple[str, ...]:
    """A plan's options, each as ``--flag=value``. absolute: gives the whole name of a file."""
    options = parse.parse(words)
    found = []
    for row in TABLE:
        if row.attr not in options.given:
            continue
        value = getattr(options, row.attr)
        for one in value if row.kind is texts.LISTS else [value]:
            text = one if row.kind is texts.LISTS else row.kind.show(one)
            found.append(f"{row.flag}={absolute(text) if row.kind.file in ('file', 'dir') else text}")
    return tuple(found)


def lists(words: tuple[str, ...]) -> tuple[str, ...]:
    """The files of networks, or of orders of handshakes, that a plan's options name."""
    options = parse.parse(words)
    return tuple(path for row in TABLE if row.kind is texts.LISTS for path in getattr(options, row.attr))


def _check_row(row: Option, options: Options, where: str) -> None:
    if row.attr in DECIDED:
        raise UsageError(f"{where}: options: {row.flag} is decided by {DECIDED[row.attr]}")
    if row.attr in REFUSED:
        raise UsageError(f"{where}: options: {row.flag} cannot be said for all boxes")
