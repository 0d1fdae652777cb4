"""What the processes say to one another: one frozen struct a kind.

Every message is a batch. `lzr.ipc.packing` makes of it the parts that travel, and checks what comes. The
dtype of every column belongs to the kind, so nothing about layout travels.

| kind | from → to | columns |
|---|---|---|
| Targets | coordinator → flow worker (feed) | TARGET |
| Stretch | coordinator → flow worker (feed): pairs of a sweep to send SYNs to | a bit for each to skip |
| Release | coordinator → flow worker (feed, behind its targets) | |
| Adopt | coordinator → flow worker (orders) | what the last worker released, or nothing |
| WrittenUpTo, ReleaseComing (behind targets in the feed) | coordinator → flow worker (orders) | |
| Fence | coordinator → the collector that writes (orders) | |
| SendTo (the collector that gets results from now on), Stop | coordinator → any (orders) | |
| Routes | coordinator → flow worker (orders), before its first shard and after changes | INTERVAL, WAY |
| Swept | coordinator → flow worker (orders), before its first stretch | RANGE, ports, our addresses |
| Blocked | coordinator → flow worker (orders): networks that may not be contacted | ranges of addresses |
| Firewalls | flow worker → coordinator → flow workers: hosts of a sweep that answer on any port | addresses |
| SweepAnswers | flow worker → coordinator (reports): answers to a sweep, stretches sent | TARGET, verdicts |
| Outcomes | flow worker → collector | OUTCOME, payload bytes |
| Lines | collector → the one that writes | tickets, bytes for each output; with -N the outcomes too |
| Written | collector → coordinator (reports) | final tickets |
| Released | flow worker → coordinator (reports) | FLOW, TIMER, ASKED, TARGET not begun, HELD with bytes |
| Ready, Adopted, Fenced, Linked, FlowStats, CollectStats, Fault, RefusedMessage | any → coordinator | |

`incarnation` is a flow worker's own number: its successor in the same place has another. Reports and results
name their sender and prove it (`lzr.ipc.credentials`), so no other process of the same user can send in its
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
from lzr.rows import ASKED, FLOW, HELD, INTERVAL, OUTCOME, TARGET, TIMER, WAY, Expected, FlowState, Reason
from lzr.sweep.ackfirewalls import TOLD
from lzr.sweep.space import RANGE
from lzr.sweep.verdict import Verdict

Mac = Annotated[bytes, Meta(min_length=6, max_length=6)]
_TICKET, _BYTE, _PORT, _HALF = (np.dtype(one) for one in ("<u4", "u1", "<u2", "<u8"))


class Targets(Message, frozen=True):
    """Targets that the worker is to begin."""

    columns: ClassVar = {"rows": TARGET}
    rows: Rows


class Stretch(Message, frozen=True):
    """Places of a sweep's share to send SYNs to from `begin` (monotonic ns) on, over `span` ns. skip: one bit
    a place, 1 for no SYN; empty where there is none to skip.
    """

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
    """What a sweep covers. order: the key of its permutation. mine, step: this box's places are those whose
    number modulo `step` is one of `mine` (`lzr.sweep.share`). v4, v6: our addresses, each as halves (hi, lo).
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
    """No packet may go to these ranges any more: first and last address, two 64-bit halves each. number: of
    orders to block so far; `FlowStats.blocked` says which one a worker goes by.
    """

    columns: ClassVar = {"ranges": _HALF}
    number: Number
    ranges: Rows

    def check(self) -> None:
        require(not len(self.ranges) % 4, "half a range")


class Firewalls(Message, frozen=True):
    """Hosts of a sweep that a worker has found to answer on any port: two 64-bit halves each."""

    columns: ClassVar = {"hosts": _HALF}
    hosts: Rows

    def check(self) -> None:
        require(not len(self.hosts) % 2 and len(self.hosts) <= 2 * TOLD, "half a host, or too many")


_REPORTED = np.isin(np.arange(Verdict.COUNT + 1), Verdict.TOLD, kind="table")


class SweepAnswers(Message, frozen=True):
    """Answers to a sweep's SYNs, a row for each pair, with its `lzr.sweep.verdict.Verdict`. sent: numbers
    of stretches whose SYNs have all left.
    """

    columns: ClassVar = {"rows": TARGET, "verdicts": _BYTE}
    sent: Annotated[list[Number], Meta(max_length=4096)]
    rows: Rows
    verdicts: Rows

    def check(self) -> None:
        require(len(self.rows) == len(self.verdicts), "verdicts on others than there are")
        reported = _REPORTED[np.minimum(self.verdicts, Verdict.COUNT)]
        require(bool(reported.all()), "a verdict that is none")


class Release(Message, frozen=True):
    """The worker is to give this shard up, once it has taken the targets that were sent before."""

    shard: Shard


class ReleaseComing(Message, frozen=True):
    """A `Release` is on its way in the feed: read the feed up to it, even without room for more targets."""


class WrittenUpTo(Message, frozen=True):
    """All results up to the worker's message `seq` are written: it need not keep them any more."""

    seq: Number


class SendTo(Message, frozen=True):
    """From now on results go to this collector; first, those that are not known to be written once more."""

    collector: Name


