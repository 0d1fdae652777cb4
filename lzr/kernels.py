"""The native kernels, or None where there are none.

Each kernel in ``lzr._native`` has an equal in Python, and tests hold the two to the same answers. The Python
one runs where the extension was not built, does not fit the rows, or ``LZR_PURE=1`` is set.
"""

from __future__ import annotations

import os
from types import ModuleType

from lzr.flowindex import FlowIndex, NativeIndex
from lzr.rows import FLOW, FRAME, OUTCOME, SEGMENT, TARGET
from lzr.transitions import Cue, State

_SIZES = {
    f"{name}_SIZE": dtype.itemsize
    for name, dtype in (
        ("TARGET", TARGET),
        ("OUTCOME", OUTCOME),
        ("SEGMENT", SEGMENT),
        ("FRAME", FRAME),
        ("FLOW", FLOW),
    )
}
_VERSION = 7
_NAMES: dict[str, object] = {
    "VERSION": _VERSION,
    "STATES": tuple(State.__members__),
    "CUES": tuple(Cue.__members__),
}


def _load() -> ModuleType | None:
    if os.environ.get("LZR_PURE") == "1":
        return None
    try:
        from lzr import _native
    except ImportError:
        return None
    built = {name: getattr(_native, name, None) for name in (*_SIZES, *_NAMES)}
    return _native if built == _SIZES | _NAMES else None


NATIVE = _load()


def make_index() -> FlowIndex:
    """A flow index, native if there is one."""
    return FlowIndex() if NATIVE is None else NativeIndex(NATIVE.Index())
