"""What the processes say to one another: one frozen struct a kind.

Every message is a batch. `lzr.ipc.packing` makes of it the parts that travel, and checks what comes. The
dtype of every column belongs to the kind, so nothing about layout travels.

| kind | from → to | columns |
|---|---|---|
| Targets | coordinator → flow worker (feed) | TARGET |
| Stretch | coordinator → flow worker (feed): pairs of a sweep to ask | which of them not, a bit each |
| Release | coordinator → flow worker (feed, behind its targets) | |
| Hurry | coordinator → flow worker (orders): a release is on its way | |
| Adopt | coordinator → flow worker (orders) | what the last worker released, or nothing |
| Acked | coordinator → flow worker (orders) | |
| Resend | coordinator → any (orders): to whom to send, again what is not acknowledged | |
| Fence | coordinator → the collector that writes (orders) | |
| Stop | coordinator → any (orders) | |
| Routes | coordinator → flow worker (orders), before its first shard and after changes | INTERVAL, WAY |
| Swept | coordinator → flow worker (orders), before its first stretch | RANGE, ports, our addresses |
| Blocked | coordinator → flow worker (orders): who may not be contacted any more | ranges of addresses |
| Heard | flow worker → coordinator (reports): who answered a sweep, and what is sent | TARGET, verdicts |
| Outcomes | flow worker → collector | OUTCOME, payload bytes |
| Lines | collector → the one that writes | tickets, bytes for each output; with -N the outcomes too |
| Written | collector → coordinator (reports) | final tickets |
| Released | flow worker → coordinator (reports) | FLOW, TIMER, ASKED, TARGET not begun, HELD with bytes |
| Ready, Adopted, Fenced, Linked, FlowStats, CollectStats, Fault, Refused | any → coordinator (reports) | |

`incarnation` is the number of one life of a flow worker: a successor has another. Reports and results say who
sends them and show that it is so (`lzr.ipc.credentials`): no other process of the same user can speak in its
name.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from lzr.ipc.counts import Counts
from lzr.ipc.schema import (
    LARGE,
    FewCounters,
    Message,
    Name,
    Number,
    Rows,
    Sentence,
    Shard,
    Small,
    Word64,
    require,
)
from lzr.packet.ways import WayKind
from lzr.rows import ASKED, FLOW, HELD, INTERVAL, OUTCOME, TARGET, TIMER, WAY, Expected, Reason, State
from lzr.sweep.scheduler import Verdict
from lzr.sweep.space import RANGE

_TICKET, _BYTE, _PORT, _HALF = (np.dtype(one) for one in ("<u4", "u1", "<u2", "<u8"))


class Targets(Message, frozen=True):
    """Targets to begin."""

    columns: ClassVar = {"rows": TARGET}
    rows: Rows


class Stretch(Message, frozen=True):
    """Places of a sweep's share to be asked from `begin` (ns, monotonic) on, over `span` ns. skip: a bit for
    each, 1: not this one; nothing where all are."""

    columns: ClassVar = {"skip": _BYTE}
    number: Number
    first: Number
    count: Annotated[int, Meta(ge=1, le=1 << 16)]
    begin: Number
    span: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    skip: Rows

    def check(self) -> None:
        require(len(self.skip) in (0, -(-self.count // 8)), "bits for other pairs than there are")


class Swept(Message, frozen=True):
    """What is swept, and this box's share of it. order: the key of the permutation.

    mine, step: those places whose number modulo `step` is one of `mine` (`lzr.sweep.share`). v4, v6: our
    addresses, as (hi, lo) one after the other.
    """

    columns: ClassVar = {"mine": _TICKET, "ranges": RANGE, "ports": _PORT, "v4": _HALF, "v6": _HALF}
    order: tuple[Word64, Word64]
    mine: Rows
    step: Annotated[int, Meta(ge=1, lt=1 << 32)]
    ranges: Rows
    ports: Rows
    v4: Rows
    v6: Rows

    def check(self) -> None:
        require(not len(self.v4) % 2 and not len(self.v6) % 2, "half an address")
        inside = bool(len(self.mine)) and bool((self.mine < self.step).all())
        require(inside and bool((self.mine[1:] > self.mine[:-1]).all()), "no share of the order")


class Blocked(Message, frozen=True):
    """No packet more to these. ranges: first and last address, two halves each, one range after the other.

    number: how many orders there have been so far; `FlowStats` shows which one is obeyed.
    """

    columns: ClassVar = {"ranges": _HALF}
    number: Number
    ranges: Rows

    def check(self) -> None:
        require(not len(self.ranges) % 4, "half a range")


_TOLD = np.isin(np.arange(Verdict.COUNT + 1), Verdict.TOLD)


class Heard(Message, frozen=True):
    """Who answered a sweep. sent: numbers of stretches whose SYNs have left. verdicts: a
    `lzr.sweep.scheduler.Verdict` for each row."""

    columns: ClassVar = {"rows": TARGET, "verdicts": _BYTE}
    sent: Annotated[list[Number], Meta(max_length=4096)]
    rows: Rows
    verdicts: Rows

    def check(self) -> None:
        require(len(self.rows) == len(self.verdicts), "verdicts on others than there are")
        told = _TOLD[np.minimum(self.verdicts, Verdict.COUNT)]
        require(bool(told.all()), "a verdict that is none")


class Release(Message, frozen=True):
    """Give this shard up, once the targets before this are taken."""

    shard: Shard


class Hurry(Message, frozen=True):
    """A release is on its way: read the feed, whatever room there is."""


class Acked(Message, frozen=True):
    """Everything up to message `seq` is written."""

    seq: Number


class Resend(Message, frozen=True):
    """Send results to this collector from now on, and again those that are not acknowledged."""

    collector: Name


class Fence(Message, frozen=True):
    """Take nothing more from this life of a flow worker: it has ended."""

    incarnation: Number


class Stop(Message, frozen=True):
    """Finish what is begun, and end."""


Mac = Annotated[bytes, Meta(min_length=6, max_length=6)]


class Routes(Message, frozen=True):
    """How packets leave (`lzr.packet.ways`). link: that of the rings, by index; 0 where there is none.

    mtu: of packets by the rings.
    """

    columns: ClassVar = {"intervals": INTERVAL, "ways": WAY}
    link: Annotated[int, Meta(ge=0, lt=1 << 31)]
    own_mac: Mac
    gateway_v4: Mac
    gateway_v6: Mac
    mtu: Small
    intervals: Rows
    ways: Rows

    def check(self) -> None:
        table, ways = self.intervals, self.ways
        require(len(table) > 0 and not table["hi"][0] and not table["lo"][0], "a table that begins nowhere")
        require(int(table["way"].max()) < len(ways), "a way that there is not")
        require(int(ways["kind"].max()) <= WayKind.NOBODY, "a way of no kind")


_SHARD_FLOWS = {
    "flows": FLOW,
    "timers": TIMER,
    "asked": ASKED,
    "targets": TARGET,
    "held": HELD,
    "octets": _BYTE,
}


class _ShardFlows(Message, frozen=True):
    """A shard with its flows (`lzr.flow.handover`). targets: not begun. held, octets: parts of banners."""

    columns = _SHARD_FLOWS
    shard: Shard
    flows: Rows
    timers: Rows
    asked: Rows
    targets: Rows
    held: Rows
    octets: Rows

    def check(self) -> None:
        """States and places are used as indices by who adopts the shard."""
        count = len(self.flows)
        states = self.flows["state"]
        require(not count or 0 < states.min() <= states.max() < len(State), "flows of a state that is none")
        for rows in (self.timers, self.held, self.asked):
            places = rows["place"]
            require(not len(rows) or 0 <= places.min() <= places.max() < count, "a place beyond the flows")
        octets = int(self.held["length"].sum(dtype=np.uint64))
        require(octets == len(self.octets), "held parts without their bytes")


class Adopt(_ShardFlows, frozen=True):
    """Take this shard over."""


class Released(_ShardFlows, frozen=True):
    """This shard is given up, and everything that was found out about it is written."""


def _check_outcomes(rows: NDArray[Any], payloads: NDArray[Any]) -> None:
    if not len(rows):
        require(not len(payloads), "payloads of no outcomes")
        return
    require(int(rows["data_len"].sum(dtype=np.uint64)) == len(payloads), "payloads of another length")
    require(int(rows["reason"].max()) < len(Reason.NAMES), "a reason that is none")
    require(int(rows["expected"].max()) < len(Expected.NAMES), "an expectation that is none")


class Outcomes(Message, frozen=True):
    """payloads: of the rows, end to end."""

    columns: ClassVar = {"rows": OUTCOME, "payloads": _BYTE}
    incarnation: Number
    seq: Number
    rows: Rows
    payloads: Rows

    def check(self) -> None:
        _check_outcomes(self.rows, self.payloads)


class Lines(Message, frozen=True):
    """Finished lines. rows, payloads: what they were made from, where the number of results is limited."""

    columns: ClassVar = {"tickets": _TICKET, "rows": OUTCOME, "payloads": _BYTE}
    rest = "lines"
    most = LARGE
    incarnation: Number
    seq: Number
    records: Number
    counts: Counts
    tickets: Rows
    rows: Rows
    payloads: Rows
    lines: tuple[Rows, ...]

    def check(self) -> None:
        require(len(self.lines) == len(self.counts.lines), "lines for other outputs than there are")
        _check_outcomes(self.rows, self.payloads)


class Written(Message, frozen=True):
    """Lines are in the outputs, says who writes.

    last: by incarnation, the last message of which that is so. offsets, lines: by output, its length and
    records. shares: in the order of the tickets, of which incarnation they are, and how many.
    enough: the number of results that were asked for is reached.
    """

    columns: ClassVar = {"tickets": _TICKET}
    most = LARGE
    last: Annotated[list[tuple[Number, Number]], Meta(max_length=4096)]
    offsets: Annotated[list[Number], Meta(max_length=16)]
    lines: Annotated[list[Number], Meta(max_length=16)]
    enough: bool
    counts: Annotated[list[Counts], Meta(max_length=8192)]
    shares: Annotated[list[tuple[Number, Number]], Meta(max_length=8192)]
    tickets: Rows

    def check(self) -> None:
        require(sum(count for _, count in self.shares) == len(self.tickets), "tickets of nobody")


class Ready(Message, frozen=True):
    """It has started, and takes orders."""


class Adopted(Message, frozen=True):
    """It has this shard, and may be fed."""

    shard: Shard


class Fenced(Message, frozen=True):
    """Nothing more is taken from this life of a flow worker."""

    incarnation: Number


class Linked(Message, frozen=True):
    """It sends to this collector from now on."""

    collector: Name


class Fault(Message, frozen=True):
    """It cannot go on. reason: a sentence, or nothing to say. gone: the reader of an output has gone."""

    reason: Sentence
    gone: bool = False


class Refused(Message, frozen=True):
    """A collector does not believe a message. sender: who certainly sent it, or nothing. pid: whose
    connection it was, where only that is known, or 0."""

    reason: Sentence
    sender: Annotated[str, Meta(max_length=32, pattern=r"^((flow|collect)-[0-9]+\.[0-9]+)?\Z")]
    pid: Small


class FlowStats(Message, frozen=True):
    """A flow worker's figures. last: there will be no more. looked_ns: all that came before, by the monotonic
    clock, has been looked at. blocked: the number of the last `Blocked` that is obeyed."""

    last: bool
    looked_ns: Number
    cpu_ns: Number
    busy_ns: Number
    shards: Number
    in_flight: Number
    held: bool
    cooling: Number
    cooling_ns: Number
    rx: Number
    tx: Number
    rx_bytes: Number
    tx_bytes: Number
    retransmits: Number
    drops: Number
    ring_used: Number
    ring_size: Number
    queue: Number
    outbox: Number
    send_failures: Number
    send_errors: FewCounters
    ignored: FewCounters
    blocked: Number


class CollectStats(Message, frozen=True):
    """A collector's figures. refused: messages that were none. last: there will be no more."""

    last: bool
    cpu_ns: Number
    busy_ns: Number
    blocked_ns: Number
    records: Number
    bytes: Number
    queue: Number
    refused: Number


Kinds = tuple[type[Message], ...]
FEED: Kinds = (Targets, Stretch, Release)
FLOW_ORDERS: Kinds = (Adopt, Acked, Hurry, Resend, Routes, Swept, Blocked, Stop)
COLLECT_ORDERS: Kinds = (Fence, Resend, Stop)
RESULTS: Kinds = (Outcomes, Lines)
REPORTS: dict[str, Kinds] = {
    "flow": (Ready, Adopted, Released, Heard, FlowStats, Fault),
    "collect": (Ready, Written, Fenced, Linked, CollectStats, Fault, Refused),
}
"""By role: what such a process may report."""

KINDS: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (*FEED, *FLOW_ORDERS, *COLLECT_ORDERS, *RESULTS, *REPORTS["flow"], *REPORTS["collect"])
}
