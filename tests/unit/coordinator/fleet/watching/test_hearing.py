"""What a controller says of its boxes becomes what the view is made of."""

from __future__ import annotations

import json
from typing import Any

from coordinator.fleet.watching.hearing import heard, kept, over
from coordinator.monitor import status
from coordinator.monitor.snapshot import Snapshot
from lzr.fleet.lock import Run
from lzr.fleet.view import BoxState, LastReport, view
from tests.dashboard_driver import Scan

RUNS = (Run("fra1", 1, (0, 1), ("192.0.2.1",)),)


def box(name: str, **more: Any) -> dict[str, Any]:
    """As a controller's status has it."""
    return {
        "name": name,
        "heard": 100.0,
        "state": "running",
        "sentence": "",
        "faults": [],
        "shards": 4,
        "status": json.loads(status.as_json(Scan().at(5.0))),
        "status_age": 1.0,
        "ended": False,
        **more,
    }


def reply(*boxes: dict[str, Any]) -> dict[str, Any]:
    return {"now": 100.5, "boxes": list(boxes)}


def test_each_box_as_it_is() -> None:
    found = heard(
        reply(
            box("fra1"),
            box("ams1", heard=None, status=None, status_age=None, faults=["its clock is 3 s off"]),
            box("nyc1", status=None, status_age=None),
            box("sin1", state="failed", sentence="the disk is full"),
        )
    )
    assert isinstance(found["fra1"].figures, Snapshot)
    assert (found["fra1"].at, found["fra1"].state, found["fra1"].sentence) == (100.0, "", "")
    assert found["ams1"] == LastReport(sentence="its clock is 3 s off")
    assert found["nyc1"].state == BoxState.STARTING
    assert (found["sin1"].state, found["sin1"].sentence) == (BoxState.FAILED, "the disk is full")


def test_a_scan_that_does_not_answer_is_told_from_a_box_that_is_not_heard() -> None:
    assert "not answered for 9 s" in heard(reply(box("fra1", status_age=9.5)))["fra1"].sentence
    assert heard(reply(box("fra1", heard=90.0, status_age=10.5)))["fra1"].sentence == ""


def test_the_last_figures_of_a_box_stay_until_it_has_new_ones() -> None:
    before = heard(reply(box("fra1")))
    now = kept(heard(reply(box("fra1", status=None, status_age=None))), before)
    assert now["fra1"].figures == before["fra1"].figures
    assert now["fra1"].state == BoxState.STARTING


def test_over_when_every_box_with_shards_has_ended() -> None:
    assert not over(reply())
    assert not over(reply(box("fra1", ended=True), box("ams1")))
    assert over(reply(box("fra1", ended=True), box("ams1", shards=0)))


def test_how_long_a_box_may_scan_on_is_from_when_it_was_heard() -> None:
    found = heard(
        reply(box("fra1", lease=20.0), box("ams1", lease=None), box("nyc1", lease=20.0, ended=True))
    )
    assert [found[name].lease for name in ("fra1", "ams1", "nyc1")] == [20.5, None, None]
    assert view("x", RUNS, found, 105.5).rows[0].lease == 15.0
    assert view("x", RUNS, found, 200.0).rows[0].lease == 0.0
