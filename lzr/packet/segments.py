"""Parses a batch of captured frames into SEGMENT rows, and builds frames from FRAME rows.

Layouts: Ethernet (IEEE 802.3), IPv4 (RFC 791 §3.1), IPv6 (RFC 8200 §3), TCP (RFC 9293 §3.1). Nothing here
knows of flows. Every length from the wire is checked before it is used; a frame that is shorter than its
headers claim is counted by kind and never becomes a row.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c
from lzr.layout import CUT, MALFORMED, MSS_V4, MSS_V6, TTL, WINDOW
from lzr.packet.payloads import ProbeTemplate
from lzr.rows import ACK, NO_PROBE, SEGMENT, SYN, V4_MAPPED

Bytes = NDArray[np.uint8]

ETHERNET = 14
_TRUNCATED, _NOT_TCP, _FRAGMENT, _BAD_OFFSET, _BAD_CHECKSUM = range(5)
_TCP = 6
_HEAD = 64  # bytes of header looked at together
_EXTENSIONS = (0, 43, 60)
_FRAGMENT_HEADER = 44


def _native_parse(
    buffer: Bytes,
    at: NDArray[np.int64],
    captured: NDArray[np.int64],
    ts: NDArray[np.uint64],
    checked: NDArray[np.bool_],
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    counts = np.zeros(len(MALFORMED), np.int64)
    if not len(at):
        return np.empty(0, SEGMENT), counts
    found = np.empty(len(at), SEGMENT)
    made = NATIVE.parse_packets(buffer, at, captured, ts, checked, found, counts)
    return found[:made], counts


@in_c(_native_parse)
def parse(
    buffer: Bytes,
    at: NDArray[np.int64],
    captured: NDArray[np.int64],
    ts: NDArray[np.uint64],
    checked: NDArray[np.bool_],
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """SEGMENT rows of the packets in `buffer`, in order, and how many were dropped of each MALFORMED kind.

    buffer: flat bytes; at: (n,) offset of each network header; captured: (n,) bytes from there;
    ts: (n,) arrival ns; checked: (n,) True where the TCP checksum need not be verified (the kernel or the
    card did, or the peer on this very machine left it to the card).
    """
    counts = np.zeros(len(MALFORMED), np.int64)
    if not len(at):
        return np.empty(0, SEGMENT), counts
    buffer = _padded(buffer, at)
    head = buffer[at[:, None] + np.arange(_HEAD)]
    version = head[:, 0] >> 4
    fault = np.full(len(at), -1, np.int8)
    fault[captured < 40] = _TRUNCATED
    is4 = version == 4
    out = np.zeros(len(at), SEGMENT)
    header = np.zeros(len(at), np.int64)
    total = np.zeros(len(at), np.int64)
    headers = _Headers(head, out, header, total, fault)
    four, six = np.flatnonzero(is4), np.flatnonzero(version == 6)
    fault[(fault < 0) & (version != 4) & (version != 6)] = _NOT_TCP
    if len(four):
        _parse4(headers, four)
    if len(six):
        _parse6(buffer, at, captured, headers, six)
    fault[(fault < 0) & (header + 20 > np.minimum(total, captured))] = _TRUNCATED
    fault[(fault < 0) & (captured < np.minimum(total, CUT))] = _TRUNCATED
    good = fault < 0
    header = np.where(good, header, 0)
    tcp = buffer[(at + header)[:, None] + np.arange(20)]
    offset = (tcp[:, 12] >> 4).astype(np.int64) * 4
    bad = good & ((offset < 20) | (header + offset > np.minimum(total, captured)))
    fault[bad] = _BAD_OFFSET
    words = tcp.view(">u2")
    longs = tcp.view(">u4")
    out["peer_port"], out["own_port"] = words[:, 0], words[:, 1]
    out["seq"], out["ack"] = longs[:, 1], longs[:, 2]
    out["flags"] = tcp[:, 13]
    out["window"] = words[:, 7]
    out["ts"] = ts
    data = header + offset
    out["data_at"] = at + data
    out["data_len"] = np.clip(np.minimum(total, captured) - data, 0, None)
    verify = np.flatnonzero((fault < 0) & ~checked & (captured >= total))
    if len(verify):
        ok = _checksum_holds(buffer, at[verify], header[verify], total[verify], out[verify], is4[verify])
        fault[verify[~ok]] = _BAD_CHECKSUM
    lost = fault >= 0
    if lost.any():
        counts += np.bincount(fault[lost], minlength=len(MALFORMED))
        out = out[~lost]
    return out, counts


def _padded(buffer: Bytes, at: NDArray[np.int64]) -> Bytes:
    """A buffer that can be read `_HEAD` + 20 bytes past any header (rings can; test vectors may not)."""
    need = int(at.max()) + 4 * _HEAD
    if len(buffer) >= need:
        return buffer
    return np.concatenate([buffer, np.zeros(need - len(buffer), np.uint8)])


class _Headers(NamedTuple):
    """What the parsers of both families fill in, a row a packet. head: the first bytes of each packet."""

    head: Bytes
    out: NDArray[Any]
    header: NDArray[np.int64]
    total: NDArray[np.int64]
    fault: NDArray[np.int8]


def _parse4(headers: _Headers, rows: NDArray[np.intp]) -> None:
    head, out, header, total, fault = headers
    ip = head[rows]
    words = ip.view(">u2")
    longs = ip.view(">u4")
    length = (ip[:, 0] & 15).astype(np.int64) * 4
    header[rows] = length
    total[rows] = words[:, 1]
    out["peer_lo"][rows] = longs[:, 3].astype(np.uint64) | np.uint64(V4_MAPPED)
    out["own_lo"][rows] = longs[:, 4].astype(np.uint64) | np.uint64(V4_MAPPED)
    out["ttl"][rows] = ip[:, 8]
    ok = fault[rows] < 0
    fault[rows[ok & (length < 20)]] = _TRUNCATED
    fault[rows[ok & (words[:, 3] & 0x3FFF != 0)]] = _FRAGMENT  # more fragments, or an offset
    fault[rows[ok & (ip[:, 9] != _TCP)]] = _NOT_TCP


def _parse6(
    buffer: Bytes,
    at: NDArray[np.int64],
    captured: NDArray[np.int64],
    headers: _Headers,
    rows: NDArray[np.intp],
) -> None:
    head, out, header, total, fault = headers
    ip = head[rows]
    longs = ip.view(">u4")
    halves = longs[:, 2:10].astype(np.uint64)
    high = np.uint64(32)
    out["peer_hi"][rows] = halves[:, 0] << high | halves[:, 1]
    out["peer_lo"][rows] = halves[:, 2] << high | halves[:, 3]
    out["own_hi"][rows] = halves[:, 4] << high | halves[:, 5]
    out["own_lo"][rows] = halves[:, 6] << high | halves[:, 7]
    out["ttl"][rows] = ip[:, 7]
    total[rows] = ip.view(">u2")[:, 2].astype(np.int64) + 40
    length = np.full(len(rows), 40, np.int64)
    kind = ip[:, 6].copy()
    limit = np.minimum(captured[rows], total[rows])
    for _ in range(4):  # as many extension headers as the kernel's fan-out program follows
        extended = np.isin(kind, (*_EXTENSIONS, _FRAGMENT_HEADER), kind="table") & (length + 8 <= limit)
        fragment = np.flatnonzero(extended & (kind == _FRAGMENT_HEADER))
        where = at[rows[fragment]] + length[fragment]
        offset = buffer[where + 2].astype(np.int64) << 8 | buffer[where + 3]
        extended[fragment] = offset & 0xFFF9 == 0  # no offset, no more fragments: whole (RFC 6946 §4)
        if not extended.any():
            break
        where = at[rows[extended]] + length[extended]
        more = np.where(kind[extended] == _FRAGMENT_HEADER, 0, buffer[where + 1].astype(np.int64))
        kind[extended] = buffer[where]
        length[extended] += (more + 1) * 8
        length = np.minimum(length, limit)
    header[rows] = length
    ok = fault[rows] < 0
    fault[rows[ok & (kind == _FRAGMENT_HEADER)]] = _FRAGMENT
    fault[rows[ok & (kind != _TCP) & (kind != _FRAGMENT_HEADER)]] = _NOT_TCP


def _checksum_holds(
    buffer: Bytes,
    at: NDArray[np.int64],
    header: NDArray[np.int64],
    total: NDArray[np.int64],
    rows: NDArray[Any],
    v4: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """(n,) bool: is the TCP checksum (RFC 9293 §3.1) right? One pass over the bytes, two per word."""
    start, length = at + header, total - header
    end = start + length
    # Sums of bytes at even and odd distance from the segment's start, by prefix sums over the window.
    low, high = int(start.min()), int(end.max())
    window = buffer[low:high].astype(np.int64)
    sums = []
    for parity in (0, 1):
        prefix = np.zeros(len(window) // 2 + 2, np.int64)
        half = window[parity::2]
        np.cumsum(half, out=prefix[1 : len(half) + 1])
        prefix[len(half) + 1 :] = prefix[len(half)]
        first = (start - low - parity + 1) // 2
        last = (end - low - parity + 1) // 2
        sums.append(prefix[last] - prefix[first])
    aligned = (start - low) % 2 == 0
    even = np.where(aligned, sums[0], sums[1])
    odd = np.where(aligned, sums[1], sums[0])
    return np.asarray(_fold((even << 8) + odd + _pseudo(rows, length, v4)) == 0xFFFF)


def _pseudo(
    rows: NDArray[Any], length: NDArray[np.int64] | int, v4: NDArray[np.bool_] | bool
) -> NDArray[np.int64]:
    """Sum of the pseudo header (RFC 9293 §3.1, RFC 8200 §8.1). A v4-mapped prefix is not on the wire."""
    total = np.asarray(length, np.int64) + _TCP
    mask = np.uint64(0xFFFF)
    for name in ("peer_lo", "own_lo", "peer_hi", "own_hi"):
        value = rows[name]
        for shift in (0, 16, 32, 48):
            word = (value >> np.uint64(shift) & mask).astype(np.int64)
            total = total + (word if name.endswith("lo") and shift < 32 else np.where(v4, 0, word))
    return np.asarray(total, np.int64)


def _fold(total: NDArray[np.int64]) -> NDArray[np.int64]:
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


SYN_OCTETS = 14 + 40 + 20 + 8
"""Bytes of a frame with a SYN of ours, at most: link, IPv6 and TCP headers, options."""


class LinkHeader(Struct, frozen=True):
    """The link-layer header of our frames: MACs of 6 bytes; the next hop may differ by family.

    mss_v4, mss_v6: the MSS that our SYNs announce.
    """

    own_mac: bytes
    gateway_v4: bytes
    gateway_v6: bytes
    mss_v4: int = MSS_V4
    mss_v6: int = MSS_V6


class Builder:
    """Builds bursts of frames. `probes[i]` is the payload of handshake i."""

    def __init__(self, link: LinkHeader, probes: tuple[ProbeTemplate, ...]) -> None:
        self.link, self.probes = link, probes
        macs = b"".join(mac.ljust(6, b"\0")[:6] for mac in (link.own_mac, link.gateway_v4, link.gateway_v6))
        sizes = struct.pack("<HH", link.mss_v4, link.mss_v6)
        self.native = macs + sizes, tuple(probe.program for probe in probes)
        """What the builder in C needs: the three MACs with both MSS, and the probes as programs."""
        self._templates = {
            (v4, syn): _template(link, v4, syn) for v4 in (True, False) for syn in (True, False)
        }

    def _native_build(self, burst: NDArray[Any], out: Bytes) -> NDArray[np.uint32]:
        lengths = np.zeros(len(burst), np.uint32)
        NATIVE.build_frames(np.ascontiguousarray(burst), *self.native, out, out.shape[1], lengths)
        return lengths

    @in_c(_native_build)
    def build(self, burst: NDArray[Any], out: Bytes) -> NDArray[np.uint32]:
        """Write `burst` (FRAME rows, all alike in `probe` and in having SYN) into the rows of `out`.

        out: (n, ≥ MAX_FRAME) uint8, contiguous. Returns (n,) uint32 frame lengths.
        """
        lengths = np.zeros(len(burst), np.uint32)
        v4 = (burst["peer_hi"] == 0) & (burst["peer_lo"] >> np.uint64(32) == 0xFFFF)
        every = bool(v4.all())
        for family, rows in ((True, None if every else np.flatnonzero(v4)), (False, np.flatnonzero(~v4))):
            if rows is not None and not len(rows):
                continue
            self._build_family(burst if rows is None else burst[rows], family, rows, out, lengths)
            if rows is None:
                break
        return lengths

    def _build_family(
        self,
        burst: NDArray[Any],
        v4: bool,
        rows: NDArray[np.intp] | None,
        out: Bytes,
        lengths: NDArray[np.uint32],
    ) -> None:
        probe = int(burst["probe"][0])
        header = self._templates[v4, bool(burst["flags"][0] & SYN)]
        if probe == NO_PROBE or not self.probes[probe].parts:
            _place(_fill(burst, header, v4, None), rows, None, out, lengths)
            return
        for indices, payload in self.probes[probe].render(burst):
            group = burst if indices is None else burst[indices]
            _place(_fill(group, header, v4, payload), rows, indices, out, lengths)


def _place(
    block: Bytes,
    rows: NDArray[np.intp] | None,
    indices: NDArray[np.intp] | None,
    out: Bytes,
    lengths: NDArray[np.uint32],
) -> None:
    width = block.shape[1]
    if rows is None and indices is None:
        out[: len(block), :width] = block
        lengths[: len(block)] = width
        return
    where = indices if rows is None else rows if indices is None else rows[indices]
    out[where, :width] = block
    lengths[where] = width


def _template(link: LinkHeader, v4: bool, syn: bool) -> Bytes:
    """The headers of every frame of one kind, variable fields zero."""
    ethernet = (
        (link.gateway_v4 if v4 else link.gateway_v6) + link.own_mac + (b"\x08\x00" if v4 else b"\x86\xdd")
    )
    if v4:
        # version 4, IHL 5; don't fragment
        ip = bytes([0x45, 0, 0, 0, 0, 0, 0x40, 0, TTL, _TCP, 0, 0]) + bytes(8)
    else:
        ip = bytes([0x60, 0, 0, 0, 0, 0, _TCP, TTL]) + bytes(32)
    mss = link.mss_v4 if v4 else link.mss_v6
    # RFC 9293 §3.2, kind 2; and that SACK is allowed (RFC 2018 §2), which we never send: but a Linux peer
    # then repeats the tail of what it sent much sooner (RFC 8985 §7), which is all that a banner is.
    options = bytes([2, 4, mss >> 8, mss & 255, 4, 2, 1, 1]) if syn else b""
    tcp = bytes(12) + bytes([(20 + len(options)) << 2, 0]) + WINDOW.to_bytes(2, "big") + bytes(4) + options
    return np.frombuffer(ethernet + ip + tcp, np.uint8)


def _fill(burst: NDArray[Any], header: Bytes, v4: bool, payload: Bytes | None) -> Bytes:
    """(n, length) uint8: finished frames with both checksums."""
    n, size = len(burst), len(header)
    width = size + (0 if payload is None else payload.shape[1])
    block = np.empty((n, width), np.uint8)
    block[:, :size] = header
    if payload is not None:
        block[:, size:] = payload
    ip, tcp = ETHERNET, ETHERNET + (20 if v4 else 40)
    if v4:
        _put(block, ip + 2, 2, np.full(n, width - ETHERNET))
        _put(block, ip + 12, 4, burst["own_lo"])
        _put(block, ip + 16, 4, burst["peer_lo"])
    else:
        _put(block, ip + 4, 2, np.full(n, width - ETHERNET - 40))
        for name, at in (("own_hi", 8), ("own_lo", 16), ("peer_hi", 24), ("peer_lo", 32)):
            _put(block, ip + at, 8, burst[name])
    _put(block, tcp, 2, burst["own_port"])
    _put(block, tcp + 2, 2, burst["peer_port"])
    _put(block, tcp + 4, 4, burst["seq"])
    _put(block, tcp + 8, 4, np.where(burst["flags"] & ACK, burst["ack"], 0))
    block[:, tcp + 13] = burst["flags"]
    if burst["flags"][0] & SYN and burst["mss"].any():
        _put(
            block,
            tcp + 22,
            2,
            np.where(burst["mss"], burst["mss"], int(header[tcp + 22]) << 8 | int(header[tcp + 23])),
        )
    if v4:
        _put(block, ip + 10, 2, 0xFFFF ^ _fold(_words(block[:, ip:tcp])))
    _put(block, tcp + 16, 2, 0xFFFF ^ _fold(_words(block[:, tcp:]) + _pseudo(burst, width - tcp, v4)))
    return block


def _put(block: Bytes, at: int, size: int, values: NDArray[Any]) -> None:
    """Write the low `size` bytes of each value, big-endian, at column `at`."""
    wide = np.asarray(values).astype(">u8").view(np.uint8).reshape(len(block), 8)
    block[:, at : at + size] = wide[:, 8 - size :]


def _words(block: Bytes) -> NDArray[np.int64]:
    """(n,) sums of the 16-bit big-endian words of each row (an odd last byte counts as the high one)."""
    even = block[:, 0::2].sum(axis=1, dtype=np.int64)
    odd = block[:, 1::2].sum(axis=1, dtype=np.int64)
    return np.asarray((even << 8) + odd, np.int64)
