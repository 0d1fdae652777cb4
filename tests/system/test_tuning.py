"""Worker counts changed while the scan runs: every input gets one record, the right one; the sums hold."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.net import Namespace, wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, Scan, parse
from tests.lab.zmaplines import lines
from tests.system.test_e2e_responder import QUICK, assert_polite, assert_right

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

FLOWS = 400_000
# Each change starts processes. Where the machine has no time left for them, one a second would leave none for
# the scan, and it would not end.
MOST_CHANGES = 16
ORDERS = (
    "flow=4 collect=2",
    "flow=1",
    "flow=3 collect=3",
    "collect=1",
    "flow=+2 collect=+1",
    "flow=-3",
    "flow=6",
    "flow=2 collect=1",
)


class Steered:
    """A scan of premade connections, and `lzr ctl` for it."""

    def __init__(self, arena: Range, count: int, *options: str) -> None:
        self.namespace: Namespace = arena.scanner
        directory = arena.lab.directory
        source, self.target = directory / "steered.in", directory / "steered.out"
        self.said, self.socket = directory / "steered.err", directory / "steered.sock"
        with source.open("w") as file:
            file.writelines(lines(count))
        words = ("--no-dashboard", "--control-socket", self.socket, "-f", self.target)
        with source.open() as stdin, self.said.open("w") as stderr:
            self.process: subprocess.Popen[bytes] = self.namespace.popen(
                LZR, *words, *options, stdin=stdin, stderr=stderr, cwd=directory
            )
        wait_for(lambda: self.socket.exists() or self.process.poll() is not None, "the control socket")

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def ctl(self, *words: str) -> str:
        done = self.namespace.run(LZR, "ctl", "--socket", self.socket, *words, check=False, timeout=40)
        if done.returncode:  # right only if the scan was ending just then
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            assert not self.runs, done.stderr
        return str(done.stdout)

    def status(self) -> dict[str, Any]:
        text = self.ctl("status", "--json")
        assert text, self.said.read_text()
        found: dict[str, Any] = json.loads(text)
        return found

    def until(self, key: str, wanted: Any, seconds: float = 30) -> dict[str, Any]:
        """The status, when this figure of it is as wanted."""
        found: dict[str, Any] = {}

        def there() -> bool:
            found.update(self.status())
            value = found[key]
            return bool(value >= wanted if type(wanted) is int else value == wanted)

        wait_for(there, f"{key} {wanted}: {found.get(key)}", seconds)
        return found

    def end(self, seconds: float = 240) -> Scan:
        self.process.wait(seconds)
        records, torn = parse(self.target.read_text())
        return Scan(self.process.returncode, records, self.said.read_text(), torn=torn)


@pytest.fixture
def orderly(arena: Range) -> Iterator[Range]:
    """The arena, which is afterwards as it was."""
    before = arena.scanner.state()
    yield arena
    assert arena.scanner.state() == before


def settled(scan: Steered) -> dict[str, Any]:
    """The status, when there are as many processes as are wanted."""
    found: dict[str, Any] = {}

    def there() -> bool:
        found.update(scan.status())
        wanted = found["wanted_flow"], found["wanted_collect"]
        return (len(found["workers"]), len(found["collectors"])) == wanted

    wait_for(there, "the processes that are wanted", 20)
    return found


def test_counts_change_every_second(orderly: Range, tmp_path: Path) -> None:
    """Up and down in both channels under full load: nothing lost, nothing twice, no packet out of place."""
    responder = orderly.respond(first=FIRST, count=FLOWS, port=PORT, source=SCANNER, more=["--premade"])
    metadata = tmp_path / "metadata.json"
    scan = Steered(orderly, FLOWS, "-w", "flow=1,collect=1", "--metadata-file", str(metadata), *QUICK)
    changes = 0
    status: dict[str, Any] = {}
    while scan.runs:
        began = time.monotonic()
        if changes < MOST_CHANGES and scan.ctl("workers", *ORDERS[changes % len(ORDERS)].split()):
            changes += 1
            text = scan.ctl("status", "--json")
            status = json.loads(text) if text else status
        try:
            scan.process.wait(max(0.0, began + 1 - time.monotonic()))
        except subprocess.TimeoutExpired:
            continue
    found = scan.end()
    counters = responder.stop()
    assert_right(found, FLOWS)
    assert f"inputs: {FLOWS} read = {FLOWS} recorded (agree)" in found.stderr
    assert changes >= 4, changes
    assert status["moves"] >= 2 * changes
    assert status["restarts"] == 0
    # What is shown as sent was received there, whoever sent it and has ended since.
    assert_polite(counters)
    told = json.loads(metadata.read_text())
    on_the_wire = (
        counters["data"] + counters["bare_ack"] + counters["rst"] + counters["fin"] + counters["syn"]
    )
    assert told["packets"]["sent"] == on_the_wire
    print(f"{changes} changes, {status['moves']} shards moved, slowest {status['slowest_move']:.3f} s")


def test_steering(orderly: Range) -> None:
    """Pause, rate, drain; a count that cannot be; and the figures that follow."""
    count = 400_000  # more than can be begun before the first command comes
    responder = orderly.respond(first=FIRST, count=count, port=PORT, source=SCANNER, more=["--premade"])
    scan = Steered(orderly, count, "-w", "flow=2,collect=2", *QUICK)
    assert scan.ctl("pause") == "pause\n"
    paused = scan.until("paused", True)
    quiet = wait_quiet(scan)
    assert quiet["done"] < count
    assert quiet["bottleneck"].startswith("paused")
    assert settled(scan)["read"] >= paused["done"]
    done = scan.namespace.run(
        LZR, "ctl", "--socket", scan.socket, "workers", "flow=99", check=False, timeout=20
    )
    assert done.returncode == 1
    assert "at most 8 flow workers" in done.stderr
    assert scan.ctl("--wait", "workers", "flow=4", "collect=1").startswith("workers flow=4 collect=1")
    assert len(settled(scan)["workers"]) == 4
    assert [worker["shards"] for worker in scan.status()["workers"]] == [2, 2, 2, 2]
    for flow, spread in ((5, [1, 1, 2, 2, 2]), (3, [2, 3, 3])):
        scan.ctl("--wait", "workers", f"flow={flow}")
        assert sorted(worker["shards"] for worker in settled(scan)["workers"]) == spread
    assert scan.ctl("rate", "2000") == "rate 2000/s\n"
    assert scan.ctl("resume") == "resume\n"
    assert scan.until("paused", False)["rate_limit"] == 2000
    assert scan.ctl("drain") == "drain\n"
    assert scan.ctl("rate", "none") == "no rate limit\n"
    found = scan.end()
    responder.stop()
    assert found.returncode == 0, found.stderr
    assert len({(record["saddr"], record["sport"]) for record in found.records}) == len(found.records)
    assert "(agree)" in found.stderr


def wait_quiet(scan: Steered) -> dict[str, Any]:
    """The status, when nothing is in flight any more."""
    found: dict[str, Any] = {}

    def quiet() -> bool:
        found.update(scan.status())
        return bool(found["in_flight"] == 0)

    wait_for(quiet, "an end to what is in flight", 30)
    return found


def test_quit(orderly: Range) -> None:
    orderly.respond(first=FIRST, count=400_000, port=PORT, source=SCANNER, more=["--premade"])
    scan = Steered(orderly, 400_000, "-w", "flow=2", *QUICK)
    scan.until("done", 1000)
    assert scan.ctl("quit") == "quit\n"
    found = scan.end(20)
    assert not found.torn
    assert " interrupted (agree)" in found.stderr
    assert not scan.socket.exists()
