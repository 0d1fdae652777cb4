"""What the user asked of every flow, in the form the flow table needs it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lzr.probes import ProbeTemplate

EPHEMERAL = (32768, 61000)
"""ZMap's default source ports, and where probes for ACKing firewalls go."""


@dataclass(frozen=True)
class Plan:
    """Times in seconds; `probes[i]` is what handshake i sends.

    cooldown: how long the answer to the first SYN of a listed target is awaited after its last SYN.
    """

    probes: tuple[ProbeTemplate, ...]
    retransmit_wait: float = 1.0
    retransmit_number: int = 1
    timeout: float = 5.0
    cooldown: float = 8.0
    settle: float = 0.25
    probe_delay: float = 0.0
    haf: int = 0
    haf_threshold: float = 1.0
    push_data_only: bool = False
    force_all_handshakes: bool = False
    ports: tuple[int, int] = EPHEMERAL
    seed: int = 0
    hash_seed: int = 0
    shards: int = 1

    @property
    def patience(self) -> float:
        """How long data is awaited from a peer that has acknowledged the probe.

        Twice the time-out where more than one retransmit was asked for: the path loses, and a stack that has
        not measured a round trip repeats a lost banner after 3 and 9 seconds (RFC 6298 §5.5, §5.7).
        """
        return self.timeout * (2 if self.retransmit_number > 1 else 1)

    @property
    def hits_needed(self) -> int:
        """SYN-ACKs from random ports that make an ACKing firewall."""
        return max(1, math.ceil(self.haf * self.haf_threshold - 1e-9))
