"""How far ZMap's shards of a run are: one JSON line for each that is done, appended and synced."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

from coordinator.commandline.wholefile import write_whole
from coordinator.fleet.rundirectory import RunDirectory
from lzr.errors import UsageError, printable

_MOST = 256 << 20


@dataclass
class ZMapProgress:
    """done: shards that are over. records, inputs: of these. counts: figures of their metadata, summed."""

    done: set[int] = field(default_factory=set)
    records: int = 0
    inputs: int = 0
    counts: dict[str, Any] = field(default_factory=dict)


def path_of(found: RunDirectory) -> str:
    """The file."""
    return f"{found.here}/zmap.jsonl"


def read(found: RunDirectory) -> ZMapProgress:
    """The content of the file; empty where there is none. Raises UsageError."""
    state, path = ZMapProgress(), path_of(found)
    try:
        with open(path, "rb") as file:
            lines = file.read(_MOST).split(b"\n")
    except FileNotFoundError:
        return state
    except OSError as error:
        raise UsageError(f"cannot read {printable(path)}: {error.strerror}") from error
    for line in lines:
        try:
            one = json.loads(line)
            shard, records, counts = one["shard"], one["records"], one["counts"]
            inputs = counts["inputs"]["read"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # cut off: that shard is begun anew
        if shard not in state.done:
            state.done.add(shard)
            state.records += records
            state.inputs += inputs
            state.counts = added(state.counts, counts)
    return state


def add(found: RunDirectory, shard: int, records: int, counts: dict[str, Any]) -> None:
    """This shard is over; on the disk when this returns. Raises OSError."""
    line = json.dumps({"shard": shard, "records": records, "counts": counts}).encode()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path_of(found), flags, 0o644)
    try:
        write_whole(descriptor, b"\n" + line + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def added(one: Any, other: Any) -> Any:
    """Two tables with their numbers added; of other values, the second table's."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            key: added(one[key], other[key]) if key in one and key in other else one.get(key, other.get(key))
            for key in {**one, **other}
        }
    if type(one) in (int, float) and type(other) in (int, float):
        return one + other
    if type(one) is bool and type(other) is bool:
        return one and other
    return other
