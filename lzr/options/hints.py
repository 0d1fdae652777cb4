"""Guesses what was meant by an option of another tool, or by a word where none is expected.

Imported only when there is an error. Each function gives the end of one sentence; `parse` adds what was
written. The tables use names of options without dashes; the tools are ZMap, masscan, nmap, naabu, httpx and
ZGrab2.
"""

from __future__ import annotations

from lzr.errors import nearest, printable, suggest
from lzr.options.table import ACTIONS, TABLE
from lzr.options.typography import typography

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from lzr.options.groups.option import Option

_TABLE = """
targets come from stdin or -I FILE, one address:port a line, with -sendSYNs
    iL iR includefile include-file include list hosts host target range iplist ip-list
    list-of-ips-file target-list infile stdin readscan
targets are taken in the order of the input
    randomize-hosts
a port belongs to each target: address:port on each line of the list, or zmap's choice
    port top-ports tp F dest-port ports-file pf exclude-ports
    exclude-port ep destination-port port-ratio dport
all ports of the addresses that are named are -p 0-65535
    p-
our own ports are --source-port LOW-HIGH
    sport
networks to leave out stand in a file: -b FILE, one CIDR block a line
    exclude exclude-hosts eh ef blocklist blacklist exclude-cdn ec
networks to keep to stand in a file: --allowlist-file FILE
    allowlist whitelist
a blocklist with errors is refused, so that nobody is scanned by mistake
    ignore-blocklist-errors
lines that cannot be used are counted, and the scan goes on
    ignore-invalid-hosts
what is sent is chosen with -handshakes
    probe-module M probe-args module modules probe protocol protocols service services hello trigger
the answer is lzr --list-handshakes
    list-probe-modules
what is sent is chosen with -handshakes; a probe of your own: docs/protocols.md
    hello-file hello-string
write -handshakes auto
    auto
write -handshakes all
    all
what a service says is always read; -handshakes wait asks nothing and waits for it
    banners banner bannergrab
all that are known are told apart, whatever is asked; -handshakes says what is asked
    sV A version-intensity version-all version-light version-detection tech-detect td web-server
    service-detection service-discovery osscan-guess
this is for the scanner that comes after lzr: -feedZGrab feeds zgrab2 multiple
    title status-code sc path header H method x follow-redirects script sC endpoint use-https
    max-redirects screenshot favicon body http-header http-cookie http-payload heartbleed
packets are sent raw, through no proxy
    proxy http-proxy
how the port is found open is zmap's part; with -sendSYNs lzr opens the connections itself
    sS sT sn Pn sP ping open open-only verify syn arp PS PE
lzr speaks TCP alone
    sU udp
no route is traced
    traceroute
who you are is said with --user-agent TEXT
    random-agent agent ua
work is shared out among processes: -w N, and --rate says how fast
    threads T sender-threads senders cores concurrency parallel jobs j gomaxprocs processes worker
    max-parallelism min-parallelism
packets go out in batches by themselves
    batch
the pace is --rate N, targets a second
    min-rate rl rate-limit rps pps speed rlm rate-limit-minute scan-delay delay probes-per-second
-n N stops after N targets, -N N after N results
    limit count
each target is asked once by each handshake; lost packets are sent again -rn times
    connections-per-host
lzr ends when its last target has its fate
    warm-up-time
a scan goes on, however few answer; --max-runtime SECONDS ends it, and the dashboard shows the hit rate
    min-hitrate
masscan's --wait is -c SECONDS; to ask nothing and await a banner: -handshakes wait
    wait
the wait for data is -t SECONDS
    host-timeout connection-timeout read-timeout
the wait for a SYN-ACK is -rt SECONDS, -rn times
    connect-timeout
the wait until a retransmit is -rt SECONDS
    initial-rtt-timeout max-rtt-timeout
the interface is -i NAME
    adapter iface dev device nic
our address is --source-ip ADDRESS
    adapter-ip spoof-ip source src src-ip source-ip6 ipv6-source-ip
our ports are --source-port LOW-HIGH
    adapter-port g
our MAC address is the interface's
    adapter-mac source-mac spoof-mac
the gateway is found from the routing table, or given as --gateway-mac MAC
    router-ip gateway-ip
the gateway's MAC address is --gateway-mac MAC
    gw gateway
packets are Ethernet frames; a tunnel without them cannot be scanned through
    vpn iplayer X send-ip-pkts send-eth send-ip
packets go through the kernel's packet rings
    pfring netmap
both families are always scanned; -ipv6 prints the addresses long
    4 6 ipv4 ip-version iv
packets have the usual TTL of 64
    ttl probe-ttl
the names of addresses are never looked up
    dns-resolvers dns-servers R no-dns resolve system-dns no-resolve
write -dryrun=fast
    fast-dryrun
results are JSON lines (-O json, csv or zgrab), to the file that -f names
    json jsonl csv oJ oD oL oN oG oX oA oB oU output-format format oS ndjson xml
-f - writes the results to stdout
    stdout
the output has --output-fields A,B,C and --output-filter EXPR
    output-args fields filter reason show-closed
the answer is lzr --list-output-fields
    list-fields
CSV begins with a heading, which tail -n +2 takes off
    no-header-row
a file that exists is appended to
    append append-output
results are written as they come
    flush
it is --metadata-file FILE
    meta
it is --log-file FILE
    log logfile
it is --verbosity N, from 0 to 5
    log-level loglevel verbose vv vvv very-verbose
-d tells every step of every flow
    packet-trace
nothing goes to syslog
    disable-syslog
lzr ctl status tells how a running scan is, --status-updates-file keeps it
    stats status stats-every
--dashboard shows it
    progress
it is -q, quiet
    no-progress noninteractive nostatus
colours go where NO_COLOR is set in the environment
    no-color nc color no-colour
it is --metrics-port PORT
    prometheus metrics
what came is in data; tcpdump captures packets
    capture
tcpdump captures packets
    pcap
it is --config FILE, in TOML
    conf
results go to one file
    rotate
pip updates lzr
    update up
etc/lzr.toml has every option with its default
    echo
the input of zmap --dryrun is read with -dryrun
    offline
root is always needed
    privileged
root is needed to open raw sockets
    unprivileged
write sudo lzr
    sudo
nothing is asked
    yes y
help is lzr --help, or man lzr
    ? usage man
--resume DIR goes on from a checkpoint
    resume-index paused
lzr ctl steers a running scan
    server
it is a command: lzr identify FILE
    identify
lzr ctl quit ends a running scan
    kill
answers are always checked
    validate-source-port
"""
"""What to use here, and under it the options of other tools that do the same."""

