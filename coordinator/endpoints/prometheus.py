"""The figures for Prometheus: text exposition format 0.0.4, and the smallest HTTP server that carries it.
A figure of the whole scan is a row of `coordinator.monitor.figures`; those that exist several times (by
phase, service, process, worker), and how many warnings are shown, are listed here. Which processes there are,
and how long one that has left is shown: `coordinator.monitor.meter`.

What is exposed is a function of the `Snapshot`; a scrape reads the last one and never makes the scan wait.
The server listens on loopback unless told otherwise and knows one page, `/metrics`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping

from coordinator.endpoints.listener import Answer, Listener
from coordinator.monitor.figures import Metric, metrics
from coordinator.monitor.snapshot import ProcessView, Snapshot


def exposition(snapshot: Snapshot) -> str:
    """All metrics of a scan as text."""
    return page(families(snapshot))


def families(snapshot: Snapshot) -> Iterable[Metric]:
    """The metrics of the table of figures, then those by phase, service, process and worker."""
    yield from metrics(snapshot)
    yield from _others(snapshot)


def page(found: Iterable[Metric]) -> str:
    """Metrics as text."""
    lines: list[str] = []
    for name, kind, text, samples in found:
        lines.append(f"# HELP lzr_{name} {text}")
        lines.append(f"# TYPE lzr_{name} {kind}")
        lines += [f"lzr_{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _others(s: Snapshot) -> Iterable[Metric]:
    """Metrics that are not one figure of the whole scan."""
    yield Metric("phase", "gauge", "1 for the phase the scan is in.", [({"phase": s.phase}, 1)])
    services = [
        ({"handshake": handshake, "fingerprint": fingerprint}, float(number))
        for handshake, found in s.by_handshake.items()
        for fingerprint, number in found.items()
    ]
    text = "Services by fingerprint and the handshake that found them."
    yield Metric("fingerprints_total", "counter", text, services)
    for name, text, attribute in _OF_A_PROCESS:
        processes: tuple[ProcessView, ...] = (*s.workers, *s.collectors, s.coordinator)
        values = [({"process": one.name}, float(getattr(one, attribute))) for one in processes]
        yield Metric(name, "gauge", text, values)
    for name, text, attribute in _OF_A_WORKER:
        values = [({"worker": one.name}, float(getattr(one, attribute))) for one in s.workers]
        yield Metric(name, "counter" if name.endswith("_total") else "gauge", text, values)
    yield Metric("warnings", "gauge", "Warnings shown at this moment.", [({}, len(s.warnings))])


_MOST_ANSWERS = 50
"""Most answers a second. A scraper asks every few seconds; each answer takes the loop 0.2 ms, so a flood
takes 1 %: a judgement."""

_OF_A_PROCESS = (
    ("process_cpu_share", "Processor time over time, of one core.", "cpu"),
    ("process_busy_share", "Time not spent waiting over time.", "busy"),
    ("process_queue", "Batches waiting for the process.", "queue"),
)
_OF_A_WORKER = (
    ("worker_in_flight", "Flows of a flow worker.", "in_flight"),
    ("worker_ring_fill", "Fill share of its fullest receive ring.", "ring"),
    ("worker_receive_rate", "Packets received per second, now.", "rx"),
    ("worker_send_rate", "Packets sent per second, now.", "tx"),
    ("worker_kernel_drops_total", "Packets the kernel dropped.", "drops"),
    ("worker_retransmits_total", "Packets sent again.", "retransmits"),
)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.6g}"


class MetricsServer:
    """Serves `/metrics`. Wait on `fileno`, call `handle` then and once a second; give it snapshots."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = None
        try:  # a kernel may be without IPv6
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
            sock.listen(128)
        except OSError as error:
            if sock is not None:
                sock.close()
            raise OSError(
                error.errno, f"cannot listen on {host} port {port} for metrics: {error.strerror}"
            ) from error
        self.port: int = sock.getsockname()[1]
        self._snapshot = Snapshot()
        self._make: Callable[[], str] = self._exposition
        self._page = ""  # made for the first who asks
        self._listener = Listener(
            sock,
            self._respond,
            too_long=_reply("431 Request Header Fields Too Large"),
            most_answers=_MOST_ANSWERS,
        )

    def fileno(self) -> int:
        return self._listener.fileno()

    def publish(self, snapshot: Snapshot) -> None:
        """From here on answer with this snapshot."""
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self.publish_page(self._exposition)

    def publish_page(self, make: Callable[[], str]) -> None:
        """From here on answer with what `make` returns, called once a request comes; until the next call the
        same.
        """
        self._make, self._page = make, ""

    def _exposition(self) -> str:
        return exposition(self._snapshot)

    def handle(self, now: float) -> None:
        """Serve whoever has connected. now: monotonic seconds."""
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
        self._page = self._page or self._make()
        reply = _reply("200 OK", self._page, content="text/plain; version=0.0.4; charset=utf-8")
        return b"", reply if words[0] == b"GET" else reply[: reply.index(b"\r\n\r\n") + 4], True


def _reply(
    status: str, body: str = "", *, content: str = "text/plain; charset=utf-8", extra: str = ""
) -> bytes:
    text = (body or status + "\n").encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content}\r\nContent-Length: {len(text)}\r\n{extra}"
    return f"{head}Connection: close\r\n\r\n".encode() + text
