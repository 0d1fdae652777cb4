"""How many examples a property is tried with, and how much of what is large: all, or a part where a quick
answer is wanted.

``make unit`` sets QUICK, for somebody who waits; ``make test`` and continuous integration try all.
"""

from __future__ import annotations

import os

QUICK = bool(os.environ.get("QUICK")) and not os.environ.get("CI")


def examples(count: int) -> int:
    """Examples to try of `count`; a sixth where it has to be quick, but at least ten, for fewer would say
    little."""
    return max(min(count, 10), count // 6) if QUICK else count
