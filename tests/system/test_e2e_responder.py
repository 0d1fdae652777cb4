"""The whole machine against the responder: every input one record, every label right, no stray packet."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.lab.net import Lab, lose, lost, wait_for
from tests.lab.responder import (
    CLASSES,
    FIRST,
    PORT,
    SCANNER,
    SSH_BANNER,
    Range,
    Responder,
    expected,
    letter_of,
)
from tests.lab.scan import LZR, Scan, scan, zmap_scan, zmap_words
from tests.lab.zmaplines import lines

pytestmark = pytest.mark.root

FLOWS = 20_000
# What is measured here is right or wrong, not how long: a process that is held up still answers in time.
QUICK = ("-rt", "1.5", "-t", "4")


def address(index: int) -> str:
    return str(ipaddress.IPv4Address(FIRST) + index)


def mistakes(found: Scan, count: int, handshakes: Sequence[str], classes: str = CLASSES) -> list[str]:
    """Every way in which the records of `count` hosts from FIRST on differ from the truth."""
    wrong = []
    services = found.by_service()
    for index in range(count):
        host = address(index)
        records = services.pop((host, PORT), [])
        if len(records) != 1:
            wrong.append(f"{host}: {len(records)} records")
            continue
        letter = letter_of(host, classes)
        difference = expected(letter, handshakes).wrong(records[0])
        if difference:
            wrong.append(f"{host} ({letter}): {difference}")
    wrong += [f"{service}: not asked for" for service in services]
    return wrong


def assert_right(
    found: Scan, count: int, handshakes: Sequence[str] = ("http",), classes: str = CLASSES
) -> None:
    assert found.returncode == 0, found.stderr[-3000:]
    assert not found.torn
    wrong = mistakes(found, count, handshakes, classes)
    assert not wrong, f"{len(wrong)} mistakes, such as {wrong[:5]}\n{found.stderr[-2000:]}"
    assert found.summary()["TotalResponses"] >= 0


def assert_polite(counters: dict[str, int]) -> None:
    """No segment to anyone who was not asked for, none malformed, none with numbers out of place."""
    stray = ("wrong_address", "wrong_port", "wrong_source", "bad_checksum", "bad_ack", "bad_seq")
    assert {name: counters[name] for name in stray} == dict.fromkeys(stray, 0)


def premade(arena: Range, count: int, classes: str) -> Responder:
    """A responder that has accepted the connections of `zmaplines` and nothing else."""
    return arena.respond(
        first=FIRST, count=count, port=PORT, source=SCANNER, classes=classes, more=["--premade"]
    )


@pytest.fixture
def unchanged(arena: Range) -> Iterator[None]:
    """The scanner's namespace is afterwards as it was: rules, links, routes, processes; no file is left."""
    before = arena.scanner.state()
    yield
    assert arena.scanner.state() == before
    assert arena.lab.left() == []


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_premade_flows(arena: Range, unchanged: None, workers: int) -> None:
    responder = arena.respond(first=FIRST, count=FLOWS, port=PORT, source=SCANNER, more=["--premade"])
    found = scan(arena.scanner, "--handshakes", "http", "-w", str(workers), *QUICK, lines=lines(FLOWS))
    counters = responder.stop()
    assert_right(found, FLOWS)
    assert_polite(counters)
    assert counters["syn"] == 0
    # A zero window is answered with nothing but the RST that closes it.
    assert counters["addresses"] == FLOWS
    summary = found.summary()
    assert summary["ZeroWindow"] == FLOWS // 8
    assert summary["Data"] == FLOWS * 3 // 8


def test_unsigned_numbers_are_the_same(arena: Range) -> None:
    responder = arena.respond(first=FIRST, count=2000, port=PORT, source=SCANNER, more=["--premade"])
    found = scan(arena.scanner, *QUICK, lines=lines(2000, signed=False))
    assert_polite(responder.stop())
    assert_right(found, 2000)


def services(count: int, separator: str = ":") -> list[str]:
    return [f"{address(index)}{separator}{PORT}\n" for index in range(count)]


@pytest.mark.parametrize("handshakes", [("http",), ("wait", "http", "tls")])
def test_list(arena: Range, unchanged: None, handshakes: Sequence[str]) -> None:
    responder = arena.respond(first=FIRST, count=FLOWS, port=PORT, source=SCANNER)
    words = ("-sendSYNs", "-sourceIP", SCANNER, "-gatewayMac", arena.gateway_mac, "-rate", "10000")
    found = scan(arena.scanner, "-handshakes", ",".join(handshakes), *words, *QUICK, lines=services(FLOWS))
    counters = responder.stop()
    assert_right(found, FLOWS, handshakes)
    assert_polite(counters)
    assert counters["addresses"] == FLOWS
    assert counters["syn_mss"] == counters["syn"] >= FLOWS


