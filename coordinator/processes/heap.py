"""Gives memory that was freed back to the system: the C library keeps it, in case as much is needed again."""

from __future__ import annotations

import contextlib
import ctypes


def give_back() -> None:
    """What nothing is in (malloc_trim(3)); a C library without that function keeps it. Takes milliseconds."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
