"""The reference's ways of scanning, on the wire: firewalls, handshakes, pushes, dry runs, both families."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, PadN
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from tests.lab.capture import Seen, capture
from tests.lab.net import Lab, Namespace
from tests.lab.responder import (
    FIRST,
    GATEWAY6,
    PORT,
    SCANNER,
    SCANNER6,
    Range,
    expected,
    letter_of,
)
from tests.lab.scan import LZR, Scan, parse, scan, zmap_words
from tests.lab.zmaplines import isn_of, lines, premade_ack

pytestmark = pytest.mark.root

QUICK = ("-rt", "1", "-t", "3")
ONCE = ("-rt", "2.5", "-t", "2.5")
"""Where packets are counted: nothing is sent again because a host, or a worker, was held up for a while."""


def hosts(count: int, first: str = FIRST) -> list[str]:
    start = ipaddress.ip_address(first)
    return [str(start + index) for index in range(count)]


def listed(addresses: Sequence[str]) -> list[str]:
    return [f"[{host}]:{PORT}\n" if ":" in host else f"{host}:{PORT}\n" for host in addresses]


def assert_true(found: Scan, addresses: Sequence[str], classes: str = "hsaqrfzh") -> None:
    """One record for each host, and it is right."""
    assert found.returncode == 0, found.stderr
    by_host = {record["saddr"]: record for record in found.records}
    assert sorted(by_host) == sorted(addresses)
    assert len(found.records) == len(addresses)
    wrong = {host: expected(letter_of(host, classes)).wrong(record) for host, record in by_host.items()}
    assert not any(wrong.values()), {host: what for host, what in wrong.items() if what}


def by_target(seen: list[Seen]) -> dict[str, list[Seen]]:
    """What was sent to each host, in order."""
    sent: dict[str, list[Seen]] = defaultdict(list)
    for segment in seen:
        if segment.source in (SCANNER, SCANNER6):
            sent[segment.target].append(segment)
    return sent


# --- ACKing firewalls --------------------------------------------------------------------------------------


@pytest.mark.parametrize("haf", [3, 5])
@pytest.mark.parametrize("handshakes", ["http", "http,tls"])
@pytest.mark.parametrize("form", ["list", "zmap"])
def test_a_firewall_takes_few_packets(arena: Range, haf: int, handshakes: str, form: str) -> None:
    """At most n + 4; and whoever is closed elsewhere is never taken for one."""
    classes = "ahsaqrfz"
    more = ["--premade"] if form == "zmap" else []
    arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER, classes=classes, more=more)
    words = ("-haf", str(haf), "-handshakes", handshakes, *(["-sendSYNs"] if form == "list" else []))
    text = list(lines(64, classes=classes)) if form == "zmap" else listed(hosts(64))
    with capture(arena.far) as seen:
        found = scan(arena.scanner, *words, *ONCE, lines=text)
    assert found.returncode == 0, found.stderr
    assert len(found.records) == 64
    sent = by_target(seen.stop())
    for record in found.records:
        firewall = letter_of(record["saddr"], classes) == "a"
        assert record.get("ackingFirewall", False) is firewall, record
        if firewall:
            assert "data" not in record
            assert len(sent[record["saddr"]]) <= haf + 4, [s.letters for s in sent[record["saddr"]]]
        if letter_of(record["saddr"], classes) == "h":  # answered at once: nobody asks whether it is one
            assert {segment.dport for segment in sent[record["saddr"]]} == {PORT}
    assert found.summary()["HyperACKtive"] == 16
    assert found.labels() == {"http": 8, "ssh": 8, "unknown": 48}
    probed = [s.dport for segments in sent.values() for s in segments if s.dport != PORT]
    assert len(set(probed)) > 10
    assert min(probed) >= 32768


def test_nothing_waits_for_the_probes(arena: Range) -> None:
    """The follow-up leaves with the probes, not after their time; who answers is done at once."""
    arena.respond(first=FIRST, count=16, port=PORT, source=SCANNER, classes="hr")
    words = ("-haf", "5", "-handshakes", "http,tls", "-sendSYNs", "-rt", "100", "-t", "100")
    with capture(arena.far) as seen:
        found = scan(arena.scanner, *words, lines=listed(hosts(16)), timeout=90)
    assert found.returncode == 0, found.stderr
    for host, segments in by_target(seen.stop()).items():
        syns = [segment for segment in segments if segment.letters == "S" and segment.dport == PORT]
        probes = [segment for segment in segments if segment.dport != PORT]
        assert len(syns) == (1 if letter_of(host, "hr") == "h" else 2)
        assert len(probes) == (0 if letter_of(host, "hr") == "h" else 5)
        if probes:
            assert abs(syns[1].time - probes[0].time) < 20


HTTP = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
SERVER, MIXED, FIREWALL, HALF = "10.1.0.10", "10.1.0.11", "10.1.0.20", "10.1.0.21"


def serve(namespace: Namespace, address: str, port: int, reply: bytes, *, waits: bool) -> None:
    """A server of the kernel's own TCP: says `reply` at once, or when it was asked."""
    listener = namespace.call(lambda: socket.create_server((address, port), backlog=256))

    def run() -> None:
        with contextlib.suppress(OSError), listener:
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(60)
            if waits:
                connection.recv(4096)
            connection.sendall(reply)
            connection.recv(4096)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def end() -> None:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)

    namespace.lab.on_close(end)


