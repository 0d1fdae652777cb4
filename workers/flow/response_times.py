"""The time within which nearly all hosts answer: the 98th percentile of the latest few thousand response
times.

The percentile is rounded up to a power of two of nanoseconds, so it is one to two times the true one. The
counts are halved when they have grown large, so that old answers are forgotten.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NEARLY_ALL = 0.98
"""Share of the answers that have come by then; for its effect see ARCHITECTURE.md, Choices."""
_ENOUGH = 256
"""Answers needed before a time is given. A judgement: 2 % of 256 are five."""
_LATELY = 8192
"""Answers at which all counts are halved. A judgement: at 100,000 a second that is 80 ms, at 1,000 eight
seconds, so it follows a scan that moves on to other networks."""
_LEAST = 1 << 25
"""The least time that is given, ns. A judgement: a worker on a busy machine reads answers some 30 ms late."""


def prompt(ages: NDArray[np.int64]) -> int | None:
    """The time in ns within which nearly all answers come; None while there were too few answers.

    ages: (AGES,) int64, `ages[k]` the number of answers that took 2^(k-1) to 2^k ns (`columns.note_ages`);
    halved in place when there are many.
    """
    so_far = ages.cumsum()
    total = int(so_far[-1])
    if total < _ENOUGH:
        return None
    if total > _LATELY:
        ages //= 2
    return max(_LEAST, 1 << int(np.searchsorted(so_far, _NEARLY_ALL * total)))
