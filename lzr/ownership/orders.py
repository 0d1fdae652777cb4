"""The orders of the ownership machine: what the supervisor is to do, and what the feeder has to know."""

from __future__ import annotations

from msgspec import Struct

from lzr.ownership.events import Event

# --- to be done with processes -----------------------------------------------------------------------------


class Spawn(Struct, frozen=True):
    """Start a process. number: its own, also the incarnation of its results.

    fenced: for a collector, the numbers of flow workers that have died. replaces: its predecessor died.
    """

    role: str
    index: int
    name: str
    number: int
    fenced: tuple[int, ...] = ()
    replaces: bool = False


class Adopt(Struct, frozen=True):
    """Tell a worker to take a shard over. flows: what its predecessor released, None if there is nothing."""

    name: str
    shard: int
    flows: object = None


class Release(Struct, frozen=True):
    """Tell a worker to give a shard up, after the targets that are on the way to it."""

    name: str
    shard: int


class Stop(Struct, frozen=True):
    """Tell a process that is no longer wanted to end."""

    name: str


class Fence(Struct, frozen=True):
    """Tell the collector that writes to take nothing more from a dead flow worker."""

    name: str
    incarnation: int


class Link(Struct, frozen=True):
    """Tell a collector to drop what it holds and to send finished lines to `writer`."""

    name: str
    writer: str


class SendTo(Struct, frozen=True):
    """Tell a flow worker to send its results, again those that are not acknowledged, to `collector`."""

    name: str
    collector: str


class Forget(Struct, frozen=True):
    """A process has ended: close its sockets.

    asked: it was told to end. vacant: it was told to end and nobody takes its place, while the scan goes on.
    """

    name: str
    status: int
    role: str
    index: int
    asked: bool
    vacant: bool


class Fewer(Struct, frozen=True):
    """There cannot be as many processes of a role as were wanted, and fewer are; the sentence says so."""

    reason: str


# --- to be known by who feeds the shards -------------------------------------------------------------------


class ShardOpened(Struct, frozen=True):
    """The worker `name`, at `index`, may be fed flows of this shard.

    took: seconds for which the shard was closed, None if it had never been open.
    """

    shard: int
    name: str
    index: int
    took: float | None


class ShardClosed(Struct, frozen=True):
    """Nobody may be fed flows of this shard until it is opened again."""

    shard: int


class TryAgain(Struct, frozen=True):
    """The shard was lost and is open again: its inputs without a fate are to be sent again."""

    shard: int


class GiveUp(Struct, frozen=True):
    """The scan cannot go on; the sentence says why."""

    reason: str


class Ignored(Struct, frozen=True):
    """A report that is false or too late: its sender does not own the shard, or is dead."""

    event: Event


News = ShardOpened | ShardClosed | TryAgain | GiveUp
Order = Spawn | Adopt | Release | Stop | Fence | Link | SendTo | Forget | Fewer | News | Ignored
