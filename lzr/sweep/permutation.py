"""The order of a sweep: a keyed permutation of 0..size-1, of which any element can be computed alone.

A generalised Feistel network over the product of two ranges (Black, Rogaway 2002, "Ciphers with arbitrary
finite domains", §5): a number is a pair (left, right) with left below `left` and right below `right`; six
rounds add a keyed mix of the one to the other, modulo its range. `left` is the square root of the size,
rounded up, and the product of both exceeds the size by less than `left`: so few numbers leave 0..size-1, and
they are put through once more ("cycle walking").

So a shard of a sweep is the numbers first, first + step, first + 2 step..., and one number says how far it
has come. ARCHITECTURE.md says why this and not ZMap's multiplicative group.
"""

from __future__ import annotations

import struct
from math import isqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c
from lzr.packet.sharding import mix64
from lzr.secrets import Key
from lzr.siphash import siphash

U64 = NDArray[np.uint64]

ROUNDS = 6
MOST = 1 << 48
_HALF = np.uint64(32)


class Permutation(Struct, frozen=True):
    """size: how many there are. left, right: the two ranges. keys: of the rounds, 64 bits each."""

    size: int
    left: int
    right: int
    keys: tuple[int, ...]

    @classmethod
    def of(cls, size: int, key: Key) -> Permutation:
        """The permutation of this size under this key. Raises ValueError."""
        if not 0 <= size <= MOST:
            raise ValueError(f"a permutation of {size} elements")
        left = max(1, isqrt(max(0, size - 1)) + 1)
        right = max(1, -(-size // left))
        drawn = siphash(key, np.arange(ROUNDS, dtype=np.uint64), size)
        return cls(size, left, right, tuple(drawn.tolist()))

    @property
    def packed(self) -> bytes:
        """Size, ranges and keys as nine words, for the functions in C."""
        return struct.pack(f"<{3 + ROUNDS}Q", self.size, self.left, self.right, *self.keys)

    def _native_take(self, first: int, step: int, count: int) -> U64:
        _check(self, first, step, count)
        found = np.empty(count, np.uint64)
        NATIVE.sweep_permute(self.packed, first, step, found)
        return found

    @in_c(_native_take)
    def take(self, first: int, step: int, count: int) -> U64:
        """(count,) u64: the elements at first, first + step, ...; all of these positions are below `size`."""
        _check(self, first, step, count)
        found = self._once(np.uint64(first) + np.uint64(step) * np.arange(count, dtype=np.uint64))
        while len(outside := np.flatnonzero(found >= self.size)):
            found[outside] = self._once(found[outside])
        return found

    def _native_places(self, elements: U64) -> U64:
        found = np.empty(len(elements), np.uint64)
        NATIVE.sweep_places(self.packed, np.ascontiguousarray(elements), found)
        return found

    @in_c(_native_places)
    def places(self, elements: U64) -> U64:
        """(n,) u64: the position in the order of each of these elements; all are below `size`."""
        found = self._back(elements)
        while len(outside := np.flatnonzero(found >= self.size)):
            found[outside] = self._back(found[outside])
        return found

    def _back(self, elements: U64) -> U64:
        """The inverse of `_once`."""
        left_range, right_range = np.uint64(self.left), np.uint64(self.right)
        left = elements // right_range
        right = elements - left * right_range
        for at in reversed(range(0, ROUNDS, 2)):
            right = _taken(right, left, right_range, self.keys[at + 1])
            left = _taken(left, right, left_range, self.keys[at])
        return left * right_range + right

    def _once(self, numbers: U64) -> U64:
        left_range, right_range = np.uint64(self.left), np.uint64(self.right)
        left = numbers // right_range
        right = numbers - left * right_range
        for at in range(0, ROUNDS, 2):
            left = _added(left, right, left_range, self.keys[at])
            right = _added(right, left, right_range, self.keys[at + 1])
        return left * right_range + right


def _added(to: U64, of: U64, within: np.uint64, key: int) -> U64:
    """One round: the keyed mix of the other half, scaled to the range, is added modulo the range."""
    total = to + _mixed(of, within, key)
    return np.where(total >= within, total - within, total)


def _taken(from_: U64, of: U64, within: np.uint64, key: int) -> U64:
    """The inverse of a round."""
    mixed = _mixed(of, within, key)
    return np.where(from_ < mixed, from_ + within - mixed, from_ - mixed)


def _mixed(of: U64, within: np.uint64, key: int) -> U64:
    return (mix64(of ^ np.uint64(key)) >> _HALF) * within >> _HALF


def _check(order: Permutation, first: int, step: int, count: int) -> None:
    last = first + step * (count - 1)
    if first < 0 or step < 1 or count < 0 or (count and last >= order.size):
        raise ValueError(f"positions {first} to {last} of {order.size}")
