"""How many packets may leave now: --max-rate and --bandwidth over everything that is sent.

The pace of new connections, --rate, is another thing: `lzr.pacing.pacer`. Here are two buckets, of packets
and of bits as ZMap counts them (on the wire: with the preamble, the checksum and the gap, at least 84 bytes a
packet). A worker's share of the limits is its share of the shards. `now` is in ns, an argument.
"""

from __future__ import annotations

from lzr.pacing.tokenbucket import TokenBucket

_SECOND = 1e9
_AROUND = 24  # bytes: preamble 8, checksum 4, gap 12 (IEEE 802.3)
_LEAST = 84
_LARGEST = 1514
_MOST = 8 * (_LARGEST + _AROUND)  # bits


def syns(packets: float | None, bits: float | None) -> float | None:
    """How many SYNs a second these limits let leave at most; None for no limit."""
    given = [packets] if packets is not None else []
    if bits is not None:
        given.append(bits / (8 * _LEAST))
    return min(given, default=None)


def wire_bits(packets: float, octets: float) -> float:
    """Bits on the wire of so many packets. octets: bytes of their frames, from the Ethernet header on."""
    return 8 * max(_LEAST * packets, octets + _AROUND * packets)


class Budget:
    """The limits of --max-rate and --bandwidth. packets: a second; bits: a second; None for no limit."""

    def __init__(self, packets: float | None, bits: float | None, now: int) -> None:
        at = now / _SECOND
        self._packets = None if packets is None else TokenBucket(packets, at)
        self._bits = None if bits is None else TokenBucket(bits, at, least=_MOST, tokens=0.0)
        self._share = 1.0

    def set_share(self, share: float, now: int) -> None:
        """Set our part of the limits, 0..1."""
        self.frames(now)
        self._share = share

    def frames(self, now: int, octets: int = _LARGEST) -> int:
        """Packets that may leave now; ask again when they have left. octets: what the frame of one has at
        most.
        """
        at, room = now / _SECOND, 1 << 30
        if self._packets is not None:
            room = int(self._packets.fill(at, self._share))
        if self._bits is not None:
            # Their size is not known yet: as many as surely fit, or one on credit.
            bits = self._bits.fill(at, self._share)
            most = 8 * max(_LEAST, octets + _AROUND)
            room = min(room, max(int(bits // most), 1 if bits > 0 else 0))
        return max(0, room)

    def spend(self, packets: int, octets: int) -> None:
        """Count packets that have left. octets: bytes of their frames, from the Ethernet header on."""
        if self._packets is not None:
            self._packets.spend(packets)
        if self._bits is not None:
            self._bits.spend(wire_bits(packets, octets))

    def wait(self) -> float:
        """Seconds until the next packet may leave."""
        if self._share <= 0:
            return 1.0
        seconds = 0.0
        if self._packets is not None:
            seconds = self._packets.wait(1.0, self._share)
        if self._bits is not None:
            seconds = max(seconds, self._bits.wait(0.0, self._share))
        return seconds
