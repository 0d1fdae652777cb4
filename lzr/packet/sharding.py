"""Which shard a flow belongs to: a hash of the 4-tuple that coordinator, kernel and workers compute alike.

The coordinator computes it over columns, the kernel over each arriving packet (a classic-BPF program run by
``PACKET_FANOUT_CBPF``), and a worker when it picks a source port for a follow-up connection. Since all three
agree, a flow's replies reach the process that owns its state and nobody else.

The hash is multiply-xor-shift in 32 bits over the words peer address, ports, own address, because that is
what classic BPF can do: ``h = (h ^ word) * K; h ^= h >> 15``. ``seed`` is drawn for each run, so a peer
cannot aim at one shard.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c
from lzr.layout import COOKIE_BITS
from lzr.rows import FLOW, FRAME, OUTCOME, SEGMENT, TARGET

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]

_MULTIPLIER = 0x9E3779B1  # 2^32 / golden ratio, odd
_SHIFT = 15

# linux/filter.h and linux/bpf_common.h
_LD_W_ABS, _LD_H_ABS, _LD_B_ABS = 0x20, 0x28, 0x30
_LD_W_IND, _LD_H_IND, _LD_B_IND = 0x40, 0x48, 0x50
_LDX_IMM, _LDX_MSH, _LDX_MEM, _LD_MEM, _LD_IMM = 0x01, 0xB1, 0x61, 0x60, 0x00
_ST, _STX, _TAX, _TXA = 0x02, 0x03, 0x07, 0x87
_ADD_K, _ADD_X, _MUL_K, _XOR_K, _XOR_X, _RSH_K, _LSH_K, _AND_K = (
    0x04,
    0x0C,
    0x24,
    0xA4,
    0xAC,
    0x74,
    0x64,
    0x54,
)
_JA, _JEQ, _JGT, _JGE, _JSET, _JEQ_X = 0x05, 0x15, 0x25, 0x35, 0x45, 0x1D
_RET_A, _RET_K = 0x16, 0x06
_NET = 0xFFF00000  # SKF_NET_OFF: relative to the network header, so VLAN tags do not matter
_AD_PROTOCOL = 0xFFFFF000  # SKF_AD_OFF + SKF_AD_PROTOCOL: the EtherType
_AD_PKTTYPE, _AD_IFINDEX, _AD_VLAN_TAG, _AD_VLAN_TAG_PRESENT = (_AD_PROTOCOL + at for at in (4, 8, 44, 48))
_OTHERHOST = 3  # linux/if_packet.h
MOST_LINKS = 32  # links that a socket filter can name

_ETH_P_IP, _ETH_P_IPV6, _TCP = 0x0800, 0x86DD, 6
_ICMP, _ICMPV6 = 1, 58
_EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options (RFC 8200 §4)
_FRAGMENT_HEADER = 44
_MAX_EXTENSIONS = 4  # IPv6 extension headers that are followed
_SLOT_HASH, _SLOT_OFFSET, _SLOT_NEXT = 0, 1, 2


def layout(dtype: np.dtype[Any]) -> tuple[int, int, int]:
    """Where a row has its 4-tuple: bytes of a row, where its four address halves and its two ports start."""
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
    """(n,) uint32 below 2**COOKIE_BITS: what the low bits of our ISN on this 4-tuple are.

    ZMap's own SYN-ACKs come to our ports at full rate, and so may a flood of forged ones. The answer to a
    SYN of ours acknowledges an ISN with the cookie, so the kernel can tell it apart before it copies it.

    key: 64 bits, used for nothing else. Classic BPF can compute no one-way function at this price, so a peer
    with hosts of its own may in the end tell these bits for others; the 24 bits above them it cannot.
    """
    h = _mix(flow_hash(rows, key), np.uint32(key >> 32 & 0xFFFFFFFF))
    return h >> np.uint32(32 - COOKIE_BITS)


def _mix(h: U32, word: U32 | np.uint32) -> U32:
    h = (h ^ word) * np.uint32(_MULTIPLIER)
    return h ^ (h >> np.uint32(_SHIFT))


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

    Not the shard hash: within a shard that one is constant mod the number of shards.
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
    """splitmix64's finaliser (Steele, Lea, Flood 2014). It can be inverted: it hides nothing."""
    x = x + _K1
    x = (x ^ (x >> np.uint64(30))) * _M1
    x = (x ^ (x >> np.uint64(27))) * _M2
    return x ^ (x >> np.uint64(31))


