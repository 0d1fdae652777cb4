"""``lzr fleet check PLAN``, refused while a controller here works by what was settled before."""

from __future__ import annotations

from coordinator.fleet import checking
from coordinator.fleet.engine import controllerclient


def main(argv: list[str]) -> int:
    """The exit status: 0 settled (or nothing has changed), 2 a mistake."""
    return checking.main(argv, controllerclient.runs)
