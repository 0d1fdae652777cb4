"""Sweeps of many ports of hosts that answer on every one, by the real program: who is asked, on the wire."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lzr.flow.ackfirewall import EACH, FEW_PORTS
from tests.lab.capture import capture
from tests.lab.net import Lab
from tests.lab.responder import PORT, SCANNER, Range
from tests.lab.scan import parse
from tests.system.test_advice_running import lzr

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

ONE, TWO = "flow=1,collect=1", "flow=2,collect=1"
QUICK = ("-rt", "1.5", "-t", "4", "-c", "4")
NETWORK, CLASSES = "10.64.0.0/29", "qszrfhnc"
HOSTS = {letter: f"10.64.0.{last}" for last, letter in enumerate(CLASSES)}
EVERYWHERE = "qszrf"
PORTS = 2048
SERVICES = range(5, PORTS, PORTS // 20)
"""Open ports of the host that has some, and no other."""


def services(directory: Path) -> Path:
    """What is open: every port of some hosts, twenty of one, none of the others."""
    first, every = 10 << 24 | 64 << 16, np.arange(1 << 16, dtype=np.uint64)
    pairs = [np.uint64(first + CLASSES.index(letter) << 16) | every for letter in EVERYWHERE]
    mixed = np.uint64(first + CLASSES.index("h") << 16) | np.array(SERVICES, np.uint64)
    table = directory / "services"
    np.sort(np.concatenate([*pairs, mixed])).astype("<u8").tofile(table)
    return table


@dataclass(frozen=True)
class Swept:
    """What a sweep of these hosts did. asked: when ports were sent SYNs, by letter. said: the log."""

    asked: dict[str, dict[int, float]]
    records: list[dict[str, Any]]
    reasons: dict[str, int]
    said: str

    def ports(self, letter: str) -> set[int]:
        return set(self.asked[letter])

    def recorded(self, letter: str) -> set[int]:
        return {record["sport"] for record in self.records if record["saddr"] == HOSTS[letter]}


def swept(arena: Range, *words: str, handshakes: str = "http") -> Swept:
    meta = arena.lab.directory / "meta"
    arena.respond(classes=CLASSES, source=SCANNER, more=["--table", str(services(arena.lab.directory))])
    with capture(arena.far) as seen:
        done = lzr(arena, "-handshakes", handshakes, *words, NETWORK, *QUICK, "-m", str(meta), "-f", "-")
    assert done.returncode == 0, done.stderr
    asked: dict[str, dict[int, float]] = {letter: {} for letter in CLASSES}
    letters = {host: letter for letter, host in HOSTS.items()}
    for segment in seen.stop():
        if segment.source == SCANNER and segment.letters == "S":
            asked[letters[segment.target]].setdefault(segment.dport, segment.time)
    records, torn = parse(done.stdout)
    assert not torn
    reasons = {name: count for name, count in json.loads(meta.read_text())["reasons"].items() if count}
    return Swept(asked, records, reasons, " ".join(done.stderr.split()))


@pytest.mark.parametrize("workers", [ONE, TWO])
def test_hosts_that_answer_on_every_port_are_found_whatever_they_do_then(arena: Range, workers: str) -> None:
    """Each pair has its fate; a host with twenty services is asked on all ports, and has its records."""
    haf, several = 3, 1 + (workers == TWO)
    found = swept(arena, "-p", f"1-{PORTS}", "-haf", str(haf), "-r", "2000", "-w", workers)
    ports = set(range(1, PORTS + 1))
    for letter in "hnc":
        assert found.ports(letter) >= ports, letter
        assert len(found.ports(letter) - ports) <= haf * several
    assert found.recorded("h") == set(SERVICES)
    assert {one["fingerprint"] for one in found.records if one["saddr"] == HOSTS["h"]} == {"http"}
    for letter in EVERYWHERE:
        asked = found.ports(letter) & ports
        assert EACH <= len(asked) < PORTS // 2, letter
        assert haf <= len(found.ports(letter) - ports) <= haf * several
        assert found.recorded(letter) == asked
    firewalled = {one["saddr"] for one in found.records if one.get("ackingFirewall")}
    assert firewalled <= {HOSTS[letter] for letter in EVERYWHERE}
    unasked = sum(len(ports - found.ports(letter)) for letter in EVERYWHERE)
    assert found.reasons["not_asked"] == unasked
    assert sum(found.reasons.values()) == len(CLASSES) * PORTS
    assert f"not asked: answers on any port {unasked:,} " in found.said
    pairs = len(CLASSES) * PORTS
    assert f"inputs: {pairs} read = {pairs} recorded (agree)" in found.said


def test_what_is_not_asked_takes_nothing_of_the_rate(arena: Range) -> None:
    """Once such hosts are known, another is asked faster than its share of the pairs would let it be."""
    rate = 1000
    found = swept(arena, "-p", f"1-{PORTS}", "-haf", "3", "-r", str(rate), "-w", ONE)
    times = sorted(found.asked["h"].values())
    parts = [times[at : at + PORTS // 8] for at in range(0, PORTS, PORTS // 8)]
    fastest = max(len(part) / (part[-1] - part[0]) for part in parts if len(part) == PORTS // 8)
    assert fastest > 1.4 * rate / len(CLASSES)  # three of eight are left


@pytest.mark.parametrize(
    "words", [("-p", f"1-{FEW_PORTS}", "-haf", "3"), ("-p", "1-300")], ids=["few ports", "without -haf"]
)
def test_otherwise_each_port_is_asked(arena: Range, words: tuple[str, ...]) -> None:
    found = swept(arena, *words, "-r", "1000", "-w", ONE)
    ports = set(range(1, int(words[1].split("-")[1]) + 1))
    assert {letter: found.ports(letter) for letter in CLASSES} == dict.fromkeys(CLASSES, ports)
    assert all(found.recorded(letter) == ports for letter in EVERYWHERE)
    assert "not_asked" not in found.reasons
    assert not any(record.get("ackingFirewall") for record in found.records)


def test_a_port_scan_leaves_them_alone_too(arena: Range) -> None:
    """No connection is gone on with, so nobody acknowledges anything: they are found all the same."""
    words = ("-haf", "3", "-r", "2000", "-w", ONE)
    found = swept(arena, "-p", f"1-{PORTS}", *words, handshakes="none")
    ports = set(range(1, PORTS + 1))
    assert found.recorded("h") == set(SERVICES)
    assert found.reasons["sa_only"] >= len(SERVICES) + len(EVERYWHERE) * EACH
    for letter in EVERYWHERE:
        asked = found.ports(letter) & ports
        assert EACH <= len(asked) < PORTS // 2, letter
        assert found.recorded(letter) == asked
    assert found.reasons["not_asked"] == sum(len(ports - found.ports(letter)) for letter in EVERYWHERE)
    assert sum(found.reasons.values()) == len(CLASSES) * PORTS


def test_hosts_with_hundreds_of_services_are_asked_on_every_port(arena: Range) -> None:
    """Printers, mail servers, boxes full of containers: whatever they say, they answer on no random port."""
    ports, letters, haf = 4096, "hqr", 3
    services = np.random.default_rng(7).permutation(np.arange(1, ports + 1))[:200].astype(np.uint64)
    first = 10 << 24 | 64 << 16
    table = arena.lab.directory / "services"
    pairs = [np.uint64(first + host << 16) | services for host in range(len(letters))]
    np.sort(np.concatenate(pairs)).astype("<u8").tofile(table)
    arena.respond(classes=letters + "c", source=SCANNER, more=["--table", str(table)])
    words = ("-p", f"1-{ports}", "10.64.0.0-10.64.0.2", "-haf", str(haf), "-r", "2000", *QUICK)
    with capture(arena.far) as seen:
        done = lzr(arena, "-handshakes", "http", *words, "-w", TWO, "-f", "-")
    assert done.returncode == 0, done.stderr
    records, _ = parse(done.stdout)
    asked = {
        (segment.target, segment.dport)
        for segment in seen.stop()
        if segment.source == SCANNER and segment.letters == "S"
    }
    probed = {host for host, port in asked if port > ports}
    assert probed == {f"10.64.0.{last}" for last in range(len(letters))}
    assert len([port for _, port in asked if port <= ports]) == len(letters) * ports
    assert not any(record.get("ackingFirewall") for record in records)
    found = sorted((record["saddr"], record["sport"]) for record in records)
    assert found == sorted((host, port) for host in probed for port in services.tolist())
    assert f"inputs: {len(letters) * ports} read = {len(letters) * ports} recorded (agree)" in " ".join(
        done.stderr.split()
    )


def test_a_host_is_found_although_one_of_its_checks_is_lost(lab: Lab) -> None:
    arena, ports, haf = Range(lab, bridged=True), 2048, 5
    assert arena.bridge is not None
    lost = "ip daddr 10.64.0.0/16 tcp dport 32768-61000 numgen inc mod 64 == 0 drop"  # the first one
    arena.bridge.nft(f"table bridge lossy {{ chain on {{ type filter hook forward priority 0; {lost}; }}; }}")
    arena.respond(first="10.64.0.0", count=1, port=PORT, source=SCANNER, classes="a")
    with capture(arena.far) as seen:
        words = ("-p", f"1-{ports}", "10.64.0.0", "-haf", str(haf), "-r", "500", *QUICK, "-w", ONE)
        done = lzr(arena, "-handshakes", "none", *words, "-f", "-")
    assert done.returncode == 0, done.stderr
    asked = {segment.dport for segment in seen.stop() if segment.source == SCANNER and segment.letters == "S"}
    assert len([port for port in asked if port > ports]) == 2 * haf - 1
    records, _ = parse(done.stdout)
    found = [record["sport"] for record in records]
    assert sorted(found) == sorted(port for port in asked if port <= ports)
    assert 8 * EACH <= len(found) < ports // 2
