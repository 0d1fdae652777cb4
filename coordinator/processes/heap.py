"""Returns freed memory to the system: the C library keeps it, in case as much is needed again."""

from __future__ import annotations

import contextlib
import ctypes


def give_back() -> None:
    """Return unused memory (malloc_trim(3)), where the C library has that function. Takes milliseconds."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
