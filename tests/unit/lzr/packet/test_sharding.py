"""One hash, three places: numpy, the program the kernel runs, and the kernel itself on real sockets."""

from __future__ import annotations

import itertools
import operator
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from coordinator.network.raw_sockets import open_shards
from lzr.layout import COOKIE_BITS, MAX_FRAME
from lzr.packet.segments import Builder, Link
from lzr.packet.sharding import cookie, fanout_program, flow_hash, flow_key, shard_of, socket_filter
from lzr.rows import ACK, FRAME, NO_PROBE, PSH, RST, SEGMENT, SYN
from lzr.secrets import Secrets
from tests.lab import net
from tests.wire import extension_header, halves, packets, read
from workers.flow.ring import Arrivals, Ring

SEED = 0xC0FFEE11
SECRETS = replace(Secrets.derive(1), shard=SEED, cookie=SEED)
PORTS = (40000, 50000)
US4, US6, THEM4, THEM6 = "10.99.0.2", "fd99::2", "10.4.0.1", "fd04::1"

pytestmark = pytest.mark.usefixtures("kernels")


# --- the program, run here ------------------------------------------------------------------------------


ARITHMETIC = {
    0x00: operator.add,
    0x20: operator.mul,
    0x50: operator.and_,
    0x60: operator.lshift,
    0x70: operator.rshift,
    0xA0: operator.xor,
}
TESTS = {0x10: operator.eq, 0x20: operator.gt, 0x30: operator.ge, 0x40: operator.and_}


def run_bpf(program: bytes, packet: bytes) -> int:
    """What the kernel makes of a classic-BPF program (linux/filter.h) and a packet, network header first."""
    code = [struct.unpack("=HBBI", program[at : at + 8]) for at in range(0, len(program), 8)]
    a = x = at = 0
    memory = [0] * 16

    def load(offset: int, size: int) -> int | None:
        if offset == 0xFFFFF000:
            return {4: 0x0800, 6: 0x86DD}.get(packet[0] >> 4, 0) if packet else 0
        start = (offset & 0xFFFFFFFF) - 0xFFF00000
        assert start >= 0, "not relative to the network header"
        data = packet[start : start + size]
        return int.from_bytes(data, "big") if len(data) == size else None

    sizes = {0x00: 4, 0x08: 2, 0x10: 1}
    for _ in range(4 * len(code)):
        op, jt, jf, k = code[at]
        at += 1
        kind, mode = op & 7, op & 0xE0
        if kind == 0 and mode in (0x20, 0x40):
            value = load(k + (x if mode == 0x40 else 0), sizes[op & 0x18])
            if value is None:
                return 0  # a load beyond the packet drops it
            a = value
        elif op in (0x00, 0x60):
            a = k if op == 0x00 else memory[k]
        elif op in (0x01, 0x61):
            x = k if op == 0x01 else memory[k]
        elif op == 0xB1:
            value = load(k, 1)
            if value is None:
                return 0
            x = (value & 15) * 4
        elif op in (0x02, 0x03):
            memory[k] = a if op == 0x02 else x
        elif kind == 4:
            operand = x if op & 8 else k
            a = ARITHMETIC[op & 0xF0](a, operand) & 0xFFFFFFFF
        elif op == 0x05:
            at += k
        elif kind == 5:
            operand = x if op & 8 else k
            at += jt if TESTS[op & 0xF0](a, operand) else jf
        elif op in (0x07, 0x87):
            a, x = (a, a) if op == 0x07 else (x, x)
        elif kind == 6:
            return a if op == 0x16 else k
        else:
            raise AssertionError(f"unknown instruction {op:#x}")
    raise AssertionError("it does not end")


@settings(max_examples=60, deadline=None)
@given(packets(), st.integers(0, 2**32 - 1))
def test_the_program_hashes_as_numpy_does(made: tuple[Packet, bytes], seed: int) -> None:
    raw = bytes(made[0])
    rows, _, _ = read([raw])
    assert run_bpf(fanout_program(seed), raw) == flow_hash(rows, seed)[0]


