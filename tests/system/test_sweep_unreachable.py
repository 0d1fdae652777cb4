"""A sweep through a router that sends ICMP errors: each pair counts once, by what came; forgeries do not."""

from __future__ import annotations

import csv
import json
import os
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults import Victim, lines_in, read
from tests.lab.net import Lab, Namespace, wait_for
from tests.lab.responder import PORT
from tests.lab.scan import LZR, parse

pytestmark = [pytest.mark.root, pytest.mark.attack, pytest.mark.timeout(600)]

US, ROUTER, US6, ROUTER6 = "10.1.0.2", "10.1.0.1", "fd00:1::2", "fd00:1::1"
WAYS = {
    0: "reject with icmp type net-unreachable",
    32: "reject with icmp type host-unreachable",
    64: "reject with icmp type prot-unreachable",
    96: "reject with icmp type port-unreachable",
    128: "reject with icmp type admin-prohibited",
    160: "reject with icmp type net-prohibited",
    192: "drop",
}
"""What becomes of what goes to 32 addresses of 10.70.0.0/24 each; the last 32 are sent round in a circle."""
WAYS6 = {0x00: "no-route", 0x20: "addr-unreachable", 0x40: "port-unreachable", 0x60: "admin-prohibited"}
SWEPT = ("-p", f"{PORT},{PORT + 1}", "10.70.0.0/24", "10.66.0.0/27", "fd70::/121", "fd66::/125")
EXPECTED = {
    "sa_only": 40,
    "refused": 40,
    "unreachable_net": 2 * (32 + 32),
    "unreachable_host": 2 * (32 + 32),
    "unreachable_protocol": 2 * 32,
    "unreachable_port": 2 * (32 + 32),
    "unreachable_prohibited": 2 * (32 + 32 + 32),
    "unreachable_ttl": 2 * 32,
    "no_syn_ack": 2 * 32,
}
FORGED_FOR = bytes((10, 70, 0, 192))
"""The first of those that are silent."""
REPLAYED_FOR = bytes((10, 70, 0, 33))


@pytest.fixture
def path(lab: Lab) -> tuple[Namespace, Namespace]:
    """The scanner, and the router behind which the rest lies."""
    us, router = lab.namespace("us"), lab.namespace("router")
    lab.link(us, router, a_addresses=(f"{US}/30", f"{US6}/64"), b_addresses=(f"{ROUTER}/30", f"{ROUTER6}/64"))
    us.ip("route", "add", "default", "via", ROUTER)
    us.ip("-6", "route", "add", "default", "via", ROUTER6)
    router.ip("link", "add", "out", "type", "veth", "peer", "name", "far")
    router.ip("link", "set", "out", "up")
    router.ip("route", "add", "10.70.0.0/16", "dev", "out")
    router.ip("-6", "route", "add", "fd70::/64", "dev", "out")
    router.ip("route", "add", "local", "10.66.0.0/27", "dev", "lo")
    router.ip("-6", "route", "add", "local", "fd66::/125", "dev", "lo")
    for key, value in (
        ("net.ipv4.ip_forward", 1),
        ("net.ipv6.conf.all.forwarding", 1),
        ("net.ipv4.icmp_ratemask", 0),
        ("net.ipv6.icmp.ratelimit", 0),
    ):
        router.sysctl(key, value)
    rules = [f"ip daddr 10.70.0.{first}/27 {what}" for first, what in WAYS.items()]
    rules += [
        f"ip6 daddr fd70::{first:x}/123 reject with icmpv6 type {what}" for first, what in WAYS6.items()
    ]
    router.nft(
        "table inet fate { chain before { type filter hook prerouting priority -300; "
        "ip daddr 10.70.0.224/27 ip ttl set 1; }; chain forward { type filter hook forward priority 0; "
        f"{'; '.join(rules)}; drop; }}; }}"
    )
    server = router.call(
        lambda: socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    )
    lab.on_close(server.close)
    return us, router


def checksum(octets: bytes) -> int:
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def error(frame: bytes, syn: bytes) -> bytes:
    """A frame with "host unreachable" about a SYN, its IP header and eight bytes, to who sent this frame."""
    body = bytes((3, 1, 0, 0)) + bytes(4) + syn
    body = body[:2] + struct.pack(">H", checksum(body)) + body[4:]
    head = (
        struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, 1, 0)
        + socket.inet_aton(ROUTER)
        + frame[26:30]
    )
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return frame[6:12] + frame[:6] + b"\x08\x00" + head + body


