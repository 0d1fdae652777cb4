"""Chooses, once at import, whether the hot functions run in C or in Python.

The Python body is the definition. `in_c` pairs it with the one that calls ``lzr._native``, which runs where
that was built for this version (`layout`); elsewhere, and with ``LZR_PURE=1``, the Python one does.
`tests/unit/lzr/test_kernels.py` holds the two to the same answers, and the fixture `kernels` runs a test with
each.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from lzr.layout import NUMBERS
from lzr.rows import (
    FLOW,
    FRAME,
    INTERVAL,
    OUTCOME,
    SEGMENT,
    TARGET,
    Expected,
    FirstStep,
    FlowState,
    FlowTrigger,
    Number,
    Opening,
    Reason,
)

VERSION = 23
"""Of the functions in C; it grows whenever an argument changes."""

_ROWS = {
    "TARGET": TARGET,
    "OUTCOME": OUTCOME,
    "SEGMENT": SEGMENT,
    "FRAME": FRAME,
    "FLOW": FLOW,
    "INTERVAL": INTERVAL,
}
_OPENINGS = {"Opening.OURS": Opening.OURS, "Opening.DOUBTFUL": Opening.DOUBTFUL}
_EXPECTED = ("NOTHING", "SYN_ACK", "ACK", "DATA")
_REASONS = (
    "DATA", "SILENT", "RST", "FIN", "ZERO_WINDOW", "NO_SYN_ACK", "FIREWALL", "DUPLICATE", "SEND_REFUSED",
    "BLOCKED", "SA_ONLY",
)  # fmt: skip


def layout() -> dict[str, Any]:
    """What the extension must have been built for: names and numbers, offsets of the rows' fields."""
    return {
        "VERSION": VERSION,
        "STATES": tuple(FlowState.__members__),
        "TRIGGERS": tuple(FlowTrigger.__members__),
        "ROWS": {name: (dtype.itemsize, _offsets(dtype)) for name, dtype in _ROWS.items()},
        "NUMBERS": {
            **NUMBERS,
            **_OPENINGS,
            **{f"Expected.{name}": getattr(Expected, name) for name in _EXPECTED},
            **{f"Reason.{name}": getattr(Reason, name) for name in _REASONS},
            **{f"{enum.__name__}.{one.name}": int(one) for enum in (Number, FirstStep) for one in enum},
        },
    }


def _offsets(dtype: np.dtype[Any]) -> dict[str, int]:
    return {name: int(field[1]) for name, field in (dtype.fields or {}).items()}


NO_COMPILER = "no compiler at installation"
SLOWER = 5
"""How many times as much of the processor a flow costs with the kernels in Python (benchmarks/README.md)."""


def _load() -> tuple[Any, str]:
    """The extension in C, or the reason why there is none, in a few words."""
    if os.environ.get("LZR_PURE") == "1":
        return None, "LZR_PURE=1"
    try:
        native = import_module("lzr._native")  # `from lzr import` would not tell missing from broken
    except ModuleNotFoundError:
        others = any(Path(__file__).parent.glob("_native.*"))
        return None, "those here are for another Python: install again" if others else NO_COMPILER
    except ImportError as error:
        return None, f"those in C do not load: {error}"
    wanted = layout()
    if wanted != {name: getattr(native, name, None) for name in wanted}:
        return None, "those in C are of another version: install again"
    return native, ""


NATIVE, WHY_PYTHON = _load()
"""The extension in C, which only functions chosen by `in_c` call; or None, and the reason why."""


def sentence() -> str:
    """Which kernels run: ``kernels in C``, or in Python, why, and what that costs."""
    if NATIVE is not None:
        return "kernels in C"
    return f"kernels in Python ({WHY_PYTHON}), about {SLOWER} times slower"


T = TypeVar("T")


def prepared(make: Callable[[Any], T], otherwise: T) -> T:
    """A value that only functions in C use, made once by `make` from the extension; `otherwise` where there
    is none.
    """
    return otherwise if NATIVE is None else make(NATIVE)


F = TypeVar("F", bound=Callable[..., Any])


class Pair(NamedTuple):
    """A hot function's two bodies."""

    python: Callable[..., Any]
    native: Callable[..., Any]


PAIRS: list[Pair] = []
"""Of all modules that have been imported."""


def in_c(native: F) -> Callable[[F], F]:
    """Decorates the Python body of a function that `native` computes by a call of the extension."""

    def choose(python: F) -> F:
        functools.update_wrapper(native, python)
        PAIRS.append(Pair(python, native))
        return python if NATIVE is None else native

    return choose
