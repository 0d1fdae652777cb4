"""What a box tells is taken whole, and nothing else is taken for it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from coordinator.fleet.watching import statuses
from coordinator.monitor import status
from coordinator.monitor.snapshot import Snapshot
from lzr.fleet.view import BoxState
from tests.dashboard_driver import Scan
from tests.effort import examples


def told() -> Snapshot:
    scan = Scan(2, 100_000, hostile=True)
    for second in range(20):
        snapshot = scan.at(second)
    return snapshot


def test_a_status_comes_over_whole() -> None:
    snapshot = told()
    again = statuses.snapshot(status.as_json(snapshot))
    cut = tuple(replace(one, banner=one.banner[:2000]) for one in snapshot.latest)
    assert again.latest == cut
    assert status.as_dict(again) == status.as_dict(replace(snapshot, latest=cut))


@pytest.mark.attack
@pytest.mark.parametrize(
    "change",
    [
        {"read": "many"},
        {"read": None},
        {"workers": [{"name": 3}]},
        {"outcomes": {"data": "x"}},
        {"history": 7},
        {"warnings": ["x" * 100_000]},
        {"latest": [{"address": 3}]},
        {"now": -1e9},
        {"read": 10**400},
        {"outcomes": {"data": 10**30}},
        {"rate_done": 1e308},
        {"hit_rates": {"80": [1]}},
    ],
)
def test_what_is_none_is_said(change: dict[str, Any]) -> None:
    text = json.dumps({**json.loads(status.as_json(told())), **change})
    with pytest.raises(ValueError, match="no status of a scan"):
        statuses.snapshot(text)
    heard = statuses.heard(5.0, {"state": "running", "status": text})
    assert heard.figures is None
    assert heard.sentence.startswith("its status cannot be read")


@pytest.mark.attack
@settings(max_examples=examples(200), deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(st.sampled_from(["read", "now", "latest", "workers", "status"]), inner)
            ),
            max_leaves=10,
        ).map(json.dumps),
    )
)
def test_junk_raises_nothing_else(text: str | bytes) -> None:
    with contextlib.suppress(ValueError):
        statuses.snapshot(text)


@pytest.mark.attack
@given(
    st.dictionaries(
        st.sampled_from(["state", "sentence", "status", "status_at", "now"]),
        st.one_of(
            st.none(), st.integers(), st.floats(), st.text(max_size=9), st.lists(st.integers(), max_size=2)
        ),
    )
)
def test_whatever_a_box_tells_it_is_heard(junk: dict[str, Any]) -> None:
    assert statuses.heard(5.0, junk).at == 5.0


def test_how_a_run_ended_and_a_scan_that_does_not_answer() -> None:
    text = status.as_json(told())
    assert statuses.heard(1.0, {"state": "done", "status": text}).state == BoxState.DONE
    assert statuses.heard(1.0, {"state": "running", "status": text}).state == ""
    assert statuses.heard(1.0, {"state": "\x1b[2J", "status": ""}).state == ""
    late = {"state": "running", "status": text, "status_at": 100.0, "now": 112.0}
    assert statuses.heard(1.0, late).sentence == "its scan has not answered for 12 s"
    assert statuses.heard(1.0, {**late, "now": 101.0}).sentence == ""
