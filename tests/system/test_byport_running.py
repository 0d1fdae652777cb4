"""-handshakes-by-port in real scans: what each port is asked, in order, on the wire and in the records."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.lab.capture import Seen, capture
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, SCANNER, Range
from tests.lab.scan import LZR, parse, scan
from tests.lab.zmaplines import lines
from tests.system.test_advice_running import lzr

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

QUICK = ("-rt", "1.5", "-rn", "0", "-t", "4", "-c", "4")
ORDERS = """
default = ["http", "wait"]
[ports]
1000 = ["smtp", "ssh"]
"2000-2009" = ["wait", "redis", "http"]
3000 = ["wait"]
"""
PORTS = {1000: ("smtp", "ssh"), 2000: ("wait", "redis", "http"), 3000: ("wait",), 4000: ("http", "wait")}
NAMES = ["http", "wait", "smtp", "ssh", "redis"]  # the scan's list: the default's first
BEGINS = {b"GET ": "http", b"EHLO": "smtp", b"SSH-": "ssh", b"*1\r\n": "redis", b"PING": "redis"}


@pytest.fixture
def orders(arena: Range) -> Path:
    path = arena.lab.directory / "order.toml"
    path.write_text(ORDERS)
    return path


def asked(segments: Sequence[Seen]) -> dict[tuple[str, int], list[str]]:
    """By service, what it was asked, in order: each connection of ours is one question."""
    found: dict[tuple[str, int, int], str] = {}
    for segment in segments:
        if segment.source != SCANNER or segment.letters == "S":
            continue
        data = next((name for begin, name in BEGINS.items() if segment.data.startswith(begin)), "")
        key = segment.target, segment.dport, segment.sport
        found[key] = found.get(key) or data
    questions: dict[tuple[str, int], list[str]] = {}
    for (host, port, _), name in found.items():
        questions.setdefault((host, port), []).append(name or "wait")
    return questions


def test_each_port_is_asked_in_its_order(arena: Range, orders: Path) -> None:
    """A sweep: of hosts that take everything and say nothing, each has all handshakes of its port's order."""
    meta = arena.lab.directory / "meta"
    hosts = [f"10.64.0.{last}" for last in range(4)]
    fields = ("--output-fields", "*", "-m", str(meta))
    words = ("-p", ",".join(map(str, PORTS)), "10.64.0.0/30", "--handshakes-by-port", str(orders), *fields)
    arena.respond(first=FIRST, count=4, classes="a")
    with capture(arena.far) as seen:
        done = lzr(arena, *words, *QUICK, "-f", "-", "-w", "flow=2,collect=1")
    assert done.returncode == 0, done.stderr
    questions = asked(seen.stop())
    assert questions == {(host, port): list(order) for host in hosts for port, order in PORTS.items()}
    records, torn = parse(done.stdout)
    assert (len(records), torn) == (len(hosts) * len(PORTS), [])
    for record in records:  # the last that was asked, and its place in the scan's list
        assert record["handshake"] == PORTS[record["sport"]][-1] == NAMES[record["HandshakeNum"]]
    assert "by port: 12 ports with 3 orders of their own, all others http, wait" in done.stderr
    found = json.loads(meta.read_text())["scan"]
    assert found["handshakes"] == NAMES
    assert found["orders"] == [
        {"ports": "0-999,1001-1999,2010-2999,3001-65535", "handshakes": ["http", "wait"]},
        {"ports": "1000", "handshakes": ["smtp", "ssh"]},
        {"ports": "2000-2009", "handshakes": ["wait", "redis", "http"]},
        {"ports": "3000", "handshakes": ["wait"]},
    ]
    assert "handshakes_by_port" in json.loads(meta.read_text())["lists"]


def test_zmaps_connections_and_every_handshake(arena: Range, orders: Path) -> None:
    """ZMap's connections begin with the first of their port's order; -forceAllHandshakes does all of it."""
    orders.write_text(ORDERS + '5000 = ["http"]\n')
    words = ("-handshakes-by-port=" + str(orders), "--output-fields", "*", *QUICK)
    arena.respond(first=FIRST, count=64, port=5000, source=SCANNER, classes="hsa", more=["--premade"])
    zmap = lines(64, port=5000, classes="hsa")
    found = scan(arena.scanner, *words, "-handshakes", "wait,tls", lines=zmap)
    assert found.returncode == 0, found.stderr
    assert set(found.labels()) == {"http", "ssh", "unknown"}
    assert {(r["handshake"], r["HandshakeNum"]) for r in found.records} == {("http", 5)}
    arena.respond(first=FIRST, count=4, classes="s")
    listed = [f"10.64.0.{last}:{port}\n" for last in range(4) for port in (2000, 3000)]
    found = scan(arena.scanner, *words, "-sendSYNs", "-forceAllHandshakes", "-haf", "3", lines=listed)
    assert found.returncode == 0, found.stderr
    for (_, port), records in found.by_service().items():
        assert tuple(r["handshake"] for r in records) == PORTS[port]
        assert {r["fingerprint"] for r in records} == {"ssh"}


def test_a_mistake_is_one_sentence_before_a_packet(arena: Range, orders: Path) -> None:
    with capture(arena.far) as seen:
        refused(arena, orders)
    assert seen.stop() == []


def refused(arena: Range, orders: Path) -> None:
    orders.write_text("[ports]\n80 = ['htpt']\n")
    sweep = ("-p", "80", "10.64.0.0/30", "--handshakes-by-port", str(orders))
    for words, sentence in (
        (sweep, "80: htpt is not a handshake; did you mean http?"),
        ((*sweep, "--dryrun"), "80: htpt is not a handshake"),
        (("--handshakes-by-port", "/nowhere"), "cannot read /nowhere: No such file"),
    ):
        done = lzr(arena, *words, data=b"")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert sentence in done.stderr
    orders.write_text("[ports]\n80 = ['wait']\n")
    for words, sentence in (
        ((*sweep, "-handshakes", "none"), "none asks for no handshake"),
        ((*sweep, "-f", str(orders)), "are the same file"),
    ):
        done = lzr(arena, *words, data=b"")
        assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
    assert len(lzr(arena, *sweep, "--dryrun").stdout.split()) == 4


def test_a_resumed_scan_has_the_same_orders(arena: Range, orders: Path) -> None:
    """With the file as it was, without naming it again; one that has changed is refused."""
    directory = arena.lab.directory
    state, out = directory / "state", directory / "out"
    arena.respond(first=FIRST, count=256, classes="s")
    words = ("-p", "2000", "10.64.0.0/24", *QUICK, "-r", "20", "--output-fields", "*", "-f", str(out))
    process = subprocess.Popen(
        arena.scanner.command(
            LZR, *words, "--no-dashboard", "--handshakes-by-port", "order.toml", "--checkpoint", state
        ),
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=directory,
    )  # fmt: skip
    wait_for(lambda: out.exists() and out.stat().st_size > 4_000, "the first records", 60)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 128 + signal.SIGINT
    orders.write_text(ORDERS.replace("redis", "ftp"))
    done = lzr(arena, "--resume", str(state))
    assert (done.returncode, "--handshakes-by-port has changed" in done.stderr) == (2, True), done.stderr
    assert "HandshakeNum" in done.stderr
    orders.write_text(ORDERS)
    done = lzr(arena, "--resume", str(state), "-r", "4000")
    assert done.returncode == 0, done.stderr
    records, torn = parse(out.read_text())
    assert (len({r["saddr"] for r in records}), torn) == (256, [])
    assert {(r["handshake"], r["HandshakeNum"], r["fingerprint"]) for r in records} == {("wait", 1, "ssh")}
