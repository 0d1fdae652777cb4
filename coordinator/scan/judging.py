"""Decides what held the scan back during the last half second: the rate, the input or the workers."""

from __future__ import annotations

from msgspec import Struct

from coordinator.scan.feeder import Paced
from coordinator.scan.reading import Seen

_NEARLY = 0.8
"""Share of the rate from which it counts as reached. A judgement: over half a second a rate varies by a
tenth."""


class Judgement(Struct, frozen=True):
    """What held the scan back.

    paced: the rate. late: the rate, which was nevertheless not reached because the loop was late.
    input_waiting: the scan waited for the input. input_held: the input waited for the scan.
    """

    paced: bool
    late: bool
    input_waiting: bool
    input_held: bool


def judge(seen: Seen, paced: Paced, *, rate: float | None, seconds: float, ended: bool) -> Judgement:
    """rate: targets a second, None for no limit. seconds: the time judged. ended: the input has ended."""
    enough = paced.begun >= _NEARLY * (rate or 0.0) * seconds
    return Judgement(
        paced=paced.held and enough,
        late=paced.held and not enough and not paced.clogged,
        input_waiting=seen.starved and not (seen.filled or seen.held_up) and not ended,
        input_held=seen.held_up and not ended,
    )
