"""The pace of the input, --rate: how many connections may be opened now. It may change while the scan runs.

How many packets leave of all kinds is bounded by `lzr.pacing.maxrate`. `now` is an argument, in seconds.
"""

from __future__ import annotations

from lzr.pacing.tokenbucket import DEPTH, TokenBucket


class Pacer:
    """A rate of connections that may change while the scan runs."""

    def __init__(self, rate: float | None, now: float, depth: float = DEPTH) -> None:
        """rate: connections per second; None for no limit. depth: seconds' worth that may be let through at
        once: small, unless the worker spreads them over that time.
        """
        self._depth = depth
        self._bucket = None if rate is None else TokenBucket(rate, now, depth=depth)

    @property
    def rate(self) -> float | None:
        """Connections per second; None for no limit."""
        return None if self._bucket is None else self._bucket.rate

    def set_rate(self, rate: float | None, now: float) -> None:
        """Change the rate from `now` on (monotonic seconds); None for no limit."""
        if rate is None:
            self._bucket = None
        elif self._bucket is None:
            self._bucket = TokenBucket(rate, now, depth=self._depth)
        else:
            self._bucket.fill(now)
            self._bucket.rate = rate

    def allowance(self, now: float) -> int:
        """How many connections may be opened now."""
        return 1 << 30 if self._bucket is None else int(self._bucket.fill(now))

    def spend(self, connections: int) -> None:
        """Count connections that were let through."""
        if self._bucket is not None:
            self._bucket.spend(connections)

    def rest(self, now: float) -> None:
        """Do not catch up on time in which something else than the rate held connections up."""
        if self._bucket is not None:
            self._bucket.rest()
            self._bucket.fill(now)

    def wait(self, now: float) -> float:
        """Seconds until one more connection may be opened."""
        return 0.0 if self.allowance(now) >= 1 or self._bucket is None else self._bucket.wait(1.0)
