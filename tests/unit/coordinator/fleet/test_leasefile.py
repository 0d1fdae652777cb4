"""Leases on the disk of a box and of a controller."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from coordinator.fleet import assigning, boxruns, leasefile, lockfile, rundirectory
from lzr.errors import UsageError
from lzr.fleet import lease
from lzr.fleet.lock import Lock
from tests import madefleet
from tests.unit.coordinator.fleet.test_boxscan import ending, saved


def text(tmp_path: Path) -> str:
    return madefleet.PLAN.replace("[[box]]", f'lease = 60\ndirectory = "{tmp_path}/fleet"\n\n[[box]]', 1)


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    made = madefleet.lock(text(tmp_path))
    rundirectory.make_plan(made)
    return made


def test_a_box_without_a_lease_begins_nothing(lock: Lock) -> None:
    assert leasefile.withheld(lock).startswith("has no lease")
    outcome = boxruns.attend(lock, "fra1", wait=False)
    assert (outcome.state, outcome.status) == ("interrupted", 1)
    assert "fra1-g1 has no lease" in outcome.sentence
    assert leasefile.withheld(madefleet.lock()) == ""
    assert leasefile.words(madefleet.lock()) == []


def test_who_waited_for_another_caller_that_began_nothing_says_so_too(lock: Lock) -> None:
    """It held the lock to decide: there was no scan to attach to, and the old ending is not its own."""
    found = rundirectory.make(lock, lock.runs[0])
    metadata = {"status": lease.INTERRUPTED, "unfinished": True, "failure": lease.OVER}
    Path(found.metadata).write_text(ending(lock, **metadata))
    Path(found.checkpoint, "checkpoint").write_bytes(saved(7))
    held = rundirectory.take(found)
    assert held is not None
    decides = threading.Timer(0.15, os.close, (held,))
    decides.start()
    outcome = boxruns.attend(lock, "fra1")
    decides.join()
    assert (outcome.state, outcome.status, outcome.records) == ("interrupted", 1, 7)
    assert "fra1-g1 has no lease" in outcome.sentence


def test_what_was_granted_holds_from_the_moment_that_was_told(lock: Lock) -> None:
    here = leasefile.now()
    since = max(0.0, here.up - 10)
    assert leasefile.take(lock, here.boot, since) == 60
    assert leasefile.until_of(lock) == since + 60
    assert leasefile.withheld(lock) == ""
    assert leasefile.words(lock) == [f"--lease-until={since + 60:.3f}"]
    leasefile.take(lock, here.boot, max(0.0, since - 5))
    assert leasefile.until_of(lock) == since + 60, "one that was late shortens nothing"


@pytest.mark.parametrize(("boot", "since"), [("other", 1.0), (None, 1.0), (..., 1e11), (..., -1.0), (..., 1)])
def test_no_moment_of_this_box(lock: Lock, boot: object, since: object) -> None:
    with pytest.raises(UsageError, match="no moment since this box was booted"):
        leasefile.take(lock, leasefile.now().boot if boot is ... else boot, since)
    assert leasefile.until_of(lock) is None


def test_one_that_is_over_or_of_another_boot_does_not_count(lock: Lock) -> None:
    path = Path(rundirectory.of_plan(lock), "lease.json")
    boot = leasefile.now().boot
    path.write_text(json.dumps({"boot": boot, "until": leasefile.uptime() + lease.RESERVE - 0.5}))
    assert leasefile.withheld(lock) == f"does not go on: {lease.OVER}"
    for table in ({"boot": "other", "until": 1e9}, {"boot": boot, "until": True}, []):
        path.write_text(json.dumps(table))
        assert leasefile.until_of(lock) is None
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="cannot read"):
        leasefile.until_of(lock)


def test_none_is_renewed_by_a_lock_that_is_not_the_latest(tmp_path: Path) -> None:
    plan = madefleet.written(tmp_path / "plan.toml", text(tmp_path))
    lock = lockfile.read(str(plan))
    assert leasefile.free_in(str(plan), lock, "fra1") is None
    assert leasefile.renew(str(plan), lock, ["fra1", "ams1"])
    free = leasefile.free_in(str(plan), lock, "fra1")
    assert free is not None
    assert 60 < free <= 60 + lease.MARGIN + 60 * lease.DRIFT
    assert leasefile.free_in(str(plan), lock, "nyc1") is None
    lockfile.write(lockfile.beside(str(plan)), lock.assigned("fra1", ["ams1"], ""))
    assert not leasefile.renew(str(plan), lock, ["fra1"])


def test_shards_are_given_away_once_the_lease_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = madefleet.written(tmp_path / "plan.toml", text(tmp_path))
    lock = lockfile.read(str(plan))
    words = [str(plan), "--from", "fra1", "--to", "ams1", "--yes"]
    leasefile.renew(str(plan), lock, ["fra1"])
    assert assigning.main(words, lambda *_: None) == 2
    assert "its lease is over at" in capsys.readouterr().err
    now = leasefile.now()
    past = lease.Clock(now.at - 70, "another boot", 5.0)
    (tmp_path / "plan.leases.json").write_bytes(lease.to_json(lock.id, {"fra1": past}))
    assert assigning.main(words, lambda *_: None) == 0
    assert "its lease is over" in capsys.readouterr().out
    assert lockfile.read(str(plan)).generation == 2
