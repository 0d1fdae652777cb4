"""The orders of the ownership machine: what the supervisor is to do, and what the feeder has to know."""

from __future__ import annotations

from dataclasses import dataclass

from lzr.ownership.events import Event

# --- to be done with processes -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a process. number: its own, also the incarnation of its results.

    fenced: for a collector, the numbers of flow workers that have died. replaces: its predecessor died.
    """

    role: str
    index: int
    name: str
    number: int
    fenced: tuple[int, ...] = ()
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Adopt:
    """Tell a worker to take a shard over. flows: what its predecessor released, None if there is nothing."""

    name: str
    shard: int
    flows: object = None


@dataclass(frozen=True, slots=True)
class Release:
    """Tell a worker to give a shard up, after the targets that are on the way to it."""

    name: str
    shard: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Tell a process that is no longer wanted to end."""

    name: str


@dataclass(frozen=True, slots=True)
class Fence:
    """Tell the collector that writes to take nothing more from a dead flow worker."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Link:
    """Tell a collector to drop what it holds and to send finished lines to `writer`."""

    name: str
    writer: str


@dataclass(frozen=True, slots=True)
class SendTo:
    """Tell a flow worker to send its results, again those that are not acknowledged, to `collector`."""

    name: str
    collector: str


@dataclass(frozen=True, slots=True)
class Forget:
    """A process has ended: close its sockets.

    asked: it was told to end. vacant: it was told to end and nobody takes its place, while the scan goes on.
    """

    name: str
    status: int
    role: str
    index: int
    asked: bool
    vacant: bool


# --- to be known by who feeds the shards -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShardOpened:
    """The worker `name`, at `index`, may be fed flows of this shard.

    took: seconds for which the shard was closed, None if it had never been open.
    """

    shard: int
    name: str
    index: int
    took: float | None


@dataclass(frozen=True, slots=True)
class ShardClosed:
    """Nobody may be fed flows of this shard until it is opened again."""

    shard: int


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The shard was lost and is open again: its inputs without a fate are to be sent again."""

    shard: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The scan cannot go on; the sentence says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A report that is false or too late: its sender does not own the shard, or is dead."""

    event: Event


News = ShardOpened | ShardClosed | TryAgain | GiveUp
Order = Spawn | Adopt | Release | Stop | Fence | Link | SendTo | Forget | News | Ignored
