"""Whether a gateway still answers ARP or neighbour discovery, from when it was asked. No clock, no
netlink.
"""

from __future__ import annotations

import math

OVERDUE = 2.5
"""Seconds without an answer after which a gateway is missed. The kernel asks three times, a second apart."""


class GatewayPresence:
    """One gateway. Times are seconds of any clock that only goes forward."""

    def __init__(self) -> None:
        self._asked: float | None = None
        self.missed = False
        """It did not answer in time, and has not since."""

    @property
    def due(self) -> float:
        """When `overdue` is worth calling again; infinity if no answer is awaited."""
        return math.inf if self._asked is None or self.missed else self._asked + OVERDUE

    def asked(self, now: float) -> None:
        """The kernel was told to ask the gateway, or is asking; only the first time since its last answer
        counts.
        """
        if self._asked is None:
            self._asked = now

    def answered(self) -> bool:
        """The gateway has answered; returns whether it had been missed."""
        self._asked, missed = None, self.missed
        self.missed = False
        return missed

    def overdue(self, now: float) -> bool:
        """Whether the gateway is missed from now on: true only once."""
        if now < self.due:
            return False
        self.missed = True
        return True
