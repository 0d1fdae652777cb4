"""`lzr ctl block` while a scan runs: seen from the wire, no packet more once it says that it is so."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from coordinator.commands.ctl import ask
from tests.faults import Record, Victim, lines_in, read
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.system.test_advice_running import lzr

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

COUNT = 4096
WORDS = ("-handshakes", "http", "-rt", "0.5", "-t", "2", "-c", "3", "-r", "150", "-w", "2", "--no-dashboard")
BLOCKED = "10.64.8.0/21"
"""The second half. A quarter of the hosts take what we send and are silent: their flows are open a while."""


def count_packets(arena: Range) -> None:
    """Count what comes for the blocked half, before anything in the responder's namespace sees it."""
    arena.far.nft(
        "table netdev seen {\n chain in {\n type filter hook ingress device eth0 priority 0; policy accept;\n"
        f" ip saddr {SCANNER} ip daddr {BLOCKED} counter\n }}\n}}\n"
    )


def packets(arena: Range) -> int:
    text = arena.far.run("nft", "-j", "list", "table", "netdev", "seen").stdout
    rule = next(one["rule"] for one in json.loads(text)["nftables"] if "rule" in one)
    return int(next(part["counter"]["packets"] for part in rule["expr"] if "counter" in part))


def ctl(arena: Range, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return arena.scanner.run(LZR, "ctl", *words, check=False, timeout=120)


def in_blocked(record: Record) -> bool:
    return 8 <= int(str(record["saddr"]).split(".")[2]) < 16


@pytest.mark.parametrize("mode", ["sweep", "list"])
def test_no_packet_more(arena: Range, mode: str) -> None:
    directory = arena.lab.directory
    target, socket, metadata = directory / "out", directory / "ctl", directory / "metadata"
    responder = arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="hqah")
    count_packets(arena)
    common = (*WORDS, "-f", target, "--control-socket", socket, "-m", metadata)
    if mode == "sweep":
        with open(os.devnull) as stdin:
            victim = Victim(arena.scanner, "-p", str(PORT), "10.64.0.0/20", *common, stdin=stdin)
    else:
        listed = directory / "list"
        listed.write_text("".join(f"10.64.{n >> 8}.{n & 255}:{PORT}\n" for n in range(COUNT - 1, -1, -1)))
        with listed.open() as stdin:
            victim = Victim(arena.scanner, "-sendSYNs", *common, stdin=stdin)
    victim.wait_for(lambda: lines_in(target) > 100, "the first records", 60)
    told = ctl(arena, "--socket", socket, "block", BLOCKED, "--reason", "ticket", "42")
    before = packets(arena)
    assert told.returncode == 0, told.stderr
    assert told.stdout == f"blocked {BLOCKED}\n"
    status = json.loads(ask(socket, "status --json")[1])
    assert status["blocks"][0] | {"at": 0, "by": ""} == {
        "networks": [BLOCKED], "reason": "ticket 42", "by": "", "at": 0, "in_force": True,
    }  # fmt: skip
    assert abs(status["blocks"][0]["at"] - time.time()) < 120
    assert f"blocked {BLOCKED} (" in ask(socket, "status")[1]
    victim.kill("flow worker")  # its successor begins what it had anew, and must know
    ask(socket, "rate 2500")
    assert victim.wait(120) == 0, victim.said()[-3000:]
    assert packets(arena) == before
    responder.stop()
    found, fates = read(target), json.loads(metadata.read_text())["inputs"]["fates"]
    assert sum(not in_blocked(record) for record in found) == COUNT // 2, victim.said()[-3000:]
    recorded = sum(map(in_blocked, found))
    assert 0 < recorded < COUNT // 2
    assert fates["recorded"] == COUNT // 2 + recorded
    assert fates["blocked while it ran"] + fates["blocklisted"] == COUNT // 2 - recorded
    assert "(agree)" in victim.said()
    assert json.loads(metadata.read_text())["blocks"][0]["networks"] == [BLOCKED]


def test_a_resumed_scan_keeps_it(arena: Range) -> None:
    directory = arena.lab.directory
    target, socket, state = directory / "out", directory / "ctl", directory / "state"
    responder = arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="hqah")
    count_packets(arena)
    with open(os.devnull) as stdin:
        victim = Victim(
            arena.scanner, "-p", str(PORT), "10.64.0.0/20", *WORDS, "-f", target, "--control-socket", socket,
            "--checkpoint", state, stdin=stdin,
        )  # fmt: skip
    victim.wait_for(lambda: lines_in(target) > 100, "the first records", 60)
    assert ctl(arena, "--socket", socket, "block", BLOCKED).returncode == 0
    victim.process.kill()  # at once: whoever was told that it is so may rely on it
    victim.wait(120)
    before = packets(arena)
    done = lzr(arena, "--resume", str(state), "-r", "2500")
    assert done.returncode == 0, done.stderr
    assert packets(arena) == before
    responder.stop()
    assert sum(not in_blocked(record) for record in read(target)) == COUNT // 2
    assert "blocked while it ran" in done.stderr
    assert "(agree)" in done.stderr