class _Program:
    """A classic-BPF program under construction; labels are resolved at the end."""

    def __init__(self) -> None:
        self.code: list[tuple[int, str | int, str | int, int]] = []
        self.labels: dict[str, int] = {}

    def op(self, code: int, k: int = 0) -> None:
        self.code.append((code, 0, 0, k & 0xFFFFFFFF))

    def jump(self, code: int, k: int, then: str | int = 0, otherwise: str | int = 0) -> None:
        self.code.append((code, then, otherwise, k & 0xFFFFFFFF))

    def label(self, name: str) -> None:
        self.labels[name] = len(self.code)

    def assemble(self) -> bytes:
        """struct sock_filter[]: u16 code, u8 jt, u8 jf, u32 k."""
        out = bytearray()
        for at, (code, then, otherwise, k) in enumerate(self.code):
            target = {t: self.labels[t] - at - 1 if isinstance(t, str) else t for t in (then, otherwise)}
            if code == _JA:
                out += struct.pack("=HBBI", code, 0, 0, target[then])
            else:
                out += struct.pack("=HBBI", code, target[then], target[otherwise], k)
        return bytes(out)


def _find_tcp(p: _Program) -> None:
    """Leave the TCP header's offset from the network header in X; jump to `none` if this is not TCP."""
    p.op(_LD_W_ABS, _AD_PROTOCOL)
    p.jump(_JEQ, _ETH_P_IP, "v4", 0)
    p.jump(_JEQ, _ETH_P_IPV6, "v6", 0)
    p.jump(_JA, 0, "none")
    p.label("v4")
    p.op(_LD_B_ABS, _NET + 9)
    p.jump(_JEQ, _TCP, 1, 0)
    p.jump(_JA, 0, "none")
    p.op(_LD_H_ABS, _NET + 6)
    p.jump(_JSET, 0x1FFF, 0, 1)  # a later fragment has no ports (RFC 791 §3.2)
    p.jump(_JA, 0, "none")
    p.op(_LDX_MSH, _NET)
    p.jump(_JA, 0, "tcp4")
    p.label("v6")
    p.op(_LD_B_ABS, _NET + 6)
    p.op(_LDX_IMM, 40)
    for step in range(_MAX_EXTENSIONS + 1):
        p.jump(_JEQ, _TCP, "tcp6", 0)
        if step == _MAX_EXTENSIONS:
            break
        for kind in _EXTENSIONS:
            p.jump(_JEQ, kind, f"extension{step}", 0)
        p.jump(_JEQ, _FRAGMENT_HEADER, 1, 0)
        p.jump(_JA, 0, "none")
        p.op(_LD_H_IND, _NET + 2)
        p.jump(_JSET, 0xFFF9, 0, 1)  # but one that is whole (RFC 6946 §4) is let in
        p.jump(_JA, 0, "none")
        p.op(_LD_B_IND, _NET)  # its Next Header
        p.op(_ST, _SLOT_NEXT)
        p.op(_LD_IMM, 8)
        p.jump(_JA, 0, f"behind{step}")
        p.label(f"extension{step}")
        p.op(_LD_B_IND, _NET)  # its Next Header
        p.op(_ST, _SLOT_NEXT)
        p.op(_LD_B_IND, _NET + 1)  # its length in 8-byte units, not counting the first
        p.op(_ADD_K, 1)
        p.op(_LSH_K, 3)
        p.label(f"behind{step}")
        p.op(_ADD_X)
        p.op(_TAX)
        p.op(_LD_MEM, _SLOT_NEXT)
    p.jump(_JA, 0, "none")


def _hash_word(p: _Program) -> None:
    """A holds the word; M[hash] is the state. X is saved in M[offset] throughout."""
    p.op(_LDX_MEM, _SLOT_HASH)
    p.op(_XOR_X)
    p.op(_MUL_K, _MULTIPLIER)
    p.op(_TAX)
    p.op(_RSH_K, _SHIFT)
    p.op(_XOR_X)
    p.op(_ST, _SLOT_HASH)


def _hash_packet(p: _Program, family: str, seed: int) -> None:
    """Leave the flow hash of an incoming packet in A. X is the TCP header's offset, saved in M[offset]."""
    at, words = (12, 1) if family == "4" else (8, 4)
    p.op(_STX, _SLOT_OFFSET)
    p.op(_LD_IMM, seed)
    p.op(_ST, _SLOT_HASH)
    for word in range(words):
        p.op(_LD_W_ABS, _NET + at + 4 * word)
        _hash_word(p)
    p.op(_LDX_MEM, _SLOT_OFFSET)
    p.op(_LD_W_IND, _NET)  # source port << 16 | destination port
    _hash_word(p)
    for word in range(words, 2 * words):
        p.op(_LD_W_ABS, _NET + at + 4 * word)
        _hash_word(p)
    p.op(_LD_MEM, _SLOT_HASH)