def test_list_with_semicolons_and_silent_hosts(arena: Range) -> None:
    classes = "hcnhdegr"
    responder = arena.respond(first=FIRST, count=512, port=PORT, source=SCANNER, classes=classes)
    found = scan(arena.scanner, "-sendSYNs", *QUICK, lines=services(512, ";"))
    assert_polite(responder.stop())
    wrong = [
        mistake
        for mistake in mistakes(found, 512, ("http",), classes)
        if "(g)" not in mistake and "(e)" not in mistake  # told apart below
    ]
    assert found.returncode == 0, found.stderr
    assert not wrong, wrong[:5]
    for record in found.records:
        letter = letter_of(record["saddr"], classes)
        if letter == "d":
            assert record["data"].startswith(SSH_BANNER)
        if letter == "e":
            assert record["fingerprint"] == "echo"
        if letter == "g":
            raw = record["data"].encode("latin-1")
            assert raw.startswith(b"220 \x1b[2J")
            assert b"\x00\xff\xfe" in raw


def test_zmap_at_full_speed(arena: Range, unchanged: None) -> None:
    hosts = 1 << 15
    responder = arena.respond(first=FIRST, count=hosts, port=PORT, source=SCANNER)
    arena.scanner.run(LZR, "guard", "on", "--source-ip", SCANNER)
    try:
        zmap = zmap_words(arena.scanner, SCANNER, arena.gateway_mac, PORT, 50_000, [f"{FIRST}/17"])
        found = zmap_scan(arena.scanner, [zmap], "--handshakes", "http", "-w", "2", *QUICK)
    finally:
        arena.scanner.run(LZR, "guard", "off", "--source-ip", SCANNER)
    counters = responder.stop()
    assert found.returncode == 0, found.stderr[-2000:]
    assert not found.torn
    wrong = mistakes(found, hosts, ("http",))
    # zmap itself misses answers at this speed, many on a busy machine; what it printed is ours to get right.
    unseen = [mistake for mistake in wrong if "0 records" in mistake]
    assert wrong == unseen, [mistake for mistake in wrong if mistake not in unseen][:5]
    printed = hosts - len(unseen)
    assert printed > hosts // 4
    assert f"inputs: {printed} read = {printed} recorded (agree)" in found.stderr
    assert_polite(counters)


def test_flows_to_one_service_do_not_disturb_each_other(arena: Range) -> None:
    responder = arena.respond(first=FIRST, count=8, port=PORT, source=SCANNER, more=["--premade"])
    many = [line for low in range(40_000, 40_050) for line in lines(8, own_ports=(low, low))]
    found = scan(arena.scanner, "-w", "2", *QUICK, lines=many)
    assert_polite(responder.stop())
    assert found.returncode == 0, found.stderr
    assert len(found.records) == 400
    seen = {(record["saddr"], record["dport"]) for record in found.records}
    assert len(seen) == 400
    wrong = [expected(letter_of(record["saddr"])).wrong(record) for record in found.records]
    assert not any(wrong), [mistake for mistake in wrong if mistake][:5]


