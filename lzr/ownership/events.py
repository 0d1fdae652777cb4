"""The events of the ownership machine: what can happen to a process, and what a process reports.

`name` is always the process that reports, or that has ended.

A name is used once ("flow-0.2" is the second process at the place flow 0), so a late report of a process that
has died is never taken for one of its successor.
"""

from __future__ import annotations

from msgspec import Struct


class Want(Struct, frozen=True):
    """From now on there shall be so many flow workers and collectors. The first such event starts the
    scan.
    """

    flow: int
    collect: int


class Ready(Struct, frozen=True):
    """A process has started and takes orders."""

    name: str


class Died(Struct, frozen=True):
    """A process has ended, told to or not: nothing of it comes any more, except what is on the way already.

    status: its exit status, negative for a signal.
    """

    name: str
    status: int = 0


class Adopted(Struct, frozen=True):
    """A flow worker has mapped the shard's socket and taken its flows."""

    name: str
    shard: int


class Released(Struct, frozen=True):
    """A flow worker has given a shard up; all its results are written.

    flows: what the next worker needs to go on with them; passed on unread.
    """

    name: str
    shard: int
    flows: object


class Fenced(Struct, frozen=True):
    """The collector that writes takes nothing more from `incarnation`, a dead flow worker's number."""

    name: str
    incarnation: int


class Linked(Struct, frozen=True):
    """A collector has dropped what it held and sends finished lines to `writer` from now on."""

    name: str
    writer: str


class Ending(Struct, frozen=True):
    """The scan ends: all processes of this role are to stop, and nobody is replaced any more."""

    role: str


Event = Want | Ready | Died | Adopted | Released | Fenced | Linked | Ending
