"""The facts that a box reports: its sums are those that were settled."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.fleet import checking
from coordinator.fleet.serving import examining
from tests.unit.lzr.fleet.test_plan import PLAN


def test_a_list_that_the_options_name_is_part_of_the_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sum that was settled is of these lists too, so no box with one was ever fit."""
    (tmp_path / "services.txt").write_text("192.0.2.1:80\n")
    (tmp_path / "allowed.conf").write_text("192.0.2.0/24\n")
    plan = tmp_path / "plan.toml"
    plan.write_text(
        PLAN.replace(
            "rate = 60000",
            f'rate = 60000\ndirectory = "{tmp_path}/d"\noptions = ["--allowlist-file=allowed.conf"]',
        )
    )
    lock = checking.settle(str(plan))
    assert any("allowed.conf" in word for word in lock.plan.options)
    monkeypatch.setattr(examining, "doctor", lambda *_: [])
    found = examining.facts(lock, lock.plan.boxes[0].name)
    assert (found["trouble"], found["blocklist_sha256"]) == ("", lock.blocklist_sha256)
