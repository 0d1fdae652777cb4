"""What the user asked for: one frozen value, and the one table of options it comes from.

The body of ``Options`` is the table: parsing, help, the start-up echo, the configuration file, the man page,
the completions and docs/compatibility.md are all made from it, so that nothing can be said twice and drift
apart. The rules that bind options to each other are in ``lzr.options.rules``. This module imports nothing
slow: it runs before the RST guard is up.
"""

from __future__ import annotations

from lzr.errors import UsageError, check_fields
from lzr.options import types
from lzr.options.option import CONTENT, FIXED, FREE, OWN, Option, Table, option
from lzr.sourceports import DEFAULT_RANGE

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from typing import Any

INPUT = "Input and handshakes"
NETWORK = "Network"
PACE = "Pace"
TIMING = "Timing"
OUTPUT = "Output"
FILTERING = "Filtering"
PROCESSES = "Processes"
SAFETY = "Safety"
WATCHING = "Watching"
DEBUGGING = "Debugging"
__all__ = [
    "ACTIONS",
    "GROUPS",
    "TABLE",
    "Options",
    "UsageError",
    "check_fields",
]

GROUPS = (INPUT, NETWORK, PACE, TIMING, OUTPUT, FILTERING, PROCESSES, SAFETY, WATCHING, DEBUGGING)

_MANY = 2**63 - 1


