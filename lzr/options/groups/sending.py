"""Options on sending: from where, how fast, how long answers are awaited."""

from __future__ import annotations

from lzr.options.groups.headings import NETWORK, PACE, TIMING
from lzr.options.groups.input import MANY, InputOptions
from lzr.options.groups.option import FIXED, FREE, OWN, option
from lzr.options.kinds import addressing, amounts, kind
from lzr.sourceports import DEFAULT_RANGE


class SendingOptions(InputOptions):
    """From where, how fast, how long answers are awaited."""

    # Network
    source_ips: tuple[str, ...] = option(
        NETWORK,
        addressing.SOURCES,
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
        addressing.PORTS,
        "our ports, for connections we open",
        default=None,
        on_resume=FREE,
        short="s",
        default_text=DEFAULT_RANGE,
        example=f'"{DEFAULT_RANGE}"',
    )
    gateway_mac: str | None = option(
        NETWORK,
        addressing.MAC,
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
        addressing.INTERFACE,
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
        "stop reading after N targets (K, M, G allowed); with -p also a percentage of the pairs, as in 0.5%",
        default=None,
        on_resume=FREE,
        short="n",
        example="1000000",
    )
    max_results: int | None = option(
        PACE,
        amounts.number(1, MANY, thousands=True),
        "stop when exactly N results are recorded (K, M, G allowed)",
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
