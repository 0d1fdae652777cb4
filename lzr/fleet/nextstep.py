"""What a controller does next with a box: one step, from what is known of the box; never two at a time.

A box is first told the orders to block, then examined, then told to attend to its run. A run that has begun
goes on without an examination: it may be scanning already, so the question whether it may begin would come
too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Step(Enum):
    """One thing to do with a box."""

    NOTHING = "nothing"
    TAKE = "give it the lock"
    ORDERS = "give it the orders to block that it lacks"
    CHECK = "look at it"
    ATTEND = "have it attend to its run"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a box.

    here: its worker is connected. busy: a step is being done. taken: it has the lock. lacks: orders to block
    that it has not confirmed. begun: it has reported that its run has begun. checked: whether it was found
    fit. attended: a task waits for its run. ended: its run is over, or is not to go on by itself.
    """

    here: bool = False
    busy: bool = False
    taken: bool = False
    lacks: bool = False
    begun: bool = False
    checked: bool = False
    attended: bool = False
    ended: bool = False


def step(box: Known, may_begin: bool) -> Step:
    """The next step. may_begin: all boxes were found fit, or this one may begin without them."""
    if not box.here or box.busy:
        return Step.NOTHING
    if not box.taken:
        return Step.TAKE
    if box.lacks:
        return Step.ORDERS
    if box.attended or box.ended:
        return Step.NOTHING
    if box.begun:
        return Step.ATTEND
    if not box.checked:
        return Step.CHECK
    return Step.ATTEND if may_begin else Step.NOTHING
