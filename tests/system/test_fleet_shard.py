"""`lzr fleet shard`: one scan, whoever calls for it and whoever is killed; nobody is asked from elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordinator.fleet import blockorderfile, lockfile, rundirectory, shardlookup
from coordinator.fleet.rundirectory import RunDirectory
from lzr import addresses
from lzr.fleet.blockorders import Order
from lzr.fleet.keptrecords import RECORD
from tests.faults import alive, lines_in, once_each, open_files, read, title
from tests.lab.capture import Capture, capture
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.madefleet import shard
from tests.system.test_e2e_responder import address, services
from tests.system.test_hosts_rights import TWO
from tests.unit.coordinator.doctor.test_doctor import everybodys  # noqa: F401

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

COUNT = 6000
OTHER = "10.1.0.77"
PLAN = f"""
name = "test"
responsible = "test"
seed = 4711
rate = {{rate}}
shards = {{shards}}
directory = "{{directory}}"
options = ["--retransmit-wait=0.3", "--timeout=6", "--cooldown=5"]
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

    def __init__(
        self,
        arena: Range,
        directory: Path,
        *,
        rate: int = 4000,
        what: str = 'input = "list"',
        shards: int = 16,
    ) -> None:
        self.arena, self.plan = arena, directory / "plan.toml"
        (directory / "list").write_text("".join(services(COUNT)))
        state = arena.lab.directory / "state"  # a short path, as sockets need
        self.plan.write_text(PLAN.format(directory=state, what=what, rate=rate, shards=shards))
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
        """The pids of the scans that hold the lock of this run's checkpoint."""
        return [pid for pid in self.holders() if title(pid).startswith("lzr: coord")]

    def holders(self) -> list[int]:
        """The pids of those that hold the lock of this run's checkpoint, without what they have forked."""
        found = {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError):
                if f"{self.files.checkpoint}/lock" in open_files(pid).values():
                    stat = Path(f"/proc/{pid}/stat").read_text()
                    found[pid] = int(stat.rpartition(")")[2].split()[1])
        return [pid for pid, parent in found.items() if parent not in found]

    def coordinator(self) -> int:
        found = wait_for(self.coordinators, "a scan", 60)
        assert len(found) == 1, [title(pid) for pid in found]
        return found[0]

    def ended(self, pid: int) -> None:
        wait_for(lambda: not rundirectory.is_running(self.files), "the end of all processes", 60)
        wait_for(lambda: not alive(pid), "the end of its coordinator", 60)

    def mine(self) -> set[str]:
        """The addresses of this box's shards."""
        return {
            address(index)
            for index in range(COUNT)
            if shard({"saddr": address(index), "sport": PORT}, 16) in self.run.shards
        }

    def dealt(self, hosts: set[str]) -> Any:
        """The shards of these hosts, as whoever merges the results tells them."""
        rows = np.zeros(len(hosts), RECORD)
        for row, host in zip(rows, hosts, strict=True):
            row["peer_hi"], row["peer_lo"] = addresses.parse(host)
        rows["peer_port"] = PORT
        return shardlookup.of(self.lock)(rows)

    def logs(self) -> list[str]:
        return [path.read_text()[-2000:] for path in Path(self.files.plan).rglob("log.txt")]

    def log(self) -> str:
        return Path(self.files.log).read_text()

    def whole(self) -> None:
        """Every target of this box has one record, and no other has one."""
        once_each(read(self.results), {(host, PORT) for host in self.mine()})


@pytest.fixture
def fleet(arena: Range, tmp_path: Path) -> Iterator[Fleet]:
    arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
    made = Fleet(arena, tmp_path, rate=1000)
    yield made
    for pid in made.holders():
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
    wait_for(lambda: lines_in(fleet.results) > 300, "records", 60)
    os.killpg(caller.pid, signal.SIGKILL)
    caller.wait(120)
    assert alive(pid)
    code, said = fleet.said(fleet.call("0"))
    assert (code, "here-g1 is done" in said) == (0, True), (said, fleet.log())
    fleet.whole()


def test_callers_that_are_killed_at_any_moment(fleet: Fleet) -> None:
    """While they look, while they start the scan, while they wait: there is one scan, and it is whole."""
    draw = random.Random(11)
    with capture(fleet.arena.far) as seen:
        for _ in range(8):
            callers = [fleet.call(str(number), start_new_session=True) for number in range(3)]
            with contextlib.suppress(subprocess.TimeoutExpired):
                callers[0].wait(draw.uniform(0.2, 1.2))
            assert len(fleet.coordinators()) <= 1
            for caller in callers:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(caller.pid, signal.SIGKILL)
                caller.communicate(timeout=120)
        code, said = fleet.said(fleet.call("--box", "here"))
        assert (code, "here-g1 is done" in said) == (0, True), (said, fleet.log())
        times = asked(seen)
    fleet.whole()
    assert set(times.values()) == {1}


