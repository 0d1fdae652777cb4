"""The native kernels, or None where there are none.

Each kernel in ``lzr._native`` has an equal in Python, and tests hold the two to the same answers. The Python
one runs where the extension was not built, does not fit the rows, or ``LZR_PURE=1`` is set.
"""

from __future__ import annotations

import os
from types import ModuleType

from lzr.flowindex import FlowIndex
from lzr.rows import OUTCOME, TARGET


def _load() -> ModuleType | None:
    if os.environ.get("LZR_PURE") == "1":
        return None
    try:
        from lzr import _native
    except ImportError:
        return None
    sizes = _native.TARGET_SIZE, _native.OUTCOME_SIZE
    return _native if sizes == (TARGET.itemsize, OUTCOME.itemsize) else None


NATIVE = _load()


def make_index() -> FlowIndex:
    """A flow index, native if there is one."""
    native = getattr(NATIVE, "FlowIndex", None)
    return native() if native is not None else FlowIndex()
