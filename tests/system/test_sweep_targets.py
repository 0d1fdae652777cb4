"""A sweep of subnets by the real program, each pair counted by who was asked."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.lab.capture import capture
from tests.lab.net import wait_for
from tests.lab.responder import PORT, SCANNER, Range, letter_of
from tests.lab.scan import LZR, parse
from tests.system.test_advice_running import lzr

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

# Each host's fate is judged: one that is held up for some seconds still answers in time.
QUICK = ("-handshakes", "http", "-rt", "1.5", "-t", "4", "-c", "4", "-w", "flow=1,collect=1")
CLASSES = "hsaqrfzhnnnncccc"
NETWORK = "10.64.0.0/22"
HOSTS = [f"10.64.{third}.{last}" for third in range(4) for last in range(256)]


def test_each_pair_gets_its_fate_and_nobody_else_a_packet(arena: Range) -> None:
    blocked = arena.lab.directory / "blocked"
    blocked.write_text("10.64.0.0/28\n10.64.1.7\n")
    responder = arena.respond(first="10.64.0.0", count=1024, port=PORT, source=SCANNER, classes=CLASSES)
    done = lzr(arena, "-p", str(PORT), NETWORK, *QUICK, "-r", "4000", "-b", str(blocked), "-f", "-")
    assert done.returncode == 0, done.stderr
    counters = responder.stop()
    asked = [host for host in HOSTS if not host.startswith("10.64.0.") or int(host.split(".")[3]) > 15]
    asked.remove("10.64.1.7")
    assert f"{len(asked):,} pairs: {len(asked):,} addresses, 1 port; 17 blocked" in done.stderr
    records, torn = parse(done.stdout)
    assert not torn
    letters = {host: letter_of(host, CLASSES) for host in asked}
    answering = sorted(host for host, letter in letters.items() if letter not in "nc")
    assert sorted(record["saddr"] for record in records) == answering
    assert counters["addresses"] == len(asked)
    assert counters["wrong_address"] == counters["wrong_port"] == 0
    said = " ".join(done.stderr.split())
    assert f"inputs: {len(asked)} read = {len(asked)} recorded (agree)" in said
    assert counters["syn"] == len(asked)  # one SYN a pair, and none again
    assert f'"TotalResponses":{len(answering)},' in done.stderr
    for letter, words in (("n", "no SYN-ACK"), ("c", "RST to the SYN")):
        assert f"{words} {sum(1 for one in letters.values() if one == letter)} " in said


def test_a_sweep_that_was_interrupted_is_resumed_in_its_order(arena: Range) -> None:
    directory = arena.lab.directory
    state, out, err = directory / "state", directory / "out", directory / "err"
    arena.respond(first="10.64.0.0", count=1024, port=PORT, source=SCANNER, classes="hsa")
    words = ("-p", str(PORT), NETWORK, *QUICK, "-r", "150", "-f", str(out), "--no-dashboard")
    with err.open("w") as said:
        process = subprocess.Popen(
            arena.scanner.command(LZR, *words, "--checkpoint", state), stdin=subprocess.DEVNULL, stderr=said
        )
        wait_for(lambda: out.exists() and out.stat().st_size > 10_000, "the first records", 60)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 128 + signal.SIGINT, err.read_text()
    assert err.read_text().splitlines()[-1].endswith(f" --resume {state} --dashboard=false")  # and no input
    before = len(_hosts(out))
    assert 0 < before < 1024
    done = lzr(arena, "--resume", str(state), "-r", "4000")
    assert done.returncode == 0, done.stderr
    assert sorted(_hosts(out)) == sorted(HOSTS)
    other = lzr(arena, "--resume", str(state), "-p", str(PORT), "10.64.0.0/23")
    assert other.returncode == 2
    assert "cannot change on the way" in other.stderr


def _hosts(out: Path) -> list[str]:
    records, torn = parse(out.read_text())
    assert not torn
    return [record["saddr"] for record in records]


def test_whoever_has_answered_when_the_time_is_over_is_asked(arena: Range) -> None:
    responder = arena.respond(first="10.64.0.0", count=1 << 16, port=PORT, source=SCANNER, classes="h")
    words = ("-p", str(PORT), "10.64.0.0/16", *QUICK, "-r", "20000", "--max-runtime", "1", "-f", "-")
    done = lzr(arena, *words, "-b", "/dev/null")
    assert done.returncode == 0, done.stderr
    records, torn = parse(done.stdout)
    assert not torn
    asked = responder.stop()["addresses"]
    assert 0 < asked < 1 << 16
    assert len(records) == asked
    assert f"inputs: {asked} read = {asked} recorded (agree)" in " ".join(done.stderr.split())


def test_a_port_scan(arena: Range) -> None:
    """-handshakes none: a record for each that answers SYN-ACK, and to it a SYN and a RST, nothing else."""
    meta = arena.lab.directory / "meta"
    responder = arena.respond(first="10.64.0.0", count=1024, port=PORT, source=SCANNER, classes=CLASSES)
    fields = ("--output-fields", "saddr,sport,window,sa_only,reason,handshake", "-m", str(meta))
    words = ("-p", str(PORT), NETWORK, *QUICK[2:], "-handshakes", "none", "-r", "4000", *fields, "-f", "-")
    with capture(arena.far) as seen:
        done = lzr(arena, *words)
    assert done.returncode == 0, done.stderr
    counters = responder.stop()
    records, torn = parse(done.stdout)
    assert not torn
    letters = {host: letter_of(host, CLASSES) for host in HOSTS}
    answering = {host for host, letter in letters.items() if letter not in "nc"}
    assert sorted(record["saddr"] for record in records) == sorted(answering)
    same = {"sport": PORT, "sa_only": True, "reason": "sa_only", "handshake": "none"}
    assert all(same.items() <= record.items() for record in records)
    assert {record["saddr"] for record in records if not record["window"]} == {
        host for host in answering if letters[host] == "z"
    }
    sent: dict[str, str] = dict.fromkeys(HOSTS, "")
    for segment in seen.stop():
        if segment.source == SCANNER:
            sent[segment.target] += f"{segment.letters} "
    assert sent == {host: "S R. " if host in answering else "S " for host in HOSTS}
    assert counters["syn"] == len(HOSTS)
    said = " ".join(done.stderr.split())
    assert f"inputs: {len(HOSTS)} read = {len(HOSTS)} recorded (agree)" in said
    assert f" SYN-ACK {len(answering)} " in said
    counts = json.loads(meta.read_text())["reasons"]
    assert counts["sa_only"] + counts["refused"] + counts["no_syn_ack"] == len(HOSTS)
    mixed = lzr(arena, "-p", "80", NETWORK, "-handshakes", "none,http")
    assert (mixed.returncode, "cannot stand beside others" in mixed.stderr) == (2, True)


def test_several_ports_and_a_limit(arena: Range) -> None:
    arena.respond(first="10.64.0.0", count=256, port=PORT, source=SCANNER, classes="h")
    words = ("-p", f"1-3,{PORT}", "10.64.0.0/25", *QUICK, "-n", "19.6%", "-e", "7", "-f", "-")
    done = lzr(arena, *words)
    assert done.returncode == 0, done.stderr
    assert "512 pairs: 128 addresses, 4 ports" in done.stderr
    records, _ = parse(done.stdout)
    assert len(records) < 100
    assert {record["sport"] for record in records} == {PORT}
    assert "100 recorded" in " ".join(done.stderr.split())
    dry = lzr(arena, *words, "--dryrun")
    assert dry.returncode == 0, dry.stderr
    listed = dry.stdout.splitlines()
    assert len(set(listed)) == len(listed) == 100
    assert {line for line in listed if line.endswith(f":{PORT}")} == {
        f"{record['saddr']}:{record['sport']}" for record in records
    }


def test_of_an_acking_firewall_the_ports_that_are_left_are_not_asked(arena: Range) -> None:
    """Not one more SYN once it is known, and each port has its fate; others are asked on every port."""
    meta, ports = arena.lab.directory / "meta", 8192
    arena.respond(first="10.64.0.0", count=2, port=PORT, source=SCANNER, classes="as")
    words = ("-p", f"{PORT},10001-{9999 + ports}", "10.64.0.0/31", *QUICK, "-haf", "3", "-r", "1000")
    with capture(arena.far) as seen:
        done = lzr(arena, *words, "-m", str(meta), "-f", "-")
    assert done.returncode == 0, done.stderr
    sent: dict[str, list[str]] = {"10.64.0.0": [], "10.64.0.1": []}
    for segment in seen.stop():
        if segment.source == SCANNER and (segment.dport == PORT or 10001 <= segment.dport < 10000 + ports):
            sent[segment.target].append(segment.letters)
    records, _ = parse(done.stdout)
    firewalled = [record for record in records if record.get("ackingFirewall")]
    assert {record["saddr"] for record in firewalled} == {"10.64.0.0"}
    counts = {name: count for name, count in json.loads(meta.read_text())["reasons"].items() if count}
    assert counts == {
        "data": 1,
        "refused": ports - 1,
        "acking_firewall": len(firewalled),
        "not_asked": ports - len(firewalled),
    }
    syns = sent["10.64.0.0"].count("S")
    assert len(firewalled) == syns < ports // 2
    assert sent["10.64.0.0"].count(".") < syns  # and fewer handshakes than SYNs that were on their way
    assert sent["10.64.0.1"].count("S") == ports
    said = " ".join(done.stderr.split())
    assert f"inputs: {2 * ports} read = {2 * ports} recorded (agree)" in said
    assert f"not asked: answers on any port {ports - syns:,} " in said
