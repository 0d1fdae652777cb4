"""ICMP errors: what they quote, of which kind they are, and what the kernel is to let in of them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
)
from scapy.packet import Packet, Raw

from lzr.packet.bpfprograms import errors_filter
from lzr.packet.icmp import KINDS, quoted
from lzr.packet.sharding import cookie
from lzr.rows import FRAME
from tests.effort import examples
from tests.runbpf import run_bpf
from tests.wire import PORTS, THEM4, THEM6, US4, US6, halves

pytestmark = [pytest.mark.usefixtures("kernels"), pytest.mark.attack]

KEY = 0x1122334455667788
ROUTER4, ROUTER6 = "10.9.9.9", "fd99::9"


def syn_row(six: bool, own_port: int = 40001, peer_port: int = 443) -> Any:
    """The SYN of a sweep, its ISN with our cookie."""
    row = np.zeros(1, FRAME)
    for side, address in (("own", US6 if six else US4), ("peer", THEM6 if six else THEM4)):
        row[f"{side}_hi"], row[f"{side}_lo"] = halves(address)
    row["own_port"], row["peer_port"] = own_port, peer_port
    row["seq"] = 0xABCDEF00 | int(cookie(row, KEY)[0])
    return row


def syn(row: Any) -> Packet:
    six = bool(row["own_hi"][0])
    ip = IPv6(src=US6, dst=THEM6) if six else IP(src=US4, dst=THEM4)
    tcp = TCP(sport=int(row["own_port"][0]), dport=int(row["peer_port"][0]), seq=int(row["seq"][0]))
    return ip / tcp


def error(row: Any, type_: int, code: int, *, most: int = 1 << 16, to: str = "") -> bytes:
    """What a router sends about it. most: bytes that are quoted."""
    inner = bytes(syn(row))[:most]
    if not row["own_hi"][0]:
        return bytes(IP(src=ROUTER4, dst=to or US4) / ICMP(type=type_, code=code) / Raw(inner))
    kinds = {1: ICMPv6DestUnreach, 2: ICMPv6PacketTooBig, 3: ICMPv6TimeExceeded, 4: ICMPv6ParamProblem}
    return bytes(IPv6(src=ROUTER6, dst=to or US6) / kinds[type_](code=code) / Raw(inner))


@cache
def unreachable(six: bool) -> bytes:
    """One that is let in."""
    return error(syn_row(six), 1 if six else 3, 1)


def read(*packets: bytes) -> list[tuple[Any, str]]:
    """What is quoted, and the kind."""
    block = np.zeros((len(packets), max(map(len, packets))), np.uint8)
    for row, packet in zip(block, packets, strict=True):
        row[: len(packet)] = np.frombuffer(packet, np.uint8)
    rows, kinds = quoted(block, np.array([len(packet) for packet in packets], np.int64))
    return [(rows[at : at + 1], KINDS[kind]) for at, kind in enumerate(kinds.tolist())]


V4 = {
    **{(3, code): "net" for code in (0, 6, 11)},
    **{(3, code): "host" for code in (1, 7, 8, 12)},
    **{(3, code): "prohibited" for code in (9, 10, 13, 14, 15)},
    (3, 2): "protocol",
    (3, 3): "port",
    (3, 5): "other",
    (3, 200): "other",
    (11, 0): "ttl",
    (12, 0): "other",
}
V6 = {
    (1, 0): "net",
    (1, 2): "host",
    (1, 3): "host",
    (1, 4): "port",
    (1, 9): "other",
    **{(1, code): "prohibited" for code in (1, 5, 6)},
    (3, 0): "ttl",
    (4, 1): "other",
}


@pytest.mark.parametrize(("six", "kinds"), [(False, V4), (True, V6)])
def test_each_kind_is_told_and_let_in(six: bool, kinds: dict[tuple[int, int], str]) -> None:
    row = syn_row(six)
    packets = [error(row, *key) for key in kinds]
    found = read(*packets)
    assert [kind for _, kind in found] == list(kinds.values())
    assert all(bytes(each) == bytes(row) for each, _ in found)
    program = errors_filter(PORTS, KEY)
    assert all(run_bpf(program, packet) for packet in packets)


@pytest.mark.parametrize(("six", "least"), [(False, 28), (True, 48)])
def test_eight_bytes_of_tcp_are_enough_and_padding_does_no_harm(six: bool, least: int) -> None:
    row = syn_row(six)
    shortest = error(row, 1 if six else 3, 1, most=least)
    for packet in (shortest, shortest + bytes(18)):
        assert [bytes(each) for each, _ in read(packet)] == [bytes(row)]
        assert run_bpf(errors_filter(PORTS, KEY), packet)
    for cut in range(len(shortest)):
        if cut:
            assert read(shortest[:cut]) == []
        assert not run_bpf(errors_filter(PORTS, KEY), shortest[:cut])
    assert read(error(row, 1 if six else 3, 1, most=least - 1)) == []


def test_what_says_nothing_of_the_host_is_left_out() -> None:
    v4, v6 = syn_row(False), syn_row(True)
    options = IP(src=ROUTER4, dst=US4, options=[("NOP")] * 4) / ICMP(type=3, code=1) / Raw(bytes(syn(v4)))
    assert [kind for _, kind in read(bytes(options))] == ["host"]  # options of the router's own header
    assert run_bpf(errors_filter(PORTS, KEY), bytes(options))
    udp = IP(src=US4, dst=THEM4) / UDP(sport=40001, dport=443) / Raw(bytes(8))
    wrong = [
        error(v4, 3, 4),  # fragmentation needed
        error(v4, 11, 1),
        error(v4, 5, 1),  # a redirect
        error(v4, 8, 0),  # an echo request
        error(v6, 2, 0),
        error(v6, 3, 1),
        bytes(IPv6(src=ROUTER6, dst=US6) / ICMPv6EchoReply(data=bytes(60))),
        bytes(IP(src=ROUTER4, dst=US4) / ICMP(type=3, code=1) / udp),
        bytes(IP(src=ROUTER4, dst=US4, flags="MF") / ICMP(type=3, code=1) / Raw(bytes(syn(v4)))),
        error(v4, 3, 1, to="10.99.0.7"),  # not to whom the packet is said to have come from
        error(v6, 1, 1, to="fd99::7"),
        bytes(syn(v4)),
        bytes(syn(v6)),
    ]
    assert read(*wrong) == []


@pytest.mark.parametrize("six", [False, True])
@given(data=st.data())
@settings(deadline=None, max_examples=examples(150))
def test_a_bit_that_is_wrong_anywhere_is_seen(six: bool, data: st.DataObject) -> None:
    """By the checksums; in the outer header by what it does not agree with any more."""
    packet = bytearray(unreachable(six))
    start = 40 if six else 20
    at = data.draw(st.integers(start * 8, len(packet) * 8 - 1))
    packet[at // 8] ^= 1 << at % 8
    assert read(bytes(packet)) == []


@given(st.binary(min_size=1, max_size=200), st.sampled_from([b"", b"\x45", b"\x60\0\0\0\0\x40\x3a"]))
@settings(deadline=None, max_examples=examples(200))
def test_anything_at_all_ends_well(octets: bytes, head: bytes) -> None:
    found = read(head + octets, unreachable(True), octets)
    assert len(found) >= 1
    run_bpf(errors_filter(PORTS, KEY), head + octets)


@pytest.mark.parametrize("six", [False, True])
def test_the_kernel_lets_in_one_in_256_of_what_is_guessed(six: bool) -> None:
    program = errors_filter(PORTS, KEY)
    packet = bytearray(unreachable(six))
    lowest = packet.index(bytes(syn(syn_row(six)))) + (40 if six else 20) + 7  # byte of the sequence number
    passed = 0
    for guess in range(256):
        packet[lowest] = guess
        passed += run_bpf(program, bytes(packet)) > 0
    assert passed == 1
    for port in (PORTS[0] - 1, PORTS[1] + 1):
        assert not run_bpf(program, error(syn_row(six, port), 1 if six else 3, 0))
    for port in PORTS:
        assert run_bpf(program, error(syn_row(six, port), 1 if six else 3, 0))
    assert len(program) // 8 <= 4096
