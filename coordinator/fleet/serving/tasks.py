"""The task that runs on a box and waits for its scan. Kept apart, as both ends load it by its name."""

from __future__ import annotations

from distributed import get_worker


async def attend(lock: bytes) -> None:
    """Attend to the run of the box whose worker this is, until it has ended."""
    await get_worker().side.attend(lock)
