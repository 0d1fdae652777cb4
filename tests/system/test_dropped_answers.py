"""Answers that find no room in the receive rings, where targets are given: who gave them is asked again."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults import Victim, lines_in
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import Scan, parse
from tests.lab.zmaplines import lines
from tests.system.test_e2e_responder import assert_polite, mistakes
from tests.system.test_sweep_dropped import packets, stopped, wait_until_quiet

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

HOSTS = 1000  # their answers fit the rings, if there is nothing else in them
CLASSES = "hsda"
STRAY = 40_000  # four times what the rings of one worker hold
STRAYS = """
import socket, struct, sys

link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((sys.argv[1], 0))
ethernet = bytes.fromhex(sys.argv[2].replace(":", "")) + bytes(5) + b"\\x02\\x08\\x00"
for number in range(int(sys.argv[4])):
    source = bytes((10, 200, number >> 8 & 255, number & 255))
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, source, socket.inet_aton(sys.argv[3]))
    words = sum(struct.unpack("!10H", ip))
    words = (words & 0xFFFF) + (words >> 16)
    ip = ip[:10] + struct.pack("!H", ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF) + ip[12:]
    ack = struct.pack("!HHIIBBHHH", 80, 40000 + number % 20000, 1, 1, 0x50, 0x10, 1000, 0, 0)
    link.send(ethernet + ip + ack)
"""
"""Sends ACKs of nobody's connections. Arguments: interface, to which MAC, to which address, how many."""


def lose_the_answers(arena: Range, words: Sequence[str]) -> tuple[Scan, Path]:
    """A scan that has asked all hosts for the last time; then all their answers come to full rings."""
    directory = arena.lab.directory
    source, target, metadata = (directory / name for name in ("in", "out", "metadata"))
    source.write_text("".join(lines(HOSTS, classes=CLASSES)))
    responder = arena.respond(
        first=FIRST, count=HOSTS, port=PORT, source=SCANNER, classes=CLASSES, more=["--premade"]
    )
    with stopped(responder.process.pid):
        with source.open() as stdin:
            more = ("-w", "flow=1,collect=1", "-f", target, "-m", metadata, "-gatewayMac", arena.gateway_mac)
            victim = Victim(arena.scanner, *words, *more, stdin=stdin)
        victim.worker()
        mac = arena.scanner.mac("eth0")
        wanted = HOSTS * (1 if "0" in words else 2)
        wait_for(lambda: packets(victim.pid, 9) >= wanted, "all that is sent", 60)
        with stopped(*victim.of_role("flow worker")):
            arena.far.run(sys.executable, "-c", STRAYS, "eth0", mac, SCANNER, str(STRAY), timeout=120)
            come = packets(victim.pid, 1)
            responder.process.send_signal(signal.SIGCONT)
            wait_for(lambda: packets(victim.pid, 1) >= come + HOSTS, "the answers", 60)
            wait_until_quiet(victim, 1)
    assert lines_in(target) == 0
    status = victim.wait(120)
    assert_polite(responder.stop())
    records, torn = parse(target.read_text())
    assert not torn
    return Scan(status, records, victim.said()), metadata


def test_who_gave_an_answer_that_was_dropped_is_asked_again(arena: Range) -> None:
    found, metadata = lose_the_answers(arena, ("-rt", "0.5", "-rn", "1", "-t", "8"))
    told = json.loads(metadata.read_text())
    assert told["packets"]["drops"] > HOSTS
    assert found.returncode == 0, found.stderr[-3000:]
    assert not mistakes(found, HOSTS, ("http",), CLASSES)
    assert not told["results_lost"]


def test_where_nothing_may_be_sent_again_the_status_says_that_answers_may_be_lost(arena: Range) -> None:
    found, metadata = lose_the_answers(arena, ("-rn", "0", "-t", "8"))
    told = json.loads(metadata.read_text())
    assert told["packets"]["drops"] > HOSTS
    assert found.returncode == 3, found.stderr[-3000:]
    assert told["results_lost"]
    assert any("not asked again" in one for one in told["warnings"]), told["warnings"]
    assert len(found.records) == HOSTS
