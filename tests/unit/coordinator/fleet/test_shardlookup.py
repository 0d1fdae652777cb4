"""Which shard a record is of, as the scan itself has dealt it: by hash, by place, or not to be told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coordinator.files.filereader import FileReader
from coordinator.fleet import checking, lockfile, shardlookup
from coordinator.input import networklists
from coordinator.input.sweptspace import swept
from lzr.errors import UsageError
from lzr.fleet.keptrecords import RECORD, Hashed, anywhere
from lzr.fleet.lock import Lock
from lzr.options import parse
from lzr.rows import FRAME
from tests import madefleet


def settled(folder: Path, what: str) -> Lock:
    path = folder / "plan.toml"
    path.write_text(madefleet.PLAN.replace('input = "targets.txt"', what))
    assert checking.main([str(path), "-q", "--overwrite"]) == 0
    return lockfile.read(str(path))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("192.0.2.1:80\n198.51.100.0/30:443\n", False),
        ("192.0.2.1:80\nwww.example.org:80\n", True),
        ("198.51.100.0/24:1-1000\nwww.example.org:80", True),
        ("", False),
    ],
)
def test_a_list_is_dealt_by_hash_unless_it_has_names(tmp_path: Path, text: str, named: bool) -> None:
    (tmp_path / "targets.txt").write_text(text)
    lock = settled(tmp_path, 'input = "targets.txt"')
    assert shardlookup.of(lock) == (anywhere if named else Hashed(12))
    (tmp_path / "targets.txt").unlink()
    assert shardlookup.of(lock) == Hashed(12)


def test_a_sweep_is_dealt_by_place_as_its_boxes_see_it(tmp_path: Path) -> None:
    (tmp_path / "blocklist").write_text("198.18.0.0/28\n")
    lock = settled(
        tmp_path, 'targets = ["198.18.0.0/25"]\ntarget-ports = "80,443"\nblocklist = ["blocklist"]'
    )
    of = shardlookup.of(lock)
    seen = 0
    for shard in range(12):
        words = [
            *("-p", "80,443", "198.18.0.0/25", "--blocklist-file", str(tmp_path / "blocklist")),
            *("--shards", "12", "--shard", str(shard), "--seed", str(lock.plan.seed)),
        ]
        options = parse.parse(words)
        share = swept(options, FileReader(), networklists.policy(options, FileReader()), lock.plan.seed).share
        pairs = np.zeros(share.total, FRAME)
        share.pairs(0, pairs)
        rows = np.zeros(share.total, RECORD)
        for name in ("peer_hi", "peer_lo", "peer_port"):
            rows[name] = pairs[name]
        assert set(of(rows).tolist()) == {shard}
        seen += len(rows)
        rows["peer_port"] = 22
        assert set(of(rows).tolist()) == {shardlookup.NOBODYS}
    assert seen == (128 - 16) * 2
    (tmp_path / "blocklist").write_text("198.18.0.0/27\n")
    with pytest.raises(UsageError, match="not what it was"):
        shardlookup.of(lock)