class Options(Table):
    """Everything a scan needs to know, and the table that defines it."""

    # Input and handshakes
    handshakes: tuple[str, ...] = option(
        INPUT,
        types.NAMES,
        "handshakes to try, in this order; auto: the few that name most; all: every one; "
        "--list-handshakes names them",
        default=("http",),
        on_resume=FIXED,
        reference="handshakes",
        common=True,
        was="http",
    )
    send_syns: bool = option(
        INPUT,
        types.SWITCH,
        "the input is a list: address:port, names, networks, URLs, CSV, what nmap and masscan write; open "
        "the connections ourselves. Without it the input is ZMap's JSON or CSV",
        default=False,
        on_resume=FIXED,
        reference="sendSYNs",
        common=True,
        was="false",
    )
    dryrun: str = option(
        INPUT,
        types.DRYRUN,
        "the input is the text that zmap --dryrun prints, or with =fast the six-byte records of "
        "--fast-dryrun; implies -sendSYNs",
        default="",
        on_resume=FIXED,
        reference="dryrun",
        was="false",
    )
    input_file: str | None = option(
        INPUT,
        types.INPUT,
        "read the input from FILE; - is stdin",
        default=None,
        on_resume=FREE,
        short="I",
        default_text="stdin",
        aliases=("input",),
    )
    force_all_handshakes: bool = option(
        INPUT,
        types.SWITCH,
        "do every handshake even after data came, and record each that got data; turns -haf off",
        default=False,
        on_resume=FIXED,
        reference="forceAllHandshakes",
        was="false",
    )
    push_data_only: bool = option(
        INPUT,
        types.SWITCH,
        "send a bare ACK first and data only with PSH, on the retransmit",
        default=False,
        on_resume=FIXED,
        reference="pushDataOnly",
        was="false",
    )
    priority_fingerprint: tuple[str, ...] = option(
        INPUT,
        types.NAMES,
        "labels that win, in this order, when a reply matches several; none: the fixed order decides",
        default=(),
        on_resume=FIXED,
        reference="priorityFingerprint",
        default_text="the order of -handshakes",
        was="none",
    )
    user_agent: str | None = option(
        INPUT,
        types.AGENT,
        "what the probes that are HTTP or like it call us: who scans, and where to read why",
        default=None,
        on_resume=FIXED,
        default_text="Firefox 128, as in the reference",
        aliases=("http-user-agent",),
    )
    haf: int = option(
        INPUT,
        types.number(0, 100),
        "tell ACKing firewalls: probe N random ephemeral ports of a host beside its second handshake",
        default=0,
        on_resume=FIXED,
        reference="haf",
        default_text="0, off",
        common=True,
        was="0",
    )
    haf_threshold: float = option(
        INPUT,
        types.FRACTION,
        "share of those N probes that must be answered to call the host a firewall",
        default=1.0,
        on_resume=FIXED,
        reference="hafThreshold",
        was="1.0",
        why="A share equal to the threshold counts; the reference asks for more than the threshold, "
        "so that its default can never be met.",
    )
    seed: int | None = option(
        INPUT,
        types.number(0, 2**64 - 1),
        "same seed and input: same source ports, sequence numbers and order; it must not be guessable, "
        "as who guesses it can forge answers of hosts",
        default=None,
        on_resume=FREE,
        short="e",
        default_text="random",
    )
    shards: int = option(
        INPUT,
        types.number(1, 65535),
        "split the input over N boxes that all read it",
        default=1,
        on_resume=FIXED,
    )
    shard: int = option(
        INPUT,
        types.number(0, 65534, metavar="K"),
        "which of the N shards this box scans, from 0",
        default=0,
        on_resume=FIXED,
    )

    # Network
    source_ips: tuple[str, ...] = option(
        NETWORK,
        types.SOURCES,
        "our addresses: single ones, CIDR blocks or ranges, separated by commas; chosen per target by hash",
        default=(),
        on_resume=FIXED,
        reference="sourceIP",
        long="source-ip",
        short="S",
        default_text="from the routing table",
        common=True,
        was="none",
        why="Found from the routing table; in ZMap mode it is the address each line names.",
    )
    source_port: tuple[int, int] | None = option(
        NETWORK,
        types.PORTS,
        "our ports, for connections we open",
        default=None,
        on_resume=FREE,
        short="s",
        default_text=DEFAULT_RANGE,
    )
    gateway_mac: str | None = option(
        NETWORK,
        types.MAC,
        "MAC address of the gateway",
        default=None,
        on_resume=FREE,
        reference="gatewayMac",
        short="G",
        default_text="from the routing and neighbour tables",
        common=True,
        was="none",
        why="Asked of the kernel; the reference takes it from the first packet it happens to see.",
        aliases=("router-mac",),
    )
    interface: str | None = option(
        NETWORK,
        types.INTERFACE,
        "network interface to use",
        default=None,
        on_resume=FREE,
        reference="sendInterface",
        aliases=("send-interface",),
        short="i",
        default_text="from the routing table",
        common=True,
        was="ens8",
        why="Asked of the routing table; few machines have an ens8.",
    )
    ipv6: bool = option(
        NETWORK,
        types.SWITCH,
        "print IPv6 addresses fully expanded, as the reference does; both families are always scanned",
        default=False,
        on_resume=FIXED,
        reference="ipv6",
        was="false",
        why="Both families work in one run without the flag; it only chooses how addresses are printed.",
    )

    # Pace
    rate: float | None = option(
        PACE,
        types.per_second("N", "targets", none="none"),
        "targets to start a second with -sendSYNs (K, M allowed; none: no limit)",
        default=10000.0,
        on_resume=FREE,
        reference="rate",
        short="r",
        common=True,
        was="1",
        why="One target a second is a trap; this is the default of ZMap.",
    )
    max_rate: float | None = option(
        PACE,
        types.per_second("N", "packets"),
        "most packets a second, of every kind we send",
        default=None,
        on_resume=FREE,
        default_text="no limit",
    )
    bandwidth: float | None = option(
        PACE,
        types.per_second("BITS", "bits"),
        "most bits a second on the wire (K, M, G allowed)",
        default=None,
        on_resume=FREE,
        short="B",
        default_text="no limit",
    )
    max_targets: int | None = option(
        PACE, types.number(1, _MANY), "stop reading after N targets", default=None, on_resume=FREE, short="n"
    )
    max_results: int | None = option(
        PACE,
        types.number(1, _MANY),
        "stop when exactly N results are recorded",
        default=None,
        on_resume=FREE,
        short="N",
    )
    max_runtime: float | None = option(
        PACE,
        types.seconds(positive=True),
        "stop reading after this time, then finish what is in flight",
        default=None,
        on_resume=OWN,
    )

    # Timing
    retransmit_wait: float = option(
        TIMING,
        types.seconds(positive=True),
        "time until a retransmit",
        default=1.0,
        on_resume=FIXED,
        reference="rt",
        was="1",
    )
    retransmit_number: int = option(
        TIMING,
        types.number(0, 255),
        "number of retransmits",
        default=1,
        on_resume=FIXED,
        reference="rn",
        was="1",
        aliases=("retries", "max-retries"),
    )
    timeout: float = option(
        TIMING,
        types.seconds(positive=True),
        "time to wait for data after the last retransmit, or once data was acknowledged "
        "(then also for as many repeats of lost answers as -rn says, if that is above 1)",
        default=5.0,
        on_resume=FIXED,
        reference="t",
        was="5",
    )
    cooldown: float = option(
        TIMING,
        types.seconds(),
        "longest time to wait for late SYN-ACKs after the end of the input; none is waited where "
        "nothing is awaited",
        default=8.0,
        on_resume=FIXED,
        reference="c",
        long="cooldown-time",
        aliases=("cooldown", "cooldown-secs"),
        was="8",
        why="An upper bound, not a fixed delay: a scan ends when its last target has its fate.",
    )
    settle: float = option(
        TIMING,
        types.seconds(),
        "time a first reply that is still short or unknown may grow before it is fingerprinted",
        default=0.25,
        on_resume=FIXED,
    )
    max_size: int = option(
        TIMING,
        types.number(1, 1024, metavar="KB", unit="kB"),
        "kilobytes of a host's answer that are kept; what is longer is cut, and its record marked",
        default=16,
        on_resume=FIXED,
    )
    probe_delay: float = option(
        TIMING,
        types.seconds(),
        "pause before a follow-up handshake; 5 wins back three quarters of the hosts that refuse an "
        "immediate one",
        default=0.0,
        on_resume=FIXED,
        aliases=("follow-up-delay",),
    )

    # Output
    output_file: str | None = option(
        OUTPUT,
        types.path(),
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
    )
    overwrite: bool = option(
        OUTPUT,
        types.SWITCH,
        "empty a result file that exists instead of appending to it, once nothing can go wrong any more",
        default=False,
        on_resume=OWN,
    )
    output_module: str = option(
        OUTPUT,
        types.choice("json", "csv", "zgrab"),
        "format of the results",
        default="json",
        on_resume=FIXED,
        short="O",
    )
    output_fields: tuple[str, ...] | None = option(
        OUTPUT,
        types.NAMES,
        "fields of a record, in this order; * is all; --list-output-fields names them",
        default=None,
        on_resume=FIXED,
        default_text="the reference's, and ours where known",
    )
    feed_zgrab: bool = option(
        OUTPUT,
        types.SWITCH,
        "print ip,,fingerprint,port for each result on stdout as it comes, for zgrab2 multiple",
        default=False,
        on_resume=FIXED,
        reference="feedZGrab",
        common=True,
        was="false",
    )
    notes: str = option(OUTPUT, types.TEXT, "a remark to keep in the metadata", default="", on_resume=FREE)
    metadata_file: str | None = option(
        OUTPUT,
        types.path(),
        "write options, counts, times and versions to FILE as JSON at the end; - is stdout",
        default=None,
        on_resume=OWN,
        short="m",
    )

    # Filtering
    only_data_record: bool = option(
        FILTERING,
        types.SWITCH,
        "record only services that sent data; the rest is only counted",
        default=False,
        on_resume=FIXED,
        reference="onlyDataRecord",
        was="false",
    )
    output_filter: str | None = option(
        FILTERING,
        types.FILTER,
        "record only what EXPR holds for, as in 'fingerprint = http && ttl > 60'",
        default=None,
        on_resume=FIXED,
    )
    zgrab_only_known: bool = option(
        FILTERING,
        types.SWITCH,
        "leave services without a fingerprint out of the feed for ZGrab2",
        default=False,
        on_resume=FIXED,
    )
    blocklist_file: tuple[str, ...] = option(
        FILTERING,
        types.LISTS,
        "send nothing to the networks in FILE (ZMap's format; ranges and names too); several add up",
        default=(),
        on_resume=CONTENT,
        short="b",
        aliases=("blacklist-file", "excludefile", "exclude-file"),
        common=True,
    )
    allowlist_file: tuple[str, ...] = option(
        FILTERING,
        types.LISTS,
        "send only to the networks in FILE; several add up",
        default=(),
        on_resume=CONTENT,
        aliases=("whitelist-file",),
    )
    allow_printers: bool = option(
        FILTERING,
        types.SWITCH,
        "also scan ports 9100 to 9107, where printers print what they are sent",
        default=False,
        on_resume=FIXED,
        why="The reference prints on them; ours leaves them out unless asked.",
    )

    # Processes
    flow_workers: int | None = option(
        PROCESSES,
        types.WORKERS,
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
    )
    collect_workers: int | None = option(
        PROCESSES,
        types.number(1, 256, unit="workers"),
        "collectors: fingerprint, encode, write",
        default=None,
        on_resume=FREE,
        default_text="from the cores at hand",
    )
    auto_workers: bool = option(
        PROCESSES,
        types.SWITCH,
        "change the number of workers by itself while the scan runs, from how busy they are",
        default=False,
        on_resume=FREE,
    )
    pin: bool = option(
        PROCESSES, types.SWITCH, "bind each worker to a core of its own", default=False, on_resume=FREE
    )
    user: str | None = option(
        PROCESSES,
        types.TEXT,
        "the user that workers and collectors run as",
        default=None,
        on_resume=OWN,
        metavar="NAME",
        default_text="a number of the run's own, which no user has",
    )

    # Safety
    guard: str = option(
        SAFETY,
        types.choice("auto", "output", "ingress", "none"),
        "where the kernel's RSTs for our connections are suppressed",
        default="auto",
        on_resume=FREE,
    )
    without_guard: bool = option(
        SAFETY,
        types.SWITCH,
        "go on even if the kernel's RSTs cannot be suppressed",
        default=False,
        on_resume=OWN,
    )
    max_send_failures: int | None = option(
        SAFETY,
        types.number(1, _MANY, none="none"),
        "give up after N failed sends in a row (each is retried with back-off); none: never",
        default=1000,
        on_resume=FREE,
        aliases=("max-sendto-failures",),
    )
    checkpoint: str | None = option(
        SAFETY,
        types.path("DIR", file="dir"),
        "keep in DIR what --resume needs to go on with this scan",
        default=None,
        on_resume=OWN,
    )
    resume: str | None = option(
        SAFETY,
        types.path("DIR", file="dir"),
        "go on with the scan whose checkpoint is in DIR; inputs that have a result are skipped",
        default=None,
        on_resume=OWN,
    )
    resume_changed: tuple[str, ...] = option(
        SAFETY,
        types.NAMES,
        "with --resume: options that change what a record means, or a list of networks that has changed, "
        "which are to be taken as they are now",
        default=(),
        on_resume=OWN,
        metavar="OPTION,...",
    )
    reopen: bool = option(
        SAFETY,
        types.SWITCH,
        "with --resume: open anew the connections that ZMap had half open and that are lost",
        default=False,
        on_resume=OWN,
    )

    # Watching
    quiet: bool = option(
        WATCHING,
        types.SWITCH,
        "nothing but results and errors: no dashboard, no status line, no table at the end",
        default=False,
        on_resume=OWN,
        short="q",
        aliases=("silent",),
    )
    verbosity: int = option(
        WATCHING,
        types.number(0, 5),
        "how much to log: 0 errors that end the scan, 3 as usual, 5 everything",
        default=3,
        on_resume=OWN,
        short="v",
    )
    log_file: str | None = option(
        WATCHING,
        types.path(),
        "write the log to FILE",
        default=None,
        on_resume=OWN,
        short="l",
        default_text="stderr",
    )
    log_directory: str | None = option(
        WATCHING,
        types.path("DIR", file="dir"),
        "write the log to a file in DIR, named after the time",
        default=None,
        on_resume=OWN,
        short="L",
    )
    status_updates_file: str | None = option(
        WATCHING,
        types.path(),
        "append the status to FILE every second, as CSV",
        default=None,
        on_resume=OWN,
        short="u",
    )
    dashboard: bool | None = option(
        WATCHING,
        types.SWITCH,
        "the live dashboard on stderr; --no-dashboard turns it off",
        default=None,
        on_resume=OWN,
        default_text="on a terminal",
        common=True,
    )
    dashboard_file: str | None = option(
        WATCHING,
        types.path(endings=(".svg", ".html")),
        "save the last frame of the dashboard as .svg or .html",
        default=None,
        on_resume=OWN,
    )
    targets_total: int | None = option(
        WATCHING,
        types.number(1, _MANY),
        "how many targets are to come, for the progress bar and the time left",
        default=None,
        on_resume=FREE,
        default_text="counted where the input is a file",
    )
    metrics_port: int | None = option(
        WATCHING,
        types.PORT,
        "serve the figures to Prometheus on this port",
        default=None,
        on_resume=OWN,
        default_text="off",
    )
    metrics_address: str = option(
        WATCHING, types.ADDRESS, "address to serve them on", default="127.0.0.1", on_resume=OWN
    )
    control_socket: str | None = option(
        WATCHING,
        types.path(),
        "path of the socket that lzr ctl talks to",
        default=None,
        on_resume=OWN,
        default_text="/run/lzr/PID.sock",
    )

    # Debugging
    debug: bool = option(
        DEBUGGING,
        types.SWITCH,
        "tell every step of every flow, on stderr",
        default=False,
        on_resume=OWN,
        reference="d",
        was="false",
    )
    trace_pcap: str | None = option(
        DEBUGGING,
        types.path(),
        "write what is sent and received to FILE, for tcpdump and lzr identify; costs speed",
        default=None,
        on_resume=OWN,
        aliases=("trace",),
    )
    cpuprofile: str | None = option(
        DEBUGGING,
        types.path(),
        "write a CPU profile of all processes",
        default=None,
        on_resume=OWN,
        reference="cpuprofile",
        was="none",
    )
    memprofile: str | None = option(
        DEBUGGING,
        types.path(),
        "write a memory profile of all processes",
        default=None,
        on_resume=OWN,
        reference="memprofile",
        was="none",
    )

    def echo(self) -> list[tuple[str, str]]:
        """(flag, value) of what differs from the defaults; ``flag=value`` parses back to it."""
        return [
            (row.flag, text)
            for row, value in zip(TABLE, self.values().values(), strict=True)
            if value != row.default
            for text in ([*value] if row.kind is types.LISTS else [row.kind.show(value)])
        ]

    def as_dict(self) -> dict[str, Any]:
        """Attribute → value in types that JSON has, for the metadata."""
        return {
            attr: list(value) if isinstance(value, tuple) else value for attr, value in self.values().items()
        }


TABLE: tuple[Option, ...] = tuple(Options.rows.values())

ACTIONS: tuple[Option, ...] = (
    Option("", types.SWITCH, None, "print the options most used, and exit", long="help", short="h"),
    Option("", types.SWITCH, None, "print every option, and exit", long="help-all"),
    Option("", types.SWITCH, None, "print the version, and exit", long="version", short="V"),
    Option("", types.SWITCH, None, "print the handshakes, and exit", long="list-handshakes"),
    Option("", types.SWITCH, None, "print the fields of a record, and exit", long="list-output-fields"),
    Option("", types.SWITCH, None, "print the output modules, and exit", long="list-output-modules"),
    Option(
        "",
        types.path(),
        None,
        "take options from a TOML file, by their long names; the command line wins",
        long="config",
        short="C",
    ),
)
"""Flags that are no part of Options: they print something, or say where else options are."""
