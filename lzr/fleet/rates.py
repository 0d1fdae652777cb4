"""The rate for all boxes, dealt by weight: none gets more than its cap, others get what it cannot take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """A box that takes part. weight: above 0. cap: the most it may have, a second; None for any."""

    name: str
    weight: float
    cap: int | None = None


def deal(rate: int, boxes: Iterable[Share]) -> Mapping[str, int]:
    """What each box may send in a second, by name; the sum is `rate`, or that of the caps where it is less.

    A box has 1 a second at least, as a scan without a rate would have no limit: with more boxes than `rate`
    the sum is the number of boxes. The same boxes in another order get the same.
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


def most(boxes: Iterable[Share]) -> int | None:
    """The sum of the caps, or None where one has none: more cannot be dealt."""
    caps = [box.cap for box in boxes]
    return None if None in caps else sum(cap for cap in caps if cap is not None)


def _whole(room: int, boxes: list[Share]) -> dict[str, int]:
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