@pytest.fixture
def street(lab: Lab) -> tuple[Namespace, Namespace]:
    """Real stacks: two servers, a firewall that accepts any port, and one that accepts half of them."""
    scanner, far = lab.namespace("scan"), lab.namespace("far")
    every = [f"{address}/24" for address in (SERVER, MIXED, FIREWALL, HALF)]
    lab.link(scanner, far, a_addresses=[f"{SCANNER}/24"], b_addresses=every)
    scanner.ip("route", "add", "default", "via", SERVER)
    serve(far, SERVER, PORT, HTTP, waits=True)
    serve(far, MIXED, PORT, b"220 hello\r\n", waits=False)
    # The kernel accepts and acknowledges what nobody ever reads.
    sinks = far.call(lambda: [socket.create_server((a, 4444), backlog=4096) for a in (FIREWALL, HALF)])
    for sink in sinks:
        lab.on_close(sink.close)
    far.nft(
        "table ip sink { chain in { type nat hook prerouting priority -100; "
        f"ip daddr {FIREWALL} tcp dport 1-65535 dnat to {FIREWALL}:4444; "
        f"ip daddr {HALF} tcp dport {{ {PORT}, 32768-46884 }} dnat to {HALF}:4444; }}; }}"
    )
    return scanner, far


@pytest.mark.parametrize("handshakes", ["http", "http,tls", "wait,http"])
def test_real_servers_and_a_real_firewall(street: tuple[Namespace, Namespace], handshakes: str) -> None:
    scanner, far = street
    words = ("-haf", "5", "-sendSYNs", "-handshakes", handshakes, *ONCE)
    with capture(far) as seen:
        found = scan(scanner, *words, lines=listed([SERVER, MIXED, FIREWALL]))
    assert found.returncode == 0, found.stderr
    record = {record["saddr"]: record for record in found.records}
    assert record[FIREWALL]["ackingFirewall"] is True
    # A RST without ACK is the kernel's, to SYN-ACKs repeated after the scan and its guard have gone.
    sent = [segment for segment in by_target(seen.stop())[FIREWALL] if segment.letters != "R"]
    assert sent[0].letters == "S"  # which ZMap sends where the input is its
    assert len(sent[1:]) <= 5 + 4, [segment.letters for segment in sent]
    assert record[SERVER]["fingerprint"] == "http"
    assert record[MIXED]["fingerprint"] == "smtp-ftp"
    assert not any("ackingFirewall" in record[host] for host in (SERVER, MIXED))


@pytest.mark.parametrize(("threshold", "marked"), [("1.0", False), ("0.2", True)])
def test_the_threshold_is_a_share(street: tuple[Namespace, Namespace], threshold: str, marked: bool) -> None:
    scanner, _ = street
    words = ("-haf", "20", "-hafThreshold", threshold, "-sendSYNs", "--seed", "5", *QUICK)
    found = scan(scanner, *words, lines=listed([HALF]))
    (record,) = found.records
    assert record.get("ackingFirewall", False) is marked


# --- how it is said, and who wins --------------------------------------------------------------------------


