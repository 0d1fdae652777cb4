"""A program whose output another host writes: of that the end is kept, however much comes."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Sequence
from typing import IO

MOST = 1 << 14
"""Bytes at the end of each output that are kept."""
_CHUNK = 1 << 16
_LEFT = 1.0
"""Seconds in which an output has to end when the program has ended; what it has started may keep it open."""


def run(words: Sequence[str], stdin: bytes, seconds: float) -> tuple[int, bytes, bytes]:
    """Run it to its end: its exit status, and the ends of its stdout and stderr.

    Raises OSError; subprocess.TimeoutExpired where it has not ended in time, by then it is killed.
    """
    out, wrong = bytearray(), bytearray()
    with contextlib.ExitStack() as stack:
        process = subprocess.Popen(
            list(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        threads = [
            threading.Thread(target=_give, args=(process.stdin, stdin), daemon=True),
            threading.Thread(target=_keep, args=(process.stdout, out), daemon=True),
            threading.Thread(target=_keep, args=(process.stderr, wrong), daemon=True),
        ]
        for thread in threads:
            thread.start()
        status = process.wait(seconds)
        for thread in threads:
            thread.join(_LEFT)
    return status, bytes(out[-MOST:]), bytes(wrong[-MOST:])


def _give(file: IO[bytes], data: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):  # it wants no more
        file.write(data)
    with contextlib.suppress(OSError, ValueError):
        file.close()


def _keep(file: IO[bytes], last: bytearray) -> None:
    with contextlib.suppress(OSError, ValueError), file:
        while data := file.read1(_CHUNK):  # type: ignore[attr-defined]
            last += data
            del last[:-MOST]
