"""Within how long hosts answer, if they do: nearly all of those that answered lately took no longer.

What is told is a power of two, the first that 98 % stay under, so it is one to two times what the slowest of
them took. The counts are halved as they grow: what is said is about the last few thousand answers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NEARLY_ALL = (
    0.98  # of those that answer have done so by then; ARCHITECTURE.md, Choices, has what that brought
)
_ENOUGH = 256  # answers: of fewer nothing is concluded
_LATELY = 8192  # answers, of which those before are forgotten
_LEAST = 1 << 25  # ns: a busy machine reads what has come that much later


def prompt(ages: NDArray[np.int64]) -> int | None:
    """ns; None while too little has come. ages: of `columns.note_ages`; they are halved in place."""
    so_far = ages.cumsum()
    total = int(so_far[-1])
    if total < _ENOUGH:
        return None
    if total > _LATELY:
        ages //= 2
    return max(_LEAST, 1 << int(np.searchsorted(so_far, _NEARLY_ALL * total)))
