"""A token bucket whose rate holds although whoever empties it comes late, and that never makes a burst of it.

It is two that fill with time. The first keeps the rate: while work is waiting it holds 200 ms of tokens, so
that a loop that was held up (the machine is busy) makes good for it, and no ten seconds bring 2 % too much.
The second keeps it smooth: it fills a quarter faster and holds 20 ms, so that catching up is a slightly
higher rate for a while, and never a burst. `now` is an argument, in seconds.
"""

from __future__ import annotations

_DEBT = 0.2
_DEPTH = 0.02
_HASTE = 1.25


class Bucket:
    def __init__(self, rate: float, now: float, least: float = 1.0, tokens: float = 1.0) -> None:
        """rate: tokens per second. least: it holds so many more than its depth: what is spent at once."""
        self.rate = rate
        self._least = least
        self._tokens = self._burst = tokens
        self._behind = False  # all that could leave has left: more may be waiting
        self._last = now

    def fill(self, now: float, share: float = 1.0) -> float:
        """Time has passed; the tokens there are. share: of the rate."""
        rate = self.rate * share
        passed = max(0.0, now - self._last)
        # `least` more than the depth, so that at low rates a part is not lost while a whole one waits.
        depth = _DEBT if self._behind else _DEPTH
        self._tokens = min(self._least + rate * depth, self._tokens + passed * rate)
        self._burst = min(self._least + rate * _DEPTH, self._burst + passed * rate * _HASTE)
        self._last = now
        return min(self._tokens, self._burst)

    def spend(self, tokens: float) -> None:
        self._tokens -= tokens
        self._burst -= tokens
        self._behind = min(self._tokens, self._burst) < self._least

    def rest(self) -> None:
        """What could have left and did not was held up by something else: that is not made good for."""
        self._behind = False

    def wait(self, tokens: float, share: float = 1.0) -> float:
        """Seconds from the last `fill` until there are so many tokens."""
        needed = max(tokens - self._tokens, (tokens - self._burst) / _HASTE)
        return max(0.0, needed) / (self.rate * share)
