"""Interfaces that take no packets for a while, or never again: what was refused is sent later, nobody waits.

The faults are the kernel's own. ENETDOWN: our interface is down. ENOBUFS: the other end of the link is down,
or a short queue behind our interface is full. EAGAIN: a long queue holds as much as a socket may have in
flight. (Our packets pass the queue of their own interface by, so that queue is on the one below.)
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from typing import Any

import pytest

from tests import ROOT
from tests.faults import Victim, lines_in, once_each, read
from tests.lab.net import Lab, Namespace, wait_for
from tests.lab.responder import FIRST, GATEWAY, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.system.test_e2e_responder import services
from tests.system.test_faults_processes import LIVELY, PATIENT, right, wanted

pytestmark = pytest.mark.root

COUNT = 20_000
QUICK = ("-rt", "0.5", "-t", "3", "-c", "2")  # with -rn 3, where what is found is judged
LINK_FAULTS = {"down": "ENETDOWN", "no carrier": "ENOBUFS"}
LOST = ("was set down", "has no carrier")
QUEUE_FAULTS = {"short queue": "ENOBUFS", "long queue": "EAGAIN"}
FAULTS = LINK_FAULTS | QUEUE_FAULTS
_LIMITS = {"short queue": "2000", "long queue": "10000000"}  # bytes


class Trouble:
    """One of FAULTS on the way out of an arena's scanner."""

    def __init__(self, arena: Range, fault: str) -> None:
        self.arena, self.fault = arena, fault
        if fault in QUEUE_FAULTS:
            _put_an_interface_on_top(arena.scanner)

    def begin(self, rate: str = "500kbit") -> None:
        """rate: of the queue."""
        scanner = self.arena.scanner
        if self.fault == "down":
            scanner.ip("link", "set", "eth0", "down")
        elif self.fault == "no carrier":
            self.arena.far.ip("link", "set", "eth0", "down")
        else:
            words = ("tbf", "rate", rate, "burst", "1600", "limit", _LIMITS[self.fault])
            scanner.run("tc", "qdisc", "add", "dev", "below", "root", *words)

    def end(self) -> None:
        """What is in the queue at that moment is lost."""
        scanner = self.arena.scanner
        if self.fault == "down":
            scanner.ip("link", "set", "eth0", "up")
            scanner.ip("route", "replace", "default", "via", GATEWAY)
        elif self.fault == "no carrier":
            self.arena.far.ip("link", "set", "eth0", "up")
        else:
            scanner.run("tc", "qdisc", "del", "dev", "below", "root")


def _put_an_interface_on_top(scanner: Namespace) -> None:
    """The scanner's eth0 becomes `below`, and a new eth0 sends through it."""
    scanner.ip("link", "set", "eth0", "down")
    scanner.ip("addr", "flush", "dev", "eth0")
    scanner.ip("link", "set", "eth0", "name", "below")
    scanner.ip("link", "set", "below", "up")
    scanner.ip("link", "add", "eth0", "link", "below", "type", "macvlan", "mode", "private")
    scanner.ip("addr", "add", f"{SCANNER}/30", "dev", "eth0")
    scanner.ip("link", "set", "eth0", "up")
    scanner.ip("route", "replace", "default", "via", GATEWAY)


