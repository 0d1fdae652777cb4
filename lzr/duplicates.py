"""Which inputs were seen a short while ago.

Two hash sets of at most `window` keys; when the newer is full, the older is thrown away. So a key seen within
the last `window` inputs is always found (one seen up to twice as long ago may be), and memory never grows.
The key is the peer's address and port, and for a half-open connection our own end too. Keys are kept as
64-bit hashes with a secret in them, so a wrong "seen" takes a collision of 64 bits, which nobody can arrange.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FIRST = np.uint64(0x9E3779B97F4A7C15)
_SECOND = np.uint64(0xBF58476D1CE4E5B9)
_THIRD = np.uint64(0x94D049BB133111EB)


def _mix(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of the input changes half of the output's (the finaliser of SplitMix64)."""
    hashes = (hashes ^ hashes >> np.uint64(30)) * _SECOND
    hashes = (hashes ^ hashes >> np.uint64(27)) * _THIRD
    return hashes ^ hashes >> np.uint64(31)


class _Set:
    """Open addressing with linear probing; 0 marks a free place. At most half full."""

    def __init__(self, capacity: int) -> None:
        self._mask = (1 << max(4, (2 * capacity - 1).bit_length())) - 1
        self._table = np.zeros(self._mask + 1, np.uint64)
        self.count = 0

    def contains(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        found = np.zeros(len(keys), np.bool_)
        if not self.count:
            return found
        at = (keys & np.uint64(self._mask)).astype(np.intp)
        waiting = np.arange(len(keys))
        while len(waiting):
            there = self._table[at]
            same = there == keys[waiting]
            found[waiting[same]] = True
            on = ~same & (there != 0)
            waiting, at = waiting[on], at[on] + 1 & self._mask
        return found

    def add(self, keys: NDArray[np.uint64]) -> None:
        """Keys that are not in the set, each once."""
        self.count += len(keys)
        at = (keys & np.uint64(self._mask)).astype(np.intp)
        while len(keys):
            free = self._table[at] == 0
            self._table[at[free]] = keys[free]  # several may want one place; the last has it
            on = self._table[at] != keys
            keys, at = keys[on], at[on] + 1 & self._mask


class RecentTargets:
    """The targets of the last `window` inputs (0: none are remembered). `key` is a secret 64-bit number.

    Memory: two tables of 16 to 32 bytes for each input of the window, made when first needed.
    """

    def __init__(self, window: int, key: int = 0) -> None:
        if window < 0:
            raise ValueError("the window cannot be negative")
        self._window = window
        self._key = np.uint64(key & 0xFFFFFFFFFFFFFFFF)
        self._new: _Set | None = None
        self._old: _Set | None = None

    def fresh(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Which TARGET rows were not seen within the window, nor earlier in `rows`. Remembers them all."""
        fresh = np.ones(len(rows), np.bool_)
        if not self._window:
            return fresh
        hashes = self._hash(rows)
        for start in range(0, len(rows), self._window):
            part = slice(start, start + self._window)
            fresh[part] = self._take(hashes[part])
        return fresh

    def _hash(self, rows: NDArray[Any]) -> NDArray[np.uint64]:
        half_open = rows["syn"] == 0
        ports = rows["peer_port"].astype(np.uint64) | np.where(half_open, rows["own_port"], 0).astype(
            np.uint64
        ) << np.uint64(16)
        hashes = _mix((rows["peer_lo"] ^ self._key) * _FIRST + ports)
        hashes = _mix(
            hashes ^ rows["peer_hi"] ^ (ports | half_open.astype(np.uint64) << np.uint64(32)) * _FIRST
        )
        own = np.where(half_open, rows["own_lo"] * _FIRST ^ rows["own_hi"], np.uint64(0))
        hashes = _mix(hashes + self._key ^ own)
        hashes[hashes == 0] = 1
        return hashes

    def _take(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """At most `window` hashes at once."""
        keys, first = np.unique(hashes, return_index=True)
        new = self._new if self._new is not None else _Set(self._window)
        here = new.contains(keys)
        seen = here | self._old.contains(keys) if self._old is not None else here
        if new.count + int(np.count_nonzero(~here)) <= self._window:
            new.add(keys[~here])
            self._new = new
        else:
            # What is thrown away was last seen before everything in `new` and what it now lacks: more than
            # `window` inputs ago. All of these keys go into the next set, so it too closes no earlier.
            self._old, self._new = new, _Set(self._window)
            self._new.add(keys)
        fresh = np.zeros(len(hashes), np.bool_)
        fresh[first[~seen]] = True
        return fresh
