"""Shares the rate of all boxes out by weight: no box gets more than its cap; the others get what it cannot
take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateShare:
    """A box that takes part. weight: above 0. cap: the most it may have a second; None for no cap."""

    name: str
    weight: float
    cap: int | None = None


def distribute(rate: int, boxes: Iterable[RateShare]) -> Mapping[str, int]:
    """By name, how many targets each box may start in a second; the sum is `rate`, or the sum of the caps if
    that is less.

    A box gets at least 1, since a scan without a rate would have no limit: with more boxes than `rate` the
    sum is the number of boxes. The order of the boxes makes no difference.
    """
    left = {box.name: box for box in sorted(boxes, key=lambda box: box.name)}
    dealt: dict[str, int] = {}
    room = rate
    while True:
        weights = sum(box.weight for box in left.values())
        full = [
            box for box in left.values() if box.cap is not None and box.cap <= room * box.weight / weights
        ]
        if not full:
            break
        for box in full:
            assert box.cap is not None
            dealt[box.name] = max(1, box.cap)
            room = max(0, room - dealt[box.name])
            del left[box.name]
    dealt |= _whole(room, list(left.values()))
    return dict(sorted(dealt.items()))


def most(boxes: Iterable[RateShare]) -> int | None:
    """The sum of the caps, which is the most that can be shared out; None where a box has no cap."""
    caps = [box.cap for box in boxes]
    return None if None in caps else sum(cap for cap in caps if cap is not None)


def _whole(room: int, boxes: list[RateShare]) -> dict[str, int]:
    """Whole numbers by weight, each 1 at least, that sum to `room`: the largest remainders are rounded up."""
    if not boxes:
        return {}
    weights = sum(box.weight for box in boxes)
    exact = {box.name: room * box.weight / weights for box in boxes}
    dealt = {name: max(1, int(share)) for name, share in exact.items()}
    spare = room - sum(dealt.values())
    for name in sorted(exact, key=lambda name: (dealt[name] - exact[name], name))[: max(0, spare)]:
        dealt[name] += 1
    while sum(dealt.values()) > max(room, len(boxes)):  # what the smallest were given too much
        dealt[max(dealt, key=lambda name: (dealt[name], name))] -= 1
    return dealt
