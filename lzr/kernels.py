"""The native kernels, or None where there are none.

Each kernel in ``lzr._native`` has an equal in Python, and tests hold the two to the same answers. The Python
one runs where the extension was not built, does not fit the rows, or ``LZR_PURE=1`` is set.
"""

from __future__ import annotations

import os
from types import ModuleType

from lzr.rows import OUTCOME, TARGET


def _load() -> ModuleType | None:
    if os.environ.get("LZR_PURE") == "1":
        return None
    try:
        from lzr import _native
    except ImportError:
        return None
    fits = _native.TARGET_SIZE == TARGET.itemsize and _native.OUTCOME_SIZE == OUTCOME.itemsize
    return _native if fits else None


NATIVE = _load()
