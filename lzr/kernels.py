"""The native kernels, or None where there are none.

Each kernel in ``lzr._native`` has an equal in Python, and tests hold the two to the same answers. The Python
one runs where the extension was not built, does not fit the rows, or ``LZR_PURE=1`` is set.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
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
_VERSION = 9
_NAMES: dict[str, object] = {
    "VERSION": _VERSION,
    "STATES": tuple(State.__members__),
    "CUES": tuple(Cue.__members__),
}


NO_COMPILER = "no compiler at installation"
SLOWER = 5
"""How many times as much of the processor a flow costs with the kernels in Python (benchmarks/README.md)."""


def _load() -> tuple[ModuleType | None, str]:
    """The kernels in C, or why there are none, in a few words."""
    if os.environ.get("LZR_PURE") == "1":
        return None, "LZR_PURE=1"
    try:
        native = import_module("lzr._native")  # `from lzr import` would not tell missing from broken
    except ModuleNotFoundError:
        others = any(path.suffix != ".pyi" for path in Path(__file__).parent.glob("_native*"))
        return None, "those here are for another Python: install again" if others else NO_COMPILER
    except ImportError as error:
        return None, f"those in C do not load: {error}"
    built = {name: getattr(native, name, None) for name in (*_SIZES, *_NAMES)}
    if built != _SIZES | _NAMES:
        return None, "those in C are of another version: install again"
    return native, ""


NATIVE, WHY_PYTHON = _load()
"""The module, and "" or the reason why there is none."""


def sentence() -> str:
    """Which kernels run: ``kernels in C``, or in Python, why, and what that costs."""
    if NATIVE is not None:
        return "kernels in C"
    return f"kernels in Python ({WHY_PYTHON}), about {SLOWER} times slower"


def make_index() -> FlowIndex:
    """A flow index, native if there is one."""
    return FlowIndex() if NATIVE is None else NativeIndex(NATIVE.Index())
