"""A sweep whose processes are killed: each pair is asked, who answers has one record, few are asked twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults import Victim, lines_in, read
from tests.lab.net import wait_for
from tests.lab.responder import PORT, SCANNER, Range, expected, letter_of
from tests.lab.scan import LZR
from tests.system.test_advice_running import lzr

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

QUICK = ("-handshakes", "http", "-rt", "1", "-t", "5", "-c", "4")
CLASSES = "hsnfrcnh"
RATE = 1500
COUNT = 8192
HOSTS = [f"10.64.{number >> 8}.{number & 255}" for number in range(COUNT)]
ANSWERING = sorted(host for host in HOSTS if letter_of(host, CLASSES) not in "nc")
A_SECOND = 1.5 * RATE
"""SYNs of a second at the rate, and what is on its way."""


def once_each(target: Path) -> None:
    found = read(target)
    assert sorted(str(record["saddr"]) for record in found) == ANSWERING
    wrong = [
        difference
        for record in found
        if (difference := expected(letter_of(str(record["saddr"]), CLASSES)).wrong(record))
    ]
    assert not wrong, f"{len(wrong)} wrong, such as {wrong[:3]}"


def test_workers_killed_in_the_midst_of_it(arena: Range) -> None:
    responder = arena.respond(first="10.64.0.0", count=COUNT, port=PORT, source=SCANNER, classes=CLASSES)
    target = arena.lab.directory / "out"
    words = ("-p", str(PORT), "10.64.0.0/19", *QUICK, "-r", str(RATE), "-w", "flow=2,collect=1")
    with open(os.devnull) as stdin:
        victim = Victim(arena.scanner, *words, "-f", target, stdin=stdin)
    kills = 0
    wait_for(lambda: lines_in(target) > 200, "the first records", 60)
    while victim.process.poll() is None and kills < 3:
        kills += bool(victim.kill("flow worker"))
        seen = lines_in(target)

        def moved(seen: int = seen) -> bool:
            return lines_in(target) > seen + 700 or victim.process.poll() is not None

        wait_for(moved, "records after a kill", 60)
    assert victim.wait() == 0, victim.said()[-3000:]
    counters = responder.stop()
    assert kills >= 2
    once_each(target)
    assert counters["addresses"] == COUNT
    assert counters["wrong_address"] == counters["wrong_port"] == 0
    said = " ".join(victim.said().split())
    assert f"inputs: {COUNT} read = {COUNT} recorded (agree)" in said
    silent = sum(letter_of(host, CLASSES) == "n" for host in HOSTS)
    # Flows that were lost are begun again by SYNs of their own; those are not of the sweep.
    assert COUNT <= counters["syn"] <= COUNT + kills * 2 * A_SECOND
    assert f"no SYN-ACK {silent:,} " in said


def test_the_coordinator_killed_and_resumed(arena: Range) -> None:
    directory = arena.lab.directory
    state, target, errors = directory / "state", directory / "out", directory / "err"
    responder = arena.respond(first="10.64.0.0", count=COUNT, port=PORT, source=SCANNER, classes=CLASSES)
    words = ("-p", str(PORT), "10.64.0.0/19", *QUICK, "-r", str(RATE), "-f", target, "--no-dashboard")
    with errors.open("w") as said:
        process = subprocess.Popen(
            arena.scanner.command(LZR, *words, "--checkpoint", state), stdin=subprocess.DEVNULL, stderr=said
        )
        wait_for(lambda: lines_in(target) > 2500, "records", 60)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(120)
    time.sleep(0.5)
    metadata = directory / "metadata"
    done = lzr(arena, "--resume", str(state), "-m", str(metadata))
    assert done.returncode == 0, done.stderr
    counters = responder.stop()
    once_each(target)
    assert counters["addresses"] == COUNT
    # What was sent after the last checkpoint, of which there is one a second, and in the second before it.
    assert counters["syn"] <= COUNT + 2.5 * A_SECOND
    told = json.loads(metadata.read_text())
    fates = told["inputs"]["fates"]
    assert 500 < fates["done before"] < COUNT
    assert sum(fates.values()) == COUNT
    # Of both runs together: those that the checkpoint took for done are counted too.
    for letter, reason in (("n", "no_syn_ack"), ("c", "refused")):
        assert told["reasons"][reason] == sum(letter_of(host, CLASSES) == letter for host in HOSTS)
    assert sum(told["reasons"].values()) == COUNT
