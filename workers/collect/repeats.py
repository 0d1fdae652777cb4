"""Decides whether identities of replies are remembered: only while enough replies repeat.

Remembering a reply costs as much as identifying that of a plain web server. So where no two replies are
alike, as on the Internet, it is left off for a while and then tried again.
"""

from __future__ import annotations

SAMPLE = 1024
"""Replies after which it is decided."""

_NEW = 0.8
"""Share of a sample that may be new: a remembered reply costs a quarter of one that is identified."""

_REST = 16
"""Samples that pass before it is tried again, so that trying costs next to nothing."""


class Repeats:
    """pay: whether it pays to remember what comes next. Tell `met` how that went."""

    def __init__(self) -> None:
        self.pay = True
        self._replies = self._new = 0

    def met(self, replies: int, new: int) -> None:
        """Count replies that were looked up, and how many of them were new."""
        self._replies += replies
        self._new += new
        if self._replies < (SAMPLE if self.pay else SAMPLE * _REST):
            return
        self.pay = not self.pay or self._new <= self._replies * _NEW
        self._replies = self._new = 0
