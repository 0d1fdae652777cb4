"""One hash, three places: numpy, the program the kernel runs, and the kernel itself on real sockets."""

from __future__ import annotations

import operator
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.packet import Packet

from lzr.layout import COOKIE_BITS
from lzr.packet.sharding import cookie, fanout_program, flow_hash, flow_key, shard_of, socket_filter
from lzr.rows import ACK, RST, SEGMENT, SYN
from tests.effort import examples
from tests.wire import halves, packets, read

SEED = 0xC0FFEE11
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


@settings(max_examples=examples(60), deadline=None)
@given(packets(), st.integers(0, 2**32 - 1))
def test_the_program_hashes_as_numpy_does(made: tuple[Packet, bytes], seed: int) -> None:
    raw = bytes(made[0])
    rows, _, _ = read([raw])
    assert run_bpf(fanout_program(seed), raw) == flow_hash(rows, seed)[0]


@settings(max_examples=examples(60), deadline=None)
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


@settings(max_examples=examples(60), deadline=None)
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
