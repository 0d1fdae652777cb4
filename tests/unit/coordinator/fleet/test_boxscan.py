"""The scan of a run: its command line, and what there is to say of it afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordinator.checkpoint.progress import Progress
from coordinator.checkpoint.saved import Saved, SavedOutput
from coordinator.fleet import boxscan, rundirectory
from lzr.errors import UsageError
from lzr.fleet.lock import Lock
from lzr.options.kinds.amounts import shards
from lzr.options.parse import parse
from lzr.options.table import Options
from tests.unit.coordinator.fleet.test_rundirectory import there


def ending(lock: Lock, **more: Any) -> str:
    rest = {name: more.pop(name) for name in ("results_lost", "inputs") if name in more}
    found = {"status": 0, "unfinished": False, "failure": "", **more}
    return json.dumps({"options": {"plan_id": lock.id, "generation": 1}, "ending": found, **rest})


def saved(records: int) -> bytes:
    progress = Progress()
    progress.add(np.arange(records + 5, dtype=np.uint64))
    return Saved(Options(), progress, [SavedOutput("json", 10, False, records)]).pack()


def test_its_command_line_is_one_of_lzr(tmp_path: Path) -> None:
    lock = there(tmp_path)
    run = lock.runs[1]
    found = rundirectory.of_run(lock, run)
    first, again = (parse(boxscan.words(lock, run, found, resumed=resumed)) for resumed in (False, True))
    for options in (first, again):
        assert (options.plan_id, options.generation, options.seed) == (lock.id, 1, 12345678901)
        assert (shards(options.shard), options.shards) == (run.shards, 64)
        assert (options.source_ips, options.send_syns) == (("203.0.113.0/30",), True)
        assert (options.rate, options.checkpoint) == (20000, found.checkpoint)
    assert (first.resume, first.overwrite) == (None, True)
    assert (again.resume, again.overwrite) == (found.checkpoint, False)


def test_the_rate_is_dealt_among_those_that_have_shards(tmp_path: Path) -> None:
    lock = there(tmp_path)
    assert [boxscan.rate_of(lock, name) for name in ("fra1", "ams1")] == [40000, 20000]
    assert boxscan.rate_of(lock.assigned("fra1", ["ams1"], ""), "ams1") == 20000  # its cap
    assert boxscan.rate_of(lock.assigned("ams1", ["fra1"], ""), "fra1") == 60000


@pytest.mark.parametrize(
    ("more", "checkpoint", "state", "status", "words"),
    [
        ({}, 7, "done", 0, "fra1-g1 is done: 7 records"),
        ({"status": 3}, 7, "done", 3, "results were lost"),
        ({"status": 3, "results_lost": False}, 7, "done", 3, "a file beside its results is not whole"),
        (
            {"inputs": {"fates": {"blocklisted": 5}}},
            0,
            "done",
            0,
            "0 records; 5 targets of its shards are",
        ),
        ({"status": 130, "unfinished": True}, 7, "interrupted", 130, "was interrupted after 7 records"),
        ({"unfinished": True}, 7, "interrupted", 1, "was interrupted"),
        ({"status": 1, "failure": "no memory"}, 7, "failed", 1, "has failed after 7 records: no memory"),
        (None, 7, "interrupted", 1, "was interrupted after 7 records"),
        (None, None, "failed", 1, "fra1-g1 has not begun: what it said last"),
    ],
)
def test_how_it_has_ended(
    tmp_path: Path, more: dict[str, Any] | None, checkpoint: int | None, state: str, status: int, words: str
) -> None:
    lock = there(tmp_path)
    found = rundirectory.make(lock, lock.runs[0])
    Path(found.log).write_text("first\nwhat it said last\n\n")
    if more is not None:
        Path(found.metadata).write_text(ending(lock, **more))
    if checkpoint is not None:
        Path(found.checkpoint, "checkpoint").write_bytes(saved(checkpoint))
    outcome = boxscan.outcome(lock, lock.runs[0], found)
    assert (outcome.state, outcome.status) == (state, status)
    assert words in outcome.sentence
    if checkpoint is not None:
        assert (outcome.records, outcome.inputs) == (checkpoint, checkpoint + 5)


def test_metadata_of_another_run_say_nothing(tmp_path: Path) -> None:
    lock = there(tmp_path)
    found = rundirectory.make(lock, lock.runs[0])
    for text in (ending(lock).replace(lock.id, "0" * 16), "[]", "{", '{"options": 1, "ending": 2}'):
        Path(found.metadata).write_text(text)
        assert boxscan.outcome(lock, lock.runs[0], found).state == "failed"


def test_another_machine_is_not_its_box(tmp_path: Path) -> None:
    lock = there(tmp_path)
    with pytest.raises(UsageError, match=r"198\.51\.100\.10 is not an address of this machine"):
        boxscan.check(lock, lock.runs[0])
