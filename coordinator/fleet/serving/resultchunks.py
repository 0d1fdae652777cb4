"""What a box gives of a run's results to a controller: as much as the checkpoint confirms."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from coordinator.fleet import boxscan, rundirectory
from coordinator.fleet.rundirectory import RunDirectory
from lzr.errors import UsageError
from lzr.fleet.fetched import CHUNK, MOST_METADATA, Held
from lzr.fleet.lock import Lock, Run

FILES = ("results.json", "metadata.json", "log.txt")
"""Files of a run that a controller may read."""
MOST_CHUNK = 4 << 20


def held(lock: Lock, run: Run) -> dict[str, Any]:
    """`Held` of a run as plain values. Raises UsageError."""
    found = rundirectory.of_run(lock, run)
    saved = boxscan.load_quietly(found)
    length = saved.outputs[0].length if saved is not None and saved.outputs else 0
    ended = not rundirectory.is_running(found) and boxscan.outcome(lock, run, found).state == "done"
    if ended:  # the last checkpoint of a scan is written before its metadata
        saved = boxscan.load_quietly(found)
        length = saved.outputs[0].length if saved is not None and saved.outputs else 0
    metadata = min(_size(found.metadata), MOST_METADATA)
    return vars(Held(min(length, _size(found.results)), ended, metadata))


def chunk(lock: Lock, run: Run, file: str, offset: int, length: int) -> dict[str, Any]:
    """Bytes of one of FILES: {"data", "size"}; a file that is not there has none.

    Raises UsageError, OSError.
    """
    if file not in FILES or not 0 <= offset < 1 << 62 or not 0 < length <= MOST_CHUNK:
        raise UsageError("there is no such chunk")
    try:
        descriptor = _open(rundirectory.of_run(lock, run), file)
    except FileNotFoundError:
        return {"data": b"", "size": 0}
    try:
        return {"data": os.pread(descriptor, length, offset), "size": os.fstat(descriptor).st_size}
    finally:
        os.close(descriptor)


def digest(lock: Lock, run: Run, length: int) -> dict[str, Any]:
    """The hash of the first bytes of the results: {"sha256"}. Raises UsageError, OSError."""
    if not 0 <= length < 1 << 62:
        raise UsageError("there is no such length")
    descriptor, total, at = _open(rundirectory.of_run(lock, run), FILES[0]), hashlib.sha256(), 0
    try:
        while at < length and (data := os.pread(descriptor, min(CHUNK, length - at), at)):
            total.update(data)
            at += len(data)
    finally:
        os.close(descriptor)
    return {"sha256": total.hexdigest()}


def _open(found: RunDirectory, file: str) -> int:
    return os.open(f"{found.here}/{file}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def _size(path: str) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except OSError:
        return 0
