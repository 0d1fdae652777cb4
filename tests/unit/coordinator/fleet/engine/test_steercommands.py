"""What `lzr fleet status` says of a box's scan, before it is printed."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.fleet.engine.steercommands import _lines

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
