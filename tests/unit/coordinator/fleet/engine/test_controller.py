"""What a controller does with orders that come while a box is ending, or away. Its engine is a made one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from coordinator.fleet.engine import controller
from coordinator.fleet.engine.boxstate import BoxRecord
from coordinator.fleet.engine.controller import Controller
from coordinator.fleet.engine.controllerfiles import ControllerFiles
from coordinator.fleet.engine.engine import BoxError, Engine, ReceivedReport, Unheard
from lzr.errors import UsageError
from lzr.fleet.blockorders import Kept
from lzr.fleet.lock import Lock
from lzr.fleet.steering import Wanted
from tests import madefleet

NAME = "fra1"
GATE = Controller._gate


class Scan:
    """What a box says of itself. It ends when `end` is called."""

    def __init__(self) -> None:
        self.state = ""
        self.here, self.by_order = True, False
        self.attends = 0
        self.paused = False
        self.over = asyncio.Event()

    def end(self) -> None:
        self.state, self.by_order = "interrupted", True
        self.over.set()


class Boxes:
    """In the place of an engine."""

    def __init__(self, lock: Lock) -> None:
        self.scans = {box.name: Scan() for box in lock.plan.boxes}
        self.asked: list[str] = []  # for facts, which never come

    def here(self, name: str) -> bool:
        return self.scans[name].here

    def heard(self, name: str) -> ReceivedReport:
        status = json.dumps({"paused": self.scans[name].paused})
        return ReceivedReport(time.time(), {"status": status})

    def silent(self, name: str) -> float:
        return 0.0 if self.scans[name].here else 100.0

    async def call(self, name: str, what: str, given: Mapping[str, Any], _: float) -> Any:
        scan = self.scans[name]
        if not scan.here:
            raise Unheard("is not connected")
        if what == "facts":
            self.asked.append(name)
            await asyncio.sleep(3600)
        if what == "tell" and scan.state != "running":
            raise BoxError("no scan is running")
        if what == "tell" and given["line"] in ("pause", "resume"):
            scan.paused = given["line"] == "pause"
        if what in ("take", "state"):
            begun = bool(scan.attends)
            return {
                "state": scan.state,
                "begun": begun,
                "by_order": scan.by_order,
                "status": 130,
                "sentence": "was interrupted" if scan.state == "interrupted" else "",
                "inputs": 1,
            }
        return {}

    async def attend(self, name: str, _: str) -> None:
        scan = self.scans[name]
        scan.attends += 1
        scan.state, scan.by_order = "running", False
        scan.over.clear()
        await scan.over.wait()


class Files:
    """In the place of the controller's files."""

    def orders(self) -> Kept:
        return Kept()

    def wanted(self, _: Lock) -> Wanted:
        return Wanted()

    def newer(self, _: Lock) -> None:
        return None

    def want(self, *_: object) -> None:
        pass

    def add(self, *_: object) -> None:
        pass


async def until(fact: Callable[[], Any], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not fact():
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "RETRY", 0.05)

    async def fit(this: Controller, box: BoxRecord) -> None:
        box.set(checked=True)

    def begin(this: Controller, late: bool) -> None:
        this._may_begin = True

    monkeypatch.setattr(Controller, "_check", fit)
    monkeypatch.setattr(Controller, "_gate", begin)


def steered(whole: Callable[[Controller, Scan], Any]) -> None:
    """Run it beside a controller whose boxes all scan."""

    async def run() -> None:
        lock = madefleet.lock()
        boxes = Boxes(lock)
        said: list[str] = []
        made = Controller(
            lock,
            cast(Engine, boxes),
            cast(ControllerFiles, Files()),
            lambda _, sentence: said.append(sentence),
        )
        runs = asyncio.ensure_future(made.run(0))
        try:
            await until(lambda: all(scan.state == "running" for scan in boxes.scans.values()))
            await whole(made, boxes.scans[NAME])
        finally:
            runs.cancel()

    asyncio.run(run())