def test_all_handshakes(arena: Range) -> None:
    """One record for each handshake that brought data; one for a host where none did."""
    arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER)
    words = ("-forceAllHandshakes", "-handshakes", "wait,http,tls", "-haf", "5", "-sendSYNs")
    with capture(arena.far) as seen:
        found = scan(arena.scanner, *words, *QUICK, lines=listed(hosts(64)))
    assert found.returncode == 0, found.stderr
    told = defaultdict(list)
    for record in found.records:
        told[record["saddr"]].append((record["HandshakeNum"], record["fingerprint"]))
    for host in hosts(64):
        letter = letter_of(host)
        if letter == "s":
            assert sorted(told[host]) == [(0, "ssh"), (1, "ssh"), (2, "ssh")]
        elif letter == "h":
            assert sorted(told[host]) == [(1, "http"), (2, "http")]
        else:
            assert [label for _, label in told[host]] == ["unknown"], (letter, told[host])
    sent = by_target(seen.stop())
    assert {segment.dport for segments in sent.values() for segment in segments} == {PORT}  # no haf
    assert len({segment.sport for segment in sent[hosts(2)[1]]}) == 3  # a fresh port each


def test_data_only_with_a_push(arena: Range) -> None:
    classes = "hsa"
    flags = {}
    for words in ((), ("-pushDataOnly",)):
        arena.respond(first=FIRST, count=30, port=PORT, source=SCANNER, classes=classes, more=["--premade"])
        with capture(arena.far) as seen:
            found = scan(arena.scanner, *words, *QUICK, lines=lines(30, classes=classes))
        assert_true(found, hosts(30), classes) if not words else None
        assert found.labels() == {"http": 10, "ssh": 10, "unknown": 10}
        sent = by_target(seen.stop())
        flags[words] = {
            letter: {
                (s.letters, bool(s.data))
                for h in hosts(30)
                if letter_of(h, classes) == letter
                for s in sent[h]
            }
            for letter in classes
        }
    assert flags[()]["h"] == {(".", True), ("R.", False)}
    pushed = flags[("-pushDataOnly",)]
    assert pushed["h"] == pushed["a"] == {(".", False), ("P.", True), ("R.", False)}
    assert pushed["s"] == {(".", False), ("R.", False)}  # spoke first: nothing was sent to it


@pytest.mark.parametrize(
    ("words", "label"),
    [
        (("-handshakes", "http"), "smtp-ftp"),
        (("-handshakes", "http", "-priorityFingerprint", "ftp,smtp"), "ftp"),
        (("-handshakes", "http,smtp"), "smtp"),
        (("-handshakes", "smtp", "-priorityFingerprint", "ftp"), "ftp"),
    ],
)
def test_the_users_label_wins(
    street: tuple[Namespace, Namespace], words: tuple[str, ...], label: str
) -> None:
    scanner, _ = street
    (record,) = scan(scanner, "-sendSYNs", *words, *QUICK, lines=listed([MIXED])).records
    assert record["fingerprint"] == label


# --- ZMap's dry runs ---------------------------------------------------------------------------------------


