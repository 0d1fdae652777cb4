"""The options that concern every flow, as the flow table needs them."""

from __future__ import annotations

import math

from msgspec import Struct, field

from lzr.flow.handshakeorders import HandshakeOrders
from lzr.packet.payloads import ProbeTemplate
from lzr.protocols._firstreply import GROWTH
from lzr.secrets import Secrets
from lzr.sourceports import DEFAULT_PORTS

RTO, RTO_UNMEASURED = 1.0, 3.0
"""First retransmission time-out of a TCP, in seconds: the least it may be where a round trip was measured
(RFC 6298 §2.4), and after a handshake in which a segment had to be repeated, which measures none (§5.7)."""

_MAX_REPEATS = 4
"""Most repeats of an answer that are waited for, whatever -rn says: with RTO_UNMEASURED the fourth comes
after 45 s. A judgement: so many losses in a row are rare at any loss rate at which a scan is useful
(docs/faults.md)."""


class FlowConfig(Struct, frozen=True):
    """Times in seconds; `probes[i]` is what handshake i sends. Without any, a flow ends with its SYN-ACK.

    cooldown: how long the answer to a listed target's SYN is awaited after its last SYN. max_data: bytes of a
    reply that are kept. most_held: bytes of memory that replies which are not complete may take, of all flows
    of a worker together. handshake_orders: None where all ports have the order of `probes`.
    """

    probes: tuple[ProbeTemplate, ...]
    retransmit_wait: float = 1.0
    retransmit_number: int = 1
    timeout: float = 5.0
    cooldown: float = 8.0
    settle: float = GROWTH
    probe_delay: float = 0.0
    haf: int = 0
    haf_threshold: float = 1.0
    push_data_only: bool = False
    force_all_handshakes: bool = False
    ports: tuple[int, int] = DEFAULT_PORTS
    secrets: Secrets = field(default_factory=lambda: Secrets.derive(0))
    shards: int = 1
    max_data: int = 16 << 10
    most_held: int = 64 << 20
    handshake_orders: HandshakeOrders | None = None

    def patience(self, rto: float) -> float:
        """How long data is awaited from a peer that has acknowledged the probe, in seconds.

        rto: the peer's first retransmission time-out. With more than one retransmit the path is taken to lose
        packets, and the peer may repeat its answer as often as we repeat our probe. It doubles the pause each
        time (RFC 6298 §5.5), so its last repeat leaves after rto (2^n - 1); from then on the time-out counts.
        A time-out below `rto` takes the place of `rto`: the user wants the scan to be quick.
        """
        if self.retransmit_number <= 1:
            return self.timeout
        repeats = min(self.retransmit_number, _MAX_REPEATS)
        return self.timeout + min(rto, self.timeout) * ((1 << repeats) - 1)

    @property
    def repeats(self) -> int:
        """How often a packet without an answer is sent again."""
        return max(1, self.retransmit_number) if self.push_data_only else self.retransmit_number

    @property
    def longest(self) -> float:
        """How long after the last sign of life a flow is asked again because its answer may be lost here, in
        seconds: twice what is waited for it otherwise. A judgement.
        """
        return 2 * (self.repeats * self.retransmit_wait + max(self.timeout, self.cooldown))

    @property
    def hits_needed(self) -> int:
        """How many SYNs to random ports must be answered with SYN-ACK for the host to be a firewall."""
        return max(1, math.ceil(self.haf * self.haf_threshold - 1e-9))
