"""What is known of each pair of a sweep, one byte: nothing yet, answered, refused, unreachable, blocked, or
not asked and why.
"""

from __future__ import annotations

import numpy as np

from lzr.packet.icmp import KINDS


class Verdict:
    """What is known of a pair. BEFORE: it had its fate in the sweep that is resumed. NO_WAY: no packet of
    ours can reach it. BLOCKED: it may not be contacted any more. FIREWALL: no SYN was sent to it, since its
    host is an ACKing firewall. From UNREACHABLE on: what an ICMP error said (`lzr.packet.icmp.KINDS`).
    """

    NOTHING, ANSWERED, REFUSED, NO_WAY, BLOCKED, BEFORE, FIREWALL, UNREACHABLE = range(8)
    COUNT = UNREACHABLE + len(KINDS)
    TOLD = (ANSWERED, REFUSED, NO_WAY, BLOCKED, *range(UNREACHABLE, COUNT), FIREWALL)
    """Those that a worker reports, the stronger first: a host's own answer counts for more than a router's
    error."""


SPOKEN = np.isin(
    np.arange(Verdict.COUNT),
    (
        *(Verdict.ANSWERED, Verdict.REFUSED, Verdict.NO_WAY),
        *(Verdict.BLOCKED, Verdict.BEFORE, Verdict.FIREWALL),
    ),
    kind="table",
)
"""Verdicts that nothing can improve on; an ICMP error may still be followed by the host's own answer."""
