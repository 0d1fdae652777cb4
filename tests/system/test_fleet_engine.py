"""Two boxes and their controller, as real processes in namespaces, over TLS: begun, left, killed, blocked."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.fleet import lockfile
from coordinator.fleet.engine import controllerclient
from coordinator.fleet.rundirectory import RunDirectory, is_running
from tests.lab.boxes import Box, Boxes, packets
from tests.lab.net import Lab, lab, run
from tests.lab.responder import PORT

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

COUNT = 4096
FIRST = "10.64.0.0"
OPTIONS = '["-handshakes", "http", "-rt", "0.5", "-t", "6", "-c", "5", "-w", "2"]'
PLAN = f'targets = ["{FIRST}/20"]\ntarget-ports = "{PORT}"\noptions = {OPTIONS}\nseed = 7\n'
BLOCKED = "10.64.8.0/21"


@pytest.fixture
def made() -> Iterator[Lab]:
    with lab() as found:
        yield found


def begun(made: Lab, rate: int, count: int = 2) -> Boxes:
    """Workers that wait for a controller. rate: of all; 60 leave 68 s for what is done meanwhile."""
    boxes = Boxes(made, count, f"{PLAN}rate = {rate}\n")
    boxes.settle()
    boxes.respond(FIRST, COUNT)
    for box in boxes.boxes:
        boxes.work(box)
    return boxes


def scan_of(box: Box) -> Path:
    """The directory of its run."""
    return next(box.state.glob("*/*-g1"))


def coordinator_of(box: Box) -> int:
    """The process that listens at the control socket of its scan."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(scan_of(box) / "control.sock"))
        return struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def asked(boxes: Boxes) -> Counter[str]:
    """How often each address has a record, over all boxes."""
    return Counter(record["saddr"] for box in boxes.boxes for record in boxes.results(box.name))


def test_the_controller_is_killed_and_everything_goes_on(made: Lab) -> None:
    boxes = begun(made, 60)
    controller = boxes.start()
    boxes.until(lambda: all(packets(box)[0] > 50 for box in boxes.boxes), "both boxes scan")
    controller.kill()
    controller.wait(120)
    before = [packets(box)[0] for box in boxes.boxes]
    boxes.until(
        lambda: all(packets(box)[0] > had + 50 for box, had in zip(boxes.boxes, before, strict=True)),
        "both go on without a controller",
    )
    controller = boxes.start()
    boxes.until(lambda: boxes.said().count("goes on with its run") == 2, "both are attended to")
    boxes.hurry()
    assert controller.wait(120) == 0, boxes.said()
    assert set(asked(boxes).values()) == {1}
    assert sum(asked(boxes).values()) == COUNT
    assert [packets(box)[1] for box in boxes.boxes] == [0, 0]
    assert sum(packets(box)[0] for box in boxes.boxes) == COUNT


def test_blocked_everywhere_and_a_box_that_is_away_gets_it_first(made: Lab) -> None:
    boxes = begun(made, 60)
    ams1, fra1 = boxes.boxes
    for box in boxes.boxes:
        box.far.nft(
            "table netdev blocked {\n chain in {\n type filter hook ingress device eth0 priority -20; "
            f"policy accept;\n ip daddr {BLOCKED} counter\n }}\n}}\n"
        )

    def to_blocked(box: Box) -> int:
        text = box.far.run("nft", "-j", "list", "table", "netdev", "blocked").stdout
        rule = next(one["rule"] for one in json.loads(text)["nftables"] if "rule" in one)
        return int(next(part["counter"]["packets"] for part in rule["expr"] if "counter" in part))

    controller = boxes.start()
    boxes.until(lambda: all(to_blocked(box) > 20 for box in boxes.boxes), "both boxes scan")
    boxes.cut(fra1)
    boxes.until(lambda: boxes.state_of("fra1").get("silent"), "the cut link is noticed")
    told = boxes.lzr("fleet", "block", boxes.plan, BLOCKED, "--reason", "ticket", "42", check=False)
    had = to_blocked(ams1)
    assert told.returncode == 1
    assert f"blocked {BLOCKED}: confirmed by ams1" in told.stdout
    assert "fra1: " in told.stderr
    assert "ams1" not in told.stderr
    controller.kill()  # what it has promised fra1, the next one keeps
    controller.wait(120)
    away = to_blocked(fra1)
    boxes.until(lambda: to_blocked(fra1) > away + 5, "nobody has told the box that is away")
    controller = boxes.start()
    boxes.mend(fra1)
    boxes.until(lambda: boxes.state_of("fra1").get("lacks") == [], "the order arrives")
    later = to_blocked(fra1)
    order = boxes.status()["orders"][0]
    assert (order["networks"], order["reason"]) == ([BLOCKED], "ticket 42")
    assert order["confirmed"] == ["ams1", "fra1"]
    boxes.hurry()
    assert controller.wait(120) == 0, boxes.said()
    assert (to_blocked(ams1), to_blocked(fra1)) == (had, later)
    blocks = json.loads((scan_of(fra1) / "metadata.json").read_text())["blocks"]
    assert [one["networks"] for one in blocks] == [[BLOCKED]]


