"""Which ports of a scan rules tell apart."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from coordinator.network import netlink as nl
from coordinator.network.portrules import MOST_PAIRS, PortsUsed, bounds
from lzr.rows import TARGET, Opening


def rule(kind: int, first: int, last: int, protocol: int = 0) -> nl.NetlinkMessage:
    attributes = {kind: struct.pack("=HH", first, last), nl.FRA_IP_PROTO: bytes([protocol])}
    return nl.NetlinkMessage(nl.NEWRULE, (2, 0, 0, 0, 0, 0, 0, 0, 0), attributes)


def targets(*ports: int, own: int | None = None) -> Any:
    rows = np.zeros(len(ports), TARGET)
    rows["peer_port"] = ports
    rows["syn"] = Opening.OURS if own is None else 0
    rows["own_port"] = own or 0
    return rows


def test_the_bounds_of_rules_for_tcp() -> None:
    web, dns = rule(nl.FRA_DPORT_RANGE, 80, 443, 6), rule(nl.FRA_DPORT_RANGE, 53, 53, 17)
    ours, odd = (
        rule(nl.FRA_SPORT_RANGE, 40000, 40000),
        nl.NetlinkMessage(nl.NEWRULE, (), {nl.FRA_DPORT_RANGE: b"x"}),
    )
    assert bounds([web, dns, ours, odd]) == ({40000, 40001}, {80, 444})
    assert bounds([]) == (set(), set())


def test_ports_are_told_apart_where_rules_do() -> None:
    used = PortsUsed((32768, 61000))
    assert not used.note(targets(80, 8080), (set(), set()))
    assert used.pairs == []
    starts = ({40000, 40001, 9}, {80, 444})
    assert used.note(targets(80, 443, 8080), starts)
    assert {peer for _, peer in used.pairs} == {80, 8080}
    assert {own for own, _ in used.pairs} == {32768, 40000, 40001}
    assert not used.note(targets(100, 9000), starts)
    assert used.note(targets(22), starts)
    assert used.note(targets(22, own=5), starts), "a port of ZMap's"
    assert (5, 22) in used.pairs
    assert not used.note(targets(), starts)


def test_other_rules_and_very_many() -> None:
    used = PortsUsed((1000, 1000))
    used.note(targets(22), (set(), {80, 81}))
    assert used.note(targets(22), (set(), {443}))
    assert used.pairs == [(1000, 22)]
    used.note(targets(*range(1, 300)), (set(), set(range(1, 300))))
    assert len(used.pairs) == MOST_PAIRS
    used.note(targets(22), (set(), set()))
    assert used.pairs == []