_TEMPLATE = "nmap's timing templates are not known; --rate N and -t SECONDS are"

_BEGINNINGS = ("http://", "https://", "tcp://")
_LISTS = ".txt .csv .json .jsonl .ndjson .lst .list .gz .zst .log .tsv .xml .gnmap .in .out .dat .pcap"
_ENDINGS = tuple(_LISTS.split())
_VALUES = ("true", "false", "yes", "no", "on", "off", "0", "1", "t", "f", "fast", "text")
_CTL = ("status", "workers", "rate", "pause", "resume", "drain", "quit", "lease")
_SCANNING = ("scan", "run", "start", "go", "probe", "grab", "fingerprint")


def _read(table: str) -> dict[str, str]:
    found: dict[str, str] = {}
    said = ""
    for line in table.strip().splitlines():
        if line.startswith(" "):
            found |= dict.fromkeys(line.split(), said)
        else:
            said = line
    return found


_HINTS = _read(_TABLE)


def option(flag: str, name: str, flags: Mapping[str, Option], negated: Mapping[str, Option]) -> str:
    """What an unknown flag stands for, as the end of a sentence; "" where that cannot be told.

    flag: as written, without its value; name: without dashes.
    """
    if name in _HINTS:
        return _HINTS[name]
    if len(name) == 2 and name[0] == "T" and name[1].isdigit():
        return _TEMPLATE
    # With one dash the reference's names come first, with two the long ones; both are right either way.
    known = [shown for row in (*TABLE, *ACTIONS) for shown in row.shown_names]
    known += [f"--{other}" for other in negated]
    two = flag.startswith("--")
    ordered = sorted(known, key=lambda shown: shown.startswith("--") != two)
    ours = nearest(name, [shown.lstrip("-") for shown in ordered])
    joined = _joined(flag, name, flags)
    if joined and not (ours and name.isalpha()):
        return joined
    handshake = _handshake(name)
    if handshake:
        return f"{name} is a handshake; write -handshakes {handshake}"
    foreign = nearest(name, [other for other in _HINTS if len(other) > 4])
    if foreign and foreign[0] == name[0] and not ours:
        return _HINTS[foreign]
    return suggest(flag, ordered).removeprefix("; ")


