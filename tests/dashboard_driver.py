"""A made-up scan, shown on the real terminal: `python -m tests.dashboard_driver --help`.

The figures are a function of the time since the start, so what a terminal shows can be compared with what
was counted: the last snapshot is written to `--figures FILE` as JSON.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from pathlib import Path

from msgspec.structs import replace

from coordinator.dashboard.dashboard import Dashboard, export, export_kind
from coordinator.monitor import status
from coordinator.monitor.meter import Meter
from coordinator.monitor.snapshot import Identified, Phase, Snapshot, Totals

FOUND = (
    ("http", "http", 0.58),
    ("http", "tls", 0.19),
    ("wait", "ssh", 0.06),
    ("tls", "tls", 0.05),
    ("wait", "smtp", 0.03),
    ("wait", "ftp", 0.02),
    ("http", "unknown", 0.02),
    ("tls", "http", 0.015),
    ("wait", "mysql", 0.01),
    ("http", "redis", 0.008),
    ("wait", "telnet", 0.006),
    ("wait", "imap", 0.004),
    ("wait", "pop3", 0.003),
    ("http", "rtsp", 0.002),
    ("tls", "rdp", 0.001),
    ("http", "mongodb", 0.001),
)
BANNERS = {
    "http": b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Type: text/html\r\n\r\n<!doctype html>",
    "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n",
    "tls": b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03\x8a\x11\xfe",
    "smtp": b"220 mail.example.net ESMTP Postfix (Debian/GNU)\r\n",
    "ftp": b"220 (vsFTPd 3.0.3)\r\n",
    "mysql": b"J\x00\x00\x00\n8.0.35\x00\x0c\x00\x00\x00",
}
HOSTILE = (
    b"\x1b[2J\x1b[H\x1b[31mPWNED",
    b"\x1b]0;title\x07\x1b]52;c;cm0gLXJm\x07",
    b"\x9b31m\x90\x9c8bit",
    b"[bold red]markup[/] [link=http://evil]x[/link]",
    "\u202eright to left\u202c \u3042\u3044 a\u0301".encode(),
    b"line one\nline two\r\rover\x08\x08\x7f\x00\x0e\x0f",
    b"\xff\xfe\xc3\x28 not UTF-8 \xf0\x28",
    b"x" * 4000,
)
OUTCOMES = (
    ("data", 0.55),
    ("silent", 0.2),
    ("rst", 0.12),
    ("fin", 0.04),
    ("zero_window", 0.05),
    ("no_syn_ack", 0.03),
    ("acking_firewall", 0.01),
)


class Scan:
    """The figures of a scan at a time `t` seconds after its start."""

    def __init__(
        self, workers: int = 2, total: int | None = 200_000, rate: int = 9_000, *, hostile: bool = False
    ):
        self.meter = Meter(started=0.0)
        self.totals = Totals(
            total=total,
            title="wait,http,tls via eth0 from 192.0.2.10",
            rate_limit=10_000.0,
            shards=16,
            wanted_flow=workers,
            cores=8,
        )
        self.rate, self.hostile, self.random = rate, hostile, random.Random(1)
        self._next_latest = 0.0
        self._before = 0.0
        self._packets: list[int] = []

    def at(self, t: float) -> Snapshot:
        totals, meter = self.totals, self.meter
        totals.phase = Phase.RUNNING
        done = int(self.rate * (t + 1.8 * math.sin(t / 3)))
        if totals.total is not None and done >= totals.total:
            done, totals.phase = totals.total, Phase.DONE
        totals.done, totals.in_flight, totals.backlog = done, 12_345, 4_000
        totals.read = done + totals.in_flight
        if totals.total is not None:
            totals.read = min(totals.total, totals.read)
            totals.in_flight = totals.read - done
            totals.input_ended = totals.read == totals.total
        for name, share in OUTCOMES:
            totals.outcomes[name] = int(done * share)
        for handshake, name, share in FOUND:
            totals.found[handshake, name] = int(done * 0.55 * share)
        while self._next_latest <= t:
            self._identify()
            self._next_latest += 0.5
        step, self._before = t - self._before, t
        for index in range(totals.wanted_flow, len(self._packets)):
            meter.removed("flow", index)
        del self._packets[totals.wanted_flow :]
        self._packets += [0] * (totals.wanted_flow - len(self._packets))
        for index in range(totals.wanted_flow):
            self._packets[index] += int(self.rate * step * (0.7 + 0.3 * math.sin(t / 5)) / totals.wanted_flow)
            meter.feed(t, self._flow(t, index, totals.wanted_flow))
        meter.removed("collect", totals.wanted_collect)
        for index in range(totals.wanted_collect):
            busy = int(t * 0.62e9)
            report = {"role": "collect", "index": index, "pid": 4100 + index, "cpu_ns": busy, "busy_ns": busy}
            meter.feed(t, {**report, "records": done, "bytes": done * 410, "queue": 2})
        meter.feed(
            t, {"role": "coordinator", "pid": 4000, "cpu_ns": int(t * 0.31e9), "busy_ns": int(t * 0.33e9)}
        )
        return meter.snapshot(t, totals, wall=1_700_000_000 + t)

    def _flow(self, t: float, index: int, count: int) -> dict[str, object]:
        packets = self._packets[index]
        return {
            "role": "flow",
            "index": index,
            "pid": 4200 + index,
            "cpu_ns": int(t * (0.40 + 0.03 * index) * 1e9),
            "busy_ns": int(t * (0.44 + 0.03 * index) * 1e9),
            "in_flight": 12_345 // count,
            "rx": packets * 2,
            "tx": packets * 3,
            "rx_bytes": packets * 600,
            "tx_bytes": packets * 500,
            "retransmits": packets // 50,
            "drops": 0,
            "ring_used": 40 + int(300 * abs((t + index) % 4 - 2)),
            "ring_size": 4096,
            "queue": index % 3,
            "outbox": 0,
            "send_failures": 0,
            "ignored": {"late": packets // 1000},
        }

    def _identify(self) -> None:
        number = self.random.randrange(256)
        (handshake, name, _) = self.random.choices(FOUND, [share for *_, share in FOUND])[0]
        banner = (
            self.random.choice(HOSTILE) if self.hostile else BANNERS.get(name, b"\x00\x01" + name.encode())
        )
        address = f"2001:db8::{number:x}" if number % 9 == 0 else f"198.51.100.{number}"
        port = self.random.choice([80, 443, 22, 8080, 9002, 50_000 + number])
        self.totals.latest.append(Identified(address, port, name, handshake, banner))


def main() -> int:
    parser = argparse.ArgumentParser(description="a made-up scan on the dashboard")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--total", type=int, default=200_000)
    parser.add_argument("--skip", type=float, default=70.0, help="seconds the scan has been running already")
    parser.add_argument("--freeze", type=float, help="seconds after which the figures stay as they are")
    parser.add_argument("--fps", type=float, default=4.0)
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--warn", action="append", default=[])
    parser.add_argument("--figures", help="write what was shown last here")
    parser.add_argument("--keys", help="append the commands the keys asked for here")
    parser.add_argument("--dashboard-file")
    arguments = parser.parse_args()
    scan = Scan(arguments.workers, arguments.total or None, hostile=arguments.hostile)
    scan.totals.warnings = list(arguments.warn)
    for quarter in range(int(arguments.skip * 4)):
        scan.at(quarter / 4)
    dashboard = Dashboard()
    dashboard.start(sys.stderr)
    begun = time.monotonic()
    snapshot = Snapshot()
    ended = False
    try:
        while not ended and (passed := time.monotonic() - begun) < arguments.seconds:
            passed = min(passed, arguments.freeze) if arguments.freeze is not None else passed
            snapshot = scan.at(arguments.skip + passed)
            dashboard.update(snapshot)
            for command in dashboard.commands():
                if arguments.keys:
                    with Path(arguments.keys).open("a") as file:
                        file.write(f"{command}\n")
                scan.totals.wanted_flow, scan.totals.wanted_collect = command.wanted(
                    scan.totals.wanted_flow, scan.totals.wanted_collect, scan.totals.shards
                )
                scan.totals.paused = {"pause": True, "resume": False}.get(command.kind, scan.totals.paused)
                scan.totals.draining |= command.kind == "drain"
                ended |= command.kind == "quit"
            if arguments.figures:
                partial = Path(arguments.figures + ".part")
                partial.write_text(status.as_json(snapshot))
                partial.rename(arguments.figures)
            time.sleep(1 / arguments.fps)
    finally:
        final = replace(snapshot, read=snapshot.fates, phase=Phase.DONE)
        dashboard.stop(
            status.summary(final, [f'{{"TotalResponses":{final.done}}}'], unicode=dashboard.can.unicode)
        )
    if arguments.dashboard_file:
        Path(arguments.dashboard_file).write_text(export(snapshot, export_kind(arguments.dashboard_file)))
    print(f"cpu {time.process_time():.3f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
