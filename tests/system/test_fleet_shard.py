"""`lzr fleet shard`: one scan, whoever calls for it and whoever is killed; nobody is asked from elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.fleet import lockfile, rundirectory
from coordinator.fleet.rundirectory import RunDirectory
from tests.faults import alive, lines_in, once_each, read, title
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.madefleet import shard
from tests.system.test_e2e_responder import address, services

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

COUNT = 6000
OTHER = "10.1.0.77"
PLAN = f"""
name = "test"
responsible = "test"
seed = 4711
rate = {{rate}}
shards = 16
directory = "{{directory}}"
options = ["--retransmit-wait=0.3", "--timeout=0.6", "--cooldown=2"]
{{what}}

[[box]]
name = "here"
source = "{SCANNER}"
interface = "eth0"
weight = 3

[[box]]
name = "there"
source = "{OTHER}"
"""


class Fleet:
    """A plan of two boxes, of which the scanner's namespace is `here`."""

    def __init__(self, arena: Range, directory: Path, *, rate: int = 4000, what: str = "") -> None:
        self.arena, self.plan = arena, directory / "plan.toml"
        (directory / "list").write_text("".join(services(COUNT)))
        self.plan.write_text(
            PLAN.format(directory=directory / "state", what=what or 'input = "list"', rate=rate)
        )
        made = arena.scanner.run(LZR, "fleet", "check", self.plan)
        self.lock = lockfile.read(str(self.plan))
        assert f"plan id {self.lock.id}, generation 1" in made.stdout
        self.run = self.lock.runs_of("here")[0]
        self.files: RunDirectory = rundirectory.of_run(self.lock, self.run)
        self.results = Path(self.files.results)

    def call(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return self.arena.scanner.popen(LZR, "fleet", "shard", self.plan, *words, **pipes, **more)

    def said(self, process: subprocess.Popen[str], seconds: float = 90) -> tuple[int, str]:
        out, wrong = process.communicate(timeout=seconds)
        return process.returncode, out + wrong

    def coordinators(self) -> list[int]:
        """The pids of those that hold the lock of this run's checkpoint, without what they have forked."""
        found = {}
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if entry.isdigit() and Path(f"/proc/{entry}/comm").read_text().startswith("lzr: coord"):
                    held = [
                        os.readlink(f"/proc/{entry}/fd/{name}") for name in os.listdir(f"/proc/{entry}/fd")
                    ]
                    if f"{self.files.checkpoint}/lock" in held:
                        stat = Path(f"/proc/{entry}/stat").read_text()
                        found[int(entry)] = int(stat.rpartition(")")[2].split()[1])
        return [pid for pid, parent in found.items() if parent not in found]

    def coordinator(self) -> int:
        found = wait_for(self.coordinators, "a scan", 30)
        assert len(found) == 1, [title(pid) for pid in found]
        return found[0]

    def log(self) -> str:
        return Path(self.files.log).read_text()

    def whole(self) -> None:
        """Every target of this box has one record, and no other has one."""
        found = read(self.results)
        mine = {
            index
            for index in range(COUNT)
            if shard({"saddr": address(index), "sport": PORT}, 16) in self.run.shards
        }
        once_each(found, {(address(index), PORT) for index in mine})


@pytest.fixture
def fleet(arena: Range, tmp_path: Path) -> Iterator[Fleet]:
    arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
    made = Fleet(arena, tmp_path)
    yield made
    for pid in made.coordinators():
        os.kill(pid, signal.SIGKILL)


def test_many_call_and_there_is_one_scan(fleet: Fleet) -> None:
    callers = [fleet.call(str(number)) for number in fleet.run.shards[:12]]
    fleet.coordinator()
    ended = [fleet.said(caller) for caller in callers]
    assert Counter(status for status, _ in ended) == {0: 12}, (ended, fleet.log())
    assert len({sentence for _, sentence in ended}) == 1, ended
    assert "here-g1 is done" in ended[0][1]
    fleet.whole()
    sent = fleet.arena.scanner.run("cat", "/sys/class/net/eth0/statistics/tx_packets").stdout
    again = fleet.said(fleet.call("--box", "here"))
    assert again == ended[0]
    after = fleet.arena.scanner.run("cat", "/sys/class/net/eth0/statistics/tx_packets").stdout
    assert int(after) - int(sent) < 20
    about = json.loads(Path(fleet.files.metadata).read_text())
    assert (about["options"]["plan_id"], about["options"]["generation"]) == (fleet.lock.id, 1)
    assert about["options"]["shard"] == "0-11"
    assert about["input"]["sha256"] == fleet.lock.input_sha256


def test_it_outlives_who_started_it(fleet: Fleet) -> None:
    caller = fleet.call("--box", "here", start_new_session=True)
    pid = fleet.coordinator()
    wait_for(lambda: lines_in(fleet.results) > 300, "records", 30)
    os.killpg(caller.pid, signal.SIGKILL)
    caller.wait(10)
    assert alive(pid)
    code, said = fleet.said(fleet.call("0"))
    assert (code, "here-g1 is done" in said) == (0, True), (said, fleet.log())
    fleet.whole()


def test_a_scan_that_was_killed_is_gone_on_with(fleet: Fleet) -> None:
    started = fleet.call("0")
    attached = fleet.call("1")
    pid = fleet.coordinator()
    wait_for(lambda: lines_in(fleet.results) > 500, "records", 30)
    os.kill(pid, signal.SIGKILL)
    for caller in (started, attached):
        code, said = fleet.said(caller)
        assert code not in (0, 2), said
        assert "was interrupted" in said
    code, said = fleet.said(fleet.call("3"))
    assert (code, "here-g1 is done" in said) == (0, True), (said, fleet.log())
    fleet.whole()
