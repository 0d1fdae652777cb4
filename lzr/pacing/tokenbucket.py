"""A token bucket that keeps its rate although the loop using it is sometimes late, and that allows no bursts.

It consists of two buckets that fill with time. The first keeps the rate: while work is waiting it holds up to
200 ms of tokens, so that a loop that was held up on a busy machine catches up, and yet no ten seconds have
more than 2 % too much. The second smooths: it fills a quarter faster and holds 20 ms, so that catching up is
a slightly higher rate for a while and never a burst. `now` is an argument, in seconds. `pacer` (--rate) and
`maxrate` (--max-rate, --bandwidth) use it.
"""

from __future__ import annotations

# Set by `python -m benchmarks.pace`, which compares the rate of ten seconds with the one asked for: 98.3 to
# 100.9 % from 10 to 100,000 a second.
_DEBT = 0.2  # seconds' worth of tokens that may be made good for; more where more may leave at once
DEPTH = 0.02  # seconds' worth that may leave at once
_HASTE = 1.25  # the rate while it catches up, as a multiple of the rate asked for


class TokenBucket:
    """A token bucket: call `fill`, then `spend` at most what it returned."""

    def __init__(
        self, rate: float, now: float, least: float = 1.0, tokens: float = 1.0, depth: float = DEPTH
    ) -> None:
        """rate: tokens a second. least: tokens that are spent in one go, which the bucket can hold in
        addition. tokens: how many there are at the start. depth: seconds' worth of tokens that may be taken
        at once. now: seconds.
        """
        self.rate = rate
        self._least, self._depth = least, depth
        self._tokens = self._burst = tokens
        self._behind = False  # all that could leave has left: more may be waiting
        self._last = now

    def fill(self, now: float, share: float = 1.0) -> float:
        """Add the tokens for the time that has passed; returns how many there are. share: our part of the
        rate, 0..1.
        """
        rate = self.rate * share
        passed = max(0.0, now - self._last)
        # `least` more than the depth, so that at low rates a part is not lost while a whole one waits.
        depth = max(_DEBT, self._depth) if self._behind else self._depth
        self._tokens = min(self._least + rate * depth, self._tokens + passed * rate)
        self._burst = min(self._least + rate * self._depth, self._burst + passed * rate * _HASTE)
        self._last = now
        return min(self._tokens, self._burst)

    def spend(self, tokens: float) -> None:
        """Take so many tokens out; the bucket may go below zero."""
        self._tokens -= tokens
        self._burst -= tokens
        self._behind = min(self._tokens, self._burst) < self._least

    def rest(self) -> None:
        """Drop tokens beyond the depth: something else than the rate held work up, so there is nothing to
        catch up.
        """
        self._behind = False

    def wait(self, tokens: float, share: float = 1.0) -> float:
        """Seconds from the last `fill` until there are so many tokens."""
        needed = max(tokens - self._tokens, (tokens - self._burst) / _HASTE)
        return max(0.0, needed) / (self.rate * share)
