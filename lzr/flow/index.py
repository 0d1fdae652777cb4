"""From a flow's 64-bit key to its row in the flow table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c

U64 = NDArray[np.uint64]
Slots = NDArray[np.int32]


class FlowIndex:
    """Maps keys to slots, as a dict; `NativeIndex` gives the same."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}

    def find(self, keys: U64) -> Slots:
        """(n,) int32 slots; -1 where the key is unknown."""
        get = self._slots.get
        return np.fromiter((get(key, -1) for key in keys.tolist()), np.int32, len(keys))

    def insert(self, keys: U64, slots: Slots) -> NDArray[np.bool_]:
        """Add what is new; (n,) bool, False where the key is already there (or came earlier in `keys`)."""
        index = self._slots
        added = np.ones(len(keys), bool)
        for at, (key, slot) in enumerate(zip(keys.tolist(), slots.tolist(), strict=True)):
            if index.setdefault(key, slot) != slot:
                added[at] = False
        return added

    def remove(self, keys: U64) -> None:
        """Forget keys that are there."""
        index = self._slots
        for key in keys.tolist():
            del index[key]

    def __len__(self) -> int:
        return len(self._slots)


class NativeIndex(FlowIndex):
    """The same over an ``lzr._native.Index``: 12 bytes a place, no object for any flow."""

    def __init__(self, native: Any) -> None:
        self.native = native

    def find(self, keys: U64) -> Slots:
        slots = np.empty(len(keys), np.int32)
        self.native.find(np.ascontiguousarray(keys), slots)
        return slots

    def insert(self, keys: U64, slots: Slots) -> NDArray[np.bool_]:
        added = np.empty(len(keys), bool)
        self.native.insert(np.ascontiguousarray(keys), np.ascontiguousarray(slots, np.int32), added)
        return added

    def remove(self, keys: U64) -> None:
        self.native.remove(np.ascontiguousarray(keys))

    def __len__(self) -> int:
        return len(self.native)


def _native_index() -> FlowIndex:
    return NativeIndex(NATIVE.Index())


@in_c(_native_index)
def make_index() -> FlowIndex:
    """An empty flow index."""
    return FlowIndex()