@contextmanager
def forger(router: Namespace) -> Iterator[Counter[str]]:
    """On the way it sees each SYN; of silent ones it forges what is not quite right, another it replays."""
    sock = router.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)))
    sock.bind(("eth0", 0x0800))
    sent: Counter[str] = Counter()
    over = threading.Event()
    replayed: list[bytes] = []

    def work() -> None:
        due = 0.0
        while not over.is_set():
            if replayed and time.monotonic() > due:  # a socket has room for those of many seconds
                sock.send(replayed[0])
                sent["replayed"] += 1
                due = time.monotonic() + 0.005
            if not select.select([sock], [], [], 0.0005)[0]:
                continue
            frame = sock.recv(2048)
            syn = frame[14:42]
            if len(frame) < 54 or frame[23] != 6 or frame[47] & 0x3F != 2:
                continue
            if syn[16:20] == REPLAYED_FOR and not replayed:
                replayed.append(error(frame, syn))
            if syn[16:19] == FORGED_FOR[:3] and syn[19] & 0xE0 == FORGED_FOR[3]:
                for at in (17, 19, 21, 23, 26):  # another host, our port, theirs, the ISN
                    wrong = bytearray(syn)
                    wrong[at] ^= 1
                    sock.send(error(frame, bytes(wrong)))
                    sent["forged"] += 1
                lie = error(frame, syn)  # right, but for its checksum
                sock.send(lie[:-1] + bytes((lie[-1] ^ 1,)))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield sent
    finally:
        over.set()
        thread.join(20)
        sock.close()


def test_unreachable_pairs_are_counted_by_kind(lab: Lab, path: tuple[Namespace, Namespace]) -> None:
    us, router = path
    meta, updates = lab.directory / "meta", lab.directory / "updates"
    quick = ("-handshakes", "none", "-c", "5", "-r", "1000", "-w", "flow=2,collect=1", "--no-dashboard")
    with forger(router) as sent:
        done = us.run(LZR, *SWEPT, *quick, "-m", meta, "-u", updates, "-f", "-", timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    records, _ = parse(done.stdout)
    assert len(records) == 32 + 8
    found = json.loads(meta.read_text())
    assert found["reasons"] == EXPECTED
    assert sent["forged"] == 5 * 2 * 32
    assert sent["replayed"] > 100
    assert found["packets"]["ignored"]["icmp_of_others"] > 0
    assert found["packets"]["ignored"].get("icmp_lost", 0) == found["packets"]["drops"] == 0
    unreachable = sum(count for reason, count in EXPECTED.items() if reason.startswith("unreachable"))
    assert found["inputs"]["unreachable"] == unreachable
    said = " ".join(done.stderr.split())
    total = sum(EXPECTED.values())
    assert f"inputs: {total} read = {total} recorded (agree)" in said
    for words_ in ("unreachable: host 128 ", "unreachable: TTL exceeded 64 ", "no SYN-ACK 64 "):
        assert words_ in said
    last = list(csv.DictReader(updates.read_text().splitlines()))[-1]
    assert int(last["unreachable-total"]) == unreachable
    assert int(last["outcome-unreachable-prohibited"]) == EXPECTED["unreachable_prohibited"]


def test_whoever_is_killed_each_pair_is_counted_once(lab: Lab, path: tuple[Namespace, Namespace]) -> None:
    """A worker, then the coordinator; the counts of the runs together are those of one."""
    us, _ = path
    target, state, meta = (lab.directory / name for name in ("out", "state", "meta"))
    quick = ("-handshakes", "none", "-c", "5", "-r", "80", "-w", "flow=2,collect=1")
    with open(os.devnull) as stdin:
        victim = Victim(us, *SWEPT, *quick, "-f", target, "--checkpoint", state, stdin=stdin)
    wait_for(lambda: lines_in(target) > 4, "the first records", 60)
    assert victim.kill("flow worker")
    wait_for(lambda: lines_in(target) > 16 and (state / "checkpoint").exists(), "records", 60)
    victim.process.kill()
    victim.process.wait(120)
    done = us.run(LZR, "--resume", state, "--no-dashboard", "-m", meta, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(meta.read_text())["reasons"] == EXPECTED
    records = read(target)
    assert len({(record["saddr"], record["sport"]) for record in records}) == len(records) == 40