@settings(max_examples=60, deadline=None)
@given(
    packets(),
    st.integers(0, 2**32 - 1),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.booleans(),
    st.booleans(),
)
def test_the_filter_lets_in_what_it_should(
    made: tuple[Packet, bytes], seed: int, one: int, other: int, near: bool, right: bool
) -> None:
    packet = made[0]
    ports = min(one, other), max(one, other)
    if near:
        ports = max(0, packet[TCP].dport - one % 3), min(65535, packet[TCP].dport + other % 3)
    rows = read([bytes(packet)])[0]
    if right:
        packet[TCP].ack = (packet[TCP].ack & ~255 | int(cookie(rows, seed)[0])) + 1 & 0xFFFFFFFF
    raw = bytes(packet)
    ours = int(rows["own_lo"][0]) & 0xFFFFFFFF
    answer = int(cookie(rows, seed)[0]) == (packet[TCP].ack - 1) & (1 << COOKIE_BITS) - 1
    expected = ports[0] <= packet[TCP].dport <= ports[1]
    expected &= answer or int(packet[TCP].flags) & (SYN | ACK | RST) != SYN | ACK
    assert bool(run_bpf(socket_filter(ports, seed), raw)) == expected
    for addresses, let_in in (
        ((ours,), True),
        ((1, ours, 2), True),
        ((ours ^ 1, ours ^ 2), IP not in packet),
    ):
        assert bool(run_bpf(socket_filter(ports, seed, addresses), raw)) == (expected and let_in)


@settings(max_examples=60, deadline=None)
@given(packets(), st.data())
def test_the_programs_end_on_anything(made: tuple[Packet, bytes], data: st.DataObject) -> None:
    raw = bytearray(bytes(made[0]))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    run_bpf(fanout_program(1), bytes(raw))
    run_bpf(socket_filter(PORTS, 1), bytes(raw))


def test_a_program_fits_the_kernel() -> None:
    """BPF_MAXINSNS is 4096; jumps reach 255 instructions, which packing checks."""
    for program in (fanout_program(0), socket_filter(PORTS, 0, tuple(range(16)))):
        assert len(program) % 8 == 0
        assert len(program) // 8 < 4096


# --- numbers --------------------------------------------------------------------------------------------


def some_rows(count: int, six: bool = False) -> Any:
    rows = np.zeros(count, SEGMENT)
    number = np.arange(count, dtype=np.uint64)
    for side, (four_, six_) in (("peer", (THEM4, THEM6)), ("own", (US4, US6))):
        hi, lo = halves(six_ if six else four_)
        rows[f"{side}_hi"], rows[f"{side}_lo"] = hi, lo
    rows["peer_lo"] += number // np.uint64(4)
    rows["own_port"] = 40000 + number % 4
    rows["peer_port"] = 443
    return rows


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("shards", [2, 3, 4, 7, 64])
def test_shards_get_equal_shares(six: bool, shards: int) -> None:
    """Neighbouring addresses and ports, as a scan of one network has them."""
    share = np.bincount(shard_of(some_rows(64_000, six), SEED, shards), minlength=shards) / 64_000
    assert len(share) == shards
    assert (abs(share * shards - 1) < 0.15).all()


def test_a_family_hashes_alike_alone_and_among_the_other() -> None:
    four, six = some_rows(50), some_rows(50, six=True)
    both = np.concatenate([four, six])
    assert flow_hash(both, SEED).tolist() == [*flow_hash(four, SEED), *flow_hash(six, SEED)]


def test_keys_and_cookies_spread() -> None:
    rows = np.concatenate([some_rows(50_000), some_rows(50_000, six=True)])
    assert len(np.unique(flow_key(rows, SEED))) == len(rows)
    assert flow_key(rows, SEED).all()
    counts = np.bincount(cookie(rows, SEED), minlength=256)
    assert len(counts) == 256
    assert counts.min() > 250
    in_one_shard = rows[shard_of(rows, SEED, 4) == 1]
    assert np.bincount(cookie(in_one_shard, SEED), minlength=256).min() > 50


def test_every_part_of_the_tuple_counts() -> None:
    row = some_rows(1, six=True)
    for function in (flow_hash, flow_key):
        seen = {int(function(row, SEED)[0]), int(function(row, SEED + 1)[0])}
        for name in ("peer_hi", "peer_lo", "own_hi", "own_lo", "peer_port", "own_port"):
            other = row.copy()
            other[name] ^= np.array(1, other[name].dtype)
            seen.add(int(function(other, SEED)[0]))
        assert len(seen) == 8


# --- the kernel -----------------------------------------------------------------------------------------

LINK = Link(b"\x02\0\0\0\x99\2", b"\x02\0\0\0\x99\1", b"\x02\0\0\0\x99\1")
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
    assert len(frames) == 3720
    wire.send(frames)
    found = collect(rings, lambda rows: sum(map(len, rows)) >= len(frames))
    assert sorted(int(row["seq"]) for rows in found for row in rows) == list(range(3720))
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
    rings[0].send(burst, Builder(LINK, ()))
    rings[0].flush()
    last = plain_frames(False, 8, RST, 0)
    wire.send(last)
    collect(rings, lambda rows: sum(map(len, rows)) >= len(last))
    assert sum(ring.received for ring in rings) == len(last)
