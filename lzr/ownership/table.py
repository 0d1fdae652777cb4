"""The state machine of a shard: its states, what can happen to it, and which state follows, as one table.

``TABLE[state, trigger]`` is the action to take and the state after it. A pair that is not in the table cannot
happen; a report that claims it is ignored.

A shard may be fed only while it is OPEN. It changes hands in one of two ways:

* *Released*: its worker waits until all its results are written and hands over the flows; the next worker
  adopts them.
* *Lost*: its worker died. Two things are awaited then, in either order: the fence, after which the writing
  collector takes no more results of the dead worker; and a successor that has adopted the socket. Only when
  both are there, the shard's inputs without a fate are tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType


class ShardState(Enum):
    """Which worker a shard belongs to, and whether it may be fed."""

    ASSIGNED = auto()  # to a worker that has not started yet; the flows, if there are any, wait here
    ADOPTING = auto()  # its worker was told to adopt it
    OPEN = auto()  # its worker has it, and may be fed
    RELEASING = auto()  # its worker was told to give it up
    LOST = auto()  # its worker died: neither fenced nor adopted by the successor
    FENCED = auto()  # the dead worker is fenced off; the successor has not adopted it
    TAKEN = auto()  # the successor has adopted it; the dead worker is not fenced off yet


class Trigger(Enum):
    """What can happen to a shard."""

    READY = auto()  # the worker it is assigned to has started
    ADOPTED = auto()  # its worker says that it has it
    MOVE = auto()  # it is to go to another worker
    RELEASED = auto()  # its worker has given it up
    DIED = auto()  # its worker is dead
    FENCED = auto()  # no result of a dead worker that had it can come any more


class Action(Enum):
    """What is done with a shard."""

    NOTHING = auto()
    ADOPT = auto()  # tell the worker to adopt it, with the flows
    OPEN_UP = auto()  # feed it from now on
    TRY_AGAIN = auto()  # feed it, first with what it owes
    RELEASE = auto()  # feed it no more, tell the worker to give it up
    PASS_ON = auto()  # to the next worker, with the flows
    LOSE = auto()  # feed it no more; to the next worker, without them


TABLE: Mapping[tuple[ShardState, Trigger], tuple[Action, ShardState]] = MappingProxyType(
    {
        (ShardState.ASSIGNED, Trigger.READY): (Action.ADOPT, ShardState.ADOPTING),
        # It was never told to adopt it, so it has no flows of it and nothing needs to be fenced.
        (ShardState.ASSIGNED, Trigger.DIED): (Action.PASS_ON, ShardState.ASSIGNED),
        (ShardState.ADOPTING, Trigger.ADOPTED): (Action.OPEN_UP, ShardState.OPEN),
        (ShardState.ADOPTING, Trigger.DIED): (Action.LOSE, ShardState.LOST),
        (ShardState.OPEN, Trigger.MOVE): (Action.RELEASE, ShardState.RELEASING),
        (ShardState.OPEN, Trigger.DIED): (Action.LOSE, ShardState.LOST),
        (ShardState.RELEASING, Trigger.RELEASED): (Action.PASS_ON, ShardState.ASSIGNED),
        (ShardState.RELEASING, Trigger.DIED): (Action.LOSE, ShardState.LOST),
        (ShardState.LOST, Trigger.READY): (Action.ADOPT, ShardState.LOST),
        (ShardState.LOST, Trigger.ADOPTED): (Action.NOTHING, ShardState.TAKEN),
        (ShardState.LOST, Trigger.FENCED): (Action.NOTHING, ShardState.FENCED),
        (ShardState.LOST, Trigger.DIED): (Action.LOSE, ShardState.LOST),
        (ShardState.FENCED, Trigger.READY): (Action.ADOPT, ShardState.FENCED),
        (ShardState.FENCED, Trigger.ADOPTED): (Action.TRY_AGAIN, ShardState.OPEN),
        (ShardState.FENCED, Trigger.DIED): (Action.LOSE, ShardState.LOST),
        (ShardState.TAKEN, Trigger.FENCED): (Action.TRY_AGAIN, ShardState.OPEN),
        (ShardState.TAKEN, Trigger.DIED): (Action.LOSE, ShardState.LOST),
    }
)


def diagram() -> str:
    """The table as a Mermaid state diagram (ARCHITECTURE.md holds it; a test compares)."""
    lines = ["stateDiagram-v2", "    [*] --> ASSIGNED"]
    for (before, trigger), (action, after) in TABLE.items():
        does = "" if action is Action.NOTHING else f" / {action.name}"
        lines.append(f"    {before.name} --> {after.name}: {trigger.name}{does}")
    return "\n".join(lines) + "\n"
