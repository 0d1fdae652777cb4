"""Finds routing rules of this host that look at ports (ip-rule(8)), for `lzr doctor`."""

from __future__ import annotations

import contextlib
import socket

from coordinator.doctor.checks import OK, WARNING, Finding
from coordinator.network import netlink as nl
from coordinator.network import portrules


def ways_by_port() -> Finding:
    """Whether there are such rules for TCP. Which targets they concern shows only in the scan."""
    found = []
    with nl.Netlink() as kernel:
        for family in (socket.AF_INET, socket.AF_INET6):
            fixed = nl.ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
            with contextlib.suppress(OSError):  # a kernel without IPv6
                found += kernel.ask(nl.GETRULE, fixed, flags=nl.F_DUMP)
    own, peer = portrules.bounds(found)
    kinds = [kind for kind, ports in (("sport", own), ("dport", peer)) if ports]
    if not kinds:
        return Finding("rules", OK, "no rule of this host chooses the way by port")
    sentence = f"rules of this host choose the way by port ({', '.join(kinds)}: ip rule)"
    advice = "scan the ports of each such rule by themselves: one scan sends all ports of a host one way"
    return Finding("rules", WARNING, sentence, advice)