def test_the_dry_run_of_real_zmap(arena: Range) -> None:
    """``zmap --dryrun … | lzr -dryrun …``: everything it would have probed, nothing else."""
    responder = arena.respond(first=FIRST, count=256, port=PORT, source=SCANNER)
    zmap = [*zmap_words(arena.scanner, SCANNER, arena.gateway_mac, PORT, 10_000, [f"{FIRST}/24"]), "--dryrun"]
    target = arena.lab.directory / "dry.json"
    writer = arena.scanner.popen(*zmap, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    done = arena.scanner.run(LZR, "-dryrun", *QUICK, "-f", target, stdin=writer.stdout, timeout=120)
    counters = responder.stop()
    assert counters["wrong_address"] == counters["wrong_port"] == 0
    assert counters["addresses"] == 256
    records, torn = parse(target.read_text())
    assert_true(Scan(done.returncode, records, done.stderr, torn=torn), hosts(256))


BLOCK = """\
tcp {{ source: {source} | dest: {port} | seq: 1670738154 | checksum: 0XBE89 }}
ip {{ saddr: 10.1.0.2 | daddr: {host} | checksum: 0X2D71 }}
eth {{ shost: d6:3f:c4:37:42:39 | dhost: 3a:9a:f3:3c:f3:d3 }}
------------------------------------------------------
"""
"""As ZMap 4.4 prints it, several ports in one run."""


def test_dry_runs_of_zmap_4(arena: Range) -> None:
    arena.respond(first=FIRST, count=64, source=SCANNER)
    pairs = [(host, port) for host in hosts(64) for port in (PORT, PORT + 1)]
    text = "".join(BLOCK.format(source=40000 + at, host=h, port=p) for at, (h, p) in enumerate(pairs))
    fast = b"".join(socket.inet_aton(host) + port.to_bytes(2, "big") for host, port in pairs)
    for word, data in (("-dryrun", text.encode()), ("-dryrun=fast", fast)):
        target, source = arena.lab.directory / f"out{word}.json", arena.lab.directory / "in"
        source.write_bytes(data)
        done = arena.scanner.run(LZR, word, *QUICK, "-f", target, "--input-file", source, timeout=120)
        records, _ = parse(target.read_text())
        assert sorted((r["saddr"], r["sport"]) for r in records) == sorted(pairs), done.stderr
        assert Counter(r["fingerprint"] for r in records) == {"unknown": 80, "http": 32, "ssh": 16}


# --- IPv6 --------------------------------------------------------------------------------------------------

FIRST6 = "fd00:64::"


def lines6(count: int, classes: str = "hsaqrfzh") -> Iterator[str]:
    """What a ZMap for IPv6 prints of `count` connections that the responder has accepted."""

    def folded(address: str) -> int:
        words = np.frombuffer(ipaddress.IPv6Address(address).packed, ">u4").astype(np.uint32)
        return int(np.bitwise_xor.reduce(words))

    for at, host in enumerate(hosts(count, FIRST6)):
        own_port = np.array([40000 + at], np.uint32)
        isn = isn_of(np.array([folded(host)], np.uint32), folded(SCANNER6), PORT, own_port)
        record = {
            "saddr": host, "daddr": SCANNER6, "sport": PORT, "dport": 40000 + at, "seqnum": int(isn[0]),
            "acknum": int(premade_ack(isn)[0]), "window": 0 if letter_of(host, classes) == "z" else 64240,
        }  # fmt: skip
        yield json.dumps(record) + "\n"


def test_zmaps_json_with_ipv6(arena: Range) -> None:
    arena.scanner.ip("-6", "neigh", "flush", "dev", "eth0")  # the gateway has to be found
    responder = arena.respond(port=PORT, more=["--premade"])
    with capture(arena.far) as seen:
        found = scan(arena.scanner, *ONCE, lines=lines6(256))
    counters = responder.stop()
    assert_true(found, hosts(256, FIRST6))
    assert counters["syn"] == counters["bad_seq"] == counters["bad_ack"] == 0
    assert counters["neighbour"] > 0
    assert found.records[0]["daddr"] == SCANNER6
    # The kernel resets nothing: to who answered, one segment with our data and one that closes.
    sent = by_target(seen.stop())
    for host in hosts(256, FIRST6):
        if letter_of(host) == "h":
            assert [segment.letters for segment in sent[host]] == [".", "R."]


def test_both_families_in_one_run(arena: Range) -> None:
    responder = arena.respond(port=PORT)
    both = [host for pair in zip(hosts(128), hosts(128, FIRST6), strict=True) for host in pair]
    found = scan(arena.scanner, "-sendSYNs", "-w", "2", *QUICK, lines=listed(both))
    assert responder.stop()["bad_checksum"] == 0
    assert_true(found, both)


@pytest.mark.parametrize("first", [4, 6])
def test_the_other_family_may_come_late(arena: Range, first: int) -> None:
    """What the first line is says nothing about the others."""
    arena.respond(port=PORT, classes="h")
    target = arena.lab.directory / "late.json"
    process = arena.scanner.popen(
        LZR, "-sendSYNs", *QUICK, "-f", target, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    order = [hosts(4), hosts(4, FIRST6)] if first == 4 else [hosts(4, FIRST6), hosts(4)]
    for count, some in enumerate(order, 1):
        process.stdin.write("".join(listed(some)))
        process.stdin.flush()
        until = time.monotonic() + 60
        while not target.exists() or target.read_text().count("\n") < 4 * count:
            assert time.monotonic() < until, target.read_text()
            time.sleep(0.02)
    process.stdin.close()
    assert process.wait(120) == 0
    records, _ = parse(target.read_text())
    assert {record["saddr"] for record in records} == {*hosts(4), *hosts(4, FIRST6)}
    assert {record["fingerprint"] for record in records} == {"http"}


def test_addresses_are_expanded_only_when_asked(arena: Range) -> None:
    arena.respond(port=PORT, classes="h")
    pairs = {}
    for words in ((), ("-ipv6",)):
        found = scan(arena.scanner, "-sendSYNs", *words, *QUICK, lines=["[FD00:64:0:0::7]:9002\n"])
        pairs[words] = [(record["saddr"], record["daddr"]) for record in found.records]
    assert pairs[()] == [("fd00:64::7", SCANNER6)]
    assert pairs[("-ipv6",)] == [
        ("fd00:0064:0000:0000:0000:0000:0000:0007", "fd00:0001:0000:0000:0000:0000:0000:0002")
    ]


def test_blocklists_know_both_families(arena: Range) -> None:
    responder = arena.respond(port=PORT, classes="h")
    block, allow = arena.lab.directory / "block", arena.lab.directory / "allow"
    block.write_text("fd00:64::8/125  # eight of them\n10.64.0.4/30\n")
    allow.write_text("fd00:64::/124\n10.64.0.0/28\n")
    both = [*hosts(32), *hosts(32, FIRST6)]
    with capture(arena.far) as seen:
        found = scan(
            arena.scanner, "-sendSYNs", "-b", block, "--allowlist-file", allow, *QUICK, lines=listed(both)
        )
    responder.stop()
    wanted = {h for h in hosts(16) if not 4 <= int(h.split(".")[3]) < 8} | set(hosts(8, FIRST6))
    assert {record["saddr"] for record in found.records} == wanted
    assert set(by_target(seen.stop())) == wanted
    assert "44 blocklisted" in found.stderr


def test_firewalls_of_ipv6(arena: Range) -> None:
    arena.respond(port=PORT, classes="ahs")
    with capture(arena.far) as seen:
        found = scan(arena.scanner, "-haf", "4", "-sendSYNs", *ONCE, lines=listed(hosts(60, FIRST6)))
    sent = by_target(seen.stop())
    for record in found.records:
        firewall = letter_of(record["saddr"], "ahs") == "a"
        assert record.get("ackingFirewall", False) is firewall
        assert not firewall or len(sent[record["saddr"]]) <= 8
    assert found.summary()["HyperACKtive"] == 20


class WithOptions:
    """A host whose every segment has a destination options header (RFC 8200 §4.6), and a big one."""

    def __init__(self, namespace: Namespace, address: str) -> None:
        self._address = address
        self._mac = namespace.mac("eth0")
        self._socket = namespace.call(self._open)
        threading.Thread(target=self._run, daemon=True).start()
        namespace.lab.on_close(self._socket.close)

    @staticmethod
    def _open() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
        made.bind(("eth0", 0))
        return made

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                frame: Any = Ether(self._socket.recv(2048))
                if TCP in frame and frame[IPv6].dst == self._address:
                    self._answer(frame, frame[IPv6], frame[TCP])

    def _answer(self, frame: Any, ip: Any, tcp: Any) -> None:
        data = bytes(tcp.payload)
        if tcp.flags == "S":
            reply = TCP(flags="SA", seq=700, ack=tcp.seq + 1, window=1000)
        elif data:
            reply = TCP(flags="PA", seq=701, ack=tcp.seq + len(data), window=1000) / Raw(HTTP)
        else:
            return
        reply.sport, reply.dport = tcp.dport, tcp.sport
        options = IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 44)])
        head = Ether(src=self._mac, dst=frame.src) / IPv6(src=self._address, dst=ip.src)
        self._socket.send(bytes(head / IPv6ExtHdrDestOpt() / options / reply))


