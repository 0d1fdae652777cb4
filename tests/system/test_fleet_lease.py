"""Boxes that a cut link takes from their controller end by themselves, and only then others scan for them."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.fleet import leasefile, lockfile
from coordinator.fleet.rundirectory import RunDirectory, is_running
from lzr.fleet import lease
from tests.lab.boxes import Box, Boxes
from tests.lab.capture import capture
from tests.lab.net import Lab, lab, wait_for
from tests.lab.responder import PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.system.test_fleet_shard import zmap_fleet

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

COUNT = 4096
FIRST = "10.64.0.0"
OPTIONS = '["-handshakes", "http", "-rt", "0.5", "-t", "6", "-c", "5", "-w", "2"]'
PLAN = f'targets = ["{FIRST}/20"]\ntarget-ports = "{PORT}"\noptions = {OPTIONS}\nseed = 7\nrate = 45\n'
LEASE = "lease = 30\n"


@pytest.fixture
def made() -> Iterator[Lab]:
    with lab() as found:
        yield found


def count_all(box: Box) -> None:
    """Count every packet of this box at its Internet, those of open connections among them."""
    hook = "type filter hook ingress device eth0 priority -20; policy accept;"
    rule = f"ip saddr {box.source} ip protocol tcp counter"
    box.far.nft(f"table netdev every {{\n chain in {{\n {hook}\n {rule}\n }}\n}}\n")


def sent(box: Box) -> int:
    text = box.far.run("nft", "-j", "list", "table", "netdev", "every").stdout
    rule = next(one["rule"] for one in json.loads(text)["nftables"] if "rule" in one)
    return int(next(part["counter"]["packets"] for part in rule["expr"] if "counter" in part))


def run_of(box: Box) -> Path:
    return next(box.state.glob("*/*-g1"))


def test_a_box_that_is_away_ends_its_scan_and_others_may_have_its_shards(made: Lab) -> None:
    boxes = Boxes(made, 3, PLAN + LEASE)
    boxes.settle()
    boxes.respond(FIRST, COUNT)
    away = fra1, lon1 = boxes["fra1"], boxes["lon1"]
    for box in boxes.boxes:
        count_all(box)
        boxes.work(box)
    controller = boxes.start()
    boxes.until(lambda: all(sent(box) > 50 for box in boxes.boxes), "all boxes scan")
    for box in away:
        boxes.cut(box)
    cut = [sent(box) for box in away]
    words = ("fleet", "assign", boxes.plan, "--from", "fra1", "--to", "ams1", "--yes")

    def assigned() -> subprocess.CompletedProcess[str]:
        return boxes.lzr(*words, check=False)

    boxes.until(lambda: "its lease is over at" in assigned().stderr, "the cut link is noticed")
    assert all(sent(box) > had + 50 for box, had in zip(away, cut, strict=True)), "they scan on"

    def over(box: Box) -> bool:
        """Its scan has ended, and may not be begun again: it may not have been told of the last renewal."""
        kept = json.loads((run_of(box).parent / "lease.json").read_text())["until"]
        return (
            not is_running(RunDirectory("", str(run_of(box)))) and leasefile.uptime() > kept - lease.RESERVE
        )

    boxes.until(lambda: over(fra1) and over(lon1), "both end")
    ended = sent(fra1)
    left = leasefile.free_in(str(boxes.plan), lockfile.read(lockfile.beside(str(boxes.plan))), "fra1")
    since = time.time() - (run_of(fra1) / "metadata.json").stat().st_mtime
    assert left is not None
    assert left + since > 0, "the controller's lease is over later than the box itself has ended"
    ending = json.loads((run_of(fra1) / "metadata.json").read_text())["ending"]
    assert ending == {
        "status": lease.INTERRUPTED, "how": "interrupted", "failure": lease.OVER, "unfinished": True
    }  # fmt: skip
    assert lease.OVER in (run_of(fra1) / "log.txt").read_text()
    here = boxes.state / run_of(fra1).parent.name / "plan.lock.json"
    again = boxes.inside(
        fra1, LZR, "fleet", "shard", here, "--box", "fra1",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    out, err = again.communicate(timeout=120)
    assert (again.returncode, "does not go on" in out) == (1, True), out + err
    boxes.mend(lon1)
    had = sent(lon1)
    boxes.until(lambda: sent(lon1) > had + 20, "who is back goes on")
    boxes.until(lambda: assigned().returncode == 0, "the lease is over")
    boxes.until(lambda: "generation 2: ams1 has" in boxes.said(), "the new generation is taken up")
    boxes.mend(fra1)
    boxes.until(lambda: boxes.state_of("fra1").get("connected"), "the box is back")
    boxes.hurry()
    assert controller.wait(120) == 0, boxes.said()
    assert sent(fra1) == ended
    found = {record["saddr"] for name in ("ams1", "lon1") for record in boxes.results(name)}
    assert len(found) == COUNT


def test_a_controller_that_is_killed_and_comes_back_within_a_lease_goes_unnoticed(made: Lab) -> None:
    """What is left of the lease is shown, and told on by the next controller before it is over."""
    boxes = Boxes(made, 2, PLAN + "lease = 60\n")
    boxes.settle()
    boxes.respond(FIRST, COUNT)
    for box in boxes.boxes:
        count_all(box)
        boxes.work(box)

    def left() -> list[float]:
        """What the boxes themselves have kept."""
        kept = [json.loads(next(box.state.glob("*/lease.json")).read_text()) for box in boxes.boxes]
        return [one["until"] - leasefile.uptime() for one in kept]

    controller = boxes.start()
    boxes.until(lambda: all(sent(box) > 50 for box in boxes.boxes), "both boxes scan")
    boxes.until(lambda: all(45 < (one.get("lease") or 0) <= 60 for one in boxes.status()["boxes"]), "leases")
    assert boxes.lzr("fleet", "status", boxes.plan).stdout.count(", lease for ") == 2
    controller.kill()
    controller.wait(120)
    boxes.until(lambda: max(left()) < 40, "a third of the lease is over")
    assert min(left()) > lease.RESERVE
    controller = boxes.start()
    boxes.until(lambda: min(left()) > 45, "it is renewed")
    boxes.until(lambda: boxes.said().count("goes on with its run") == 2, "both are attended to")
    boxes.hurry()
    assert controller.wait(120) == 0, boxes.said()
    for box in boxes.boxes:
        assert json.loads((run_of(box) / "metadata.json").read_text())["ending"]["how"] == "done"
    found = Counter(record["saddr"] for box in boxes.boxes for record in boxes.results(box.name))
    assert (len(found), set(found.values())) == (COUNT, {1})
    assert sent(boxes["ams1"]) > 0
    assert lease.OVER not in boxes.said()


def test_boxes_whose_lease_could_not_be_renewed_go_on_when_it_can(made: Lab) -> None:
    """As where the controller's disk was full for a while: none is given up, and none is asked in vain."""
    boxes = Boxes(made, 2, PLAN + LEASE)
    boxes.settle()
    boxes.respond(FIRST, COUNT)
    for box in boxes.boxes:
        count_all(box)
        boxes.work(box)
    controller = boxes.start()
    boxes.until(lambda: all(sent(box) > 50 for box in boxes.boxes), "both boxes scan")
    written = boxes.directory / "plan.leases.json"
    kept = boxes.directory / "kept"
    written.rename(kept)
    written.mkdir()  # in the place of which no file can be put
    boxes.until(lambda: "no lease is renewed" in boxes.said(), "it is said")
    boxes.until(lambda: boxes.said().count("has run out: no controller has renewed it") >= 4, "both end")
    had = [sent(box) for box in boxes.boxes]
    boxes.until(lambda: all(one.get("lease") == 0 for one in boxes.status()["boxes"]), "the leases are over")
    wait_until = leasefile.uptime() + 6
    boxes.until(lambda: leasefile.uptime() > wait_until, "it could have tried again three times")
    assert boxes.said().count("goes on with its run") == 0, boxes.said()
    assert [sent(box) for box in boxes.boxes] == had
    written.rmdir()
    boxes.until(lambda: boxes.said().count("goes on with its run") == 2, "both go on")
    boxes.hurry()
    assert controller.wait(120) == 0, boxes.said()
    assert len({record["saddr"] for box in boxes.boxes for record in boxes.results(box.name)}) == COUNT


def test_zmap_ends_with_the_lease_too(arena: Range, tmp_path: Path) -> None:
    """And nothing begins without one."""
    fleet = zmap_fleet(arena, tmp_path, 12, "lease = 60\n")  # more than a minute, were there a lease for it
    code, said = fleet.said(fleet.call("0"))
    assert (code, "has no lease" in said) == (1, True), said
    now, clock = leasefile.now(), time.time()
    leasefile.take(fleet.lock, now.boot, now.up - 35)
    with capture(arena.far) as seen:
        caller = fleet.call("0")
        wait_for(lambda: len(lines(fleet.results)) > 10, "records", 60)
        code, said = fleet.said(caller)
        sent = [
            one.time for one in seen.stop() if one.source == SCANNER and one.letters != "R"
        ]  # the kernel's
    assert max(sent) < clock + 60 - 35
    assert (code, "was interrupted" in said, lease.OVER in said) == (lease.INTERRUPTED, True, True), said
    assert not fleet.holders()
    code, said = fleet.said(fleet.call("0"))
    assert (code, "does not go on" in said) == (1, True), said


def lines(path: str | Path) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
