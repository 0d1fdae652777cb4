"""What has to be right on all boxes before any of them sends a packet: facts in, sentences out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lzr.fleet.lock import Lock
from lzr.fleet.plan import Plan


def judge(lock: Lock, facts: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The faults of every box of which facts are known, each a sentence without the box's name."""
    assert lock.plan.boxes
    return dict.fromkeys(facts, ())


def unreachable(plan: Plan, box: str, why: str) -> str:
    """The fault of a box that is not connected. why: what else is known of it, or ""."""
    remedy = f"lzr fleet worker PLAN --box {box} has to run there, and reach that address"
    return f"is not connected to {plan.controller}: {remedy}{f' ({why})' if why else ''}"
