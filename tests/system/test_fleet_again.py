"""Runs that somebody has ended go on when somebody says so, by hand and with the next controller."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest

from tests.lab.boxes import CONTROLLER, packets
from tests.lab.net import Lab, lab
from tests.system.test_fleet_engine import BLOCKED, COUNT, asked, begun

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


@pytest.fixture
def made() -> Iterator[Lab]:
    with lab() as found:
        yield found


def test_who_was_drained_goes_on_when_told_and_with_the_next_start(made: Lab) -> None:
    boxes = begun(made, 60)
    fra1 = boxes["fra1"]
    controller = boxes.start()
    boxes.until(lambda: all(packets(box)[0] > 20 for box in boxes.boxes), "both boxes scan")
    boxes.lzr("fleet", "drain", boxes.plan, "--box", "fra1")
    boxes.until(lambda: boxes.state_of("fra1").get("state") == "interrupted", "it ends")
    had = packets(fra1)[0]
    again = boxes.lzr("fleet", "drain", boxes.plan, "--box", "fra1")
    assert (again.returncode, again.stdout) == (0, "drain: fra1\n")
    boxes.lzr("fleet", "resume", boxes.plan, "--box", "fra1")
    boxes.until(lambda: packets(fra1)[0] > had + 20, "it goes on")
    boxes.lzr("fleet", "quit", boxes.plan)
    assert controller.wait(120) == 1, boxes.said()
    assert json.loads((boxes.directory / "plan.wanted.json").read_text())["ending"] == {}
    said = boxes.said()
    controller = boxes.start()
    boxes.until(
        lambda: boxes.said().count("goes on with its run") == said.count("goes on with its run") + 2,
        "both go on",
    )
    boxes.hurry()
    assert controller.wait(90) == 0, boxes.said()
    assert set(asked(boxes).values()) == {1}
    assert sum(asked(boxes).values()) == COUNT
    assert [packets(box)[1] for box in boxes.boxes] == [0, 0]


def test_who_goes_on_has_its_own_share_again_and_a_resume_reaches_who_was_cut_off(made: Lab) -> None:
    """Nothing that the controller sends reaches it for a while, though what it sends itself is on its way."""
    boxes = begun(made, 60)
    fra1 = boxes["fra1"]
    controller = boxes.start()
    boxes.until(lambda: all(packets(box)[0] > 20 for box in boxes.boxes), "both boxes scan")

    def told(name: str, what: str) -> object:
        return (boxes.state_of(name).get("status") or {}).get(what)

    boxes.lzr("fleet", "drain", boxes.plan, "--box", "fra1")
    boxes.until(lambda: boxes.state_of("fra1").get("state") == "interrupted", "it ends")
    boxes.until(lambda: told("ams1", "rate_limit") == 60, "the other has its rate")
    boxes.lzr("fleet", "resume", boxes.plan, "--box", "fra1")
    boxes.until(lambda: [told(box.name, "rate_limit") for box in boxes.boxes] == [30, 30], "as in the plan")

    boxes.lzr("fleet", "pause", boxes.plan)
    boxes.until(lambda: told("ams1", "paused") and told("fra1", "paused"), "both wait")
    rule = f"type filter hook input priority -300;\n ip saddr {CONTROLLER} drop;"
    fra1.namespace.nft(f"table inet cut {{\n chain in {{\n {rule}\n }}\n}}\n")
    assert boxes.lzr("fleet", "resume", boxes.plan, check=False).returncode == 1
    boxes.until(lambda: told("ams1", "paused") is False, "who is heard goes on")
    boxes.until(lambda: boxes.state_of("fra1").get("silent"), "the other is not heard")
    fra1.namespace.nft("delete table inet cut\n")
    boxes.until(lambda: told("fra1", "paused") is False, "it goes on, too")
    boxes.hurry()
    assert controller.wait(90) == 0, boxes.said()
    assert set(asked(boxes).values()) == {1}
    assert sum(asked(boxes).values()) == COUNT


def test_a_box_that_has_lost_its_disk_gets_the_orders_to_block_once_more(made: Lab) -> None:
    """It has confirmed them, and knows nothing of it: before its first packet it has them again."""
    boxes = begun(made, 5000, 1)
    ams1 = boxes["ams1"]
    told = boxes.lzr("fleet", "block", boxes.plan, BLOCKED, "--reason", "ticket 42")
    assert "confirmed by ams1" in told.stdout
    assert ams1.worker is not None
    ams1.worker.kill()
    ams1.worker.wait(120)
    for path in ams1.state.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    boxes.work(ams1)
    assert boxes.start().wait(90) == 0, boxes.said()
    blocked = ip_network(BLOCKED)
    assert len(asked(boxes)) == COUNT - blocked.num_addresses
    assert not [address for address in asked(boxes) if ip_address(address) in blocked]
    assert packets(ams1) == (COUNT - blocked.num_addresses, 0)
    kept = (boxes.directory / "plan.blocks.jsonl").read_text().splitlines()
    assert len(kept) == 2, "the order, and that it was confirmed, once"


def test_a_plan_that_is_settled_anew_has_its_own_wishes_and_results(made: Lab) -> None:
    boxes = begun(made, 60, 1)
    controller = boxes.start()
    results = boxes.directory / "plan.results"
    boxes.until((results / "ams1-g1.json").exists, "some results are fetched")
    boxes.lzr("fleet", "pause", boxes.plan)
    controller.kill()
    controller.wait(120)
    ends = boxes.start()
    boxes.until(lambda: boxes.state_of("ams1").get("paused"), "what was wanted is kept")
    boxes.until(lambda: boxes.state_of("ams1").get("connected"), "the box is back")
    boxes.lzr("fleet", "quit", boxes.plan)
    assert ends.wait(120) == 1, boxes.said()
    before = (results / "ams1-g1.json").read_bytes()
    boxes.plan.write_text(boxes.plan.read_text().replace("rate = 60", "rate = 5000"))
    boxes.lzr("fleet", "check", boxes.plan, "--overwrite")
    refused = boxes.lzr("fleet", "start", boxes.plan, check=False)
    assert (refused.returncode, "has the results of another plan" in refused.stderr) == (2, True), refused
    assert (results / "ams1-g1.json").read_bytes() == before
    results.rename(boxes.directory / "earlier.results")
    assert boxes.start().wait(90) == 0, boxes.said()
    assert len((results / "ams1-g1.json").read_text().splitlines()) == COUNT
    assert boxes.lzr("fleet", "merge", boxes.plan, "-o", boxes.directory / "all.json").returncode == 0


def test_a_controller_whose_address_was_away_is_with_its_boxes_again(made: Lab) -> None:
    """Longer than any of its connections lasts, that with itself among them; scans do not notice."""
    boxes = begun(made, 50)
    controller = boxes.start()
    boxes.until(lambda: all(packets(box)[0] > 20 for box in boxes.boxes), "both boxes scan")
    boxes.controller.ip("addr", "del", f"{CONTROLLER}/24", "dev", "br0")
    gone = time.monotonic()
    boxes.until(lambda: time.monotonic() > gone + 20, "all of its connections are over")
    had = [packets(box)[0] for box in boxes.boxes]
    boxes.controller.ip("addr", "add", f"{CONTROLLER}/24", "dev", "br0")
    boxes.until(lambda: all(one["state"] == "running" for one in boxes.status()["boxes"]), "attended")
    assert all(packets(box)[0] > before for box, before in zip(boxes.boxes, had, strict=True))
    boxes.hurry()
    assert controller.wait(90) == 0, boxes.said()
    assert "Traceback" not in boxes.said()
    assert (set(asked(boxes).values()), sum(asked(boxes).values())) == ({1}, COUNT)
