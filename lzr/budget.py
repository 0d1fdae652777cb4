"""How many packets may leave now: --max-rate and --bandwidth over everything that is sent.

Two buckets that fill with time, of packets and of bits as ZMap counts them (on the wire: with the preamble,
the checksum and the gap, at least 84 bytes a packet). They hold 20 ms, so a late loop catches up by that
much and no more. A worker's share of the limits is its share of the shards. `now` is in ns, an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_DEPTH = 0.02
_SECOND = 1_000_000_000
_AROUND = 24  # bytes: preamble 8, checksum 4, gap 12 (IEEE 802.3)
_LEAST = 84
_MOST = 1514 + _AROUND


@dataclass
class _Bucket:
    rate: float  # tokens per second
    least: float  # it holds one more than this, so that at low rates a whole packet finds room
    tokens: float
    last: int

    def fill(self, now: int, share: float) -> None:
        rate = self.rate * share
        depth = self.least + rate * _DEPTH
        self.tokens = min(depth, self.tokens + (now - self.last) * rate / _SECOND)
        self.last = now


class Budget:
    """packets: per second; bits: per second; None for no limit."""

    def __init__(self, packets: float | None, bits: float | None, now: int) -> None:
        self._packets = None if packets is None else _Bucket(packets, 1.0, 1.0, now)
        self._bits = None if bits is None else _Bucket(bits, 8.0 * _MOST, 0.0, now)
        self._share = 1.0

    def set_share(self, share: float, now: int) -> None:
        """Which part of the limits is ours."""
        self._each(lambda bucket: bucket.fill(now, self._share))
        self._share = share

    def frames(self, now: int) -> int:
        """Packets that may leave now; ask again when they have left."""
        self._each(lambda bucket: bucket.fill(now, self._share))
        room = 1 << 30
        if self._packets is not None:
            room = int(self._packets.tokens)
        if self._bits is not None:
            # Their size is not known yet: as many as surely fit, or one on credit.
            bits = self._bits.tokens
            room = min(room, max(int(bits // (8 * _MOST)), 1 if bits > 0 else 0))
        return max(0, room)

    def spend(self, packets: int, octets: int) -> None:
        """These have left; octets: of their frames."""
        if self._packets is not None:
            self._packets.tokens -= packets
        if self._bits is not None:
            self._bits.tokens -= 8 * max(_LEAST * packets, octets + _AROUND * packets)

    def wait(self) -> float:
        """Seconds until the next packet may leave."""
        seconds = 0.0
        if self._share <= 0:
            return 1.0
        if self._packets is not None:
            seconds = (1 - self._packets.tokens) / (self._packets.rate * self._share)
        if self._bits is not None:
            seconds = max(seconds, -self._bits.tokens / (self._bits.rate * self._share))
        return max(0.0, seconds)

    def _each(self, act: Callable[[_Bucket], None]) -> None:
        for bucket in (self._packets, self._bits):
            if bucket is not None:
                act(bucket)
