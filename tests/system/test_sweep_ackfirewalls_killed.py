"""Sweeps with hosts that answer on every port, whose processes are killed: what is said is what was sent."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.faults import Victim, lines_in, read
from tests.lab.capture import Seen, capture
from tests.lab.net import wait_for
from tests.lab.responder import SCANNER, Range
from tests.system.test_advice_running import lzr
from tests.system.test_sweep_ackfirewalls import (
    CLASSES,
    EVERYWHERE,
    HOSTS,
    NETWORK,
    PORTS,
    QUICK,
    SERVICES,
    services,
)

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

PAIRS = len(CLASSES) * PORTS
RATE = 600
WORDS = ("-p", f"1-{PORTS}", NETWORK, "-handshakes", "http", "-haf", "3", *QUICK, "-w", "flow=2,collect=1")
A_SECOND = 1.5 * RATE
"""Pairs of a second at the rate, and what is on its way."""


def begin(arena: Range, target: Path, *words: str | Path) -> Victim:
    arena.respond(classes=CLASSES, source=SCANNER, more=["--table", str(services(arena.lab.directory))])
    with open(os.devnull) as stdin:
        victim = Victim(arena.scanner, *WORDS, "-r", str(RATE), "-f", target, *words, stdin=stdin)
    wait_for(lambda: lines_in(target) > 100, "records", 60)
    return victim


def asked(seen: list[Seen]) -> dict[str, set[int]]:
    """The ports of this sweep that were sent a SYN, by host."""
    found: dict[str, set[int]] = {host: set() for host in HOSTS.values()}
    for segment in seen:
        if segment.source == SCANNER and segment.letters == "S" and segment.dport <= PORTS:
            found[segment.target].add(segment.dport)
    return found


def probed(seen: list[Seen]) -> dict[str, set[int]]:
    """The random ports that were asked, by host."""
    found: dict[str, set[int]] = {host: set() for host in HOSTS.values()}
    for segment in seen:
        if segment.source == SCANNER and segment.letters == "S" and segment.dport > PORTS:
            found[segment.target].add(segment.dport)
    return found


def whole(target: Path, sent: dict[str, set[int]], reasons: dict[str, int]) -> None:
    """Each pair has one fate; who is no such host was asked on each port, and its services have records."""
    records: list[Any] = read(target)
    pairs = Counter((record["saddr"], record["sport"]) for record in records)
    assert set(pairs.values()) == {1}
    assert all(record["sport"] in sent[record["saddr"]] for record in records)
    for letter, host in HOSTS.items():
        found = {port for saddr, port in pairs if saddr == host}
        if letter not in EVERYWHERE:
            assert sent[host] == set(range(1, PORTS + 1)), letter
            assert found == (set(SERVICES) if letter == "h" else set())
    assert sum(reasons.values()) == PAIRS
    assert reasons["refused"] == sum(PORTS - len(SERVICES) * (letter == "h") for letter in "hnc")
    counted = sum(
        count for name, count in reasons.items() if name not in ("no_syn_ack", "not_asked", "refused")
    )
    assert counted == len(records)


def figures(status: Path) -> dict[str, int]:
    """The outcomes in the last row of a status file."""
    with status.open() as file:
        last = [*csv.DictReader(file)][-1]
    found = {name.removeprefix("outcome-"): int(last[name]) for name in last if name.startswith("outcome-")}
    assert sum(found.values()) == int(last["done-total"])
    return {name.replace("-", "_"): count for name, count in found.items() if count}


def test_a_worker_killed_in_the_midst_of_it(arena: Range) -> None:
    directory = arena.lab.directory
    target, meta, status = directory / "out", directory / "meta", directory / "status"
    with capture(arena.far) as seen:
        victim = begin(arena, target, "-m", meta, "-u", status)
        assert victim.kill("flow worker")
        assert victim.wait() == 0, victim.said()[-3000:]
    sent = asked(seen.stop())
    reasons = {name: count for name, count in json.loads(meta.read_text())["reasons"].items() if count}
    whole(target, sent, reasons)
    assert figures(status) == reasons
    # What the dead worker had not sent may count as asked, but not the other way.
    unsent = sum(PORTS - len(ports) for ports in sent.values())
    assert unsent - A_SECOND < reasons["not_asked"] <= unsent
    said = " ".join(victim.said().split())
    assert f"inputs: {PAIRS} read = {PAIRS} recorded (agree)" in said
    assert f"not asked: answers on any port {reasons['not_asked']:,} " in said


@pytest.mark.parametrize("ending", ["killed", "given up"])
def test_a_sweep_that_is_resumed(arena: Range, ending: str) -> None:
    directory = arena.lab.directory
    target, meta, status, state = (directory / name for name in ("out", "meta", "status", "state"))
    with capture(arena.far) as seen:
        victim = begin(arena, target, "--checkpoint", state)
        for _ in range(3):
            before = os.stat(state / "checkpoint").st_mtime_ns
            wait_for(
                lambda before=before: os.stat(state / "checkpoint").st_mtime_ns != before, "a checkpoint", 60
            )
        if ending == "killed":
            victim.signal(signal.SIGKILL)
        else:  # the second one gives up what is open
            victim.signal(signal.SIGINT)
            wait_for(lambda: "SIGINT" in victim.said() or victim.process.poll() is not None, "an answer", 60)
            victim.signal(signal.SIGINT)
        victim.wait()
        done = lzr(arena, "--resume", str(state), "-m", str(meta), "-u", str(status))
    assert done.returncode == 0, done.stderr
    found = seen.stop()
    sent = asked(found)
    told = json.loads(meta.read_text())
    reasons = {name: count for name, count in told["reasons"].items() if count}
    whole(target, sent, reasons)
    assert sum(told["inputs"]["fates"].values()) == PAIRS
    assert sum(figures(status).values()) == PAIRS - told["inputs"]["fates"]["done before"]
    # Found before they were killed, they are not probed again: `-haf` packets for each of both workers.
    assert max(len(probed(found)[HOSTS[letter]]) for letter in EVERYWHERE) <= 2 * 3
    # What was sent after the last checkpoint or in the second before it may have been sent in vain.
    unsent = sum(PORTS - len(ports) for ports in sent.values())
    assert unsent <= reasons["not_asked"] < unsent + 2.5 * A_SECOND