class Running:
    """A list scan of COUNT targets with two workers, under way."""

    def __init__(self, arena: Range, *options: str, count: int = COUNT, rate: str = "4000") -> None:
        directory = arena.lab.directory
        self.arena, self.target, self.about = arena, directory / "out", directory / "about"
        self.count, self.socket = count, directory / "control"
        arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
        source = directory / "targets"
        source.write_text("".join(services(count)))
        more = ("-sendSYNs", "-rate", rate, "-w", "2", "-gatewayMac", arena.gateway_mac, *QUICK, *options)
        files = ("-f", self.target, "--metadata-file", self.about, "--control-socket", self.socket)
        with source.open() as stdin:
            self.victim = Victim(arena.scanner, *more, *files, stdin=stdin)
        wait_for(lambda: lines_in(self.target) > 2000, "records")

    def ctl(self, *words: str) -> str:
        done = self.arena.scanner.run(LZR, "ctl", "--socket", self.socket, *words, timeout=120)
        return done.stdout

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ctl("status", "--json"))
        return found

    def errors(self) -> dict[str, int]:
        """Failed sends of the whole scan by errno, once it has ended."""
        packets = json.loads(self.about.read_text())["packets"]
        found: dict[str, int] = packets["send_errors"]
        assert sum(found.values()) == packets["send_failures"]
        return found

    def has_heard(self) -> None:
        """Wait until it says that the link is gone: of a carrier the kernel tells up to a second later."""
        wait_for(lambda: any(what in self.victim.said() for what in LOST), "that the link is gone")

    def is_right(self, fault: str) -> None:
        """Every target has one record, and the right one; that the link was gone is said, with status 3."""
        status = self.victim.wait(90)
        said = self.victim.said()
        assert status == (3 if fault in LINK_FAULTS else 0), said[-3000:]
        assert any(f"[ERROR] lzr: the interface eth0 {what}" in said for what in LOST) == bool(status), said
        assert "(agree)" in said
        assert "Traceback" not in said
        found = read(self.target)
        once_each(found, wanted(self.count))
        right(found)


@pytest.mark.parametrize("fault", FAULTS)
def test_for_a_while(arena: Range, fault: str) -> None:
    trouble = Trouble(arena, fault)
    running = Running(arena, "-rn", "3")
    trouble.begin()
    time.sleep(1.5)
    assert running.victim.process.poll() is None, running.victim.said()
    if fault in LINK_FAULTS:
        running.has_heard()
    trouble.end()
    running.is_right(fault)
    errors = running.errors()
    assert errors[FAULTS[fault]] > 10, errors
    # The kernel takes an interface's queue away before it takes the interface down: a frame then finds none.
    between = {"ENOBUFS"} if fault == "down" else set()
    if fault in QUEUE_FAULTS:
        between = {"ring full"}  # what is in that queue keeps its rows
    assert set(errors) - between == {FAULTS[fault]} - between, errors


def test_what_had_to_wait_has_its_whole_time_afterwards(lab: Lab) -> None:
    """Ten seconds in the ring, then hosts 40 ms away, no retransmits, time-outs of 3 to 6 seconds."""
    arena = Range(lab, bridged=True)
    slow_down(arena)
    count = 500
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    target = lab.directory / "out"
    reader, writer = os.pipe()
    words = ("-sendSYNs", "-w", "2", "-rn", "0", "-rate", "none", "-gatewayMac", arena.gateway_mac, *PATIENT)
    victim = Victim(arena.scanner, *words, "-f", target, stdin=reader)
    os.close(reader)
    trouble = Trouble(arena, "down")
    with os.fdopen(writer, "w") as lines:
        first, *others = services(count)
        lines.write(first)
        lines.flush()
        wait_for(lambda: lines_in(target) == 1, "the first record")
        trouble.begin()
        lines.writelines(others)
    time.sleep(10)
    trouble.end()
    assert victim.wait(120) == 3, victim.said()[-3000:]  # as results may have been lost
    found = read(target)
    once_each(found, wanted(count))
    right(found)