def test_a_scan_that_was_killed_is_gone_on_with(fleet: Fleet) -> None:
    started = fleet.call("0")
    attached = fleet.call("1")
    pid = fleet.coordinator()
    wait_for(lambda: lines_in(fleet.results) > 500, "records", 60)
    os.kill(pid, signal.SIGKILL)
    for caller in (started, attached):
        code, said = fleet.said(caller)
        assert code not in (0, 2), said
        assert "was interrupted" in said
    code, said = fleet.said(fleet.call("3"))
    assert (code, "here-g1 is done" in said) == (0, True), (said, fleet.log())
    fleet.whole()


def asked(seen: Capture) -> Counter[tuple[str, str]]:
    """Of a capture: (who asked, whom), and how often in another run than before: by the source port."""
    ports = {(one.source, one.target, one.sport) for one in seen.stop() if one.letters == "S"}
    return Counter((source, target) for source, target, _ in ports)


def more_than(results: Path, lines: int) -> bool:
    return lines_in(results) > lines


@pytest.mark.parametrize("mode", ["list", "sweep"])
def test_random_kills_lose_nothing_and_ask_nobody_twice_beyond_a_second(
    arena: Range, tmp_path: Path, mode: str
) -> None:
    arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
    rate, draw = 1600, random.Random(5)
    swept = f'targets = ["{FIRST}-{address(COUNT - 1)}"]\ntarget-ports = {PORT}'
    fleet = Fleet(arena, tmp_path, rate=rate, what='input = "list"' if mode == "list" else swept)
    kills = 0
    with capture(arena.far) as seen:
        while True:
            before, caller = lines_in(fleet.results), fleet.call("--box", "here")
            if kills < 3:
                pid = fleet.coordinator()
                enough = before + draw.randrange(100, 900)
                wait_for(partial(more_than, fleet.results, enough), "records", 60)
                os.kill(pid, signal.SIGKILL)
                kills += 1
            code, said = fleet.said(caller)
            if code == 0:
                break
            assert "was interrupted" in said, fleet.log()
        times = asked(seen)
    mine = fleet.mine() if mode == "list" else {target for _, target in times}
    once_each(read(fleet.results), {(host, PORT) for host in mine})
    assert {source for source, _ in times} == {SCANNER}
    assert {target for _, target in times} == mine
    if mode == "sweep":
        assert len(mine) == COUNT * 12 // 16
        assert set(fleet.dealt(mine).tolist()) == set(fleet.run.shards)
    again = sum(count - 1 for count in times.values())
    assert again <= kills * 1.5 * rate * 3 / 4, again


def test_only_its_own_box_scans_a_shard(fleet: Fleet) -> None:
    with capture(fleet.arena.far) as seen:
        for words in (("15",), ("--box", "there")):
            code, said = fleet.said(fleet.call(*words))
            assert (code, OTHER in said) == (2, True), (said, fleet.log())
            assert said.count("\n") == 1
        assert not [one for one in seen.stop() if one.letters == "S"]
    assert fleet.said(fleet.call("16")) == (
        2,
        "lzr fleet shard: there is no shard 16: the plan has 0 to 15\n",
    )


def test_what_was_settled_is_what_is_scanned(fleet: Fleet) -> None:
    source = fleet.plan.with_name("list")
    source.write_text(source.read_text() + f"{address(7)}:{PORT + 1}\n")
    code, said = fleet.said(fleet.call("0"))
    assert (code, "is not the input that was settled" in said) == (2, True), said
    fleet.plan.write_text(fleet.plan.read_text().replace("4711", "4712"))
    code, said = fleet.said(fleet.call("0"))
    assert (code, "was changed since it was settled" in said) == (2, True), said


def test_orders_to_block_hold_from_the_first_packet_of_each_start(fleet: Fleet) -> None:
    first, second = "10.64.0.0/22", "10.64.8.0/22"
    rundirectory.make(fleet.lock, fleet.run)
    order = Order("0" * 16, (first,), "ticket 42", "ada", 1.0)
    blockorderfile.append(fleet.files.orders, [order])
    with capture(fleet.arena.far, more=f"and net {first}") as seen:
        caller = fleet.call("0")
        pid = fleet.coordinator()
        wait_for(lambda: lines_in(fleet.results) > 500, "records", 60)
        os.kill(pid, signal.SIGKILL)
        assert fleet.said(caller)[0] == 1
        blockorderfile.append(fleet.files.orders, [Order("1" * 16, (second,), "ticket 43", "ada", 2.0)])
        with capture(fleet.arena.far, more=f"and net {second}") as later:
            code, said = fleet.said(fleet.call("0"))
            assert code == 0, (said, fleet.log())
            assert not later.stop()
        assert not seen.stop()
    about = json.loads(Path(fleet.files.metadata).read_text())
    assert [(one["networks"], one["reason"], one["in_force"]) for one in about["blocks"]] == [
        ([first], "ticket 42", True), ([second], "ticket 43", True)
    ]  # fmt: skip