def test_extension_headers_confuse_nobody(arena: Range) -> None:
    arena.respond(port=PORT, classes="n")  # answers for the neighbours, and no SYN
    host = hosts(10, FIRST6)[9]
    WithOptions(arena.far, host)
    found = scan(arena.scanner, "-sendSYNs", *QUICK, lines=listed([host]))
    assert found.returncode == 0, found.stderr
    assert [(r["saddr"], r["fingerprint"], r["data"].encode()) for r in found.records] == [
        (host, "http", HTTP)
    ]


def test_the_gateway_of_each_family_is_found(arena: Range) -> None:
    """Neither neighbour is known beforehand, and nobody says which interface."""
    for family in ("-4", "-6"):
        arena.scanner.ip(family, "neigh", "flush", "dev", "eth0")
    metadata = Path(arena.lab.directory / "meta.json")
    arena.respond(port=PORT, classes="h")
    found = scan(
        arena.scanner, "-sendSYNs", *QUICK, "-m", metadata, lines=listed([*hosts(1), *hosts(1, FIRST6)])
    )
    assert found.labels() == {"http": 2}
    network = json.loads(metadata.read_text())["network"]
    assert network["gateway_mac_v4"] == network["gateway_mac_v6"] == arena.gateway_mac
    assert network["gateway_v6"] == GATEWAY6
