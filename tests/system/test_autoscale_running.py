"""`--auto-workers` on this machine: too much work for one worker brings another, which leaves again."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import pytest

from coordinator.processes import cpus
from tests.conftest import cannot_run
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, Scan, parse
from tests.system.test_e2e_responder import QUICK, address, assert_polite, assert_right

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

AHEAD = -15  # nice: what else runs here must not take the cores whose use is judged
FREE = 100_000  # connections a second: no limit here
MANY = 1 << 20

# Hosts that reset every handshake but the last as well: twelve connections for one record.
STUBBORN = ["http", "tls", "ssh", "ftp", "smtp", "pop3", "imap", "telnet", "mysql", "redis", "mqtt", "dns"]
# A question of four hundred parts for every record.
PICKY = " && ".join(f"daddr != 10.9.{number >> 8}.{number & 255}" for number in range(400))


class Feed(threading.Thread):
    """Targets into a pipe, each once: a few now and again, or as many as are taken while not `slow`.

    It begins slowly, because what comes while a scan starts is read ahead without limit.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.count = 0
        self.slow, self.ended = threading.Event(), threading.Event()
        self.slow.set()
        self._pipe = pipe

    def run(self) -> None:
        with self._pipe:
            while not self.ended.is_set():
                some = range(self.count, self.count + (20 if self.slow.is_set() else 500))
                self._pipe.write("".join(f"{address(index)}:{PORT}\n" for index in some).encode())
                self._pipe.flush()
                self.count = some.stop
                if self.slow.is_set():
                    self.ended.wait(0.4)


def favour(pids: Iterable[int]) -> None:
    """See that these have a core when they want one; where sessions are grouped, nice alone means little."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, AHEAD)
            Path(f"/proc/{pid}/autogroup").write_text(str(AHEAD))


class Automatic:
    """A scan that begins with one worker of each kind and chooses for itself from then on."""

    def __init__(self, arena: Range, *options: str) -> None:
        self.arena, directory = arena, arena.lab.directory
        self.socket, self.target, self.said = (directory / f"scan.{end}" for end in ("sock", "out", "err"))
        words: list[str | Path] = ["nice", "-n", str(AHEAD), LZR, "-sendSYNs", "-rate", str(FREE)]
        words += ["--auto-workers", "-w", "flow=1,collect=1", "--no-dashboard", *options]
        words += ["--control-socket", self.socket, "-f", self.target]
        with self.said.open("w") as stderr:
            self.process = arena.scanner.popen(*words, stdin=subprocess.PIPE, stderr=stderr, cwd=directory)
        assert self.process.stdin is not None
        self.feed = Feed(self.process.stdin)
        self.feed.start()
        wait_for(lambda: self.socket.exists() or self.process.poll() is not None, "the control socket")
        wait_for(lambda: len(self.pids()) == 3 and self.status()["done"] > 0, "its processes")
        favour(self.pids())
        self.feed.slow.clear()

    def pids(self) -> list[int]:
        status = self.status()
        processes = (*status["workers"], *status["collectors"], status["coordinator"])
        return [process["pid"] for process in processes if process["pid"]]

    def status(self) -> dict[str, Any]:
        done = self.arena.scanner.run(LZR, "ctl", "--socket", self.socket, "status", "--json", timeout=120)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def until(self, key: str, least: int, most: int, seconds: float) -> None:
        seen: list[str] = []

        def there() -> bool:
            status = self.status()
            processes = (*status["workers"], *status["collectors"], status["coordinator"])
            loads = ", ".join(f"{p['name']} {p['busy']:.0%}/{p['cpu']:.0%}" for p in processes)
            seen.append(f"{status['elapsed']:.0f} s: {loads}: {status['bottleneck']}")
            return bool(least <= status[key] <= most)

        try:
            wait_for(there, key, seconds)
        except Exception as error:
            story = "\n".join(seen[:: max(1, len(seen) // 30)])
            raise AssertionError(f"{key} was never {least} to {most}:\n{story}") from error

    def end(self) -> Scan:
        self.feed.ended.set()
        self.feed.join(120)
        self.process.wait(120)
        records, torn = parse(self.target.read_text())
        return Scan(self.process.returncode, records, self.said.read_text(), torn=torn)


@pytest.mark.parametrize(
    ("kind", "name", "classes", "options"),
    [
        ("flow", "flow workers", "r", ("-handshakes", ",".join(STUBBORN))),
        ("collect", "collectors", "h", ("-handshakes", "http", "--output-filter", PICKY)),
    ],
)
def test_a_channel_grows_and_shrinks_with_its_work(
    arena: Range, kind: str, name: str, classes: str, options: tuple[str, ...]
) -> None:
    if cpus.usable()[0] < 2:
        cannot_run("one core has no room for another worker")
    responder = arena.respond(first=FIRST, count=MANY, port=PORT, source=SCANNER, classes=classes)
    favour([responder.process.pid])
    scan = Automatic(arena, *options, *QUICK)
    try:
        scan.until(f"wanted_{kind}", 2, MANY, 200)
        scan.feed.slow.set()
        scan.until(f"wanted_{kind}", 1, 1, 250)
        status = scan.status()
        found = scan.end()
    finally:
        scan.feed.ended.set()
        if scan.process.poll() is None:
            scan.process.terminate()
            scan.process.wait(120)
    counters = responder.stop()
    assert scan.feed.count < MANY
    assert_right(found, scan.feed.count, options[1].split(","), classes)
    assert_polite(counters)
    assert "(agree)" in found.stderr
    assert status["restarts"] == 0
    assert status["moves"] >= 2
    assert f"workers: {name} " in found.stderr
    assert f"workers: {name} only " in found.stderr
    story = [line for line in found.stderr.splitlines() if " workers: " in line]
    print(f"{len(found.records)} records;", *story, sep="\n")
