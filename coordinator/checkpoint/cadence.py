"""How often a checkpoint is saved: what came after the last one is done again when a scan was killed."""

from __future__ import annotations

EVERY, EVERY_OF_SWEEP = 1.0, 0.2
"""Least seconds between two checkpoints, and between two of a sweep, of which a second's SYNs may be sent
again. Judgements: more often, and a disk would be syncing all the time."""
_SHARE = 0.2
"""For such a share of the time a disk may be syncing, beyond what one checkpoint a second takes."""


def pause(*, sweep: bool, took: float) -> float:
    """Seconds from one checkpoint to the next. took: seconds for which the last one was being saved."""
    return max(EVERY_OF_SWEEP, min(EVERY, took / _SHARE)) if sweep else EVERY
