"""Attending to a box's runs: what is refused before a scan is thought of, and what is known without one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coordinator.fleet import boxruns, rundirectory
from lzr.errors import UsageError
from tests.unit.coordinator.fleet.test_boxscan import ending, saved
from tests.unit.coordinator.fleet.test_rundirectory import there


def test_a_box_without_shards_has_nothing_to_do(tmp_path: Path) -> None:
    lock = there(tmp_path)
    after = lock.assigned("fra1", ["ams1"], "")
    with pytest.raises(UsageError, match="fra1 has no shard in generation 2"):
        boxruns.attend(after, "fra1")
    with pytest.raises(UsageError, match="the shards of fra1-g1 are ams1-g2's now"):
        boxruns.attend(lock, "fra1", generation=1)  # the box knows the later lock by now
    with pytest.raises(UsageError, match="the plan has no box nope"):
        boxruns.attend(lock, "nope")


def test_what_is_done_is_said_again_by_anybody(tmp_path: Path) -> None:
    lock = there(tmp_path)
    found = rundirectory.make(lock, lock.runs[0])
    Path(found.metadata).write_text(ending(lock))
    Path(found.checkpoint, "checkpoint").write_bytes(saved(7))
    outcome = boxruns.attend(lock, "fra1")
    assert (outcome.state, outcome.status, outcome.records) == ("done", 0, 7)
    assert boxruns.look(lock, lock.runs[0]) == outcome


def test_a_scan_that_runs_is_attached_to_and_not_begun_again(tmp_path: Path) -> None:
    lock = there(tmp_path)
    found = rundirectory.make(lock, lock.runs[0])
    held = rundirectory.take(found)
    assert held is not None
    try:
        outcome = boxruns.attend(lock, "fra1", wait=False)
        assert (outcome.state, outcome.status) == ("running", 0)
        assert boxruns.attend(lock, "fra1", ended=lambda: True).state == "running"
        assert not os.path.exists(found.log)
    finally:
        os.close(held)