def fanout_program(seed: int) -> bytes:
    """The classic-BPF program (struct sock_filter[]) that returns ``flow_hash`` of an *incoming* packet.

    Set with PACKET_FANOUT_DATA on a group of type PACKET_FANOUT_CBPF; the kernel takes the result modulo
    the number of sockets. On the wire the peer is the source, so (source, ports, destination) is
    (peer, ports, own). Packets that are not TCP hash to 0; the socket filter drops them.
    """
    p = _Program()
    _find_tcp(p)
    for family in ("4", "6"):
        p.label(f"tcp{family}")
        _hash_packet(p, family, seed)
        p.op(_RET_A)
    p.label("none")
    p.op(_RET_K, 0)
    return p.assemble()


def _only_links(p: _Program, links: tuple[int, ...]) -> None:
    """Drop what is not for us, and what came by other links than these, or such as are made later.

    What a bridge, a bond, a macvlan or a VLAN hands on is seen on the link below it too: there it is not for
    us, or has a tag.
    """
    p.op(_LD_B_ABS, _AD_PKTTYPE)
    p.jump(_JEQ, _OTHERHOST, 0, 1)
    p.jump(_JA, 0, "none")
    p.op(_LD_B_ABS, _AD_VLAN_TAG_PRESENT)
    p.jump(_JEQ, 0, "untagged", 0)
    p.op(_LD_H_ABS, _AD_VLAN_TAG)
    p.op(_AND_K, 0xFFF)
    p.jump(_JEQ, 0, 1, 0)  # a priority, no VLAN
    p.jump(_JA, 0, "none")
    p.label("untagged")
    p.op(_LD_W_ABS, _AD_IFINDEX)
    p.jump(_JGT, max(links), "linked", 0)
    for link in links:
        p.jump(_JEQ, link, "linked", 0)
    p.jump(_JA, 0, "none")
    p.label("linked")


def socket_filter(
    ports: tuple[int, int], key: int, own_v4: tuple[int, ...] = (), links: tuple[int, ...] = ()
) -> bytes:
    """The classic-BPF program that lets in TCP to our ports (both ends included), no answers to foreign SYNs.

    key: of the cookie of our ISNs. own_v4: our IPv4 addresses as integers (at most 16),
    or none for any. links: at most MOST_LINKS of them, by index, for a socket that is bound to none.
    """
    p = _Program()
    if links:
        _only_links(p, links[:MOST_LINKS])
    _find_tcp(p)
    for family in ("4", "6"):
        p.label(f"tcp{family}")
        if family == "4" and 0 < len(own_v4) <= 16:
            p.op(_LD_W_ABS, _NET + 16)
            for address in own_v4:
                p.jump(_JEQ, address, "ours", 0)
            p.jump(_JA, 0, "none")
            p.label("ours")
        p.op(_LD_H_IND, _NET + 2)
        p.jump(_JGE, ports[0], 1, 0)
        p.jump(_JA, 0, "none")
        p.jump(_JGT, ports[1], 0, 1)
        p.jump(_JA, 0, "none")
        p.op(_LD_B_IND, _NET + 13)
        p.op(_AND_K, 0x16)
        p.jump(_JEQ, 0x12, f"cookie{family}", 0)  # SYN and ACK without RST
        p.jump(_JEQ, 0x14, 0, f"pass{family}")  # RST and ACK: a refused SYN if its sequence number is 0
        p.op(_LD_W_IND, _NET + 4)
        p.jump(_JEQ, 0, 0, f"pass{family}")
        p.label(f"cookie{family}")
        _hash_packet(p, family, key & 0xFFFFFFFF)
        _end_cookie(p, key)
        p.op(_LD_W_IND, _NET + 8)
        p.op(_ADD_K, 0xFFFFFFFF)  # the acknowledgement number less one is our ISN
        p.op(_AND_K, (1 << COOKIE_BITS) - 1)
        p.op(_LDX_MEM, _SLOT_HASH)
        p.jump(_JEQ_X, 0, f"pass{family}", 0)
        p.jump(_JA, 0, "none")
        p.label(f"pass{family}")
        p.op(_RET_K, 0x40000)
    p.label("none")
    p.op(_RET_K, 0)
    return p.assemble()