def slow_down(arena: Range) -> None:
    """The bridge becomes a wire that keeps every segment for 20 ms."""
    assert arena.bridge is not None
    for port in ("left", "right"):
        arena.bridge.ip("link", "set", port, "nomaster")
    for namespace in (arena.scanner, arena.far):
        namespace.offloads("eth0", on=False)  # the wire carries frames as they are
    wire = arena.bridge.popen(
        sys.executable,
        *("-m", "tests.lab.forwarder", "left", "right", "--reorder", "100"),
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert wire.stdout is not None
    assert wire.stdout.readline() == b"ready\n"


@pytest.mark.parametrize("fault", FAULTS)
def test_for_ever(arena: Range, fault: str) -> None:
    trouble = Trouble(arena, fault)
    running = Running(arena, "--max-send-failures", "20", count=60_000)
    trouble.begin(rate="8bit")
    assert running.victim.wait(120) == 1
    said = running.victim.said()
    assert said.count("the interface took no frame in 20 attempts") == 1, said
    assert f"({FAULTS[fault]})" in said
    assert "Traceback" not in said
    assert "(agree)" in said
    found = read(running.target)
    assert 2000 < len(found) < running.count
    assert f'"TotalResponses":{len(found)}' in said
    assert len({record["saddr"] for record in found}) == len(found)
    assert running.errors()[FAULTS[fault]] >= 20


@pytest.mark.parametrize("fault", LINK_FAULTS)
def test_workers_go_on_meanwhile(arena: Range, fault: str) -> None:
    """They report, give shards away with the packets that wait in them, and take shards."""
    trouble = Trouble(arena, fault)
    running = Running(arena, "-rn", "3")
    trouble.begin()
    wait_for(lambda: running.status()["send_failures"] > 0, "failures")
    before = running.status()
    time.sleep(4)  # after 3 a process that says nothing counts as silent
    after = running.status()
    assert after["send_failures"] > before["send_failures"] > 0
    assert [worker["state"] for worker in after["workers"]] == ["running"] * 2
    assert after["in_flight"] > 0
    for workers in (3, 1):
        moves = running.status()["moves"]
        running.ctl("workers", f"flow={workers}")
        wait_for(partial(shared, running, workers), "the shards to have moved")
        assert running.status()["moves"] > moves
    trouble.end()
    running.is_right(fault)


def shared(running: Running, workers: int) -> bool:
    """Whether there are so many workers, and each shard has one."""
    status = running.status()
    shares = [worker["shards"] for worker in status["workers"]]
    return len(shares) == workers and sum(shares) == status["shards"] and all(shares)


@pytest.mark.parametrize("fault", LINK_FAULTS)
def test_a_worker_dies_meanwhile(arena: Range, fault: str) -> None:
    trouble = Trouble(arena, fault)
    running = Running(arena, "-rn", "3")
    trouble.begin()
    wait_for(lambda: running.status()["send_failures"] > 5, "failures")
    first = running.victim.of_role("flow worker")
    os.kill(first[0], signal.SIGKILL)
    wait_for(lambda: set(running.victim.of_role("flow worker")) - set(first), "a successor")
    running.has_heard()
    trouble.end()
    running.is_right(fault)


@pytest.mark.parametrize("fault", LINK_FAULTS)
def test_interrupted_meanwhile(arena: Range, fault: str) -> None:
    """The second signal ends it at once, as ever."""
    trouble = Trouble(arena, fault)
    running = Running(arena)
    trouble.begin()
    wait_for(lambda: running.status()["send_failures"] > 5, "failures")
    for _ in range(2):
        running.victim.signal(signal.SIGINT)
        time.sleep(0.5)
    assert running.victim.wait(120) == 130
    said = running.victim.said()
    assert "(agree)" in said
    assert "Traceback" not in said
    assert f'"TotalResponses":{len(read(running.target))}' in said


def test_the_interface_is_taken_away(arena: Range) -> None:
    running = Running(arena, count=60_000)
    arena.scanner.ip("link", "del", "eth0")
    assert running.victim.wait(120) == 1
    said = running.victim.said()
    assert "the interface is gone" in said
    assert "Traceback" not in said
    assert "(agree)" in said
    assert len(read(running.target)) > 2000


def test_a_path_that_is_always_slow(arena: Range) -> None:
    """A queue that lets 2,000 packets a second through, all the time: the scan goes as fast as that."""
    trouble = Trouble(arena, "long queue")
    trouble.begin(rate="1mbit")
    running = Running(arena, "-rn", "3", "-rt", "1", "-t", "6", count=4000, rate="none")
    running.is_right("long queue")
    assert set(running.errors()) == {"EAGAIN"}
