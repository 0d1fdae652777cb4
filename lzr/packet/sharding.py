"""Which shard a flow belongs to: a hash of the 4-tuple that coordinator, kernel and workers compute alike.

The coordinator computes it over columns; the kernel over each arriving packet (a classic-BPF program that
`lzr.packet.bpfprograms` makes and ``PACKET_FANOUT_CBPF`` runs); a worker when it picks a source port for a
follow-up connection. Since all three agree, a flow's replies reach the process that owns its state and no
other. (The shards of --shards, which divide an input among boxes, are another thing:
`lzr.targets.inputshards`.)

The hash is multiply-xor-shift in 32 bits over the words peer address, ports, own address, because that is
what classic BPF can do: ``h = (h ^ word) * K; h ^= h >> 15``. ``seed`` is drawn for each run, so a peer
cannot aim at one shard.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c
from lzr.layout import COOKIE_BITS
from lzr.rows import FLOW, FRAME, OUTCOME, SEGMENT, TARGET

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]

MULTIPLIER = 0x9E3779B1
"""2^32 / golden ratio, odd."""
SHIFT = 15


def layout(dtype: np.dtype[Any]) -> tuple[int, int, int]:
    """A row dtype's size in bytes, and the offsets of its four address halves and of its two ports."""
    found = _LAYOUTS.get(id(dtype))
    if found is None:
        fields: Any = dtype.fields
        return dtype.itemsize, fields["peer_hi"][1], fields["peer_port"][1]
    return found


_LAYOUTS: dict[int, tuple[int, int, int]] = {}
for _dtype in (TARGET, OUTCOME, SEGMENT, FRAME, FLOW):
    _LAYOUTS[id(_dtype)] = layout(_dtype)


def _native_flow_hash(rows: NDArray[Any], seed: int) -> U32:
    rows = np.ascontiguousarray(rows)
    hashes = np.empty(len(rows), np.uint32)
    NATIVE.flow_hashes(rows, *layout(rows.dtype), seed & 0xFFFFFFFF, hashes)
    return hashes


@in_c(_native_flow_hash)
def flow_hash(rows: NDArray[Any], seed: int) -> U32:
    """32-bit hash of each row's 4-tuple: fields peer_hi/lo, own_hi/lo (u8), peer_port, own_port (u2).

    Returns (n,) uint32. IPv4-mapped rows hash three words, IPv6 rows nine, as the kernel program does.
    """
    h = np.full(len(rows), seed & 0xFFFFFFFF, np.uint32)
    v6 = (rows["peer_hi"] != 0) | (rows["peer_lo"] >> np.uint64(32) != 0xFFFF)
    mixed = bool(v6.any())
    ports = rows["peer_port"].astype(np.uint32) << np.uint32(16) | rows["own_port"]
    for side in ("peer", "own"):
        low = rows[f"{side}_lo"]
        if mixed:
            high = rows[f"{side}_hi"]
            for word in (high >> np.uint64(32), high, low >> np.uint64(32)):
                h = np.where(v6, _mix(h, word.astype(np.uint32)), h)
        h = _mix(h, low.astype(np.uint32))
        if side == "peer":
            h = _mix(h, ports)
    return h


def cookie(rows: NDArray[Any], key: int) -> U32:
    """The low bits of our ISN for each row's 4-tuple: (n,) uint32 below 2**COOKIE_BITS.

    The SYN-ACKs to ZMap's own SYNs come to our ports at full rate, and so may a flood of forged ones. The
    answer to a SYN of ours acknowledges an ISN that has the cookie, so the kernel can tell it from the others
    before it copies it.

    key: 64 bits, used for nothing else. Classic BPF cannot compute a one-way function at this price, so an
    attacker with many hosts may in the end work these bits out; the 24 bits above them it cannot.
    """
    h = _mix(flow_hash(rows, key), np.uint32(key >> 32 & 0xFFFFFFFF))
    return h >> np.uint32(32 - COOKIE_BITS)


def _mix(h: U32, word: U32 | np.uint32) -> U32:
    h = (h ^ word) * np.uint32(MULTIPLIER)
    return h ^ (h >> np.uint32(SHIFT))


def shard_of(rows: NDArray[Any], seed: int, shards: int) -> U32:
    """(n,) uint32 in [0, shards)."""
    return flow_hash(rows, seed) % np.uint32(shards)


_K1, _K2, _K3, _K4, _K5 = (
    np.uint64(k)
    for k in (
        0x9E3779B97F4A7C15,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0xD6E8FEB86659FD93,
        0xA0761D6478BD642F,
    )
)


def _native_flow_key(rows: NDArray[Any], seed: int) -> U64:
    rows = np.ascontiguousarray(rows)
    keys = np.empty(len(rows), np.uint64)
    NATIVE.flow_keys(rows, *layout(rows.dtype), seed & 0xFFFFFFFFFFFFFFFF, keys)
    return keys


@in_c(_native_flow_key)
def flow_key(rows: NDArray[Any], seed: int) -> U64:
    """64-bit key of each row's 4-tuple for the flow index: (n,) uint64, never 0.

    It is not the shard hash, which within a shard is constant modulo the number of shards.
    """
    x = rows["peer_lo"] * _K1
    x ^= rows["peer_hi"] * _K2 + np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
    x ^= x >> np.uint64(32)
    x *= _K5
    x ^= rows["own_lo"] * _K3 + (
        (rows["peer_port"].astype(np.uint64) << np.uint64(16) | rows["own_port"]) * _K4
    )
    x ^= rows["own_hi"] * _K2
    x ^= x >> np.uint64(29)
    x *= _K1
    x ^= x >> np.uint64(32)
    return np.maximum(x, np.uint64(1))


_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix64(x: U64) -> U64:
    """splitmix64's finaliser (Steele, Lea, Flood 2014). It is invertible, so it hides nothing."""
    x = x + _K1
    x = (x ^ (x >> np.uint64(30))) * _M1
    x = (x ^ (x >> np.uint64(27))) * _M2
    return x ^ (x >> np.uint64(31))
