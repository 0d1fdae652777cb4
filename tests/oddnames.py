"""A process whose name is no UTF-8: the kernel cuts names at 15 bytes, in the midst of a letter too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_PROGRAM = r"""
import ctypes, sys
ctypes.CDLL(None).prctl(15, b"caf\xc3", 0, 0, 0)  # PR_SET_NAME
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def oddly_named(*descriptors: int) -> Iterator[subprocess.Popen[bytes]]:
    """The process, which holds these descriptors too; it ends with the context."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=descriptors,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()