def test_a_box_ends_the_scan_of_shards_that_another_has(arena: Range, tmp_path: Path) -> None:
    arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
    fleet = Fleet(arena, tmp_path, rate=400)
    caller = fleet.call("0")
    pid = fleet.coordinator()
    wait_for(lambda: lines_in(fleet.results) > 50, "records", 60)

    def assign(*words: str) -> subprocess.CompletedProcess[str]:
        return fleet.arena.scanner.run(
            LZR, "fleet", "assign", fleet.plan, "--from", "here", "--to", "there", *words, check=False
        )

    for words, sentence in (
        ((), "here is scanning: end that first"),
        (("--force",), "--force needs a --reason"),
        (("--force", "--reason", "burnt down"), "nothing was changed; --yes does it"),
    ):
        done = assign(*words)
        assert done.returncode != 0
        assert sentence in done.stderr, done.stderr
    assert lockfile.read(str(fleet.plan)).generation == 1
    done = assign("--force", "--reason", "burnt down", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"there scans shards 0-11 from their beginning, from {OTHER}" in done.stdout
    assert "targets may be asked a second time, from another address" in done.stdout
    after = lockfile.read(str(fleet.plan))
    assert (after.generation, after.run_of(0).reason, after.id) == (2, "burnt down", fleet.lock.id)
    code, said = fleet.said(fleet.call("--box", "here"))
    assert (code, "the shards" in said or "no shard" in said) == (2, True), said
    fleet.ended(pid)
    assert fleet.said(caller)[0] != 0
    # Whoever comes with the lock of before is told what holds.
    old = fleet.plan.with_name("old.lock.json")
    lockfile.write(str(old), fleet.lock)
    process = fleet.arena.scanner.popen(
        LZR, "fleet", "shard", old, "--box", "here", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert fleet.said(process)[0] == 2
    assert not fleet.coordinators()


@pytest.mark.parametrize("uid", [0, 65534])
def test_plan_and_state_in_a_home_that_nobody_else_may_enter(
    arena: Range, everybodys: Path, uid: int
) -> None:
    """As root, and as a user with two capabilities, whose state is in the home."""
    arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
    with tempfile.TemporaryDirectory(dir="/tmp") as outer:
        home = Path(outer, "home")
        home.mkdir()
        Path(outer).chmod(0o755)
        (home / "list").write_text("".join(services(600)))
        plan = home / "plan.toml"
        text = PLAN.format(directory="/", what='input = "list"', rate=4000, shards=16)
        plan.write_text("\n".join(line for line in text.splitlines() if not line.startswith("directory")))
        for path in (home, plan, home / "list"):
            os.chown(path, uid, uid)
        home.chmod(0o700)
        rights = f"--ambient-caps={TWO}", f"--inh-caps={TWO}"
        become = (f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *(rights if uid else ()))
        environ = {"HOME": str(home), "PATH": os.environ["PATH"]}
        if not uid:
            plan.write_text(plan.read_text().replace("shards", f'directory = "{home}/state"\nshards', 1))

        def fleet(*words: str | Path) -> subprocess.CompletedProcess[str]:
            return arena.scanner.run(
                "setpriv", *become, everybodys, "fleet", *words, check=False, timeout=90, env=environ, cwd="/"
            )

        done = fleet("check", plan)
        assert done.returncode == 0, done.stderr
        done = fleet("shard", plan, "0")
        logs = [path.read_text() for path in home.rglob("log.txt")]
        assert (done.returncode, "here-g1 is done" in done.stdout) == (0, True), (done.stderr, logs)
        (results,) = home.rglob("results.json")
        assert len({record["saddr"] for record in read(results)}) == lines_in(results) > 400
        assert {path.stat().st_uid for path in home.rglob("*")} == {uid}
        assert fleet("shard", plan, "11").stdout == done.stdout


# --- ZMap in front ----------------------------------------------------------------------------------------


def zmap_fleet(arena: Range, directory: Path, rate: int, more: str = "") -> Fleet:
    """A plan of 1024 hosts in 4 shards of ZMap's, 3 of them this box's."""
    arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
    arena.scanner.run("ping", "-c", "1", "-W", "1", "10.1.0.1", check=False)  # ZMap asks for no gateway
    (directory / "no.conf").write_text("198.18.0.0/15\n")
    zmap = ["-p", str(PORT), "-c", "2", "10.64.0.0/22"]
    what = f'zmap = {json.dumps(zmap)}\nblocklist = "no.conf"\n{more}'
    return Fleet(arena, directory, rate=rate, what=what, shards=4)


def test_zmaps_shards_one_after_the_other(arena: Range, tmp_path: Path) -> None:
    """One is cut off on the way: it is begun anew, those before it are not."""
    fleet = zmap_fleet(arena, tmp_path, 800)
    done = Path(fleet.files.here, "zmap.jsonl")
    with capture(arena.far) as seen:
        callers = [fleet.call(str(number)) for number in range(3)]
        wait_for(lambda: done.exists() and lines_in(done) >= 1, "a shard of ZMap's", 60)
        wait_for(lambda: lines_in(fleet.results) > 100, "records of the next", 60)
        running = [pid for pid in fleet.holders() if "zmapruns" in title(pid)]
        assert len(running) == 1, [title(pid) for pid in fleet.holders()]
        os.kill(running[0], signal.SIGKILL)
        assert {code for code, _ in map(fleet.said, callers)} == {1}
        before = done.read_text()
        code, said = fleet.said(fleet.call("0"), 180)
        assert (code, "here-g1 is done" in said) == (0, True), (said, fleet.log()[-3000:])
        times = asked(seen)
    assert done.read_text().startswith(before)
    assert {source for source, _ in times} == {SCANNER}
    found = {record["saddr"] for record in read(fleet.results)}
    assert found == {target for _, target in times}
    assert 650 < len(found) < 880  # 3 of 4
    about = json.loads(Path(fleet.files.metadata).read_text())
    assert about["ending"] == {"status": 0, "how": "done", "failure": "", "unfinished": False}
    assert (about["options"]["shard"], about["options"]["plan_id"]) == ("0-2", fleet.lock.id)
    assert about["inputs"]["read"] >= len(found)


def test_an_order_to_block_reaches_zmap(arena: Range, tmp_path: Path) -> None:
    fleet, blocked = zmap_fleet(arena, tmp_path, 800), "10.64.2.0/23"
    caller = fleet.call("0")
    wait_for(lambda: lines_in(fleet.results) > 30, "records", 60)
    blockorderfile.append(fleet.files.orders, [Order("0" * 16, (blocked,), "ticket 42", "ada", 1.0)])
    wait_for(
        lambda: blocked in Path(fleet.files.here, "zmap-blocklist.conf").read_text(), "its blocklist", 30
    )
    with capture(arena.far) as seen:
        code, said = fleet.said(caller, 180)
        assert code == 0, (said, fleet.log()[-3000:])
        assert not [one for one in seen.stop() if one.target.startswith(("10.64.2.", "10.64.3."))]


def test_another_box_takes_over_from_its_own_address(fleet: Fleet) -> None:
    """Both boxes are this machine, which gets the other's address when that has been given the shards."""
    caller = fleet.call("0")
    pid = fleet.coordinator()
    wait_for(partial(more_than, fleet.results, 400), "records", 60)
    os.kill(pid, signal.SIGKILL)
    assert fleet.said(caller)[0] != 0
    given = fleet.arena.scanner.run(
        LZR, "fleet", "assign", fleet.plan, "--from", "here", "--to", "there", "--yes", timeout=90
    )
    assert "about " in given.stdout
    fleet.arena.scanner.ip("addr", "add", f"{OTHER}/32", "dev", "eth0")
    with capture(fleet.arena.far) as seen:
        code, said = fleet.said(fleet.call("--box", "here"))
        assert (code, "the shards" in said or "no shard" in said) == (2, True), said
        code, said = fleet.said(fleet.call("0"))
        assert (code, "there-g2 is done" in said) == (0, True), (said, fleet.logs())
        code, said = fleet.said(fleet.call("--box", "there"))
        assert (code, "there-g2 is done" in said) == (0, True), (said, fleet.logs())
        times = asked(seen)
    assert {source for source, _ in times} == {OTHER}
    after = lockfile.read(str(fleet.plan))
    found = [read(Path(rundirectory.of_run(after, run).results)) for run in after.current]
    assert [run.name for run in after.current] == ["there-g1", "there-g2"]
    once_each([*found[0], *found[1]], {(address(index), PORT) for index in range(COUNT)})
    about = json.loads(Path(rundirectory.of_run(after, after.current[1]).metadata).read_text())
    assert (about["options"]["generation"], about["options"]["source_ips"]) == (2, [OTHER])
