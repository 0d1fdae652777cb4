"""The Prometheus text is well formed and true; the server is not impressed by bad clients."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from coordinator.endpoints import prometheus
from coordinator.endpoints.prometheus import MetricsServer, exposition
from coordinator.monitor.snapshot import Snapshot, Totals
from tests import ROOT
from tests.dashboard_driver import Scan

SAMPLE = re.compile(r'^(lzr_[a-z_]+)((?:\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})?) (-?[0-9.e+]+)$')


def parsed(text: str) -> dict[str, float]:
    """As Prometheus reads it; checks that each sample's metric was declared just before."""
    found: dict[str, float] = {}
    declared = ""
    seen: set[str] = set()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            declared, kind = line.split()[2:]
            assert kind in ("gauge", "counter")
            assert declared not in seen
            assert (kind == "counter") == declared.endswith("_total"), declared
            seen.add(declared)
        elif not line.startswith("# HELP "):
            match = SAMPLE.match(line)
            assert match, line
            assert match[1] == declared
            assert match[1] + match[2] not in found
            found[match[1] + match[2]] = float(match[3])
    return found


def snapshot() -> Snapshot:
    scan = Scan(workers=2)
    for second in range(15):
        last = scan.at(second)
    return last


def test_figures_are_those_of_the_snapshot() -> None:
    last = snapshot()
    found = parsed(exposition(last))
    assert found["lzr_inputs_read_total"] == last.read
    assert found['lzr_inputs_total{fate="recorded"}'] == last.done
    assert found['lzr_outcomes_total{reason="rst"}'] == last.outcomes["rst"]
    assert (
        found['lzr_fingerprints_total{handshake="tls",fingerprint="http"}']
        == last.by_handshake["tls"]["http"]
    )
    assert found['lzr_worker_in_flight{worker="flow 1"}'] == last.workers[1].in_flight
    assert found['lzr_process_cpu_share{process="collect 0"}'] == pytest.approx(0.62)
    assert found["lzr_inputs_expected"] == 200_000
    assert parsed(exposition(Snapshot()))
    swept = parsed(exposition(replace(last, hit_rates={"443": (5, 100), "others": (1, 900)})))
    assert swept['lzr_sweep_answered_total{place="443"}'] == 5
    assert swept['lzr_sweep_asked{place="others"}'] == 900


@given(st.text(max_size=30))
def test_labels_are_escaped(label: str) -> None:
    text = exposition(replace(Snapshot(), by_handshake={"http": {label: 1}}))
    unicode_newlines = re.compile(
        r"[\v\f\x1c-\x1e\x85\u2028\u2029\r]"
    )  # splitlines() splits there, Prometheus does not
    if not unicode_newlines.search(label):
        parsed(text)


class Client:
    """Talks to a server that runs in this very thread."""

    def __init__(self, server: MetricsServer, clock: Callable[[], float] = time.monotonic) -> None:
        self.server, self.clock = server, clock
        self.sock = socket.create_connection(("127.0.0.1", server.port))
        self.sock.setblocking(False)

    def exchange(self, request: bytes) -> bytes:
        """Send all, serve until the server closes, return what came."""
        reply = b""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if request:
                try:
                    request = request[self.sock.send(request) :]
                except BlockingIOError:
                    pass
                except (BrokenPipeError, ConnectionResetError):
                    request = b""
            select.select([self.server, self.sock], [], [], 0.05)
            self.server.handle(self.clock())
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                return reply
            if not data:
                return reply
            reply += data
        raise AssertionError("the server did not close")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


def exchange(server: MetricsServer, request: bytes) -> bytes:
    with Client(server) as client:
        return client.exchange(request)


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    server = MetricsServer(0)
    server.publish(snapshot())
    yield server
    server.close()


def test_a_scrape(server: MetricsServer) -> None:
    head, _, body = exchange(server, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"version=0.0.4" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert parsed(body.decode())["lzr_inputs_read_total"] > 0
    head, _, body = exchange(server, b"HEAD /metrics HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert body == b""


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x00\n\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000, b"431"),
    ],
)
def test_other_requests(server: MetricsServer, request_: bytes, status: bytes) -> None:
    reply = exchange(server, request_)
    assert reply.startswith(b"HTTP/1.1 " + status) or (
        status == b"431" and reply == b""
    )  # or reset before read


def test_who_dawdles_is_dropped(server: MetricsServer) -> None:
    with Client(server) as slow:
        slow.sock.send(b"GET /metr")
        select.select([server], [], [], 5)
        server.handle(100.0)
        server.handle(104.0)
        with pytest.raises(BlockingIOError):
            slow.sock.recv(1)
        server.handle(106.0)
        slow.sock.settimeout(60)
        assert slow.sock.recv(1) == b""


def test_a_crowd_is_bounded_and_does_not_shut_others_out_for_ever(server: MetricsServer) -> None:
    crowd = [Client(server) for _ in range(14)]
    server.handle(99.0)
    crowd += [Client(server) for _ in range(14)]
    for _ in range(20):
        server.handle(100.0)
    assert len(server._listener._clients) <= 16
    server.handle(200.0)
    assert not server._listener._clients
    for client in crowd:
        client.sock.close()
    server.handle(201.0)
    assert b"200 OK" in exchange(server, b"GET /metrics HTTP/1.1\r\n\r\n")


