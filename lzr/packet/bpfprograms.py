"""The classic-BPF programs of our sockets: which packets each lets in, and which shard a packet is for.

The hash and the cookie are those of `lzr.packet.sharding`, computed over the packet that arrives. Offsets
count from the network header, so that VLAN tags do not matter.
"""

from __future__ import annotations

from lzr.layout import COOKIE_BITS
from lzr.packet import bpf
from lzr.packet.bpf import Program
from lzr.packet.sharding import MULTIPLIER, SHIFT

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


def _find_tcp(p: Program) -> None:
    """Leave the TCP header's offset from the network header in X; jump to `none` if this is not TCP."""
    p.op(bpf.LD_W_ABS, _AD_PROTOCOL)
    p.jump(bpf.JEQ, _ETH_P_IP, "v4", 0)
    p.jump(bpf.JEQ, _ETH_P_IPV6, "v6", 0)
    p.jump(bpf.JA, 0, "none")
    p.label("v4")
    p.op(bpf.LD_B_ABS, _NET + 9)
    p.jump(bpf.JEQ, _TCP, 1, 0)
    p.jump(bpf.JA, 0, "none")
    p.op(bpf.LD_H_ABS, _NET + 6)
    p.jump(bpf.JSET, 0x1FFF, 0, 1)  # a later fragment has no ports (RFC 791 §3.2)
    p.jump(bpf.JA, 0, "none")
    p.op(bpf.LDX_MSH, _NET)
    p.jump(bpf.JA, 0, "tcp4")
    p.label("v6")
    p.op(bpf.LD_B_ABS, _NET + 6)
    p.op(bpf.LDX_IMM, 40)
    for step in range(_MAX_EXTENSIONS + 1):
        p.jump(bpf.JEQ, _TCP, "tcp6", 0)
        if step == _MAX_EXTENSIONS:
            break
        for kind in _EXTENSIONS:
            p.jump(bpf.JEQ, kind, f"extension{step}", 0)
        p.jump(bpf.JEQ, _FRAGMENT_HEADER, 1, 0)
        p.jump(bpf.JA, 0, "none")
        p.op(bpf.LD_H_IND, _NET + 2)
        p.jump(bpf.JSET, 0xFFF9, 0, 1)  # but one that is whole (RFC 6946 §4) is let in
        p.jump(bpf.JA, 0, "none")
        p.op(bpf.LD_B_IND, _NET)  # its Next Header
        p.op(bpf.ST, _SLOT_NEXT)
        p.op(bpf.LD_IMM, 8)
        p.jump(bpf.JA, 0, f"behind{step}")
        p.label(f"extension{step}")
        p.op(bpf.LD_B_IND, _NET)  # its Next Header
        p.op(bpf.ST, _SLOT_NEXT)
        p.op(bpf.LD_B_IND, _NET + 1)  # its length in 8-byte units, not counting the first
        p.op(bpf.ADD_K, 1)
        p.op(bpf.LSH_K, 3)
        p.label(f"behind{step}")
        p.op(bpf.ADD_X)
        p.op(bpf.TAX)
        p.op(bpf.LD_MEM, _SLOT_NEXT)
    p.jump(bpf.JA, 0, "none")


def _hash_word(p: Program) -> None:
    """A holds the word; M[hash] is the state. X is saved in M[offset] throughout."""
    p.op(bpf.LDX_MEM, _SLOT_HASH)
    p.op(bpf.XOR_X)
    p.op(bpf.MUL_K, MULTIPLIER)
    p.op(bpf.TAX)
    p.op(bpf.RSH_K, SHIFT)
    p.op(bpf.XOR_X)
    p.op(bpf.ST, _SLOT_HASH)


def _hash_packet(p: Program, family: str, seed: int) -> None:
    """Leave the flow hash of an incoming packet in A. X is the TCP header's offset, saved in M[offset]."""
    at, words = (12, 1) if family == "4" else (8, 4)
    p.op(bpf.STX, _SLOT_OFFSET)
    p.op(bpf.LD_IMM, seed)
    p.op(bpf.ST, _SLOT_HASH)
    for word in range(words):
        p.op(bpf.LD_W_ABS, _NET + at + 4 * word)
        _hash_word(p)
    p.op(bpf.LDX_MEM, _SLOT_OFFSET)
    p.op(bpf.LD_W_IND, _NET)  # source port << 16 | destination port
    _hash_word(p)
    for word in range(words, 2 * words):
        p.op(bpf.LD_W_ABS, _NET + at + 4 * word)
        _hash_word(p)
    p.op(bpf.LD_MEM, _SLOT_HASH)


def fanout_program(seed: int) -> bytes:
    """The classic-BPF program (struct sock_filter[]) that returns ``flow_hash`` of an *incoming* packet.

    Set with PACKET_FANOUT_DATA on a group of type PACKET_FANOUT_CBPF; the kernel takes the result modulo
    the number of sockets. On the wire the peer is the source, so (source, ports, destination) is
    (peer, ports, own). Packets that are not TCP hash to 0; the socket filter drops them.
    """
    p = Program()
    _find_tcp(p)
    for family in ("4", "6"):
        p.label(f"tcp{family}")
        _hash_packet(p, family, seed)
        p.op(bpf.RET_A)
    p.label("none")
    p.op(bpf.RET_K, 0)
    return p.assemble()