@pytest.mark.parametrize("what", ["lzr: coordinato", "lzr:forkserver"])
def test_a_scan_that_loses_a_process_goes_on_without_being_asked(made: Lab, what: str) -> None:
    boxes = begun(made, 60)
    fra1 = boxes["fra1"]
    controller = boxes.start()
    boxes.until(lambda: all(len(boxes.results(box.name)) > 50 for box in boxes.boxes), "both boxes scan")
    pids = fra1.namespace.pids()
    pid = next(pid for pid in pids if Path(f"/proc/{pid}/comm").read_text() == f"{what}\n")
    os.kill(pid, 9)
    boxes.until(lambda: "fra1: goes on with its run" in boxes.said(), "it is gone on with")
    boxes.hurry()
    assert controller.wait(90) == 0, boxes.said()
    assert set(asked(boxes).values()) == {1}
    assert sum(asked(boxes).values()) == COUNT
    assert [packets(box)[1] for box in boxes.boxes] == [0, 0]


def test_a_killed_scan_is_gone_on_with_on_its_box_alone(made: Lab) -> None:
    boxes = begun(made, 60)
    fra1 = boxes["fra1"]
    controller = boxes.start()
    boxes.until(lambda: all(len(boxes.results(box.name)) > 100 for box in boxes.boxes), "both boxes scan")
    os.kill(coordinator_of(fra1), 9)
    assert fra1.worker is not None
    fra1.worker.kill()  # and who attended to it
    fra1.worker.wait(120)
    boxes.until(lambda: boxes.state_of("fra1").get("connected") is False, "the box is missed")
    had = packets(fra1)[0]
    others = len(boxes.results("ams1"))
    boxes.until(lambda: len(boxes.results("ams1")) > others + 100, "the other goes on")
    assert packets(fra1) == (had, 0)
    boxes.work(fra1)
    boxes.until(lambda: "fra1: goes on with its run" in boxes.said(), "it is gone on with")
    boxes.hurry()
    assert controller.wait(90) == 0, boxes.said()
    assert set(asked(boxes).values()) == {1}
    assert sum(asked(boxes).values()) == COUNT
    assert [packets(box)[1] for box in boxes.boxes] == [0, 0]


def test_shards_are_given_away_by_hand_while_the_controller_runs(made: Lab) -> None:
    boxes = begun(made, 60)
    ams1, fra1 = boxes.boxes
    controller = boxes.start()
    boxes.until(lambda: all(len(boxes.results(box.name)) > 100 for box in boxes.boxes), "both boxes scan")
    boxes.cut(fra1)
    boxes.until(lambda: boxes.state_of("fra1").get("silent"), "the cut link is noticed")
    os.kill(coordinator_of(fra1), 9)
    ran = RunDirectory("", str(scan_of(fra1)))
    boxes.until(lambda: not is_running(ran), "all of the scan is gone")
    had = packets(fra1)[0]
    boxes.lzr(
        "fleet",
        "assign",
        boxes.plan,
        "--from",
        "fra1",
        "--to",
        "ams1",
        "--force",
        "--reason",
        "gone",
        "--yes",
    )
    boxes.until(lambda: boxes.said().count("generation 2: ams1 has"), "the new generation is taken up")
    boxes.mend(fra1)
    boxes.until(lambda: boxes.state_of("fra1").get("connected"), "the box is back")
    boxes.hurry()
    assert controller.wait(90) == 0, boxes.said()
    assert packets(fra1) == (had, 0)  # it came back, and does not go on with what is not its own any more
    assert packets(ams1)[1] == 0
    found = Counter(record["saddr"] for record in boxes.results("ams1"))
    assert len(found) == COUNT
    assert set(found.values()) == {1}