def _joined(flag: str, name: str, flags: Mapping[str, Option]) -> str:
    """For a flag and its value in one word: -rate5000, -w4, -fout.json, --handshakeshttp."""
    for size in range(len(name) - 1, 0, -1):
        row, rest = flags.get(name[:size]), name[size:]
        if row is None or row.kind.bare is not None:
            continue
        if rest[0].isdigit() or "." in rest or (size > 4 and rest[0].isalpha() and len(rest) > 2):
            dashes = flag[: len(flag) - len(name)] if size > 2 else "-"
            return f"write {dashes}{name[:size]} {printable(rest)}"
    return ""


def _handshake(name: str) -> str:
    """The handshake that a name stands for, if it is written as we or others write it."""
    from lzr.errors import UsageError
    from lzr.options import handshakes

    try:
        found = handshakes.handshakes([name]).names
        return name if found != ("wait",) or name == "wait" else ""
    except UsageError:
        return ""


def value(row: Option, text: str) -> str:
    """What a value was meant for that `row` cannot take; "" where that cannot be told."""
    if row.attr == "seed" and text[:1].isalpha():
        return "-e is the seed, as in ZMap; the interface is -i"
    if row.attr == "flow_workers" and ("/" in text or "." in text):
        return "a file of networks to keep to is --allowlist-file"
    if row.attr == "output_module" and ("." in text or "/" in text):
        return "the file of the results is -f"
    if row.attr in ("shard", "shards") and "/" in text:
        part, _, whole = text.partition("/")
        if f"{part}{whole}".isascii() and part.isdigit() and whole.isdigit() and len(text) < 20:
            return f"write --shards {whole} --shard {max(0, int(part) - 1)}"
    if row.attr in ("rate", "max_rate", "bandwidth"):
        if text.lower().endswith(("b/s", "byte/s", "bytes/s", "bytes", "b")) and row.attr == "bandwidth":
            return "it counts bits, as in 100M"
        return (
            "--rate none is no limit" if row.attr == "rate" and text.strip("0.") in ("", "-1", "inf") else ""
        )
    if row.attr in ("target_ports", "source_port"):
        return _ports(text, f"-{row.short}")
    if row.attr == "verbosity":
        return "-v takes a number from 0 to 5"
    if row.attr == "max_targets" and text.startswith("-"):
        return "-n takes a number of targets, or with -p a percentage"
    return ""


def _ports(text: str, flag: str) -> str:
    """The same for ports."""
    low, dash, high = text.partition("-")
    if text in ("-", "all", "any") and flag == "-p":
        return "all ports are -p 0-65535"
    if dash and not (low and high) and (low + high).isdigit():
        return f"write both ends: {flag} {low or '1'}-{high or '65535'}"
    if text.lower().startswith(("t:", "u:", "s:")) or text.lower().endswith(("/tcp", "/udp", "/sctp")):
        return f"write the numbers alone, as in {flag} 80; all are of TCP"
    if _handshake(text):
        return f"a port is a number; what is asked there is -handshakes {text}"
    return ""


