"""`lzr.packet.sharding` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import itertools
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from coordinator.network.raw_sockets import open_shards
from lzr.layout import MAX_FRAME
from lzr.packet.segments import Builder, LinkHeader
from lzr.packet.sharding import cookie, shard_of
from lzr.rows import ACK, FRAME, NO_PROBE, PSH, RST, SEGMENT, SYN
from lzr.secrets import Secrets
from tests.lab import net
from tests.unit.lzr.packet.test_sharding import SEED
from tests.wire import PORTS, THEM4, THEM6, US4, US6, extension_header, halves
from workers.flow.ring import Arrivals, Ring

pytestmark = pytest.mark.usefixtures("kernels")

SECRETS = replace(Secrets.derive(1), shard=SEED, cookie=SEED)

LINK = LinkHeader(b"\x02\0\0\0\x99\2", b"\x02\0\0\0\x99\1", b"\x02\0\0\0\x99\1")

THEIRS = Ether(src="02:00:00:00:99:02", dst="02:00:00:00:99:01")


class Wire:
    """Our sockets at one end, a bare one of the test at the other."""

    def __init__(self, lab: net.Lab) -> None:
        self.us, self.them = lab.namespace("us"), lab.namespace("them")
        lab.link(self.us, self.them, a_addresses=[f"{US4}/24", f"{US6}/64"])
        for side, mac in ((self.us, "02:00:00:00:99:01"), (self.them, "02:00:00:00:99:02")):
            side.ip("link", "set", "eth0", "address", mac)
            side.offloads("eth0", on=False)
        self._out = self.them.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
        self._out.bind(("eth0", 0))
        lab.on_close(self._out.close)
        self._lab = lab

    def open(self, shards: int, own_v4: tuple[int, ...] = ()) -> list[Ring]:
        frames = (2048, 256)
        sockets = self.us.call(lambda: open_shards("eth0", shards, SECRETS, PORTS, own_v4, frames))
        rings = [Ring(sock, np.zeros(2, np.int64), frames) for sock in sockets]
        for ring, sock in zip(rings, sockets, strict=True):
            self._lab.on_close(sock.close)
            self._lab.on_close(ring.close)
        return rings

    def send(self, frames: list[bytes]) -> None:
        for frame in frames:
            self._out.send(frame)


def collect(rings: list[Ring], enough: Callable[[list[list[Any]]], bool]) -> list[list[Any]]:
    """Rows that came to each ring, in order, until `enough`."""
    found: list[list[Any]] = [[] for _ in rings]
    deadline = time.monotonic() + 20
    while not enough(found):
        assert time.monotonic() < deadline, [len(rows) for rows in found]
        select.select(rings, [], [], 1)
        for ring, rows in zip(rings, found, strict=True):
            came = Arrivals(256)
            while ring.take(256, came):
                rows += list(came.segments.copy())
                came.clear()
    return found


def plain_frames(six: bool, count: int, flags: int, first_peer: int) -> list[bytes]:
    """Segments to us from `count` hosts; SYN-ACKs answer SYNs of ours."""
    burst = np.zeros(count, FRAME)
    burst["own_hi"], burst["own_lo"] = halves(THEM6 if six else THEM4)
    burst["peer_hi"], burst["peer_lo"] = halves(US6 if six else US4)
    number = np.arange(first_peer, first_peer + count, dtype=np.uint64)
    burst["own_lo"] += number
    burst["own_port"], burst["peer_port"] = 443, 40000 + number * 7 % 10001
    burst["flags"], burst["probe"], burst["seq"] = flags, NO_PROBE, number
    seen = np.zeros(count, SEGMENT)
    for ours, theirs in (("own", "peer"), ("peer", "own")):
        for field in ("hi", "lo", "port"):
            seen[f"{theirs}_{field}"] = burst[f"{ours}_{field}"]
    burst["ack"] = (number.astype(np.uint32) << np.uint32(16)) + cookie(seen, SEED) + np.uint32(1)
    out = np.zeros((count, MAX_FRAME), np.uint8)
    lengths = Builder(LINK, ()).build(burst, out)
    return [row[:length].tobytes() for row, length in zip(out, lengths, strict=True)]


def odd_frames(first_seq: int) -> Iterator[bytes]:
    """Extension headers, IP options and VLAN tags, by scapy."""
    seq = itertools.count(first_seq)
    for at in range(120):
        data = TCP(sport=9000 + at, dport=40000 + at, flags="PA", seq=next(seq), ack=1) / Raw(b"x" * at)
        four, six = IP(src=f"10.7.0.{at}", dst=US4), IPv6(src=f"fd07::{at:x}", dst=US6)
        yield bytes(THEIRS / six / extension_header("d", 8 * (at % 4)) / data)
        data[TCP].seq = next(seq)
        yield bytes(THEIRS / six / extension_header("h") / extension_header("d") / data)
        data[TCP].seq = next(seq)
        yield bytes(THEIRS / six / extension_header("r", 16 * (at % 3)) / data)
        data[TCP].seq = next(seq)
        yield bytes(
            THEIRS / six / IPv6ExtHdrFragment(res1=at) / extension_header("d") / data
        )  # whole: RFC 6946
        data[TCP].seq = next(seq)
        yield bytes(THEIRS / Dot1Q(vlan=5) / four / data)
        data[TCP].seq = next(seq)
        yield bytes(THEIRS / Dot1Q(vlan=5) / six / data)
        data[TCP].seq = next(seq)
        yield bytes(THEIRS / IP(src=f"10.8.0.{at}", dst=US4, options=[b"\x01" * 4]) / data)


@pytest.mark.root
def test_no_segment_reaches_the_wrong_socket(lab: net.Lab) -> None:
    wire = Wire(lab)
    rings = wire.open(4)
    frames = plain_frames(False, 1200, SYN | ACK, 0) + plain_frames(True, 800, SYN | ACK, 1200)
    frames += plain_frames(False, 600, PSH | ACK, 2000) + plain_frames(True, 400, RST, 2600)
    frames += odd_frames(3000)
    assert len(frames) == 3840
    wire.send(frames)
    found = collect(rings, lambda rows: sum(map(len, rows)) >= len(frames))
    assert sorted(int(row["seq"]) for rows in found for row in rows) == list(range(3840))
    for shard, rows in enumerate(found):
        assert len(rows) > 600
        assert (shard_of(np.array(rows, SEGMENT), SEED, 4) == shard).all()
        assert rings[shard].read_drops() == 0


def refused() -> list[tuple[str, Packet]]:
    four, six = IP(src=THEM4, dst=US4), IPv6(src=THEM6, dst=US6)
    right = int.from_bytes(
        plain_frames(False, 1, SYN | ACK, 0)[0][42:46], "big"
    )  # the ack of peer 0's answer
    foreign = TCP(sport=443, dport=40000, flags="SA", ack=right ^ 0x55)
    fragments = [
        (f"a later fragment of {family.name}", packet)
        for family, packet in (
            (four, IP(src=THEM4, dst=US4, frag=10) / TCP(sport=443, dport=40001, flags="A")),
            (six, six / IPv6ExtHdrFragment(offset=10) / TCP(sport=443, dport=40001, flags="A")),
        )
    ]
    return [
        ("a SYN-ACK for another", four / foreign),
        ("the same over IPv6", six / TCP(sport=443, dport=40000, flags="SA", ack=0x55)),
        ("below our ports", four / TCP(sport=443, dport=39999, flags="A")),
        ("above our ports", six / TCP(sport=443, dport=50001, flags="RA")),
        ("UDP", four / UDP(sport=443, dport=40001) / Raw(b"x" * 30)),
        ("UDP over IPv6", six / UDP(sport=443, dport=40001) / Raw(b"x" * 30)),
        ("another protocol", IP(src=THEM4, dst=US4, proto=47) / Raw(b"\x9c\x40" * 30)),
        ("to another of this box's addresses", IP(src=THEM4, dst="10.99.0.3") / TCP(dport=40001, flags="A")),
        *fragments,
    ]


@pytest.mark.root
def test_the_socket_lets_in_what_is_ours_and_nothing_else(lab: net.Lab) -> None:
    wire = Wire(lab)
    (ring,) = wire.open(1, (int(halves(US4)[1]) & 0xFFFFFFFF,))
    four, six = IP(src=THEM4, dst=US4), IPv6(src=THEM6, dst=US6)
    wanted = [
        plain_frames(False, 1, SYN | ACK, 0)[0],
        plain_frames(True, 1, SYN | ACK, 1)[0],
        bytes(THEIRS / four / TCP(sport=443, dport=40000, flags="R", seq=2)),
        bytes(THEIRS / four / TCP(sport=443, dport=50000, flags="RA", seq=3)),
        bytes(THEIRS / six / TCP(sport=443, dport=45000, flags="PA", seq=4) / Raw(b"data")),
        bytes(THEIRS / four / TCP(sport=443, dport=45000, flags="A", seq=5)),
        bytes(THEIRS / four / TCP(sport=443, dport=45000, flags="FA", seq=6)),
    ]
    for _, packet in refused():
        wire.send([bytes(THEIRS / packet)])
    wire.send(wanted)  # a wire keeps order: what was let in before these would be here before them
    (rows,) = collect([ring], lambda rows: len(rows[0]) >= len(wanted))
    assert [int(row["seq"]) for row in rows] == list(range(len(wanted)))
    assert ring.received == len(wanted)


@pytest.mark.root
def test_what_we_send_does_not_come_back(lab: net.Lab) -> None:
    wire = Wire(lab)
    rings = wire.open(2)
    burst = np.zeros(50, FRAME)
    burst["own_hi"], burst["own_lo"] = halves(THEM4)
    burst["peer_hi"], burst["peer_lo"] = halves(US4)
    burst["peer_port"], burst["flags"], burst["probe"] = 45000, ACK, NO_PROBE
    rings[0].out.send(burst, Builder(LINK, ()))
    rings[0].out.flush()
    last = plain_frames(False, 8, RST, 0)
    wire.send(last)
    collect(rings, lambda rows: sum(map(len, rows)) >= len(last))
    assert sum(ring.received for ring in rings) == len(last)