def test_a_box_is_drained_and_the_others_get_its_rate(made: Lab) -> None:
    boxes = begun(made, 60)
    ams1, fra1 = boxes.boxes
    controller = boxes.start()
    boxes.until(lambda: all(packets(box)[0] > 20 for box in boxes.boxes), "both boxes scan")

    def limit(name: str) -> float | None:
        found: float | None = (boxes.state_of(name).get("status") or {}).get("rate_limit")
        return found

    boxes.until(lambda: limit("ams1") == limit("fra1") == 30, "each has its share")
    told = boxes.lzr("fleet", "pause", boxes.plan)
    assert told.stdout == "pause: ams1, fra1\n"
    boxes.until(lambda: boxes.state_of("fra1")["status"]["paused"], "it pauses")
    boxes.lzr("fleet", "resume", boxes.plan, "--box", "ams1")
    before = packets(ams1)[0]
    boxes.until(lambda: packets(ams1)[0] > before + 10, "one goes on alone")
    assert boxes.state_of("fra1")["status"]["paused"]
    boxes.lzr("fleet", "resume", boxes.plan)
    boxes.lzr("fleet", "drain", boxes.plan, "--box", "fra1")
    boxes.until(lambda: boxes.state_of("fra1").get("ended"), "it ends")
    boxes.until(lambda: limit("ams1") == 60, "the other has it all")
    assert boxes.lzr("fleet", "rate", boxes.plan, "x40", check=False).stdout == "ams1: 2400/s\n"
    assert controller.wait(120) == 1, boxes.said()
    assert len(boxes.results("ams1")) == COUNT // 2, boxes.said()
    assert 0 < len(boxes.results("fra1")) < COUNT // 2
    assert packets(fra1)[0] == len(boxes.results("fra1"))


def test_blocking_does_not_wait_for_a_controller(made: Lab) -> None:
    boxes = begun(made, 60)
    controller = boxes.start()
    boxes.until(lambda: all(packets(box)[0] > 50 for box in boxes.boxes), "both boxes scan")
    controller.kill()
    controller.wait(120)
    told = boxes.lzr("fleet", "block", boxes.plan, BLOCKED, "--reason", "now")
    assert told.stdout.startswith(f"blocked {BLOCKED}: confirmed by ")
    assert "this is one" in told.stderr
    for box in boxes.boxes:
        boxes.inside(box, "true")
        orders = next(box.state.glob("*/blocks.jsonl")).read_text()
        assert json.loads(orders)["reason"] == "now"


def test_what_is_done_to_a_plan_at_work_stops_nobody_from_stopping_it(made: Lab) -> None:
    """It is edited and settled anew, another controller is started, another user asks the one that runs."""
    boxes = begun(made, 60, 1)
    controller = boxes.start()
    ams1 = boxes["ams1"]
    boxes.until(lambda: packets(ams1)[0] > 20, "it scans")
    boxes.plan.write_text(boxes.plan.read_text().replace("rate = 60", "rate = 300"))
    lock = boxes.lock.read_bytes()
    for words, why in (
        (("check", boxes.plan, "--overwrite"), "lzr fleet start runs here by"),
        (("start", boxes.plan), "was changed since it was settled"),
        (("start", boxes.lock), "a controller runs there already"),
    ):
        done = boxes.lzr("fleet", *words, check=False)
        assert (done.returncode, done.stdout.count("begins")) == (2, 0), done
        assert why in done.stderr
    assert boxes.lock.read_bytes() == lock
    blocked = boxes.lzr("fleet", "block", boxes.plan, BLOCKED, "--reason", "mail", check=False)
    assert (blocked.returncode, blocked.stderr) == (0, "")
    socket_of = controllerclient.where(lockfile.settled(str(boxes.plan)))
    other = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    refused = boxes.controller.run(*nobody, "/usr/bin/python3", "-c", other, socket_of, check=False)
    assert "PermissionError" in refused.stderr
    assert boxes.lzr("fleet", "quit", boxes.plan, check=False).returncode == 0
    assert controller.wait(120) == 1, boxes.said()
    assert packets(ams1)[1] == 0


def test_a_disk_that_was_full_is_gone_on_with_when_there_is_room(made: Lab) -> None:
    """Nobody is asked again and again; what lies behind the last checkpoint is no obstacle."""
    boxes = Boxes(made, 1, f"{PLAN}rate = 200\n")
    ams1 = boxes["ams1"]
    run("mount", "-t", "tmpfs", "-o", "size=270m,mode=755", "tmpfs", ams1.state)
    boxes.settle()
    boxes.respond(FIRST, COUNT)
    boxes.work(ams1)
    controller = boxes.start()
    boxes.until(lambda: len(boxes.results("ams1")) > 100, "it scans")
    filler = os.open(ams1.state / "filler", os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(filler, b"\0" * 65536)
    assert controller.wait(90) == 1, boxes.said()
    assert "MB are left for its results" in boxes.said()
    os.close(filler)
    (ams1.state / "filler").unlink()
    with (scan_of(ams1) / "results.json").open("ab") as results:  # as if long after its checkpoint
        results.write(b"{}\n")
        os.utime(results.fileno(), (time.time() + 60, time.time() + 60))
    controller = boxes.start()
    boxes.until(lambda: len(boxes.results("ams1")) > 600, "it goes on")
    boxes.hurry()
    assert controller.wait(90) == 0, boxes.said()
    assert set(asked(boxes).values()) == {1}
    assert sum(asked(boxes).values()) == COUNT