class Fence(Message, frozen=True):
    """Take no more results with this incarnation's number: that flow worker has died."""

    incarnation: Number


class Stop(Message, frozen=True):
    """Finish what was begun, then exit."""


class Routes(Message, frozen=True):
    """How packets leave (`lzr.packet.ways`). link (interface index, 0 for none), mtu: of the rings."""

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


_FLOWS = {"flows": FLOW, "timers": TIMER, "asked": ASKED, "targets": TARGET, "held": HELD, "octets": _BYTE}


class _ShardFlows(Message, frozen=True):
    """A shard with its flows (`lzr.flow.handover`). targets: not begun. held, octets: parts of replies."""

    columns = _FLOWS
    shard: Shard
    flows: Rows
    timers: Rows
    asked: Rows
    targets: Rows
    held: Rows
    octets: Rows

    def check(self) -> None:
        """Check the range of states and places, which the worker that adopts the shard uses as indices."""
        count = len(self.flows)
        states = self.flows["state"]
        require(not count or 0 < states.min() <= states.max() < len(FlowState), "flows of no state")
        for rows in (self.timers, self.held, self.asked):
            places = rows["place"]
            require(not len(rows) or 0 <= places.min() <= places.max() < count, "a place beyond the flows")
        held = int(self.held["length"].sum(dtype=np.uint64))
        require(held == len(self.octets), "held parts without their bytes")


class Adopt(_ShardFlows, frozen=True):
    """The worker is to take this shard over."""


class Released(_ShardFlows, frozen=True):
    """The worker has given this shard up, and all its results are written."""


def _check_outcomes(rows: NDArray[Any], payloads: NDArray[Any]) -> None:
    if not len(rows):
        require(not len(payloads), "payloads of no outcomes")
        return
    require(int(rows["data_len"].sum(dtype=np.uint64)) == len(payloads), "payloads of another length")
    require(int(rows["reason"].max()) < len(Reason.NAMES), "a reason that is none")
    require(int(rows["expected"].max()) < len(Expected.NAMES), "an expectation that is none")


class Outcomes(Message, frozen=True):
    """Outcomes of flows. payloads: those of the rows, one after the other, `data_len` bytes each."""

    columns: ClassVar = {"rows": OUTCOME, "payloads": _BYTE}
    incarnation: Number
    seq: Number
    rows: Rows
    payloads: Rows

    def check(self) -> None:
        _check_outcomes(self.rows, self.payloads)


class Lines(Message, frozen=True):
    """Encoded records for the collector that writes. lines: the bytes for each output. rows, payloads: their
    outcomes, where the number of results is limited (-N), as the writer may have to cut the batch.
    """

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
    """The collector that writes has written results to the outputs.

    last: by incarnation, the number of its last message whose results are all written. offsets, lines: each
    output's length and number of records. tickets: the inputs whose last outcome is written. shares:
    (incarnation, how many of the tickets), in the order of the tickets. enough: as many results are written
    as were asked for (-N).
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
    """The process has started and takes orders."""


class Adopted(Message, frozen=True):
    """The worker has this shard and may be fed its targets."""

    shard: Shard


class Fenced(Message, frozen=True):
    """The collector takes no more results of this incarnation of a flow worker."""

    incarnation: Number


class Linked(Message, frozen=True):
    """From now on this collector sends its lines to `collector`."""

    collector: Name


class Fault(Message, frozen=True):
    """The process cannot go on. reason: a sentence, or empty. gone: the reader of an output has gone."""

    reason: Sentence
    gone: bool = False


class RefusedMessage(Message, frozen=True):
    """A collector has refused an invalid message. sender: who has certainly sent it, or empty. pid: the other
    end of the connection, where only that is known, else 0.
    """

    reason: Sentence
    sender: Annotated[str, Meta(max_length=32, pattern=r"^((flow|collect)-[0-9]+\.[0-9]+)?\Z")]
    pid: Small


class FlowStats(Message, frozen=True):
    """A flow worker's figures. last: no more will come. looked_ns: it has handled all that came by then.
    blocked: number of the last `Blocked` it goes by. unheard: flows not asked again after drops. unsent: of
    `send_errors`, packets with which an answer may be lost, by errno.
    """

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
    unheard: Number
    unsent: FewCounters


class CollectStats(Message, frozen=True):
    """A collector's figures. refused: messages that broke the protocol. last: no more will come."""

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
FLOW_ORDERS: Kinds = (Adopt, WrittenUpTo, ReleaseComing, SendTo, Routes, Swept, Blocked, Firewalls, Stop)
COLLECT_ORDERS: Kinds = (Fence, SendTo, Stop)
RESULTS: Kinds = (Outcomes, Lines)
REPORTS: dict[str, Kinds] = {
    "flow": (Ready, Adopted, Released, SweepAnswers, Firewalls, FlowStats, Fault),
    "collect": (Ready, Written, Fenced, Linked, CollectStats, Fault, RefusedMessage),
}
"""By role, the kinds of report that such a process may send."""

_ALL = (*FEED, *FLOW_ORDERS, *COLLECT_ORDERS, *RESULTS, *REPORTS["flow"], *REPORTS["collect"])
KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in _ALL}
