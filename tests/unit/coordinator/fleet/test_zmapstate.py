"""How far ZMap's shards have come: summed, each once, and a line that was cut off is none."""

from __future__ import annotations

from pathlib import Path

from coordinator.fleet import zmapstate
from coordinator.fleet.rundirectory import RunDirectory

COUNTS = {"inputs": {"read": 5, "agree": True}, "counters": {"a": 1}}


def test_shards_are_summed_once(tmp_path: Path) -> None:
    found = RunDirectory(str(tmp_path), str(tmp_path))
    assert zmapstate.read(found) == zmapstate.ZMapProgress()
    zmapstate.add(found, 3, 2, COUNTS)
    path = Path(zmapstate.path_of(found))
    with path.open("a") as file:
        file.write('{"shard": 4, "records": 9, "cou')
    zmapstate.add(found, 7, 1, {**COUNTS, "counters": {"b": 2}})
    zmapstate.add(found, 3, 2, COUNTS)
    state = zmapstate.read(found)
    assert (state.done, state.records, state.inputs) == ({3, 7}, 3, 10)
    assert state.counts == {"inputs": {"read": 10, "agree": True}, "counters": {"a": 1, "b": 2}}


def test_numbers_are_added_and_all_have_to_agree() -> None:
    one, other = {"n": 1, "ok": True, "deep": {"x": 0.5}}, {"n": 2, "ok": False, "deep": {"x": 1, "y": 3}}
    assert zmapstate.added(one, other) == {"n": 3, "ok": False, "deep": {"x": 1.5, "y": 3}}
