"""Which inputs have their fate, by input number.
What else a checkpoint holds: `coordinator.checkpoint.saved`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Progress:
    """The inputs that have their fate: all below `low`, and some above.

    Memory: a byte for each input between the oldest without a fate and the newest with one.
    """

    def __init__(self, low: int = 0, above: NDArray[np.bool_] | None = None) -> None:
        """above: (n,) bool, for the inputs from `low` on."""
        self._base = low
        self._marks = np.zeros(4096, np.bool_) if above is None else above.copy()

    @property
    def low(self) -> int:
        """The first input without a fate."""
        self._compact()
        return self._base

    def add(self, lines: NDArray[np.uint64]) -> None:
        """Note that the inputs of these lines, (n,) uint64, have their fate."""
        lines = lines[lines >= self._base]
        if not len(lines):
            return
        self._make_room(int(lines.max()) + 1)
        lines = lines[lines >= self._base]
        self._marks[(lines - np.uint64(self._base)).astype(np.int64)] = True

    def add_from(self, first: int, done: NDArray[np.bool_]) -> None:
        """Note which of the inputs from `first` on, (n,) bool, have their fate."""
        end = first + len(done)
        self._make_room(end)
        begin = max(first, self._base)
        if begin < end:
            self._marks[begin - self._base : end - self._base] |= done[begin - first :]

    def _make_room(self, end: int) -> None:
        """Have a mark for each input before this one. The base may move."""
        if end - self._base > len(self._marks):
            self._compact()
        need = end - self._base
        if need > len(self._marks):
            grown = np.zeros(max(need, 2 * len(self._marks)), np.bool_)
            grown[: len(self._marks)] = self._marks
            self._marks = grown

    def contains(self, lines: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """(n,) bool: which of these have their fate."""
        found = lines < self._base
        inside = ~found & (lines < self._base + len(self._marks))
        found[inside] = self._marks[(lines[inside] - np.uint64(self._base)).astype(np.int64)]
        return found

    def among(self, first: int, count: int) -> NDArray[np.bool_]:
        """(count,) bool: which of those from `first` on have their fate."""
        return self.contains(np.arange(first, first + count, dtype=np.uint64))

    def above(self) -> NDArray[np.bool_]:
        """(n,) bool for the inputs from `low` on, no longer than need be."""
        self._compact()
        marks = self._marks
        count = len(marks) - int(marks[::-1].argmax()) if marks.any() else 0
        return marks[:count].copy()

    @property
    def count(self) -> int:
        """How many inputs have their fate."""
        return self._base + int(np.count_nonzero(self._marks))

    def _compact(self) -> None:
        done = len(self._marks) if self._marks.all() else int(self._marks.argmin())
        if done:
            self._base += done
            rest = self._marks[done:]
            self._marks = np.zeros(max(4096, len(rest)), np.bool_)
            self._marks[: len(rest)] = rest
