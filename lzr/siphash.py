"""SipHash-2-4 (Aumasson, Bernstein 2012) of two 64-bit words, over columns.

A keyed one-way function with 64 bits of output: without the key the output looks random, and no number of
outputs reveals the key. Two bodies, see `kernels`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c
from lzr.secrets import Key

U64 = NDArray[np.uint64]

_WORD = 0xFFFFFFFFFFFFFFFF
# "somepseudorandomlygeneratedbytes", §2.1 of the paper
_V0, _V1, _V2, _V3 = 0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573
_LENGTH = 16 << 56  # the last block holds how many bytes the message has


def _native_siphash(key: Key, first: U64, second: U64 | int = 0) -> U64:
    others = np.full(len(first), second, np.uint64) if isinstance(second, int) else second
    out = np.empty(len(first), np.uint64)
    NATIVE.siphash(np.ascontiguousarray(first), np.ascontiguousarray(others), *key, out)
    return out


@in_c(_native_siphash)
def siphash(key: Key, first: U64, second: U64 | int = 0) -> U64:
    """(n,) uint64: the hash of two little-endian words; `second` may be one for all."""
    others = np.full(len(first), second, np.uint64) if isinstance(second, int) else second
    k0, k1 = (np.uint64(word & _WORD) for word in key)
    start = (k0 ^ np.uint64(_V0), k1 ^ np.uint64(_V1), k0 ^ np.uint64(_V2), k1 ^ np.uint64(_V3))
    v = [np.full(len(first), word, np.uint64) for word in start]
    for block in (first, others, np.full(len(first), _LENGTH, np.uint64)):
        v[3] ^= block
        _round(v)
        _round(v)
        v[0] ^= block
    v[2] ^= np.uint64(0xFF)
    for _ in range(4):
        _round(v)
    found: U64 = v[0] ^ v[1] ^ v[2] ^ v[3]
    return found


def _round(v: list[U64]) -> None:
    v[0] += v[1]
    v[2] += v[3]
    v[1] = _rotated(v[1], 13) ^ v[0]
    v[3] = _rotated(v[3], 16) ^ v[2]
    v[0] = _rotated(v[0], 32)
    v[2] += v[1]
    v[0] += v[3]
    v[1] = _rotated(v[1], 17) ^ v[2]
    v[3] = _rotated(v[3], 21) ^ v[0]
    v[2] = _rotated(v[2], 32)


def _rotated(word: U64, by: int) -> U64:
    return word << np.uint64(by) | word >> np.uint64(64 - by)
