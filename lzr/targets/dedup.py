"""Removes duplicates: remembers the targets of the latest inputs.

Two hash sets are kept; when the newer holds `window` keys, the older is thrown away. So a key seen within the
last `window` inputs is always found (one seen up to twice as long ago may be), and memory is bounded. The key
is the peer's address and port, and for a half-open connection our own end too. Keys are kept as 64-bit hashes
with a secret in them, so a target is wrongly taken for a duplicate only if 64 bits collide, which nobody can
bring about on purpose.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c
from lzr.rows import Opening

_FIRST = np.uint64(0x9E3779B97F4A7C15)
_SECOND = np.uint64(0xBF58476D1CE4E5B9)
_THIRD = np.uint64(0x94D049BB133111EB)
_TOGETHER = 4096  # inputs between two looks at how full the newer set is
_GROWTH = 2  # times the size of a table that is full: with 4, those of 400,000 inputs took 17 MB and not 8

Table = NDArray[np.uint64]
"""A power of two of hashes; open addressing with linear probing; 0 marks a free place."""

_NOTHING = np.zeros(1, np.uint64)


class RecentTargets:
    """The targets of the last `window` inputs (0: none are remembered). `key` is a secret 64-bit number.

    Memory: two tables of 16 to 32 bytes for each input of the window; they grow as needed, so a small scan
    uses little.
    """

    def __init__(self, window: int, key: int = 0) -> None:
        if window < 0:
            raise ValueError("the window cannot be negative")
        self._window = window
        self._key = key & 0xFFFFFFFFFFFFFFFF
        self._most = _places(window)
        self._new: Table = np.zeros(min(self._most, _places(_TOGETHER)), np.uint64)
        self._old: Table = _NOTHING
        self._count = 0  # of hashes in `_new`

    def fresh(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Which TARGET rows were not seen within the window, nor earlier in `rows`. Remembers them all."""
        fresh = np.empty(len(rows), np.bool_)
        fresh.fill(True)
        if not self._window:
            return fresh
        # Half of the places are for the window; a step that goes beyond it finds room in the other half.
        step = min(self._window, _TOGETHER)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            self._make_room(len(rows[part]))
            self._count += remember(rows[part], self._key, self._new, self._count, self._old, fresh[part])
        return fresh

    def _make_room(self, more: int) -> None:
        if self._count >= self._window:
            oldest, self._old, self._count = self._old, self._new, 0
            oldest.fill(0)
            self._new = oldest if len(oldest) == self._most else np.zeros(self._most, np.uint64)
        while 2 * (self._count + more) > len(self._new) and len(self._new) < self._most:
            grown = np.zeros(min(self._most, _GROWTH * len(self._new)), np.uint64)
            enter(grown, self._new[self._new != 0])
            self._new = grown


def _places(window: int) -> int:
    return 1 << max(4, (2 * window - 1).bit_length())


def _native_remember(
    rows: NDArray[Any], key: int, new: Table, used: int, old: Table, fresh: NDArray[np.bool_]
) -> int:
    added: int = NATIVE.remember(np.ascontiguousarray(rows), key, new, used, old, fresh)
    return added


@in_c(_native_remember)
def remember(
    rows: NDArray[Any], key: int, new: Table, used: int, old: Table, fresh: NDArray[np.bool_]
) -> int:
    """Enter TARGET rows into `new`, which holds `used`; returns how many were not in it.

    fresh: (n,) bool, set to True for rows that are in neither table and did not occur earlier in `rows`.
    """
    keys, first = np.unique(_hashes(rows, np.uint64(key)), return_index=True)
    missing = ~_contains(new, keys)
    fresh[:] = False
    fresh[first[missing & ~_contains(old, keys)]] = True
    enter(new, keys[missing])
    return int(np.count_nonzero(missing))


def _hashes(rows: NDArray[Any], key: np.uint64) -> NDArray[np.uint64]:
    half_open = rows["syn"] == Opening.TAKEN
    ports = rows["peer_port"].astype(np.uint64) | np.where(half_open, rows["own_port"], 0).astype(
        np.uint64
    ) << np.uint64(16)
    hashes = _mix((rows["peer_lo"] ^ key) * _FIRST + ports)
    hashes = _mix(hashes ^ rows["peer_hi"] ^ (ports | half_open.astype(np.uint64) << np.uint64(32)) * _FIRST)
    own = np.where(half_open, rows["own_lo"] * _FIRST ^ rows["own_hi"], np.uint64(0))
    hashes = _mix(hashes + (key ^ own))
    hashes[hashes == 0] = 1
    return hashes


def _mix(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of the input changes half of the output's (the finaliser of SplitMix64)."""
    hashes = (hashes ^ hashes >> np.uint64(30)) * _SECOND
    hashes = (hashes ^ hashes >> np.uint64(27)) * _THIRD
    return hashes ^ hashes >> np.uint64(31)


def _contains(table: Table, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    found = np.zeros(len(keys), np.bool_)
    mask = len(table) - 1
    at = (keys & np.uint64(mask)).astype(np.intp)
    waiting = np.arange(len(keys))
    while len(waiting):
        there = table[at]
        same = there == keys[waiting]
        found[waiting[same]] = True
        on = ~same & (there != 0)
        waiting, at = waiting[on], at[on] + 1 & mask
    return found


def _native_enter(table: Table, hashes: NDArray[np.uint64]) -> None:
    NATIVE.enter(table, hashes)


@in_c(_native_enter)
def enter(table: Table, hashes: NDArray[np.uint64]) -> None:
    """Hashes that are not in the table, each once; there is room for them."""
    keys, mask = hashes, len(table) - 1
    at = (keys & np.uint64(mask)).astype(np.intp)
    while len(keys):
        free = table[at] == 0
        table[at[free]] = keys[free]  # several may want one place; the last has it
        on = table[at] != keys
        keys, at = keys[on], at[on] + 1 & mask
