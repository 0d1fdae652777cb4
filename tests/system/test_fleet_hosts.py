"""A fleet whose boxes have Debian's own /etc/hosts, where a host's name is the loopback's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.boxes import CONTROLLER, PORT, Boxes
from tests.lab.net import Lab, lab
from tests.lab.scan import LZR

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

TARGETS = 256
BOUND = ("sh", "-c", 'mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh")


@pytest.fixture
def made() -> Iterator[Lab]:
    with lab() as found:
        yield found


def test_a_name_that_is_its_own_loopback_is_reached(made: Lab) -> None:
    plan = f'targets = ["10.64.0.0/24"]\ntarget-ports = "{PORT}"\nseed = 7\nrate = 500\n'
    boxes = Boxes(made, 1, plan + 'options = ["-handshakes", "http", "-c", "5", "-t", "6"]\n')
    box = boxes["ams1"]
    boxes.plan.write_text(boxes.plan.read_text().replace(f'address = "{box.address}"', 'address = "ams1"'))
    boxes.settle()
    boxes.respond("10.64.0.0", TARGETS)
    there = box.directory / "hosts"
    there.write_text("127.0.0.1 localhost\n127.0.1.1 ams1.example.org ams1\n")
    here = boxes.directory / "hosts"
    here.write_text(f"127.0.0.1 localhost\n127.0.1.1 control\n{box.address} ams1.example.org ams1\n")
    with box.log.open("a") as log:
        box.worker = boxes.inside(
            box, *BOUND, there, LZR, "fleet", "worker", box.directory / "plan.toml", "--box", "ams1",
            "--allow-root", stdout=log, stderr=log, text=True, env=made.environment,
        )  # fmt: skip
    with (boxes.directory / "start.log").open("a") as out:
        controller = boxes.controller.popen(
            "unshare", "--mount", *BOUND, here, LZR, "fleet", "start", boxes.plan,
            stdout=out, stderr=out, text=True,
        )  # fmt: skip
    boxes.until(lambda: controller.poll() is not None, "the fleet is done", 100)
    assert controller.returncode == 0, boxes.said()
    assert len(boxes.results("ams1")) == TARGETS
    assert CONTROLLER in box.log.read_text()


def test_boxes_and_their_controller_talk_over_ipv6(made: Lab) -> None:
    plan = f'targets = ["10.64.0.0/24"]\ntarget-ports = "{PORT}"\nseed = 7\nrate = 500\n'
    boxes = Boxes(made, 2, plan + 'options = ["-handshakes", "http", "-c", "5", "-t", "6"]\n')
    boxes.controller.ip("addr", "add", "fd00:9::1/64", "dev", "br0", "nodad")
    text = boxes.plan.read_text().replace(f'"{CONTROLLER}:8786"', '"[fd00:9::1]:8786"')
    for box in boxes.boxes:
        address = f"fd00:9::{10 + box.number}"
        box.namespace.ip("addr", "add", f"{address}/64", "dev", "ctl0", "nodad")
        text = text.replace(f'address = "{box.address}"', f'address = "{address}"')
    boxes.plan.write_text(text)
    boxes.settle()
    boxes.respond("10.64.0.0", TARGETS)
    for box in boxes.boxes:
        boxes.work(box)
    controller = boxes.start()
    boxes.until(lambda: controller.poll() is not None, "the fleet is done", 100)
    assert controller.returncode == 0, boxes.said()
    assert sum(len(boxes.results(box.name)) for box in boxes.boxes) == TARGETS