def test_who_does_not_read_does_not_block(server: MetricsServer) -> None:
    with Client(server) as deaf:
        deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        deaf.sock.send(b"GET /metrics HTTP/1.1\r\n\r\n" * 100)
        for _ in range(5):
            server.handle(100.0)
        assert b"200 OK" in exchange(server, b"GET /metrics HTTP/1.1\r\n\r\n")


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_any_bytes(pieces: list[bytes]) -> None:
    server = MetricsServer(0)
    try:
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            for now, piece in enumerate(pieces):
                try:
                    sock.send(piece)
                except (BrokenPipeError, ConnectionResetError):
                    break
                server.handle(now)
            server.handle(10.0)
        server.handle(11.0)
    finally:
        server.close()


def test_a_port_that_is_taken_is_a_clear_error(server: MetricsServer) -> None:
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {server.port} for metrics"):
        MetricsServer(server.port)


def test_the_board_asks_only_for_what_is_exposed() -> None:
    """etc/grafana-lzr.json: each metric of an expression is one of ours, with labels that it has."""
    board = (ROOT / "etc" / "grafana-lzr.json").read_text()
    totals = Totals(rate_limit=1.0, total=5)
    scan = Scan(workers=1)
    scan.totals.rate_limit, scan.totals.total = totals.rate_limit, totals.total
    for second in range(15):
        found = parsed(exposition(scan.at(second)))
    exposed: dict[str, set[str]] = {}
    for sample in found:
        name, _, labels = sample.partition("{")
        exposed.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    expressions = [target["expr"] for target in every(json.loads(board), "expr")]
    assert len(expressions) >= 8
    common = {"job", "instance", "le"}
    for expression in expressions:
        for name, labels in re.findall(r"(lzr_\w+)(?:\{([^}]*)\})?", expression):
            assert name in exposed, expression
            assert set(re.findall(r"(\w+)\s*[=!]~?", labels)) <= exposed[name] | common, expression
        for group in re.findall(r"by *\(([^)]*)\)", expression):
            names = set(re.findall(r"lzr_\w+", expression))
            known = set().union(*(exposed[name] for name in names)) | common
            assert {label.strip() for label in group.split(",")} <= known, expression


def every(value: Any, key: str) -> list[dict[str, Any]]:
    """Every object within that has the key."""
    if isinstance(value, list):
        return [found for inner in value for found in every(inner, key)]
    if not isinstance(value, dict):
        return []
    return [value] * (key in value) + [found for inner in value.values() for found in every(inner, key)]


@pytest.mark.attack
def test_idle_connections_do_not_starve_scrapes(server: MetricsServer) -> None:
    """200 of them, again and again, and some between a scrape's SYN and its request."""
    with ExitStack() as stack:

        def crowd(count: int) -> None:
            for _ in range(count):
                sock = stack.enter_context(socket.socket())
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", server.port))

        for _ in range(3):
            crowd(200)
            for _ in range(3):
                server.handle(100.0)
            with Client(server) as scrape:
                server.handle(100.0)
                crowd(8)
                server.handle(100.0)
                assert b"200 OK" in scrape.exchange(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert len(server._listener._clients) <= 16


@pytest.mark.attack
def test_one_address_does_not_push_another_out(server: MetricsServer) -> None:
    with ExitStack() as stack:
        scrape = stack.enter_context(Client(server))
        server.handle(100.0)
        for _ in range(200):
            sock = stack.enter_context(socket.socket())
            sock.bind(("127.0.0.2", 0))
            sock.connect(("127.0.0.1", server.port))
            server.handle(100.0)
        assert b"200 OK" in scrape.exchange(b"GET /metrics HTTP/1.1\r\n\r\n")


@pytest.mark.attack
def test_a_flood_of_requests_is_answered_only_so_often(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text is made once a snapshot; who comes when enough was answered waits for the next second."""
    made: list[Snapshot] = []

    def counted(snapshot: Snapshot) -> str:
        made.append(snapshot)
        return exposition(snapshot)

    monkeypatch.setattr(prometheus, "exposition", counted)

    def flood(now: float, count: int) -> int:
        answered = 0
        with ExitStack() as stack:
            for _ in range(count):
                client = stack.enter_context(Client(server))
                client.sock.send(b"GET /metrics HTTP/1.1\r\n\r\n")
                server.handle(now)
                with contextlib.suppress(BlockingIOError):
                    answered += client.sock.recv(12) == b"HTTP/1.1 200"
            server.handle(now)
            assert not select.select([server], [], [], 0)[0], "it does not wake the scan's loop"
        return answered

    assert 40 <= flood(100.0, 80) <= 60
    assert flood(100.9, 30) == 0
    assert made == [server._snapshot]
    server.publish(server._snapshot)
    assert b"200 OK" in exchange(server, b"GET /metrics HTTP/1.1\r\n\r\n")
    assert len(made) == 1
    server.publish(replace(server._snapshot, now=3.0))
    assert b"200 OK" in exchange(server, b"GET /metrics HTTP/1.1\r\n\r\n")
    assert len(made) == 2


def test_a_kernel_without_ipv6_is_told_of_in_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    monkeypatch.setattr(prometheus.socket, "socket", refuse)
    with pytest.raises(OSError, match="cannot listen on ::1 port 9 for metrics: Address family"):
        MetricsServer(9, "::1")
