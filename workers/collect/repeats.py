"""Decides whether replies are to be remembered: only while enough of them come again.

To remember a reply costs as much as to identify that of a plain web server, so where no two are alike, as on
the Internet, it is not done for a while, and then tried again.
"""

from __future__ import annotations

SAMPLE = 1024
"""Replies by which it is judged."""

_NEW = 0.8
"""Share of a sample that may be new: a reply that is found costs a quarter of one that is identified."""

_REST = 16
"""Samples that are let go by before it is tried again, so that trying costs next to nothing."""


class Repeats:
    """`pay` says whether to remember what comes next; `met` is told how that went."""

    def __init__(self) -> None:
        self.pay = True
        self._replies = self._new = 0

    def met(self, replies: int, new: int) -> None:
        """So many more replies came, and so many of them were not remembered."""
        self._replies += replies
        self._new += new
        if self._replies < (SAMPLE if self.pay else SAMPLE * _REST):
            return
        self.pay = not self.pay or self._new <= self._replies * _NEW
        self._replies = self._new = 0
