"""What `lzr fleet status` says of a box's scan, before it is printed; what `lzr fleet rate` asks for."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.fleet import lockfile
from coordinator.fleet.engine import steercommands
from coordinator.fleet.engine.steercommands import _lines
from tests import madefleet

BOX: dict[str, Any] = {
    "name": "fra1", "shards": 32, "state": "running", "begun": True, "heard": 1.0, "silent": False,
    "since": None, "paused": False, "lease": None, "lacks": [], "sentence": "", "ended": False,
}  # fmt: skip


def said(status: dict[str, Any] | None) -> str:
    found = {"plan": "test", "id": "0" * 16, "generation": 1, "rate": 600, "orders": []}
    return _lines({**found, "boxes": [{**BOX, "status": status}]})[1]


def test_lines_of_other_boxes_count_as_gone_through_and_not_as_this_ones() -> None:
    fates = {"recorded": 1500, "for another shard": 3000, "interrupted": 7}
    assert said({"done": 1500, "total": 9000, "by_fate": fates}).endswith("running, 1,500 done (50%)")


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (None, "running"),
        ({"done": "many"}, "running"),
        ({"done": 12, "total": None, "by_fate": {}}, "running, 12 done"),
        ({"done": 12, "total": 0, "by_fate": {}}, "running, 12 done"),
        ({"done": 12, "total": 100, "by_fate": 5}, "running, 12 done"),
        ({"done": 12, "total": 10, "by_fate": {"recorded": 12, "other": "x"}}, "running, 12 done (100%)"),
        ({"done": 12, "total": 1, "by_fate": {"recorded": 10**1000}}, "running, 12 done (100%)"),
        ({"done": 12, "total": 10**1000, "by_fate": {"recorded": -(10**1000)}}, "running, 12 done (0%)"),
    ],
)
def test_what_is_not_known_or_no_number_is_left_out(status: dict[str, Any] | None, shown: str) -> None:
    assert said(status).endswith(shown)


def rate(monkeypatch: pytest.MonkeyPatch, box: dict[str, Any], *words: str) -> int:
    """The rate that is asked of a controller which says this of fra1."""
    asked: list[dict[str, Any]] = []

    def ask(_: str, **request: Any) -> dict[str, Any]:
        asked.append(request)
        return {"rate": 3000, "boxes": [{"name": "fra1", **box}], "dealt": {}, "missing": {}}

    monkeypatch.setattr(steercommands, "_ask", ask)
    monkeypatch.setattr(lockfile, "settled", lambda _: madefleet.lock())
    assert steercommands.rate(["plan.toml", *words]) == 0
    return int(asked[-1]["rate"])


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["+500"], 3500),
        (["-500"], 2500),
        (["-1k"], 2000),
        (["-1k/s"], 2000),
        (["-1k", "--box", "fra1"], 500),
        (["--box=fra1", "--", "-1k"], 500),
        (["x0.5"], 1500),
    ],
)
def test_a_rate_is_changed_by_so_much(monkeypatch: pytest.MonkeyPatch, words: list[str], wanted: int) -> None:
    assert rate(monkeypatch, {"rate": None}, *words) == wanted  # half of the weight is fra1's


@pytest.mark.parametrize(
    ("box", "wanted"),
    [
        ({"rate": 700}, 800),
        ({"rate": None, "status": {"rate_limit": 40.0}}, 140),
        ({"rate": None, "status": {"rate_limit": "many"}}, 1600),
        ({"rate": None, "status": {"rate_limit": float("nan")}}, 1600),
        ({"rate": None, "status": {"rate_limit": 10**400}}, 1600),
        ({"rate": None, "status": None}, 1600),
    ],
)
def test_a_box_that_tells_no_rate_has_its_share_of_the_plans(
    monkeypatch: pytest.MonkeyPatch, box: dict[str, Any], wanted: int
) -> None:
    assert rate(monkeypatch, box, "+100", "--box", "fra1") == wanted