def _only_links(p: Program, links: tuple[int, ...]) -> None:
    """Drop packets that are not for this host, and those that came in by other links than these.

    A packet that a bridge, a bond, a macvlan or a VLAN passes on is also seen on the link below it; there it
    is not for us, or has a tag.
    """
    p.op(bpf.LD_B_ABS, _AD_PKTTYPE)
    p.jump(bpf.JEQ, _OTHERHOST, 0, 1)
    p.jump(bpf.JA, 0, "none")
    p.op(bpf.LD_B_ABS, _AD_VLAN_TAG_PRESENT)
    p.jump(bpf.JEQ, 0, "untagged", 0)
    p.op(bpf.LD_H_ABS, _AD_VLAN_TAG)
    p.op(bpf.AND_K, 0xFFF)
    p.jump(bpf.JEQ, 0, 1, 0)  # a priority, no VLAN
    p.jump(bpf.JA, 0, "none")
    p.label("untagged")
    p.op(bpf.LD_W_ABS, _AD_IFINDEX)
    p.jump(bpf.JGT, max(links), "linked", 0)
    for link in links:
        p.jump(bpf.JEQ, link, "linked", 0)
    p.jump(bpf.JA, 0, "none")
    p.label("linked")


def socket_filter(
    ports: tuple[int, int], key: int, own_v4: tuple[int, ...] = (), links: tuple[int, ...] = ()
) -> bytes:
    """The classic-BPF program that lets in TCP to our ports (both ends included), but no answer to a SYN of
    others: neither a SYN-ACK nor a refusal (RST and ACK with sequence number 0, RFC 9293 §3.10.7.1).

    key: of the cookie in our ISNs. own_v4: our IPv4 addresses as integers (at most 16), empty for any. links:
    at most MOST_LINKS interface indices, for a socket that is bound to none.
    """
    p = Program()
    if links:
        _only_links(p, links[:MOST_LINKS])
    _find_tcp(p)
    for family in ("4", "6"):
        p.label(f"tcp{family}")
        if family == "4" and 0 < len(own_v4) <= 16:
            p.op(bpf.LD_W_ABS, _NET + 16)
            for address in own_v4:
                p.jump(bpf.JEQ, address, "ours", 0)
            p.jump(bpf.JA, 0, "none")
            p.label("ours")
        p.op(bpf.LD_H_IND, _NET + 2)
        p.jump(bpf.JGE, ports[0], 1, 0)
        p.jump(bpf.JA, 0, "none")
        p.jump(bpf.JGT, ports[1], 0, 1)
        p.jump(bpf.JA, 0, "none")
        p.op(bpf.LD_B_IND, _NET + 13)
        p.op(bpf.AND_K, 0x16)
        p.jump(bpf.JEQ, 0x12, f"cookie{family}", 0)  # SYN and ACK without RST
        p.jump(bpf.JEQ, 0x14, 0, f"pass{family}")  # RST and ACK: a refused SYN if its sequence number is 0
        p.op(bpf.LD_W_IND, _NET + 4)
        p.jump(bpf.JEQ, 0, 0, f"pass{family}")
        p.label(f"cookie{family}")
        _hash_packet(p, family, key & 0xFFFFFFFF)
        _end_cookie(p, key)
        p.op(bpf.LD_W_IND, _NET + 8)
        p.op(bpf.ADD_K, 0xFFFFFFFF)  # the acknowledgement number less one is our ISN
        p.op(bpf.AND_K, (1 << COOKIE_BITS) - 1)
        p.op(bpf.LDX_MEM, _SLOT_HASH)
        p.jump(bpf.JEQ_X, 0, f"pass{family}", 0)
        p.jump(bpf.JA, 0, "none")
        p.label(f"pass{family}")
        p.op(bpf.RET_K, 0x40000)
    p.label("none")
    p.op(bpf.RET_K, 0)
    return p.assemble()


