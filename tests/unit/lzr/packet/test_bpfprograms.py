"""The programs that the kernel runs: hash and cookie are numpy's, and the filter lets in what it should."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.packet import Packet

from lzr.layout import COOKIE_BITS
from lzr.packet.bpfprograms import fanout_program, socket_filter
from lzr.packet.sharding import cookie, flow_hash
from lzr.rows import ACK, RST, SYN
from tests.effort import examples
from tests.runbpf import run_bpf
from tests.wire import PORTS, packets, read

pytestmark = pytest.mark.usefixtures("kernels")


@settings(max_examples=examples(60), deadline=None)
@given(packets(), st.integers(0, 2**32 - 1))
def test_the_program_hashes_as_numpy_does(made: tuple[Packet, bytes], seed: int) -> None:
    raw = bytes(made[0])
    rows, _, _ = read([raw])
    assert run_bpf(fanout_program(seed), raw) == flow_hash(rows, seed)[0]


@settings(max_examples=examples(80), deadline=None)
@given(
    packets(),
    st.integers(0, 2**32 - 1),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_the_filter_lets_in_what_it_should(
    made: tuple[Packet, bytes], seed: int, one: int, other: int, near: bool, right: bool, refused: bool
) -> None:
    packet = made[0]
    if refused:
        packet[TCP].flags, packet[TCP].seq = "RA", 0
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
    kind = int(packet[TCP].flags) & (SYN | ACK | RST)
    to_a_syn = kind == SYN | ACK or (kind == RST | ACK and packet[TCP].seq == 0)  # RFC 9293 §3.10.7.1
    expected &= answer or not to_a_syn
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
