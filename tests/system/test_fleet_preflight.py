"""Boxes that are not fit, for real: each fault is a sentence with its name, and nobody sends a packet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.boxes import Boxes, packets
from tests.lab.net import Lab, lab, run
from tests.lab.responder import PORT
from tests.lab.scan import LZR

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

FIRST, COUNT = "10.64.0.0", 256


@pytest.fixture
def made() -> Iterator[Lab]:
    with lab() as found:
        yield found


def test_every_fault_is_told_and_nobody_begins(made: Lab) -> None:
    blocklist = made.directory / "fleet" / "blocklist.conf"
    plan = f'targets = ["{FIRST}/24"]\ntarget-ports = "{PORT}"\nseed = 7\nrate = 1000\n'
    plan += f'blocklist = ["{blocklist}"]\noptions = ["-handshakes", "http", "-c", "2", "-t", "2"]\n'
    boxes = Boxes(made, 4, plan)
    blocklist.write_text("192.0.2.0/24\n")
    for box in boxes.boxes:
        (box.state / "blocklist.conf").write_text("192.0.2.0/24\n")
    boxes.settle()
    boxes.respond(FIRST, COUNT)
    ams1, fra1, lon1, par1 = boxes.boxes
    fra1.namespace.ip("addr", "add", f"{ams1.source}/32", "dev", "lo")
    (lon1.state / "blocklist.conf").write_text("198.51.100.0/24\n")
    lon1.namespace.ip("addr", "del", f"{lon1.source}/30", "dev", "eth0")
    lon1.namespace.ip("addr", "add", "10.1.3.99/24", "dev", "eth0")
    for box in (ams1, fra1, lon1):  # and none on par1
        boxes.work(box)
    controller = boxes.start("--wait", "6")
    assert controller.wait(90) == 2, boxes.said()
    told = (boxes.directory / "start.log").read_text()
    assert "nothing was begun" in told
    head = "lzr fleet start: "
    faults = [line.removeprefix(head) for line in told.splitlines() if line.startswith(head)]
    assert {fault.partition(":")[0] for fault in faults} >= {"ams1", "lon1", "par1"}, told
    for wanted in (
        f"ams1: its source {ams1.source} is an address of fra1 too (lo there)",
        "lon1: its blocklist is not the one that was settled",
        f"lon1: has no address {lon1.source}, its source in the plan (it has 10.1.3.99, 10.9.0.13)",
        "par1: is not connected to 10.9.0.1:8786",
    ):
        assert any(fault.startswith(wanted) for fault in faults), told
    assert [packets(box) for box in boxes.boxes] == [(0, 0)] * 4

    fra1.namespace.ip("addr", "del", f"{ams1.source}/32", "dev", "lo")
    (lon1.state / "blocklist.conf").write_text("192.0.2.0/24\n")
    lon1.namespace.ip("addr", "del", "10.1.3.99/24", "dev", "eth0")
    lon1.namespace.ip("addr", "add", f"{lon1.source}/30", "dev", "eth0")
    lon1.namespace.ip("route", "replace", "default", "via", "10.1.3.1")
    boxes.work(par1)
    controller = boxes.start()
    assert controller.wait(90) == 0, boxes.said()
    assert sum(len(boxes.results(box.name)) for box in boxes.boxes) == COUNT


def test_faults_of_the_hosts_themselves(made: Lab) -> None:
    """A gateway that does not answer, a disk that is full, rights that are missing, another interface."""
    plan = f'targets = ["{FIRST}/24"]\ntarget-ports = "{PORT}"\nseed = 7\nrate = 1000\n'
    boxes = Boxes(made, 4, f'{plan}options = ["-handshakes", "http", "-c", "2", "-t", "2"]\n')
    boxes.settle()
    boxes.respond(FIRST, COUNT)
    ams1, fra1, lon1, par1 = boxes.boxes
    assert ams1.responder is not None
    ams1.responder.stop()
    run("mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "tmpfs", fra1.state)
    par1.namespace.ip("addr", "del", f"{par1.source}/30", "dev", "eth0")
    par1.namespace.ip("addr", "add", f"{par1.source}/30", "dev", "ctl0")
    par1.namespace.ip("route", "replace", "default", "via", "10.1.4.1", "dev", "eth0", "onlink")
    for box in (ams1, fra1, par1):
        boxes.work(box)
    without = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")
    words = ("fleet", "worker", lon1.directory / "plan.toml", "--box", "lon1", "--allow-root")
    with lon1.log.open("a") as log:
        boxes.inside(lon1, *without, LZR, *words, stdout=log, stderr=log, text=True)
    controller = boxes.start("--wait", "20")
    assert controller.wait(90) == 2, boxes.said()
    told = (boxes.directory / "start.log").read_text()
    for box, wanted in (
        ("ams1", "10.1.1.1"),
        ("fra1", "MB left where results go"),
        ("lon1", "CAP_NET_RAW"),
        ("par1", "on ctl0, and the plan says eth0"),
    ):
        lines = [line for line in told.splitlines() if line.startswith(f"lzr fleet start: {box}: ")]
        assert wanted in "\n".join(lines)
    assert "nothing was begun" in told
    assert [packets(box) for box in boxes.boxes] == [(0, 0)] * 4
