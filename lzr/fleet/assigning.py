"""Giving a box's shards to others: when that is allowed, and what the user is told beforehand.

A box that cannot be asked may still be scanning. Then two boxes would scan the same hosts, from two
addresses, so this needs a reason from the user.
"""

from __future__ import annotations

from collections.abc import Sequence

from lzr.errors import UsageError, printable
from lzr.fleet import distribution
from lzr.fleet.lock import Lock

MOST_REASON = 200


def check(
    box: str,
    standing: Sequence[str | None],
    *,
    force: bool,
    reason: str,
    free_in: float | None = None,
    free_at: str = "",
) -> None:
    """Check that a box may lose its shards. Raises UsageError.

    standing: of each of its runs, "running", another word for one that has ended, None where it is not known.
    free_in: seconds until its lease is over for certain, 0 or less: it is over; None: it has none. free_at:
    the same as a time of day.
    """
    if len(reason) > MOST_REASON or not (reason.isprintable() or not reason):
        raise UsageError(f"--reason: must be one line of at most {MOST_REASON} characters")
    if force:
        if not reason.strip():
            raise UsageError("--force needs a --reason, which is kept: why may two boxes ask the same hosts?")
        return
    shown = printable(box)
    if "running" in standing:
        raise UsageError(
            f"{shown} is scanning: end that first (lzr fleet quit --box {shown}), or say --force and --reason"
        )
    if None in standing and free_in is not None:
        if free_in > 0:
            raise UsageError(
                f"nobody can tell from here whether {shown} is scanning: its lease is over at {free_at}, in "
                f"{free_in:.0f} s; then this needs no --force"
            )
        return
    if None in standing:
        raise UsageError(
            f"nobody can tell from here whether {shown} is scanning: once it is certain that it is not and "
            "will not begin again, say --force and --reason"
        )


def consequences(before: Lock, after: Lock, box: str, asked: int | None) -> list[str]:
    """What the user is told before anything is changed. asked: inputs the box has handled; None: not
    known.
    """
    lost = [shard for run in before.runs_of(box) for shard in run.shards]
    lines = [
        f"{box} gives up {_shards(lost)}, which it has scanned from {', '.join(before.plan.box(box).source)}"
    ]
    for run in after.runs[len(before.runs) :]:
        lines.append(
            f"{run.box} scans {_shards(run.shards)} from their beginning, from {', '.join(run.source)}"
        )
    lines.append(f"{_twice(before, len(lost), asked)} may be asked a second time, from another address")
    return lines


def _shards(shards: Sequence[int]) -> str:
    return f"{'shard' if len(shards) == 1 else 'shards'} {distribution.ranges(shards)}"


def _twice(lock: Lock, lost: int, asked: int | None) -> str:
    part = lost / lock.plan.shards
    if asked is not None:
        return f"about {int(asked * part) if lock.input_lines is not None else asked:,} targets"
    if lock.input_lines is not None:
        return f"up to {int(lock.input_lines * part):,} targets"
    return f"all targets of {lost} of {lock.plan.shards} shards"
