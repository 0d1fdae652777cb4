"""Options on the input: what is scanned, with which handshakes."""

from __future__ import annotations

from lzr.options.groups.headings import INPUT
from lzr.options.groups.option import CONTENT, FIXED, FREE, OptionTable, option
from lzr.options.kinds import addressing, amounts, kind, texts

MANY = 2**63 - 1
"""The most that a count may be: it is kept in 63 bits."""


class InputOptions(OptionTable):
    """What is scanned, with which handshakes."""

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
        addressing.PORT_LIST,
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
        addressing.TARGETS,
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
        "tell ACKing firewalls: probe N random ephemeral ports of a host beside its second handshake; in a "
        "sweep of more than 16 ports also where 8 of its ports have answered",
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
