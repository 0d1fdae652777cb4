"""What a box says of itself before anything begins."""

from __future__ import annotations

from typing import Any

from lzr import __version__
from lzr.fleet.lock import Lock


def facts(lock: Lock, box: str) -> dict[str, Any]:
    """Facts for `lzr.fleet.preflight`, of types that msgpack has."""
    return {"version": __version__, "box": box, "id": lock.id}
