"""The table of options, first half: what is scanned, from where, how fast, how long answers are awaited."""

from __future__ import annotations

from lzr.options.groups import INPUT, NETWORK, PACE, TIMING
from lzr.options.kinds import amounts, kind, networks, texts
from lzr.options.option import CONTENT, FIXED, FREE, OWN, Table, option
from lzr.sourceports import DEFAULT_RANGE

MANY = 2**63 - 1
"""The most that a count may be: it is kept in 63 bits."""


class Scanning(Table):
    """How a scan goes about its targets; `lzr.options.table.Options` goes on with the table."""

    # Input and handshakes
    handshakes: tuple[str, ...] = option(
        INPUT,
        texts.NAMES,
        "handshakes to try, in this order; auto: the few that name most; all: every one; none: a port scan; "
        "--list-handshakes names them",
        default=("http",),
        on_resume=FIXED,
        reference="handshakes",
        common=True,
        was="http",
    )
    handshakes_by_port: tuple[str, ...] = option(
        INPUT,
        texts.LISTS,
        "handshakes of their own for ports, from FILE (TOML, as lzr plan writes it); other ports have those "
        "of -handshakes, else the default in FILE",
        default=(),
        on_resume=CONTENT,
        default_text="one order for all ports",
        example='["order.toml"]',
    )
    send_syns: bool = option(
        INPUT,
        kind.SWITCH,
        "the input is a list: address:port, names, networks, URLs, CSV, what nmap and masscan write; open "
        "the connections ourselves. Without it the input is ZMap's JSON or CSV",
        default=False,
        on_resume=FIXED,
        reference="sendSYNs",
        common=True,
        was="false",
    )
    target_ports: tuple[tuple[int, int], ...] = option(
        INPUT,
        networks.PORT_LIST,
        "sweep these ports, as in 80,443,8000-8100 (* is all), of the subnets given as arguments; nothing is "
        "read from stdin",
        default=(),
        on_resume=FIXED,
        short="p",
        aliases=("target-port", "ports"),
        default_text="none",
        common=True,
        example='"80,443,8000-8100"',
    )
    targets: tuple[str, ...] = option(
        INPUT,
        networks.TARGETS,
        "with -p: addresses, networks, ranges and names to sweep; as arguments (lzr -p 80 192.0.2.0/24) they "
        "need no flag",
        default=(),
        on_resume=FIXED,
        default_text="none",
        example='["192.0.2.0/24"]',
    )
    targets_file: tuple[str, ...] = option(
        INPUT,
        texts.LISTS,
        "with -p: sweep what is named in FILE, too (one address, network, range or name a line)",
        default=(),
        on_resume=CONTENT,
        example='["networks.txt"]',
    )
    dryrun: str = option(
        INPUT,
        texts.DRYRUN,
        "with -p: print the targets, send nothing; without: the input is the text that zmap --dryrun prints "
        "(implies -sendSYNs); =fast: both are the six-byte records of ZMap's --fast-dryrun",
        default="",
        on_resume=FIXED,
        reference="dryrun",
        was="false",
    )
    input_file: str | None = option(
        INPUT,
        texts.INPUT,
        "read the input from FILE; - is stdin",
        default=None,
        on_resume=FREE,
        short="I",
        default_text="stdin",
        aliases=("input",),
        example='"services.txt"',
    )
    force_all_handshakes: bool = option(
        INPUT,
        kind.SWITCH,
        "do every handshake even after data came, and record each that got data; turns -haf off",
        default=False,
        on_resume=FIXED,
        reference="forceAllHandshakes",
        was="false",
    )
    push_data_only: bool = option(
        INPUT,
        kind.SWITCH,
        "send a bare ACK first and data only with PSH, on the retransmit",
        default=False,
        on_resume=FIXED,
        reference="pushDataOnly",
        was="false",
    )
    priority_fingerprint: tuple[str, ...] = option(
        INPUT,
        texts.NAMES,
        "labels that win, in this order, when a reply matches several; none: the fixed order decides",
        default=(),
        on_resume=FIXED,
        reference="priorityFingerprint",
        default_text="the order of -handshakes",
        was="none",
        example='["http", "tls"]',
    )
    user_agent: str | None = option(
        INPUT,
        texts.AGENT,
        "what the probes that are HTTP or like it call us: who scans, and where to read why",
        default=None,
        on_resume=FIXED,
        default_text="Firefox 128, as in the reference",
        aliases=("http-user-agent",),
        example='"example-scan/1.0 (+https://scan.example.org)"',
    )
    haf: int = option(
        INPUT,
        amounts.number(0, 100),
        "tell ACKing firewalls: probe N random ephemeral ports of a host beside its second handshake",
        default=0,
        on_resume=FIXED,
        reference="haf",
        default_text="0, off",
        common=True,
        was="0",
        why="A host is asked once for all its ports (each flow worker for those it has); the reference asks "
        "for each.",
    )
    haf_threshold: float = option(
        INPUT,
        amounts.FRACTION,
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
        amounts.number(0, 2**64 - 1),
        "same seed and input: same source ports, sequence numbers and order; it must not be guessable, "
        "as who guesses it can forge answers of hosts",
        default=None,
        on_resume=FREE,
        short="e",
        default_text="random",
        example="1",
    )
    shards: int = option(
        INPUT,
        amounts.number(1, 65535),
        "split the input over N boxes that all read it",
        default=1,
        on_resume=FIXED,
    )
    shard: int | str = option(
        INPUT,
        amounts.SHARDS,
        "which of the N shards this box scans, from 0; several as in 3,7-9",
        default=0,
        on_resume=FIXED,
    )
    plan_id: str | None = option(
        INPUT,
        texts.HEX,
        "which plan for several boxes this scan is part of (lzr fleet), for checkpoint and metadata",
        default=None,
        on_resume=FIXED,
        example='"0123456789abcdef"',
    )
    generation: int | None = option(
        INPUT,
        amounts.number(1, MANY),
        "how many times the shards of that plan have been dealt to boxes",
        default=None,
        on_resume=FIXED,
        example="1",
    )

    # Network
    source_ips: tuple[str, ...] = option(
        NETWORK,
        networks.SOURCES,
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
        example='["192.0.2.10", "198.51.100.0/29"]',
    )
    source_port: tuple[int, int] | None = option(
        NETWORK,
        networks.PORTS,
        "our ports, for connections we open",
        default=None,
        on_resume=FREE,
        short="s",
        default_text=DEFAULT_RANGE,
        example=f'"{DEFAULT_RANGE}"',
    )
    gateway_mac: str | None = option(
        NETWORK,
        networks.MAC,
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
        example='"00:16:3e:5e:6c:07"',
    )
    interface: str | None = option(
        NETWORK,
        networks.INTERFACE,
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
        example='"eth0"',
    )
    ipv6: bool = option(
        NETWORK,
        kind.SWITCH,
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
        amounts.per_second("N", "targets", none="none"),
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
        amounts.per_second("N", "packets"),
        "most packets a second, of every kind we send",
        default=None,
        on_resume=FREE,
        default_text="no limit",
        example="100000",
    )
    bandwidth: float | None = option(
        PACE,
        amounts.per_second("BITS", "bits"),
        "most bits a second on the wire (K, M, G allowed)",
        default=None,
        on_resume=FREE,
        short="B",
        default_text="no limit",
        example='"500M"',
    )
    max_targets: int | str | None = option(
        PACE,
        amounts.number_or_share(1, MANY),
        "stop reading after N targets; with -p also a percentage of the pairs, as in 0.5%",
        default=None,
        on_resume=FREE,
        short="n",
        example="1000000",
    )
    max_results: int | None = option(
        PACE,
        amounts.number(1, MANY),
        "stop when exactly N results are recorded",
        default=None,
        on_resume=FREE,
        short="N",
        example="1000",
    )
    max_runtime: float | None = option(
        PACE,
        amounts.seconds(positive=True),
        "stop reading after this time, then finish what is in flight",
        default=None,
        on_resume=OWN,
        example='"2h"',
    )

    # Timing
    retransmit_wait: float = option(
        TIMING,
        amounts.seconds(positive=True),
        "time until a retransmit",
        default=1.0,
        on_resume=FIXED,
        reference="rt",
        was="1",
    )
    probes: int = option(
        TIMING,
        amounts.number(1, 255),
        "with -p: SYNs to each pair, a second apart, until it answers",
        default=1,
        on_resume=FIXED,
        short="P",
        example="2",
    )
    retransmit_number: int = option(
        TIMING,
        amounts.number(0, 255),
        "number of retransmits",
        default=1,
        on_resume=FIXED,
        reference="rn",
        was="1",
        aliases=("retries", "max-retries"),
    )
    timeout: float = option(
        TIMING,
        amounts.seconds(positive=True),
        "time to wait for data after the last retransmit, or once data was acknowledged "
        "(then also for as many repeats of lost answers as -rn says, if that is above 1)",
        default=5.0,
        on_resume=FIXED,
        reference="t",
        was="5",
    )
    cooldown: float = option(
        TIMING,
        amounts.seconds(),
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
        amounts.seconds(),
        "time a first reply that is still short or unknown may grow before it is fingerprinted",
        default=0.25,
        on_resume=FIXED,
    )
    max_size: int = option(
        TIMING,
        amounts.number(1, 1024, metavar="KB", unit="kB"),
        "kilobytes of a host's answer that are kept; what is longer is cut, and its record marked",
        default=16,
        on_resume=FIXED,
    )
    probe_delay: float = option(
        TIMING,
        amounts.seconds(),
        "pause before a follow-up handshake; 5 wins back three quarters of the hosts that refuse an "
        "immediate one",
        default=0.0,
        on_resume=FIXED,
        aliases=("follow-up-delay",),
    )
