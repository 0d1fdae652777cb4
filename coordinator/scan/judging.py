"""What held work back, from what the input and the pace did within the last half second or so."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.scan.feeder import Paced
from coordinator.scan.reading import Seen

_NEARLY = 0.8
"""Share of the rate from which it counts as reached."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """paced: the rate asked for. late: the same, and yet it was not reached: nobody was there when it let
    work go. input_waiting: the input. input_held: we, and the input waited for us."""

    paced: bool
    late: bool
    input_waiting: bool
    input_held: bool


def judge(seen: Seen, paced: Paced, *, rate: float | None, seconds: float, ended: bool) -> Verdict:
    """rate: targets a second at most, None for no limit; seconds: how long that was; ended: the input has."""
    enough = paced.begun >= _NEARLY * (rate or 0.0) * seconds
    return Verdict(
        paced=paced.held and enough,
        late=paced.held and not enough and not paced.clogged,
        input_waiting=seen.starved and not (seen.filled or seen.held_up) and not ended,
        input_held=seen.held_up and not ended,
    )
