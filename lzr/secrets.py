"""The secrets of a scan: one for each purpose, none of which reveals anything about another or about the
seed.

A peer sees our ISNs, source ports and addresses, and the random bytes of our probes. Each is the truncated
output of SipHash-2-4 under a key of its own. So somebody who owns many hosts that we scan, and collects these
numbers, cannot predict what another host is sent. (The low bits of an ISN are an exception, see
`sharding.cookie`.) All keys are derived from the seed with BLAKE2b (RFC 7693), one way: same seed, same scan.
Whoever knows the seed knows all keys.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

Key = tuple[int, int]
"""128 bits of SipHash, as two little-endian words."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """shard: seed of the hash that maps flows to shards (32 bits). cookie: key of the low bits of our ISNs
    (64 bits). index: seed of the keys of the flow index (64 bits).

    isn, ports, addresses, nonce: SipHash keys of what a peer sees. order: key of a sweep's permutation. syn:
    key of source port and ISN of its SYNs.
    """

    shard: int
    cookie: int
    index: int
    isn: Key
    ports: Key
    addresses: Key
    nonce: Key
    order: Key
    syn: Key
    native: bytes = field(init=False, repr=False)
    """What the functions in C need: cookie, index, isn and nonce, as six words."""

    def __post_init__(self) -> None:
        words = (self.cookie, self.index, *self.isn, *self.nonce)
        object.__setattr__(self, "native", struct.pack("<6Q", *words))

    @classmethod
    def derive(cls, seed: int) -> Secrets:
        """The secrets of the scan with this seed, 0 to 2^64-1."""

        def key(purpose: bytes) -> Key:
            digest = hashlib.blake2b(
                seed.to_bytes(8, "little"), digest_size=16, person=b"lzr:" + purpose
            ).digest()
            low, high = struct.unpack("<2Q", digest)
            return low, high

        return cls(
            shard=key(b"shard")[0] & 0xFFFFFFFF,
            cookie=key(b"cookie")[0],
            index=key(b"index")[0],
            isn=key(b"isn"),
            ports=key(b"ports"),
            addresses=key(b"addresses"),
            nonce=key(b"nonce"),
            order=key(b"order"),
            syn=key(b"syn"),
        )
