"""Parses ICMP errors about packets of ours: which packet an error quotes, and what it says of the host.

An error quotes the IP header of the packet it is about and at least eight bytes behind it, which for TCP are
the ports and the sequence number (RFC 792, RFC 4443 §3). Here it is checked that the error is whole, that its
checksum is right, and that it went to the source of the quoted packet. Whether that packet was ours can be
told only where it is known what was sent (`Sweeper.hear_errors`); `workers.flow.icmperrors` reads them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lzr.rows import FRAME, V4_MAPPED, Rows, pick

Bytes = NDArray[np.uint8]
Counts = NDArray[np.int64]

KINDS = ("net", "host", "protocol", "port", "prohibited", "ttl", "other")
"""What cannot be reached, or why not. `ttl`: the packet was passed on until its TTL was used up."""
_NET, _HOST, _PROTOCOL, _PORT, _PROHIBITED, _TTL, _OTHER = range(len(KINDS))
_NOTHING = 255
"""Type and code that say nothing of the host: packet too big, fragment reassembly, or no error at all."""

_ICMP, _ICMPV6, _TCP = 1, 58, 6
_HEADER = 8  # of ICMP; and so many bytes of TCP are quoted at least


def _table(kinds: dict[int, list[int]], any_code: dict[int, int]) -> NDArray[np.uint8]:
    """(65536,) by type << 8 | code. kinds: by type, for each code; any_code: for all codes of a type."""
    found = np.full(1 << 16, _NOTHING, np.uint8)
    for type_, kind in any_code.items():
        found[type_ << 8 : (type_ + 1) << 8] = kind
    for type_, codes in kinds.items():
        found[type_ << 8 : (type_ << 8) + len(codes)] = codes
    return found


# RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1
_V4 = _table(
    {
        3: [
            *(_NET, _HOST, _PROTOCOL, _PORT, _NOTHING, _OTHER, _NET, _HOST),
            *(_HOST, _PROHIBITED, _PROHIBITED, _NET, _HOST, _PROHIBITED, _PROHIBITED, _PROHIBITED),
        ],
        11: [_TTL],
    },
    {3: _OTHER, 12: _OTHER},
)
# RFC 4443 §3.1, §3.3, §3.4
_V6 = _table(
    {1: [_NET, _PROHIBITED, _HOST, _HOST, _PORT, _PROHIBITED, _PROHIBITED], 3: [_TTL]},
    {1: _OTHER, 4: _OTHER},
)


def quoted(packets: Bytes, lengths: Counts) -> tuple[Rows, NDArray[np.uint8]]:
    """FRAME rows with the 4-tuple and `seq` of the packets that these ICMP errors quote, and each error's
    kind (index into KINDS).

    packets: (n, width) uint8, each from its IP header on; lengths: (n,), at most `width`. What is not such an
    error, or is not whole, is left out.
    """
    version = packets[:, 0] >> 4 if len(packets) else np.empty(0, np.uint8)
    found = [
        family(packets[chosen], lengths[chosen])
        for family, chosen in (
            (_of_v4, (version == 4) & (lengths >= 20)),
            (_of_v6, (version == 6) & (lengths >= 40)),
        )
        if chosen.any()
    ]
    if not found:
        return np.empty(0, FRAME), np.empty(0, np.uint8)
    rows, kinds = (np.concatenate(parts) for parts in zip(*found, strict=True))
    known = kinds != _NOTHING
    return pick(rows, known), kinds[known]


def _of_v4(packets: Bytes, lengths: Counts) -> tuple[Rows, NDArray[np.uint8]]:
    start = (packets[:, 0] & 15).astype(np.int64) * 4
    total = _number(packets, 2, 2).astype(np.int64)
    whole = (start >= 20) & (start + 2 * _HEADER + 20 <= total) & (total <= lengths)
    whole &= (packets[:, 9] == _ICMP) & (_number(packets, 6, 2) & 0x3FFF == 0)
    packets, start, total = packets[whole], start[whole], total[whole]
    at = start[:, None] + np.arange(2 * _HEADER + 20)
    inner = packets[np.arange(len(packets))[:, None], at]
    good = (inner[:, 8] == 0x45) & (inner[:, 17] == _TCP) & (_number(inner, 14, 2) & 0x1FFF == 0)
    good &= (inner[:, 20:24] == packets[:, 16:20]).all(axis=1)
    good &= _folded(_summed(packets, start, total)) == 0xFFFF
    inner = inner[good]
    rows = np.zeros(len(inner), FRAME)
    for name, place in (("own_lo", 20), ("peer_lo", 24)):
        rows[name] = _number(inner, place, 4) | np.uint64(V4_MAPPED)
    return _with_ports(rows, inner[:, 28:]), _V4[_number(inner, 0, 2).astype(np.intp)]


def _of_v6(packets: Bytes, lengths: Counts) -> tuple[Rows, NDArray[np.uint8]]:
    total = _number(packets, 4, 2).astype(np.int64) + 40
    whole = (total >= 2 * (_HEADER + 40)) & (total <= lengths) & (packets[:, 6] == _ICMPV6)
    if not whole.any():
        return np.empty(0, FRAME), np.empty(0, np.uint8)
    packets, total = packets[whole], total[whole]
    inner = packets[:, 40 : 2 * (_HEADER + 40)]
    good = (inner[:, 8] >> 4 == 6) & (inner[:, 14] == _TCP)
    good &= (inner[:, 16:32] == packets[:, 24:40]).all(axis=1)
    # RFC 4443 §2.3: over a pseudo-header too.
    start = np.full(len(packets), 40)
    pseudo = _summed(packets, start - 32, start) + total - 40 + _ICMPV6
    good &= _folded(_summed(packets, start, total) + pseudo) == 0xFFFF
    inner = inner[good]
    rows = np.zeros(len(inner), FRAME)
    for name, place in (("own_hi", 16), ("own_lo", 24), ("peer_hi", 32), ("peer_lo", 40)):
        rows[name] = _number(inner, place, 8)
    return _with_ports(rows, inner[:, 48:]), _V6[_number(inner, 0, 2).astype(np.intp)]


def _with_ports(rows: Rows, tcp: Bytes) -> Rows:
    for name, place, size in (("own_port", 0, 2), ("peer_port", 2, 2), ("seq", 4, 4)):
        rows[name] = _number(tcp, place, size)
    return rows


def _number(packets: Bytes, at: int, size: int) -> NDArray[np.uint64]:
    """(n,) big-endian, of `size` bytes."""
    found = np.zeros(len(packets), np.uint64)
    for place in range(at, at + size):
        found = found << np.uint64(8) | packets[:, place]
    return found


def _summed(packets: Bytes, start: Counts, end: Counts) -> Counts:
    """(n,) sums of the big-endian words from `start`, which is even, to `end`; an odd last byte counts as a
    high one.
    """
    column = np.arange(packets.shape[1])
    part = np.where((column >= start[:, None]) & (column < end[:, None]), packets, np.uint8(0))
    high, low = (part[:, odd::2].sum(axis=1, dtype=np.int64) for odd in (0, 1))
    return np.asarray((high << 8) + low, np.int64)


def _folded(sums: Counts) -> Counts:
    for _ in range(3):
        sums = (sums & 0xFFFF) + (sums >> 16)
    return sums
