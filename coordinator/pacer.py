"""Pacing: two token buckets that fill with time, so that a rate holds and work leaves smoothly.

`now` is an argument. The first bucket keeps the rate: it holds 100 ms of tokens, so that a loop that was held
up while work was waiting (the machine is busy) makes good for it. The second keeps it smooth: it fills a
quarter faster and holds 20 ms, so that catching up is a slightly higher rate for a while, and never a burst.
"""

from __future__ import annotations

_DEBT = 0.1
_DEPTH = 0.02
_HASTE = 1.25


class Pacer:
    def __init__(self, rate: float | None, now: float) -> None:
        """rate: tokens per second; None for no limit."""
        self._rate = rate
        self._tokens = self._burst = 1.0
        self._behind = False  # all that could leave has left: more may be waiting
        self._last = now
        self.held = False  # since it was last set to False, something had to wait

    @property
    def rate(self) -> float | None:
        return self._rate

    def set_rate(self, rate: float | None, now: float) -> None:
        self._fill(now)
        self._rate = rate

    def allowance(self, now: float) -> int:
        """Whole tokens there are now."""
        if self._rate is None:
            return 1 << 30
        self._fill(now)
        return int(min(self._tokens, self._burst))

    def spend(self, tokens: int) -> None:
        if self._rate is not None:
            self._tokens -= tokens
            self._burst -= tokens
            self._behind = min(self._tokens, self._burst) < 1

    def rest(self, now: float) -> None:
        """Nothing could leave for another reason than the pace: that is not made good for."""
        self._behind = False
        self._fill(now)

    def wait(self, now: float) -> float:
        """Seconds until there is a token."""
        if self._rate is None or self.allowance(now) >= 1:
            return 0.0
        return max(1.0 - self._tokens, (1.0 - self._burst) / _HASTE) / self._rate

    def _fill(self, now: float) -> None:
        if self._rate is None:
            self._last = now
            return
        passed = now - self._last
        # One token more than the depth, so that at low rates a fraction is not lost while a whole one waits.
        depth = _DEBT if self._behind else _DEPTH
        self._tokens = min(1.0 + self._rate * depth, self._tokens + passed * self._rate)
        self._burst = min(1.0 + self._rate * _DEPTH, self._burst + passed * self._rate * _HASTE)
        self._last = now