def errors_filter(ports: tuple[int, int], key: int, links: tuple[int, ...] = ()) -> bytes:
    """The classic-BPF program that lets in ICMP errors that quote a SYN of ours, as far as the cookie can
    tell.

    The arguments are those of `socket_filter`. One in 2**COOKIE_BITS of forged errors passes, so each has to
    be checked once more.
    """
    p = Program()
    if links:
        _only_links(p, links[:MOST_LINKS])
    p.op(bpf.LD_W_ABS, _AD_PROTOCOL)
    p.jump(bpf.JEQ, _ETH_P_IP, "v4", 0)
    p.jump(bpf.JEQ, _ETH_P_IPV6, "v6", 0)
    p.jump(bpf.JA, 0, "none")
    p.label("v4")
    _only_if(p, bpf.LD_B_ABS, 9, _ICMP)
    p.op(bpf.LD_H_ABS, _NET + 6)
    p.jump(bpf.JSET, 0x3FFF, 0, 1)  # no fragments
    p.jump(bpf.JA, 0, "none")
    p.op(bpf.LDX_MSH, _NET)
    _only_if(p, bpf.LD_B_IND, 0, 3, 11, 12)  # unreachable, time exceeded, parameter problem (RFC 792)
    _only_if(p, bpf.LD_B_IND, 8, 0x45)  # our IPv4 headers have no options
    _only_if(p, bpf.LD_B_IND, 8 + 9, _TCP)
    _only_our_syn(p, ports, key, own=8 + 12, tcp=8 + 20, words=1)
    p.label("v6")
    _only_if(p, bpf.LD_B_ABS, 6, _ICMPV6)
    p.op(bpf.LDX_IMM, 40)
    _only_if(p, bpf.LD_B_IND, 0, 1, 3, 4)  # the same (RFC 4443)
    _only_if(p, bpf.LD_B_IND, 8 + 6, _TCP)
    _only_our_syn(p, ports, key, own=8 + 8, tcp=8 + 40, words=4)
    p.label("none")
    p.op(bpf.RET_K, 0)
    return p.assemble()


def _end_cookie(p: Program, key: int) -> None:
    """Turn the hash of a 4-tuple into the cookie, in its slot. X: the offset; it is restored."""
    p.op(bpf.LD_IMM, key >> 32)
    _hash_word(p)
    p.op(bpf.LD_MEM, _SLOT_HASH)
    p.op(bpf.RSH_K, 32 - COOKIE_BITS)
    p.op(bpf.ST, _SLOT_HASH)
    p.op(bpf.LDX_MEM, _SLOT_OFFSET)


def _only_if(p: Program, load: int, at: int, *values: int) -> None:
    """Drop packets that have none of these values at offset `at`."""
    p.op(load, _NET + at)
    for left, value in enumerate(reversed(values)):
        p.jump(bpf.JEQ, value, len(values) - left, 0)
    p.jump(bpf.JA, 0, "none")


def _only_our_syn(p: Program, ports: tuple[int, int], key: int, *, own: int, tcp: int, words: int) -> None:
    """Let in a quoted TCP header that has our ports and our cookie in its sequence number, drop the rest.

    X: offset of the ICMP header. own, tcp: offsets from there, of our address and of the TCP header. words:
    length of an address; the peer's address follows ours.
    """
    p.op(bpf.STX, _SLOT_OFFSET)
    p.op(bpf.LD_H_IND, _NET + tcp)
    p.jump(bpf.JGE, ports[0], 1, 0)
    p.jump(bpf.JA, 0, "none")
    p.jump(bpf.JGT, ports[1], 0, 1)
    p.jump(bpf.JA, 0, "none")
    p.op(bpf.LD_IMM, key & 0xFFFFFFFF)
    p.op(bpf.ST, _SLOT_HASH)
    for word in range(words):
        p.op(bpf.LDX_MEM, _SLOT_OFFSET)
        p.op(bpf.LD_W_IND, _NET + own + 4 * (words + word))
        _hash_word(p)
    p.op(bpf.LDX_MEM, _SLOT_OFFSET)
    p.op(bpf.LD_H_IND, _NET + tcp + 2)
    p.op(bpf.LSH_K, 16)
    p.op(bpf.ST, _SLOT_NEXT)
    p.op(bpf.LD_H_IND, _NET + tcp)
    p.op(bpf.LDX_MEM, _SLOT_NEXT)
    p.op(bpf.ADD_X)  # the peer's port << 16 | ours
    _hash_word(p)
    for word in range(words):
        p.op(bpf.LDX_MEM, _SLOT_OFFSET)
        p.op(bpf.LD_W_IND, _NET + own + 4 * word)
        _hash_word(p)
    _end_cookie(p, key)
    p.op(bpf.LD_W_IND, _NET + tcp + 4)
    p.op(bpf.AND_K, (1 << COOKIE_BITS) - 1)
    p.op(bpf.LDX_MEM, _SLOT_HASH)
    p.jump(bpf.JEQ_X, 0, 1, 0)
    p.jump(bpf.JA, 0, "none")
    p.op(bpf.RET_K, 0x40000)


def tap_filter(ports: tuple[int, int]) -> bytes:
    """The classic-BPF program that lets in TCP from or to our ports (both ends included): for a trace."""
    p = Program()
    _find_tcp(p)
    for family in ("4", "6"):
        p.label(f"tcp{family}")
        p.op(bpf.LD_H_IND, _NET)
        p.jump(bpf.JGE, ports[0], 0, f"to{family}")
        p.jump(bpf.JGT, ports[1], f"to{family}", f"pass{family}")
        p.label(f"to{family}")
        p.op(bpf.LD_H_IND, _NET + 2)
        p.jump(bpf.JGE, ports[0], 0, "none")
        p.jump(bpf.JGT, ports[1], "none", f"pass{family}")
        p.label(f"pass{family}")
        p.op(bpf.RET_K, 0x40000)
    p.label("none")
    p.op(bpf.RET_K, 0)
    return p.assemble()