class Pipe:
    """`lzr` with its standard input and output in the test's hands."""

    def __init__(self, arena: Range, *options: str) -> None:
        words: list[str | Path] = [LZR, "--no-dashboard", "-f", "-", *options]
        self.process: subprocess.Popen[bytes] = arena.scanner.popen(
            *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self._buffer = b""

    def feed(self, text: str) -> None:
        self.stdin.write(text.encode())
        self.stdin.flush()

    def record(self, seconds: float = 60) -> dict[str, Any]:
        """The next record, awaited."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left < 0 or not select.select([self.stdout], [], [], left)[0]:
                raise AssertionError(f"no record within {seconds} s")
            chunk = os.read(self.stdout.fileno(), 65536)
            if not chunk:
                assert self.process.stderr is not None
                raise AssertionError(f"ended early: {self.process.stderr.read().decode()}")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        record: dict[str, Any] = json.loads(line)
        return record

    def end(self) -> tuple[int, str]:
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        assert self.process.stderr is not None
        said = self.process.stderr.read().decode()
        return self.process.wait(120), said


def test_a_line_is_acted_on_when_it_arrives(arena: Range) -> None:
    """ZMap's slow trickle: the answer is out while the input is still open."""
    responder = premade(arena, 16, "h")
    pipe = Pipe(arena)
    for index in range(3):
        line = next(lines(1, skip=index))
        pipe.feed(line[:30])
        pipe.feed(line[30:])
        assert pipe.record()["saddr"] == address(index)
    status, said = pipe.end()
    assert status == 0, said
    assert_polite(responder.stop())


def test_it_ends_when_it_is_done(arena: Range) -> None:
    """No fixed cool-down: one answered target takes far less than -c, -t or -rt would."""
    arena.respond(first=FIRST, count=1, port=PORT, source=SCANNER, more=["--premade"], classes="h")
    waits = ("-c", "200", "-t", "200", "-rt", "200")
    found = scan(arena.scanner, *waits, lines=lines(1, classes="h"), timeout=120)
    assert found.returncode == 0, found.stderr
    assert [record["fingerprint"] for record in found.records] == ["http"]


def test_bad_lines_are_counted_and_shown(arena: Range) -> None:
    arena.respond(first=FIRST, count=16, port=PORT, source=SCANNER, more=["--premade"], classes="h")
    good = list(lines(4, classes="h"))
    bad = ["\n", "{}\n", "null\n", "rubbish\n", good[0].replace("9002", "99999"), "[1,2]\n", "\x00\xff\n"]
    mixed = [good[0], *bad[:4], good[1], *bad[4:], good[2], good[3].rstrip("\n")]
    found = scan(arena.scanner, *QUICK, lines=mixed)
    assert found.returncode == 0, found.stderr
    assert len(found.records) == 4
    assert "line 3" in found.stderr or "3:" in found.stderr


def test_empty_input(arena: Range, unchanged: None) -> None:
    arena.respond(first=FIRST, count=1)
    found = scan(arena.scanner, lines=[])
    assert found.returncode == 0, found.stderr
    assert found.records == []
    assert found.summary()["TotalResponses"] == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--handshakes", "http,nonsense"),
        ("-sendInterface", "no-such-interface"),
        ("-w", "0"),
        ("-rt", "-1"),
        ("-rate", "nonsense", "-sendSYNs"),
        ("-sourceIP", "999.1.1.1"),
        ("-gatewayMac", "zz:zz"),
        ("-haf", "-3"),
        ("--no-such-flag",),
        ("-f", "/no/such/directory/out.json"),
    ],
)
def test_a_mistake_is_one_sentence_and_no_packet(
    arena: Range, unchanged: None, options: tuple[str, ...]
) -> None:
    responder = arena.respond(first=FIRST, count=16, port=PORT, source=SCANNER)
    text = "".join(lines(4, classes="h"))
    done = arena.scanner.run(LZR, *options, input=text, check=False, timeout=120, cwd=arena.lab.directory)
    counters = responder.stop()
    assert done.returncode == 2, done.stderr
    sentences = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(sentences) == 1, done.stderr
    assert sentences[0].startswith("lzr: ")
    assert "Traceback" not in done.stderr
    tcp = ("syn", "data", "bare_ack", "rst", "wrong_address")
    assert {name: counters[name] for name in tcp} == dict.fromkeys(tcp, 0)


def test_without_root(arena: Range) -> None:
    done = arena.scanner.run(
        # Without capabilities rather than as another user, who may not be let near this interpreter.
        "setpriv",
        "--bounding-set=-all",
        "--inh-caps=-all",
        LZR,
        "-f",
        "-",
        check=False,
        input="",
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("lzr: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_what_is_in_flight(arena: Range, unchanged: None, number: signal.Signals) -> None:
    responder = premade(arena, 16, "hq")
    pipe = Pipe(arena, *QUICK)
    pipe.feed("".join(lines(2, classes="hq")))
    first = pipe.record()
    assert first["fingerprint"] == "http"
    lzr = [pid for pid in arena.scanner.pids() if pid != pipe.process.pid]
    assert lzr or pipe.process.poll() is None
    pipe.process.send_signal(number)
    second = pipe.record()
    assert second["expectedRToLZR"] == "ack"
    status, said = pipe.end()
    assert status == 128 + number, said
    assert_polite(responder.stop())


def test_ipv6_list(arena: Range) -> None:
    responder = arena.respond(classes=CLASSES)
    hosts = [str(ipaddress.IPv6Address("fd00:64::") + index) for index in range(256)]
    found = scan(arena.scanner, "-sendSYNs", *QUICK, lines=[f"[{host}]:{PORT}\n" for host in hosts])
    responder.stop()
    assert found.returncode == 0, found.stderr
    by_service = found.by_service()
    wrong = []
    for host in hosts:
        records = by_service.get((host, PORT), [])
        if len(records) != 1 or expected(letter_of(host)).wrong(records[0]):
            wrong.append((host, records))
    assert not wrong, wrong[:3]


def test_the_wire_disturbs(lab: Lab) -> None:
    """The lab's own proof: a lossy bridge loses about what it should."""
    arena = Range(lab, bridged=True)
    assert arena.bridge is not None
    lose(arena.bridge, 10)
    responder: Responder = arena.respond(first=FIRST, count=4096, port=PORT)
    zmap = zmap_words(
        arena.scanner, SCANNER, arena.far.mac("eth0"), PORT, 20_000, [f"{FIRST}/20"], cooldown=1
    )
    found = arena.scanner.run(*zmap).stdout.splitlines()
    assert wait_for(lambda: lost(arena.bridge), "losses")  # type: ignore[arg-type]
    counters = responder.stop()
    assert 0.85 * 4096 < counters["syn"] < 0.95 * 4096
    assert 0.85 * counters["syn"] < len(found) < 0.95 * counters["syn"]
