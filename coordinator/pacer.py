"""Pacing: a token bucket that fills with time and holds little, so that work leaves smoothly.

`now` is an argument. The bucket holds 20 ms of tokens and one more: a late loop catches up by that much
and no more, and a rate holds without one-second bursts.
"""

from __future__ import annotations

_DEPTH = 0.02


class Pacer:
    def __init__(self, rate: float | None, now: float) -> None:
        """rate: tokens per second; None for no limit."""
        self._rate = rate
        self._tokens = 1.0
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
        return int(self._tokens)

    def spend(self, tokens: int) -> None:
        if self._rate is not None:
            self._tokens -= tokens

    def wait(self, now: float) -> float:
        """Seconds until there is a token."""
        if self._rate is None or self.allowance(now) >= 1:
            return 0.0
        return (1.0 - self._tokens) / self._rate

    def _fill(self, now: float) -> None:
        if self._rate is None:
            self._last = now
            return
        # One token more than the depth, so that at low rates a fraction is not lost while a whole one waits.
        self._tokens = min(1.0 + self._rate * _DEPTH, self._tokens + (now - self._last) * self._rate)
        self._last = now
