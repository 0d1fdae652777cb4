"""The table of options, second half, and the frozen value that holds what the user asked for.

The class bodies of ``Scanning`` and of ``Options``, which continues it, are the table: parsing, help, the
start-up echo, the configuration file, the man page, the completions and docs/compatibility.md are all made
from it, so they cannot disagree. The rules between options are in ``lzr.options.rules``. This module imports
nothing slow: it runs before the RST guard is up.
"""

from __future__ import annotations

from lzr.options.groups import DEBUGGING, FILTERING, OUTPUT, PROCESSES, SAFETY, WATCHING
from lzr.options.kinds import amounts, kind, networks, texts
from lzr.options.option import CONTENT, FIXED, FREE, OWN, Option, option
from lzr.options.scanning import MANY, Scanning

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from typing import Any


class Options(Scanning):
    """Everything a scan needs to know: the table goes on with what becomes of the results, and of the run."""

    # Output
    output_file: str | None = option(
        OUTPUT,
        texts.path(),
        "write the results to FILE, after those that it holds; - is stdout",
        default=None,
        on_resume=FIXED,
        reference="f",
        short="o",
        default_text="default_YYYYMMDDHHMMSS.json",
        common=True,
        was="default_YYYYMMDDHHMMSS.json",
        aliases=(
            "output",
            "output-filename",
        ),
        example='"found.json"',
    )
    overwrite: bool = option(
        OUTPUT,
        kind.SWITCH,
        "empty a result file that exists instead of appending to it, once nothing can go wrong any more",
        default=False,
        on_resume=OWN,
    )
    output_module: str = option(
        OUTPUT,
        kind.choice("json", "csv", "zgrab"),
        "format of the results",
        default="json",
        on_resume=FIXED,
        short="O",
    )
    output_fields: tuple[str, ...] | None = option(
        OUTPUT,
        texts.NAMES,
        "fields of a record, in this order; * is all; --list-output-fields names them",
        default=None,
        on_resume=FIXED,
        default_text="the reference's, and ours where known",
        example='["saddr", "sport", "fingerprint"]',
    )
    enrich: bool = option(
        OUTPUT,
        kind.SWITCH,
        "look replies up among the 2,860 fingerprints of Recog too: fields cpe, device, hardware, os and "
        "subject, and more products and versions",
        default=False,
        on_resume=FIXED,
    )
    feed_zgrab: bool = option(
        OUTPUT,
        kind.SWITCH,
        "print ip,,fingerprint,port for each result on stdout as it comes, for zgrab2 multiple",
        default=False,
        on_resume=FIXED,
        reference="feedZGrab",
        common=True,
        was="false",
    )
    notes: str = option(OUTPUT, texts.TEXT, "a remark to keep in the metadata", default="", on_resume=FREE)
    metadata_file: str | None = option(
        OUTPUT,
        texts.path(),
        "write options, counts, times and versions to FILE as JSON at the end; - is stdout",
        default=None,
        on_resume=OWN,
        short="m",
        example='"scan.meta.json"',
    )

    # Filtering
    only_data_record: bool = option(
        FILTERING,
        kind.SWITCH,
        "record only services that sent data; the rest is only counted",
        default=False,
        on_resume=FIXED,
        reference="onlyDataRecord",
        was="false",
    )
    output_filter: str | None = option(
        FILTERING,
        texts.FILTER,
        "record only what EXPR holds for, as in 'fingerprint = http && ttl > 60'",
        default=None,
        on_resume=FIXED,
        example="'fingerprint = http && ttl > 60'",
    )
    zgrab_only_known: bool = option(
        FILTERING,
        kind.SWITCH,
        "leave services without a fingerprint out of the feed for ZGrab2",
        default=False,
        on_resume=FIXED,
    )
    blocklist_file: tuple[str, ...] = option(
        FILTERING,
        texts.LISTS,
        "send nothing to the networks in FILE (ZMap's format; ranges and names too); several add up",
        default=(),
        on_resume=CONTENT,
        short="b",
        aliases=("blacklist-file", "excludefile", "exclude-file"),
        common=True,
        example='["/etc/zmap/blocklist.conf", "ours.conf"]',
    )
    allowlist_file: tuple[str, ...] = option(
        FILTERING,
        texts.LISTS,
        "send only to the networks in FILE; several add up",
        default=(),
        on_resume=CONTENT,
        aliases=("whitelist-file",),
        example='["allowed.conf"]',
    )
    allow_printers: bool = option(
        FILTERING,
        kind.SWITCH,
        "also scan ports 9100 to 9107, where printers print what they are sent",
        default=False,
        on_resume=FIXED,
        why="The reference prints on them; ours leaves them out unless asked.",
    )

    # Processes
    flow_workers: int | None = option(
        PROCESSES,
        amounts.WORKERS,
        "flow workers, or workers of each channel: flow=6,collect=2",
        default=None,
        on_resume=FREE,
        reference="w",
        long="workers",
        aliases=("flow-workers",),
        default_text="from the cores at hand",
        common=True,
        was="1",
        why="Taken from the cores this process may use, and printed with the reason.",
        example='"flow=6,collect=2"',
    )
    collect_workers: int | None = option(
        PROCESSES,
        amounts.number(1, 256, unit="workers"),
        "collectors: fingerprint, encode, write",
        default=None,
        on_resume=FREE,
        default_text="from the cores at hand",
        example="2",
    )
    auto_workers: bool = option(
        PROCESSES,
        kind.SWITCH,
        "change the number of workers by itself while the scan runs, from how busy they are",
        default=False,
        on_resume=FREE,
    )
    pin: bool = option(
        PROCESSES, kind.SWITCH, "bind each worker to a core of its own", default=False, on_resume=FREE
    )
    user: str | None = option(
        PROCESSES,
        texts.TEXT,
        "the user that workers and collectors run as",
        default=None,
        on_resume=OWN,
        metavar="NAME",
        default_text="a number of the run's own, which no user has",
        example='"lzr"',
    )

    # Safety
    guard: str = option(
        SAFETY,
        kind.choice("auto", "output", "ingress", "none"),
        "where the kernel's RSTs for our connections are suppressed",
        default="auto",
        on_resume=FREE,
    )
    without_guard: bool = option(
        SAFETY,
        kind.SWITCH,
        "go on even if the kernel's RSTs cannot be suppressed",
        default=False,
        on_resume=OWN,
    )
    max_send_failures: int | None = option(
        SAFETY,
        amounts.number(1, MANY, none="none"),
        "give up after N failed sends in a row (each is retried with back-off); none: never",
        default=1000,
        on_resume=FREE,
        aliases=("max-sendto-failures",),
    )
    checkpoint: str | None = option(
        SAFETY,
        texts.path("DIR", file="dir"),
        "keep in DIR what --resume needs to go on with this scan",
        default=None,
        on_resume=OWN,
        example='"state"',
    )
    resume: str | None = option(
        SAFETY,
        texts.path("DIR", file="dir"),
        "go on with the scan whose checkpoint is in DIR; inputs that have a result are skipped",
        default=None,
        on_resume=OWN,
        example='"state"',
    )
    resume_changed: tuple[str, ...] = option(
        SAFETY,
        texts.NAMES,
        "with --resume: options that change what a record means, or a list of networks that has changed, "
        "which are to be taken as they are now",
        default=(),
        on_resume=OWN,
        metavar="OPTION,...",
        example='["blocklist-file"]',
    )
    block_orders: str | None = option(
        SAFETY,
        texts.path(),
        "send nothing to whom the orders in FILE block (one JSON object a line, as lzr fleet keeps them); "
        "they hold as those of lzr ctl block do",
        default=None,
        on_resume=OWN,
        example='"blocks.jsonl"',
    )
    lease_until: float | None = option(
        SAFETY,
        amounts.seconds(positive=False),
        "end, so that --resume can go on, when the machine has been up for this time (suspended or not), "
        "unless lzr ctl lease says otherwise before",
        default=None,
        on_resume=OWN,
        example='"26h"',
    )
    reopen: bool = option(
        SAFETY,
        kind.SWITCH,
        "with --resume: open anew the connections that ZMap had half open and that are lost",
        default=False,
        on_resume=OWN,
    )

    # Watching
    quiet: bool = option(
        WATCHING,
        kind.SWITCH,
        "nothing but results and errors: no dashboard, no status line, no table at the end",
        default=False,
        on_resume=OWN,
        short="q",
        aliases=("silent",),
    )
    verbosity: int = option(
        WATCHING,
        amounts.number(0, 5),
        "how much to log: 0 errors that end the scan, 3 as usual, 5 everything",
        default=3,
        on_resume=OWN,
        short="v",
    )
    log_file: str | None = option(
        WATCHING,
        texts.path(),
        "write the log to FILE",
        default=None,
        on_resume=OWN,
        short="l",
        default_text="stderr",
        example='"lzr.log"',
    )
    log_directory: str | None = option(
        WATCHING,
        texts.path("DIR", file="dir"),
        "write the log to a file in DIR, named after the time",
        default=None,
        on_resume=OWN,
        short="L",
        example='"log"',
    )
    status_updates_file: str | None = option(
        WATCHING,
        texts.path(),
        "append the status to FILE every second, as CSV",
        default=None,
        on_resume=OWN,
        short="u",
        example='"status.csv"',
    )
    dashboard: bool | None = option(
        WATCHING,
        kind.SWITCH,
        "the live dashboard on stderr; --no-dashboard turns it off",
        default=None,
        on_resume=OWN,
        default_text="on a terminal",
        common=True,
        example="false",
    )
    dashboard_file: str | None = option(
        WATCHING,
        texts.path(endings=(".svg", ".html")),
        "save the last frame of the dashboard as .svg or .html",
        default=None,
        on_resume=OWN,
        example='"last.svg"',
    )
    targets_total: int | None = option(
        WATCHING,
        amounts.number(1, MANY),
        "how many targets are to come, for the progress bar and the time left",
        default=None,
        on_resume=FREE,
        default_text="counted where the input is a file",
        example="1000000",
    )
    metrics_port: int | None = option(
        WATCHING,
        networks.PORT,
        "serve the figures to Prometheus on this port",
        default=None,
        on_resume=OWN,
        default_text="off",
        example="9464",
    )
    metrics_address: str = option(
        WATCHING, networks.ADDRESS, "address to serve them on", default="127.0.0.1", on_resume=OWN
    )
    control_socket: str | None = option(
        WATCHING,
        texts.path(),
        "path of the socket that lzr ctl talks to",
        default=None,
        on_resume=OWN,
        default_text="/run/lzr/PID.sock",
        example='"/run/lzr/scan.sock"',
    )

    # Debugging
    debug: bool = option(
        DEBUGGING,
        kind.SWITCH,
        "tell every step of every flow, on stderr",
        default=False,
        on_resume=OWN,
        reference="d",
        was="false",
    )
    trace_pcap: str | None = option(
        DEBUGGING,
        texts.path(),
        "write what is sent and received to FILE, for tcpdump and lzr identify; costs speed",
        default=None,
        on_resume=OWN,
        aliases=("trace",),
        example='"scan.pcap"',
    )
    cpuprofile: str | None = option(
        DEBUGGING,
        texts.path(),
        "write a CPU profile of all processes",
        default=None,
        on_resume=OWN,
        reference="cpuprofile",
        was="none",
        example='"lzr.cpu"',
    )
    memprofile: str | None = option(
        DEBUGGING,
        texts.path(),
        "write a memory profile of all processes",
        default=None,
        on_resume=OWN,
        reference="memprofile",
        was="none",
        example='"lzr.mem"',
    )

    def echo(self) -> list[tuple[str, str]]:
        """(flag, value) of what differs from the defaults; ``flag=value`` parses back to it."""
        return [
            (row.flag, text)
            for row, value in zip(TABLE, self.values().values(), strict=True)
            if value != row.default
            for text in ([*value] if row.kind is texts.LISTS else [row.kind.show(value)])
        ]

    def as_dict(self) -> dict[str, Any]:
        """Attribute → value in types that JSON has, for the metadata."""
        return {
            attr: list(value) if isinstance(value, tuple) else value for attr, value in self.values().items()
        }


TABLE: tuple[Option, ...] = tuple(Options.rows.values())

ACTIONS: tuple[Option, ...] = (
    Option("", kind.SWITCH, None, "print the options most used, and exit", long="help", short="h"),
    Option("", kind.SWITCH, None, "print every option, and exit", long="help-all"),
    Option("", kind.SWITCH, None, "print the version, and exit", long="version", short="V"),
    Option("", kind.SWITCH, None, "print the handshakes, and exit", long="list-handshakes"),
    Option("", kind.SWITCH, None, "print the fields of a record, and exit", long="list-output-fields"),
    Option("", kind.SWITCH, None, "print the output modules, and exit", long="list-output-modules"),
    Option(
        "",
        texts.path(),
        None,
        "take options from a TOML file, by their long names; the command line wins",
        long="config",
        short="C",
    ),
)
"""Flags that are not part of Options: they print something, or say where other options are."""
