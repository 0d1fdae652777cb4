"""Sweeps of many ports of hosts that answer on every one, by the real program: who is asked, on the wire."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lzr.flow.ackfirewall import EACH, FEW_PORTS
from tests.lab.capture import capture
from tests.lab.responder import SCANNER, Range
from tests.lab.scan import parse
from tests.system.test_advice_running import lzr

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

QUICK = ("-handshakes", "http", "-rt", "1.5", "-t", "4", "-c", "4", "-w", "flow=1,collect=1")
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


def swept(arena: Range, *words: str) -> tuple[dict[str, set[int]], list[dict[str, Any]], dict[str, int], str]:
    """A sweep of these hosts: ports that were sent SYNs, by letter; records; counts by reason; the log."""
    meta = arena.lab.directory / "meta"
    arena.respond(classes=CLASSES, source=SCANNER, more=["--table", str(services(arena.lab.directory))])
    with capture(arena.far) as seen:
        done = lzr(arena, *words, NETWORK, *QUICK, "-m", str(meta), "-f", "-")
    assert done.returncode == 0, done.stderr
    asked: dict[str, set[int]] = {letter: set() for letter in CLASSES}
    letters = {host: letter for letter, host in HOSTS.items()}
    for segment in seen.stop():
        if segment.source == SCANNER and segment.letters == "S":
            asked[letters[segment.target]].add(segment.dport)
    records, torn = parse(done.stdout)
    assert not torn
    reasons = {name: count for name, count in json.loads(meta.read_text())["reasons"].items() if count}
    return asked, records, reasons, " ".join(done.stderr.split())


def ports_of(records: Iterable[dict[str, Any]], letter: str) -> set[int]:
    return {record["sport"] for record in records if record["saddr"] == HOSTS[letter]}


def test_hosts_that_answer_on_every_port_are_found_whatever_they_do_then(arena: Range) -> None:
    """Each pair has its fate; a host with twenty services is asked on all ports, and has its records."""
    haf = 3
    asked, records, reasons, said = swept(arena, "-p", f"1-{PORTS}", "-haf", str(haf), "-r", "2000")
    ports = set(range(1, PORTS + 1))
    for letter in "hnc":
        assert asked[letter] >= ports, letter
        assert len(asked[letter] - ports) <= haf
    assert ports_of(records, "h") == set(SERVICES)
    assert {record["fingerprint"] for record in records if record["saddr"] == HOSTS["h"]} == {"http"}
    for letter in EVERYWHERE:
        swept_ports = asked[letter] & ports
        assert EACH <= len(swept_ports) < PORTS // 2, letter
        assert len(asked[letter] - ports) == haf
        assert ports_of(records, letter) == swept_ports
    firewalled = Counter(record["saddr"] for record in records if record.get("ackingFirewall"))
    assert set(firewalled) <= {HOSTS[letter] for letter in EVERYWHERE}
    unasked = sum(len(ports - asked[letter]) for letter in EVERYWHERE)
    assert reasons["not_asked"] == unasked
    assert sum(reasons.values()) == len(CLASSES) * PORTS
    assert f"not asked: answers on any port {unasked:,} " in said
    assert f"inputs: {len(CLASSES) * PORTS} read = {len(CLASSES) * PORTS} recorded (agree)" in said


@pytest.mark.parametrize(
    "words", [("-p", f"1-{FEW_PORTS}", "-haf", "3"), ("-p", "1-300")], ids=["few ports", "without -haf"]
)
def test_otherwise_each_port_is_asked(arena: Range, words: tuple[str, ...]) -> None:
    asked, records, reasons, _ = swept(arena, *words, "-r", "1000")
    ports = set(range(1, int(words[1].split("-")[1]) + 1))
    assert asked == dict.fromkeys(CLASSES, ports)
    assert all(ports_of(records, letter) == ports for letter in EVERYWHERE)
    assert "not_asked" not in reasons
    assert not any(record.get("ackingFirewall") for record in records)
