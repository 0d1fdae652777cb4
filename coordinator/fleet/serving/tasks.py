"""The task that runs on a box and waits for its scan. In a module of its own, as both ends load it by
name.
"""

from __future__ import annotations

from distributed import get_worker


async def attend(session: str) -> None:
    """Attend to the runs of the box whose worker this is, until they have ended. session: of its lock."""
    await get_worker().side.attend(session)