def errors_filter(ports: tuple[int, int], key: int, links: tuple[int, ...] = ()) -> bytes:
    """The classic-BPF program that lets in ICMP errors which quote a SYN of ours, as far as the cookie tells.

    The arguments are those of `socket_filter`. What is let in has to be looked at all the same: one in
    2**COOKIE_BITS of those that are forged is among it.
    """
    p = _Program()
    if links:
        _only_links(p, links[:MOST_LINKS])
    p.op(_LD_W_ABS, _AD_PROTOCOL)
    p.jump(_JEQ, _ETH_P_IP, "v4", 0)
    p.jump(_JEQ, _ETH_P_IPV6, "v6", 0)
    p.jump(_JA, 0, "none")
    p.label("v4")
    _only_if(p, _LD_B_ABS, 9, _ICMP)
    p.op(_LD_H_ABS, _NET + 6)
    p.jump(_JSET, 0x3FFF, 0, 1)  # no fragments
    p.jump(_JA, 0, "none")
    p.op(_LDX_MSH, _NET)
    _only_if(p, _LD_B_IND, 0, 3, 11, 12)  # unreachable, time exceeded, parameter problem (RFC 792)
    _only_if(p, _LD_B_IND, 8, 0x45)  # our IPv4 headers have no options
    _only_if(p, _LD_B_IND, 8 + 9, _TCP)
    _only_our_syn(p, ports, key, own=8 + 12, tcp=8 + 20, words=1)
    p.label("v6")
    _only_if(p, _LD_B_ABS, 6, _ICMPV6)
    p.op(_LDX_IMM, 40)
    _only_if(p, _LD_B_IND, 0, 1, 3, 4)  # the same (RFC 4443)
    _only_if(p, _LD_B_IND, 8 + 6, _TCP)
    _only_our_syn(p, ports, key, own=8 + 8, tcp=8 + 40, words=4)
    p.label("none")
    p.op(_RET_K, 0)
    return p.assemble()


def _end_cookie(p: _Program, key: int) -> None:
    """Make the cookie of the hash of a 4-tuple, in its slot. X: the offset, as it was."""
    p.op(_LD_IMM, key >> 32)
    _hash_word(p)
    p.op(_LD_MEM, _SLOT_HASH)
    p.op(_RSH_K, 32 - COOKIE_BITS)
    p.op(_ST, _SLOT_HASH)
    p.op(_LDX_MEM, _SLOT_OFFSET)


def _only_if(p: _Program, load: int, at: int, *values: int) -> None:
    """Drop what has none of these values there."""
    p.op(load, _NET + at)
    for left, value in enumerate(reversed(values)):
        p.jump(_JEQ, value, len(values) - left, 0)
    p.jump(_JA, 0, "none")


def _only_our_syn(p: _Program, ports: tuple[int, int], key: int, *, own: int, tcp: int, words: int) -> None:
    """Let in a quoted TCP header from our ports whose sequence number has our cookie, and drop the rest.

    X: where the ICMP header is. own, tcp: from there, our address and the TCP header. words: of an address;
    the peer's follows ours.
    """
    p.op(_STX, _SLOT_OFFSET)
    p.op(_LD_H_IND, _NET + tcp)
    p.jump(_JGE, ports[0], 1, 0)
    p.jump(_JA, 0, "none")
    p.jump(_JGT, ports[1], 0, 1)
    p.jump(_JA, 0, "none")
    p.op(_LD_IMM, key & 0xFFFFFFFF)
    p.op(_ST, _SLOT_HASH)
    for word in range(words):
        p.op(_LDX_MEM, _SLOT_OFFSET)
        p.op(_LD_W_IND, _NET + own + 4 * (words + word))
        _hash_word(p)
    p.op(_LDX_MEM, _SLOT_OFFSET)
    p.op(_LD_H_IND, _NET + tcp + 2)
    p.op(_LSH_K, 16)
    p.op(_ST, _SLOT_NEXT)
    p.op(_LD_H_IND, _NET + tcp)
    p.op(_LDX_MEM, _SLOT_NEXT)
    p.op(_ADD_X)  # the peer's port << 16 | ours
    _hash_word(p)
    for word in range(words):
        p.op(_LDX_MEM, _SLOT_OFFSET)
        p.op(_LD_W_IND, _NET + own + 4 * word)
        _hash_word(p)
    _end_cookie(p, key)
    p.op(_LD_W_IND, _NET + tcp + 4)
    p.op(_AND_K, (1 << COOKIE_BITS) - 1)
    p.op(_LDX_MEM, _SLOT_HASH)
    p.jump(_JEQ_X, 0, 1, 0)
    p.jump(_JA, 0, "none")
    p.op(_RET_K, 0x40000)


def tap_filter(ports: tuple[int, int]) -> bytes:
    """The classic-BPF program that lets in TCP from or to our ports (both ends included): for a trace."""
    p = _Program()
    _find_tcp(p)
    for family in ("4", "6"):
        p.label(f"tcp{family}")
        p.op(_LD_H_IND, _NET)
        p.jump(_JGE, ports[0], 0, f"to{family}")
        p.jump(_JGT, ports[1], f"to{family}", f"pass{family}")
        p.label(f"to{family}")
        p.op(_LD_H_IND, _NET + 2)
        p.jump(_JGE, ports[0], 0, "none")
        p.jump(_JGT, ports[1], "none", f"pass{family}")
        p.label(f"pass{family}")
        p.op(_RET_K, 0x40000)
    p.label("none")
    p.op(_RET_K, 0)
    return p.assemble()