def test_who_is_to_go_on_while_it_still_ends_goes_on_when_it_has() -> None:
    async def whole(made: Controller, scan: Scan) -> None:
        assert await made.tell("drain", [NAME]) == {}
        assert await made.tell("resume", [NAME]) == {}
        scan.end()
        await until(lambda: made._boxes[NAME].sentence == "was interrupted")
        await until(lambda: scan.attends == 2)
        assert made._boxes[NAME].sentence == "", "that was before"
        scan.end()  # by somebody on that box, this time
        await until(lambda: made._boxes[NAME].known.ended)
        assert scan.attends == 2

    steered(whole)


def test_who_is_to_end_after_all_ends() -> None:
    async def whole(made: Controller, scan: Scan) -> None:
        for line in ("drain", "resume", "quit"):
            assert await made.tell(line, [NAME]) == {}
        scan.end()
        await until(lambda: made._boxes[NAME].known.ended)
        assert scan.attends == 1

    steered(whole)


def test_who_is_to_go_on_while_it_is_away_goes_on_when_it_is_back() -> None:
    async def whole(made: Controller, scan: Scan) -> None:
        await made.tell("drain", [NAME])
        scan.end()
        await until(lambda: made._boxes[NAME].known.ended)
        scan.here = False
        await until(lambda: not made._boxes[NAME].known.here)
        assert await made.tell("resume", [NAME]) == {NAME: "is not connected"}
        scan.here = True
        await until(lambda: scan.attends == 2)

    steered(whole)


def test_an_order_that_no_box_could_read_is_refused_before_it_is_kept() -> None:
    async def whole(made: Controller, _: Scan) -> None:
        for networks in ([f"10.0.{at >> 8}.{at & 255}" for at in range(1001)], ["example.org"]):
            with pytest.raises(UsageError, match="the order "):
                await made.block(networks, "", "")
        assert not made.orders.orders
        order, _missing = await made.block(["10.0.0.0/8"], "", "")
        assert made.orders.orders == (order,)

    steered(whole)


def test_who_is_to_go_on_after_a_pause_while_it_is_away_does_so_when_it_is_back() -> None:
    async def whole(made: Controller, scan: Scan) -> None:
        assert await made.tell("pause", [NAME]) == {}
        scan.here = False
        await until(lambda: not made._boxes[NAME].known.here)
        assert await made.tell("resume", [NAME]) == {NAME: "is not connected"}
        assert scan.paused
        scan.here = True
        await until(lambda: not scan.paused)
        await until(lambda: not made.wanted.resuming)
        scan.paused = True  # by somebody on that box
        await asyncio.sleep(0.3)
        assert scan.paused

    steered(whole)


def test_a_rate_above_the_cap_of_its_box_is_refused() -> None:
    async def whole(made: Controller, _: Scan) -> None:
        made.lock = madefleet.lock(madefleet.PLAN.replace("weight = 2", "rate-cap = 100"))
        with pytest.raises(UsageError, match="never given more than 100/s"):
            await made.rate(101, NAME)
        assert made.wanted.own == ()

    steered(whole)


def test_boxes_that_scan_are_attended_to_while_another_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes up to a minute and a half, and their leases are renewed by the same loop."""
    monkeypatch.setattr(Controller, "_gate", GATE)

    async def run() -> None:
        lock = madefleet.lock()
        boxes = Boxes(lock)
        for name, scan in boxes.scans.items():
            scan.attends = int(name != NAME)
        made = Controller(lock, cast(Engine, boxes), cast(ControllerFiles, Files()), lambda *_: None)
        renewed: list[object] = []
        monkeypatch.setattr(made._renewing, "turn", lambda *_: renewed.append(boxes.asked == [NAME]))
        runs = asyncio.ensure_future(made.run(30))
        try:
            await until(lambda: all(scan.attends == 2 for name, scan in boxes.scans.items() if name != NAME))
            await until(lambda: True in renewed)
        finally:
            runs.cancel()
        assert boxes.scans[NAME].attends == 0

    asyncio.run(run())
