"""The figures for Prometheus: text exposition format 0.0.4, and the smallest HTTP server that carries it.

What is exposed is a function of the `Snapshot`; a scrape reads the last one and never makes the
scan wait. The server listens on loopback unless told otherwise and knows one page, `/metrics`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

from coordinator.endpoints.listener import Answer, Listener
from coordinator.monitor.snapshot import ProcessView, Snapshot
from coordinator.monitor.status import OUTCOME_WORDS, fates

Sample = tuple[str, float]
"""Labels as they are printed, and the value."""


def exposition(snapshot: Snapshot) -> str:
    """All metrics, in the order of METRICS."""
    lines: list[str] = []
    for name, kind, text, samples in _metrics(snapshot):
        lines.append(f"# HELP lzr_{name} {text}")
        lines.append(f"# TYPE lzr_{name} {kind}")
        lines += [f"lzr_{name}{labels} {_number(value)}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _metrics(s: Snapshot) -> Iterable[tuple[str, str, str, list[Sample]]]:
    processes: tuple[ProcessView, ...] = (*s.workers, *s.collectors, s.coordinator)
    gauge, counter = "gauge", "counter"
    yield "elapsed_seconds", gauge, "Time since the scan began.", [("", s.elapsed)]
    yield "phase", gauge, "1 for the phase the scan is in.", [(_labels(phase=s.phase), 1)]
    yield "paused", gauge, "1 while the scan is paused.", [("", s.paused)]
    yield "inputs_read_total", counter, "Input lines read.", [("", s.read)]
    yield (
        "inputs_expected",
        gauge,
        "Inputs in all, where known.",
        [("", s.total)] if s.total is not None else [],
    )
    rows = [(_labels(fate=fate), float(number)) for fate, number in fates(s).items()]
    yield "inputs_total", counter, "Inputs by their fate.", rows
    yield "in_flight", gauge, "Inputs given to a worker, without a fate yet.", [("", s.in_flight)]
    yield "backlog", gauge, "Inputs read and not yet given to a worker.", [("", s.backlog)]
    yield "read_rate", gauge, "Inputs read per second, now.", [("", s.rate_in)]
    yield "done_rate", gauge, "Inputs done per second, now.", [("", s.rate_done)]
    rows = [(_labels(reason=name), float(s.outcomes.get(name, 0))) for name in OUTCOME_WORDS]
    yield "outcomes_total", counter, "Results by the reason the flow ended.", rows
    rows = [
        (_labels(handshake=handshake, fingerprint=fingerprint), float(number))
        for handshake, found in s.by_handshake.items()
        for fingerprint, number in found.items()
    ]
    yield "fingerprints_total", counter, "Services by fingerprint and the handshake that found them.", rows
    ways = [(_labels(direction="in"), float(s.rx)), (_labels(direction="out"), float(s.tx))]
    yield "packets_total", counter, "Packets.", ways
    ways = [(_labels(direction="in"), s.rx_rate), (_labels(direction="out"), s.tx_rate)]
    yield "packet_rate", gauge, "Packets per second, now.", ways
    ways = [(_labels(direction="in"), s.rx_bits), (_labels(direction="out"), s.tx_bits)]
    yield "bit_rate", gauge, "Bits per second, now.", ways
    yield "retransmits_total", counter, "Packets sent again.", [("", s.retransmits)]
    yield "kernel_drops_total", counter, "Packets the kernel dropped (a ring was full).", [("", s.drops)]
    yield "send_failures_total", counter, "Sends that the kernel refused for now.", [("", s.send_failures)]
    rows = [(_labels(error=error), float(number)) for error, number in sorted(s.send_errors.items())]
    yield "send_errors_total", counter, "The same by errno.", rows
    rows = [(_labels(kind=kind), float(number)) for kind, number in sorted(s.ignored.items())]
    yield "packets_ignored_total", counter, "Packets received and not acted on, by kind.", rows
    yield "restarts_total", counter, "Processes that ended unasked and were replaced.", [("", s.restarts)]
    refused = "Messages between the processes that were not believed."
    yield "messages_refused_total", counter, refused, [("", s.refused)]
    yield "shards", gauge, "Shards, the most flow workers this run can have.", [("", s.shards)]
    yield "shard_moves_total", counter, "Shards that have changed hands.", [("", s.moves)]
    yield "shard_move_seconds_max", gauge, "The longest that took.", [("", s.slowest_move)]
    wanted = [(_labels(channel="flow"), s.wanted_flow), (_labels(channel="collect"), s.wanted_collect)]
    yield "workers_wanted", gauge, "Worker counts asked for.", [(labels, float(n)) for labels, n in wanted]
    if s.rate_limit is not None:
        yield "rate_limit", gauge, "Targets started per second at most.", [("", s.rate_limit)]
    for name, text, attribute in (
        ("process_cpu_share", "Processor time over time, of one core.", "cpu"),
        ("process_busy_share", "Time not spent waiting over time.", "busy"),
        ("process_queue", "Batches waiting for the process.", "queue"),
    ):
        yield name, gauge, text, [(_labels(process=p.name), float(getattr(p, attribute))) for p in processes]
    for name, kind, text, attribute in (
        ("worker_in_flight", gauge, "Flows of a flow worker.", "in_flight"),
        ("worker_ring_fill", gauge, "Fill share of its fullest receive ring.", "ring"),
        ("worker_receive_rate", gauge, "Packets received per second, now.", "rx"),
        ("worker_send_rate", gauge, "Packets sent per second, now.", "tx"),
        ("worker_kernel_drops_total", counter, "Packets the kernel dropped.", "drops"),
        ("worker_retransmits_total", counter, "Packets sent again.", "retransmits"),
    ):
        yield name, kind, text, [(_labels(worker=w.name), float(getattr(w, attribute))) for w in s.workers]
    yield "warnings", gauge, "Warnings shown at this moment.", [("", len(s.warnings))]


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.6g}"


class MetricsServer:
    """Serves `/metrics`. Wait on `fileno`, call `handle`; give it a snapshot once a second."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
            sock.listen(128)
        except OSError as error:
            sock.close()
            raise OSError(
                error.errno, f"cannot listen on {host} port {port} for metrics: {error.strerror}"
            ) from error
        self.port: int = sock.getsockname()[1]
        self._snapshot = Snapshot()
        self._listener = Listener(sock, self._respond, too_long=_reply("431 Request Header Fields Too Large"))

    def fileno(self) -> int:
        return self._listener.fileno()

    def publish(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def handle(self, now: float) -> None:
        self._listener.handle(now)

    def close(self) -> None:
        self._listener.close()

    def _respond(self, request: bytes) -> Answer:
        head, end, _ = request.replace(b"\r\n", b"\n").partition(b"\n\n")
        if not end:
            return request, b"", False
        words = head.split(b"\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return b"", _reply("400 Bad Request"), True
        if words[0] not in (b"GET", b"HEAD"):
            return b"", _reply("405 Method Not Allowed", extra="Allow: GET, HEAD\r\n"), True
        if words[1].split(b"?", 1)[0] != b"/metrics":
            return b"", _reply("404 Not Found", "lzr: see /metrics\n"), True
        body = exposition(self._snapshot)
        reply = _reply("200 OK", body, content="text/plain; version=0.0.4; charset=utf-8")
        return b"", reply if words[0] == b"GET" else reply[: reply.index(b"\r\n\r\n") + 4], True


def _reply(
    status: str, body: str = "", *, content: str = "text/plain; charset=utf-8", extra: str = ""
) -> bytes:
    text = (body or status + "\n").encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content}\r\nContent-Length: {len(text)}\r\n{extra}"
    return f"{head}Connection: close\r\n\r\n".encode() + text
