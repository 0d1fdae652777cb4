"""The file of orders to block somebody (`lzr.fleet.blockorders`): appended to, synced, never rewritten."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Sequence

from coordinator.files.reach import give, reach
from lzr.errors import UsageError, printable
from lzr.fleet import blockorders
from lzr.fleet.blockorders import Confirmed, Kept, Order

NAME = "blocks.jsonl"
MOST_BYTES = 64 << 20


def read(path: str) -> Kept:
    """The content of the file; empty where there is none. Raises UsageError."""
    try:
        with reach(path, None) as place:
            descriptor = place.open(os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return Kept()
    except OSError as error:
        raise UsageError(f"cannot read {printable(path)}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        return blockorders.read(file.read(MOST_BYTES).splitlines())[0]


def append(path: str, what: Sequence[Order | Confirmed], invoker: tuple[int, int] | None = None) -> None:
    """Add to it; on the disk when this returns. Raises UsageError."""
    data = b"".join(map(blockorders.line, what))
    if not data:
        return
    try:
        with reach(path, invoker) as place:
            made = not place.mode()
            descriptor = place.open(os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    data = b"\n" + data  # a line that was cut off stays one
                _whole(descriptor, data)
                os.fsync(descriptor)
                if made:
                    give(descriptor, invoker)
                    with contextlib.suppress(OSError):
                        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=place.directory)
                        try:
                            os.fsync(folder)
                        finally:
                            os.close(folder)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise UsageError(f"cannot write {printable(path)}: {error.strerror}") from error


def _whole(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
