"""Source port and ISN of a sweep's SYNs, computed so that an answer can be recognised without any state.

Both are a keyed one-way function of the target's address, its port and our own address: SipHash-2-4 of the
three, of which the port shows less than 16 bits and the ISN 24. So any process with the key can send any SYN
and judge any answer, and an attacker who has seen a million of our SYNs can say nothing about the next one
(RFC 6528 §3). The low 8 bits of the ISN are the cookie that the kernel checks in our socket filter
(`sharding.cookie`), in a sweep as in every other scan.

An answer counts if it comes to the right port and acknowledges the right ISN: an attacker who has not seen
the SYN has to guess both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c
from lzr.layout import COOKIE_BITS
from lzr.packet.sharding import cookie, layout
from lzr.rows import ACK, RST, SYN, copied
from lzr.secrets import Key
from lzr.siphash import siphash

Rows = NDArray[Any]
Ports = NDArray[np.uint16]
Numbers = NDArray[np.uint32]

UNRELATED, ANSWERED, REFUSED = range(3)
"""What a segment is to a sweep: nothing; the SYN-ACK to a SYN of ours; the RST to a SYN of ours."""

_HIGH_BITS = np.uint64(0xFFFFFFFF >> COOKIE_BITS << COOKIE_BITS)
_HALF, _WORD = np.uint64(32), np.uint64(0xFFFFFFFF)


class Cookies(Struct, frozen=True):
    """key: of SipHash. filter: of the cookie of the socket filter. ports: our source ports, both included."""

    key: Key
    filter: int
    ports: tuple[int, int]

    def _native_expected(self, rows: Rows) -> tuple[Ports, Numbers]:
        own_ports, isns = np.empty(len(rows), np.uint16), np.empty(len(rows), np.uint32)
        rows = np.ascontiguousarray(rows)
        where = layout(rows.dtype)
        NATIVE.sweep_cookies(rows, *where, *self.key, self.filter, *self.ports, own_ports, isns)
        return own_ports, isns

    @in_c(_native_expected)
    def expected(self, rows: Rows) -> tuple[Ports, Numbers]:
        """(our port, our ISN) of the SYN to each row's peer from each row's own address.

        rows: with peer_hi, peer_lo, own_hi, own_lo, peer_port; own_port is not read.
        """
        peer = siphash(self.key, rows["peer_hi"].astype(np.uint64), rows["peer_lo"].astype(np.uint64))
        own = siphash(self.key, rows["own_hi"].astype(np.uint64), rows["own_lo"].astype(np.uint64))
        tag = siphash(self.key, peer, own ^ rows["peer_port"].astype(np.uint64))
        low, high = self.ports
        ports = np.uint64(low) + ((tag & _WORD) * np.uint64(high - low + 1) >> _HALF)
        tuples = copied(rows)
        tuples["own_port"] = ports
        isns = (tag >> _HALF & _HIGH_BITS).astype(np.uint32) | cookie(tuples, self.filter)
        return ports.astype(np.uint16), np.asarray(isns, np.uint32)

    def judge(self, segments: Rows) -> NDArray[np.uint8]:
        """(n,) u8: UNRELATED, ANSWERED or REFUSED, of SEGMENT rows that belong to no flow."""
        verdicts = np.zeros(len(segments), np.uint8)
        flags = segments["flags"]
        verdicts[flags & (SYN | ACK | RST) == SYN | ACK] = ANSWERED
        verdicts[flags & (SYN | ACK | RST) == RST | ACK] = REFUSED
        likely = np.flatnonzero(verdicts)
        if len(likely):
            some = segments[likely] if len(likely) < len(segments) else segments
            ports, isns = self.expected(some)
            right = (some["own_port"] == ports) & (some["ack"] == isns + np.uint32(1))
            verdicts[likely[~right]] = UNRELATED
        return verdicts

    def sent(self, rows: Rows) -> NDArray[np.bool_]:
        """(n,) bool: which rows have the 4-tuple and `seq` of a SYN of ours, as ICMP errors quote them."""
        ports, isns = self.expected(rows)
        return np.asarray((rows["own_port"] == ports) & (rows["seq"] == isns), np.bool_)
