"""What all conditions say together of whether a host answers on a port, beside what the best of them says.

The best of many guesses is a guess too high: of a host's features one always promises something, and those
that say nothing of the port have often seen many hosts without an answer. So the share of hosts that each
feature speaks of, drawn towards that of the port alone, is weighed with the best lower bound: a logistic
regression, whose weights hosts decide that were held out. It is about one answer of the host, and all its
features are of that answer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

_TOWARDS = 10.0
"""Strength of the belief that the best score alone decides; in candidates' worth of a weight of one."""
_SURE = 1e-4
_STEPS = 12


def logit(share: F64) -> F64:
    """Log odds; shares of nothing and of everything are not quite that."""
    share = np.clip(share, _SURE, 1 - _SURE)
    return np.asarray(np.log(share) - np.log1p(-share))


class Weights(NamedTuple):
    """of: (1 + columns,) f8, that of nothing first."""

    of: F64

    def __call__(self, evidence: F64) -> F64:
        """Chances of rows of evidence, whose first column is the best score's log odds: (n,) f8."""
        return np.asarray(1 / (1 + np.exp(-(self.of[0] + evidence @ self.of[1:]))))


def weights(evidence: F64, hit: Bool | F64, asked: F64 | None = None, *, offset: float = 0.0) -> Weights:
    """From held-out candidates: (n, columns), and which answered.

    asked: (n,) how many candidates each row stands for, of which `hit` answered. offset: log odds of a row
    without evidence, beside the weight of nothing.
    """
    count, columns = evidence.shape
    many = np.ones(count) if asked is None else asked
    table = np.column_stack([np.ones(count), evidence])
    begin = np.zeros(columns + 1)
    begin[1] = 1.0
    of = begin.copy()
    hold = np.eye(columns + 1) * _TOWARDS
    for _ in range(_STEPS if count else 0):
        chance = 1 / (1 + np.exp(-np.clip(offset + table @ of, -30, 30)))
        slope = table.T @ (hit - many * chance) - _TOWARDS * (of - begin)
        curve = (table * (many * chance * (1 - chance))[:, None]).T @ table + hold
        step = np.linalg.solve(curve, slope)
        of = of + step * min(1.0, 3.0 / max(float(np.abs(step).max()), 1e-9))
        if np.abs(step).max() < 1e-4:
            break
    return Weights(of)
