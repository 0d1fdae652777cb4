"""What a box says of its run, when its shards are to be given to others."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.fleet.engine.assigncommand import heard, outcome
from tests.unit.lzr.fleet.test_lock import made


@pytest.mark.parametrize(
    ("answer", "state", "inputs"),
    [
        ({"state": "running", "inputs": 7, "begun": True}, "running", 7),
        ({"state": "interrupted", "inputs": 7, "begun": True}, "interrupted", 7),
        ({"state": "", "inputs": 0, "begun": False}, "interrupted", 0),
    ],
)
def test_what_it_says(answer: Any, state: str, inputs: int) -> None:
    found = outcome(answer)
    assert found is not None
    assert (found.state, found.inputs) == (state, inputs)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"state": "fine", "inputs": 1},
        {"state": "done", "inputs": "1"},
        {"state": "", "begun": True},
    ],
)
def test_what_says_nothing(answer: Any) -> None:
    assert outcome(answer) is None


def test_without_a_controller_nothing_is_known() -> None:
    lock = made()
    assert heard(lock, lock.runs[0]) is None