def stray(
    word: str, before: str, row: Option | None, subcommands: tuple[str, ...], *, first: bool, sweeps: bool
) -> str:
    """The sentence about a word that belongs to no flag. before: the word before it; row: the option of that,
    if it is one. sweeps: the words name what is to be swept.
    """
    shown = printable(word)
    if not word.strip() or word == "\\":
        return "a blank stands alone: is there one behind the \\ at the end of a line?"
    wrong = typography(word)
    if wrong:
        return f"{shown} {wrong}"
    if word in subcommands and not first:
        return f"{word} must be the first word: lzr {word} ..."
    if sweeps and (word == "-" or is_list(word)):
        return f"{shown}: networks of a file are swept with --targets-file {'FILE' if word == '-' else shown}"
    if word == "-":
        return "-: flags only; stdin is read by itself, a file with -I"
    if row is not None and row.kind.bare is not None and "=" not in before and word.lower() in _VALUES:
        return f"{before} takes no separate value; write {before}={shown}"
    if (
        row is not None
        and row.kind.bare is None
        and (word.startswith(",") or row.attr.endswith(("shakes", "print")))
    ):
        return f"{shown}: names are separated by commas without blanks, as in -handshakes http,tls"
    if word.startswith("-"):
        return f"{shown}: flags only; targets come from stdin or --input-file"
    if sweeps and not word.strip("0123456789,-*"):
        return f"{shown}: ports are separated by commas without blanks, as in -p 80,443"
    if sweeps:
        return (
            f"{shown} is no address, network (192.0.2.0/24), range of addresses (192.0.2.1-9) or name with a "
            "dot; its ports are said with -p"
        )
    meant = _target(word) or (_command(word, subcommands) if first else "")
    if meant:
        return f"{shown}{'' if meant.startswith(':') else ' '}{meant}"
    return f"{shown}: flags only; targets come from stdin or --input-file"


def _target(word: str) -> str:
    """The sentence for a user who wrote a target or a list on the command line."""
    shown = printable(word)
    if word.lower().startswith(_BEGINNINGS):
        return f"is a target, and those come from stdin or -I FILE: echo '{shown}' | lzr -sendSYNs"
    if is_list(word):
        return f": flags only; targets come from stdin or --input-file: lzr -sendSYNs -I {shown}"
    address, slash, _ = word.partition("/")
    if slash and _address(address):
        return f"is a prefix, and those are read like targets, one a line: echo '{shown}:80' | lzr -sendSYNs"
    if _address(word):
        inner = f"[{word.strip('[]')}]" if ":" in word else word
        return f"is a target without a port; targets are read: echo '{inner}:80' | lzr -sendSYNs"
    host, colon, port = word.rpartition(":")
    if colon and port.isdigit() and host:
        return f"is a target, and those come from stdin or -I FILE: echo '{shown}' | lzr -sendSYNs"
    if "." in word.strip(".") and all(part.replace("-", "").isalnum() for part in word.split(".")):
        return f"is a target without a port; targets are read: echo '{shown}:443' | lzr -sendSYNs"
    return ""


def is_list(word: str) -> bool:
    """Whether this is the name of a file rather than of a host."""
    return word.lower().endswith(_ENDINGS) or word.startswith(("/", "./", "../", "~"))


def _address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _command(word: str, subcommands: tuple[str, ...]) -> str:
    """The sentence for a user who wrote a command that does not exist."""
    if word in _CTL:
        return f"is said to a running scan: lzr ctl {word}"
    if word in ("on", "off"):
        return f"belongs to the guard: lzr guard {word}"
    if word.lower() in _SCANNING:
        return "is no command; scanning needs none: lzr -sendSYNs < list, or zmap ... | lzr"
    near = nearest(word, (*subcommands, "help", "version"))
    if near:
        return f"is no command; did you mean lzr {near}?"
    if _handshake(word):
        return f"is a handshake; write lzr -handshakes {word}"
    return ""
