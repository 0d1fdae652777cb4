"""Made results of a fleet: records as each box would have written them, from its own source and shards."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lzr import addresses
from lzr.fleet.keptrecords import RECORD, Hashed
from lzr.fleet.lock import Lock, blocklist_hash, settled
from lzr.fleet.plan import of_toml
from tests import madescans

PLAN = """
name = "made"
responsible = "scan@example.org"
seed = 7
rate = 3000
shards = 12
input = "targets.txt"

[[box]]
name = "fra1"
source = "192.0.2.1"
weight = 2

[[box]]
name = "ams1"
source = "198.51.100.0/30"

[[box]]
name = "nyc1"
source = ["203.0.113.9", "2001:db8::9"]
"""
SUM = "0" * 64
SOURCES = {"fra1": "192.0.2.1", "ams1": "198.51.100.2", "nyc1": "203.0.113.9"}


def lock(text: str = PLAN, *, plan_sum: str = SUM) -> Lock:
    """The lock of a plan that nobody has begun."""
    return settled(of_toml(text.encode()), "0.1.0", plan_sum, SUM, 1000, blocklist_hash([]))


def written(path: Path, text: str = PLAN) -> Path:
    """A plan as a file with its lock beside it; the plan's name."""
    path.write_text(text)
    made = lock(text, plan_sum=hashlib.sha256(text.encode()).hexdigest())
    path.with_suffix(".lock.json").write_bytes(made.to_json())
    return path


def shard(record: dict[str, Any], shards: int) -> int:
    """The shard of a record's host and port."""
    row = np.zeros(1, RECORD)
    row["peer_hi"], row["peer_lo"] = addresses.parse(record["saddr"])
    row["peer_port"] = record["sport"]
    return int(Hashed(shards)(row)[0])


def by_run(of: Lock, records: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Records by the name of the run that has their shard now, each from its box's source."""
    found: dict[str, list[dict[str, Any]]] = {run.name: [] for run in of.current}
    for record in records:
        run = of.run_of(shard(record, of.plan.shards))
        record["daddr"] = SOURCES[run.box]
        found[run.name].append(record)
    return found


def files(of: Lock, folder: Path, count: int, *, seed: int = 1) -> list[Path]:
    """A file of results for each run that has shards, in made order: hostile banners among them."""
    hostile = [{**one, "saddr": f"172.16.0.{at}"} for at, one in enumerate(madescans.hostile(seed=seed))]
    made = [*madescans.records(count, seed=seed), *hostile]
    random.Random(seed).shuffle(made)
    paths = []
    for name, records in by_run(of, made).items():
        path = folder / f"{name}.json"
        path.write_text("".join(map(madescans.line, records)))
        paths.append(path)
    return paths
