"""Results of three real boxes: fetched over TLS while they scan, whoever is killed, and made one."""

from __future__ import annotations

import hashlib
import json
import os
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.lab.boxes import Boxes, packets
from tests.lab.net import Lab, lab
from tests.lab.responder import PORT
from tests.lab.scan import LZR
from tests.system.test_fleet_engine import coordinator_of

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

COUNT = 3000
FIRST = "10.64.0.0"
OPTIONS = '["-handshakes", "http", "-rt", "0.5", "-t", "6", "-c", "5", "-w", "2"]'
PLAN = f'input = "list"\noptions = {OPTIONS}\nseed = 7\nshards = 12\nrate = 40\n'


@pytest.fixture
def made() -> Iterator[Lab]:
    with lab() as found:
        yield found


def test_fetched_merged_and_accounted_for(made: Lab) -> None:
    boxes = Boxes(made, 3, PLAN)
    targets = "".join(f"10.64.{n >> 8}.{n & 255}:{PORT}\n" for n in range(COUNT))
    (boxes.directory / "list").write_text(targets + "no target\n")
    boxes.settle()
    boxes.respond(FIRST, COUNT)
    for box in boxes.boxes:
        boxes.work(box)
    results = boxes.directory / "plan.results"
    controller = boxes.start("--metrics-port", "9500")

    def fetched() -> int:
        return sum(path.stat().st_size for path in results.glob("*-g1.json"))

    boxes.until(lambda: fetched() > 20_000, "some results are here")
    boxes.until(lambda: all(box["status"] for box in boxes.status()["boxes"]), "all tell how they are")
    page = boxes.controller.call(
        lambda: urllib.request.urlopen("http://127.0.0.1:9500/metrics", timeout=120).read().decode()
    )
    for box in boxes.boxes:
        assert f'lzr_fleet_box_heard{{box="{box.name}"}} 1' in page
        assert f'lzr_phase{{box="{box.name}",phase="' in page
    with boxes.controller.popen(
        LZR, "fleet", "watch", boxes.plan, stdout=-1, stderr=-1, text=True, env=made.environment
    ) as watch:
        assert watch.stdout is not None
        line = watch.stdout.readline()
        watch.terminate()
        assert watch.wait(120) == 0, watch.communicate()
    assert line.startswith("test "), line
    assert all(f"; {box.name}: running " in line for box in boxes.boxes), line
    controller.kill()
    controller.wait(120)
    os.kill(coordinator_of(boxes["fra1"]), 9)  # nobody is there to see it
    controller = boxes.start("--metrics-port", "9500")
    boxes.until(lambda: boxes.status()["boxes"], "it can be asked")
    boxes.lzr("fleet", "rate", boxes.plan, "20k", check=False)  # who is not back yet is told then
    assert controller.wait(90) == 0, boxes.said()

    for box in boxes.boxes:
        (own,) = box.state.glob("*/*-g1/results.json")
        assert (results / f"{box.name}-g1.json").read_bytes() == own.read_bytes()
        assert packets(box)[1] == 0
    done = boxes.lzr("fleet", "merge", boxes.plan, "-o", boxes.directory / "all.json")
    assert f"inputs: {COUNT + 1:,}; " in done.stderr
    assert "+ 1 that are no target = 3,001: each has its fate once" in done.stderr
    found = [json.loads(line) for line in (boxes.directory / "all.json").read_text().splitlines()]
    assert Counter(record["saddr"] for record in found) == Counter(
        line.partition(":")[0] for line in targets.splitlines()
    )
    files = sorted(results.glob("*-g1.json"), reverse=True)
    boxes.lzr("fleet", "merge", boxes.plan, "-o", boxes.directory / "again.json", *files)
    sums = {
        hashlib.sha256((boxes.directory / name).read_bytes()).hexdigest()
        for name in ("all.json", "again.json")
    }
    assert len(sums) == 1


def test_what_a_box_found_that_does_not_come_back_stays(made: Lab) -> None:
    """Its shards are assigned to another by hand; what was fetched of it is in the one result, and each host
    that both have asked is there once."""
    boxes = Boxes(made, 2, PLAN)
    targets = "".join(f"10.64.{n >> 8}.{n & 255}:{PORT}\n" for n in range(COUNT))
    (boxes.directory / "list").write_text(targets)
    boxes.settle()
    boxes.respond(FIRST, COUNT)
    for box in boxes.boxes:
        boxes.work(box)
    lost, other = boxes["fra1"], boxes["ams1"]
    kept = boxes.directory / "plan.results" / "fra1-g1.json"
    controller = boxes.start()
    boxes.until(lambda: kept.exists() and kept.stat().st_size > 10_000, "some of its results are here")
    boxes.cut(lost)
    for pid in lost.namespace.pids():
        os.kill(pid, 9)
    boxes.until(lambda: boxes.state_of("fra1").get("silent"), "it is missed")
    controller.terminate()
    controller.wait(120)
    forced = ("--yes", "--force", "--reason", "fire")
    boxes.lzr("fleet", "assign", boxes.plan, "--from", "fra1", "--to", "ams1", *forced)
    controller = boxes.start("--wait", "3")
    boxes.until(lambda: boxes.status()["boxes"], "it can be asked")
    boxes.lzr("fleet", "rate", boxes.plan, "20k", check=False)
    assert controller.wait(120) == 0, boxes.said()
    done = boxes.lzr("fleet", "merge", boxes.plan, "-o", boxes.directory / "all.json")
    assert f"inputs: {COUNT:,}; " in done.stderr
    assert "of ams1-g2 = 3,000: each has its fate once" in done.stderr
    found = [json.loads(line) for line in (boxes.directory / "all.json").read_text().splitlines()]
    hosts = Counter(record["saddr"] for record in found)
    assert hosts == Counter(line.partition(":")[0] for line in targets.splitlines())
    of_lost = {json.loads(line)["saddr"] for line in kept.read_text().splitlines()}
    assert of_lost == {record["saddr"] for record in found if record["daddr"] == lost.source}
    again = f"{len(of_lost)} records of what was asked twice left out for another"
    assert again in done.stderr
    assert packets(other)[1] == 0
