"""What a box gives of a run: as much as its checkpoint vouches for, and nothing but results and metadata."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.checkpoint.saved import Saved, SavedOutput
from coordinator.fleet import rundirectory
from coordinator.fleet.rundirectory import RunDirectory
from coordinator.fleet.serving import resultchunks
from lzr.errors import UsageError
from lzr.fleet.lock import Lock
from lzr.options.table import Options
from tests import madefleet


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    return madefleet.lock(madefleet.PLAN.replace("[[box]]", f'directory = "{tmp_path}/fleet"\n\n[[box]]', 1))


@pytest.fixture
def found(lock: Lock) -> RunDirectory:
    """The directory of a run whose scan has written 2,000 bytes, 1,500 of them before its last checkpoint."""
    made = rundirectory.make(lock, lock.runs[0])
    Path(made.results).write_bytes(bytes(range(200)) * 10)
    saved = Saved(Options(), outputs=[SavedOutput("json", 1500, fresh=False, lines=15)])
    Path(made.checkpoint, "checkpoint").write_bytes(saved.pack())
    return made


def test_no_more_than_the_checkpoint_vouches_for(lock: Lock, found: RunDirectory) -> None:
    run = lock.runs[0]
    assert resultchunks.held(lock, run) == {"length": 1500, "ended": False, "metadata": 0}
    os.truncate(found.results, 700)
    assert resultchunks.held(lock, run)["length"] == 700
    later = replace(run, generation=2)
    assert resultchunks.held(lock, later) == {"length": 0, "ended": False, "metadata": 0}


def test_a_run_has_ended_when_it_is_done(lock: Lock, found: RunDirectory) -> None:
    run = lock.runs[0]
    metadata = {
        "options": {"plan_id": lock.id, "generation": 1},
        "ending": {"status": 0, "unfinished": False, "failure": ""},
    }
    text = json.dumps(metadata)
    Path(found.metadata).write_text(text)
    assert resultchunks.held(lock, run) == {"length": 1500, "ended": True, "metadata": len(text)}
    held = rundirectory.take(found)
    assert held is not None
    assert resultchunks.held(lock, run)["ended"] is False, "somebody is at work on it"
    os.close(held)


def test_chunks_and_their_hash(lock: Lock, found: RunDirectory) -> None:
    run, data = lock.runs[0], Path(found.results).read_bytes()
    assert resultchunks.chunk(lock, run, "results.json", 100, 50)["data"] == data[100:150]
    assert resultchunks.digest(lock, run, 1500)["sha256"] == hashlib.sha256(data[:1500]).hexdigest()
    for file, offset, length in (
        ("checkpoint/lock", 0, 1),
        ("../x", 0, 1),
        ("results.json", -1, 1),
        ("results.json", 0, 0),
    ):
        with pytest.raises(UsageError):
            resultchunks.chunk(lock, run, file, offset, length)
    os.unlink(found.results)
    os.symlink("/etc/passwd", found.results)
    with pytest.raises(OSError, match="symbolic"):
        resultchunks.chunk(lock, run, "results.json", 0, 10)
