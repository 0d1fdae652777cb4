"""The rows that travel between the parts, one numpy dtype each.

A batch is a structured array: a *row* is one flow (or segment, or outcome), a *field* is a column, and
``batch["seq"]`` is a view of it. Rows rather than separate arrays, because a flow is touched whole: at a
million flows, twenty columns are twenty cache misses and one row is two. The dtypes are the contract
between the coordinator, the workers, the collector and the native kernels; all fields are in host order.

Addresses are two 64-bit halves of an IPv6 address; an IPv4 address is its IPv4-mapped form
(RFC 4291 §2.5.5.2, ``::ffff:a.b.c.d``: ``hi == 0``, ``lo == 0xffff << 32 | v4``), so both families share
every line of code that does not touch a wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]
_Number = TypeVar("_Number", bound=np.number[Any])

V4_MAPPED = 0xFFFF << 32
"""``lo`` of the IPv4-mapped prefix."""

TARGET = np.dtype(
    [
        ("line", "<u8"),  # ordinal of the input line, 0-based: the identity of this input
        ("peer_hi", "<u8"),  # the scanned host
        ("peer_lo", "<u8"),
        ("own_hi", "<u8"),  # our address; zero in a list until the coordinator chooses one
        ("own_lo", "<u8"),
        ("seq", "<u4"),  # the SYN-ACK's sequence number (peer's ISN); 0 where we open
        ("ack", "<u4"),  # the SYN-ACK's acknowledgement number (our ISN + 1)
        ("ticket", "<u4"),  # row in the coordinator's ledger while the input has no fate
        ("peer_port", "<u2"),
        ("own_port", "<u2"),
        ("window", "<u2"),  # the SYN-ACK's window
        ("syn", "u1"),  # who opens: an Opening
        ("ttl", "u1"),
    ]
)
"""One thing to scan: a half-open connection (from ZMap) or a host:port to open (60 bytes)."""


class Opening:
    """Who opens the connection to a target, as the field `syn` of TARGET says."""

    TAKEN, OURS, DOUBTFUL = range(3)
    """A half-open connection is taken over; we open one of our own with a SYN; a half-open connection is
    taken over that our kernel may have reset before the guard was up, so an RST is answered by opening our
    own, once."""

    NO_SYN_ACK, UNSUCCESSFUL, REPEATED = range(3, 6)
    """No flow begins: ZMap's row itself says that it is no SYN-ACK, no success, or a repeat. Such a row has
    nothing but the number of the input; the intake gives it its fate."""


class FirstStep(IntEnum):
    """What is done first with a target that the flow table is given (`tcp.open_rows`)."""

    READY = 0  # its half-open connection is taken over: the probe is sent
    ZERO_WINDOW = 1  # the SYN-ACK announced no window: the flow ends
    OURS = 2  # the connection is ours to open: a SYN is sent
    DUPLICATE = 3  # there is no flow, as its 4-tuple is in flight already


class Number(IntEnum):
    """Which sequence number a frame carries."""

    UNA = 0  # the first byte of the probe
    ISN = 1
    NXT = 2  # after all that was sent
    ACK = 3  # what the peer said it awaits
    CLOSE = 4  # what the peer awaits, as far as we know


class Doubt:
    """Whether an RST may come from our own kernel.

    HALF_OPEN: our kernel may have reset ZMap's connection before the RST guard was up. REOPENED: we have
    opened that connection anew, so whatever comes now is from the service.
    """

    NONE, HALF_OPEN, REOPENED = range(3)


OUTCOME = np.dtype(
    [
        # Of the last packet received from the peer; of the first with data, if one had any.
        ("ts", "<u8"),  # its arrival, ns since the epoch (kernel clock)
        ("peer_hi", "<u8"),
        ("peer_lo", "<u8"),
        ("own_hi", "<u8"),
        ("own_lo", "<u8"),
        ("line", "<u8"),
        ("ticket", "<u4"),
        ("seq", "<u4"),  # of that packet (of the SYN-ACK if the peer never answered)
        ("ack", "<u4"),
        ("data_len", "<u4"),  # bytes of this row in the payload blob that travels beside the rows
        ("peer_port", "<u2"),
        ("own_port", "<u2"),
        ("window", "<u2"),
        ("ttl", "u1"),
        ("flags", "u1"),  # TCP flags of that last packet, RFC 9293 §3.1: FIN 1, SYN 2, RST 4, PSH 8, ACK 16
        ("counter", "u1"),  # retransmits so far
        ("acked", "u1"),  # 1: the peer ever acknowledged data of ours
        ("handshake", "u1"),  # index into Options.handshakes of the handshake this is about
        ("expected", "u1"),  # what was awaited at the end: an Expected
        ("reason", "u1"),  # why the flow ended: a Reason
        ("firewall", "u1"),  # 1: ACKing firewall (HyperACKtive)
        ("final", "u1"),  # 1: the last outcome of its ticket (0: -forceAllHandshakes has more to come)
        (
            "record",
            "u1",
        ),  # 0: only the ticket is settled (duplicate, blocked; no news with -forceAllHandshakes)
        ("cut", "u1"),  # 1: more payload came than was kept (--max-size, or a worker's memory for segments)
    ]
)
"""What became of one flow; the collector makes a result record of it."""


SEGMENT = np.dtype(
    [
        ("peer_hi", "<u8"),  # who sent it
        ("peer_lo", "<u8"),
        ("own_hi", "<u8"),
        ("own_lo", "<u8"),
        ("ts", "<u8"),  # arrival, ns since the epoch (kernel clock)
        ("seq", "<u4"),
        ("ack", "<u4"),
        ("data_at", "<u4"),  # offset of the payload in the buffer the segment was parsed from
        ("data_len", "<u4"),  # payload bytes that were captured
        ("peer_port", "<u2"),
        ("own_port", "<u2"),
        ("window", "<u2"),
        ("ttl", "u1"),
        ("flags", "u1"),
    ]
)
"""One well-formed TCP segment from the wire (64 bytes)."""

FRAME = np.dtype(
    [
        ("peer_hi", "<u8"),
        ("peer_lo", "<u8"),
        ("own_hi", "<u8"),
        ("own_lo", "<u8"),
        ("nonce", "<u8"),  # what the random parts of the probe are made from; same for a retransmit
        ("seq", "<u4"),
        ("ack", "<u4"),
        ("peer_port", "<u2"),
        ("own_port", "<u2"),
        ("flags", "u1"),
        ("probe", "u1"),  # index into the handshakes of the payload to carry, or NO_PROBE
        ("mss", "<u2"),  # what a SYN announces; 0: what the link to the gateway carries
    ]
)
"""One segment to send (56 bytes). A frame with SYN carries the options MSS and SACK-permitted."""

INTERVAL = np.dtype([("hi", "<u8"), ("lo", "<u8"), ("way", "u1"), ("pad", "V7")])
"""From this address on, up to the next row's, packets take this way: an index into WAY rows (24 bytes)."""

WAY = np.dtype([("source_hi", "<u8"), ("source_lo", "<u8"), ("mtu", "<u4"), ("kind", "u1"), ("pad", "V3")])
"""How packets leave: see `lzr.packet.ways.Way` (24 bytes)."""

FLOW = np.dtype(
    [
        ("peer_hi", "<u8"),
        ("peer_lo", "<u8"),
        ("own_hi", "<u8"),
        ("own_lo", "<u8"),
        ("line", "<u8"),
        ("key", "<u8"),
        ("ts", "<u8"),  # of the last valid packet, until data has come
        ("ticket", "<u4"),
        ("una", "<u4"),  # our ISN + 1: the first byte of the probe
        ("nxt", "<u4"),  # una + bytes sent
        ("rcv", "<u4"),  # the next byte awaited from the peer
        ("seq", "<u4"),  # likewise
        ("ack", "<u4"),
        ("generation", "<u4"),  # of the one armed timer
        ("syn_ms", "<u4"),  # when our SYN left: milliseconds of the monotonic clock, mod 2^32
        ("peer_port", "<u2"),
        ("own_port", "<u2"),
        ("window", "<u2"),
        ("ttl", "u1"),
        ("flags", "u1"),
        ("state", "u1"),
        ("handshake", "u1"),
        ("counter", "u1"),
        ("acked", "u1"),
        ("answers", "u1"),  # frames sent at once in answer to repeated SYN-ACKs and to segments of a reply
        ("measured", "u1"),  # 1: the SYN-ACK came so soon that its sender knows the round trip
        ("doubt", "u1"),  # whether our own kernel may have reset the connection: a Doubt
        ("kept", "u1"),  # outcomes recorded already (-forceAllHandshakes)
    ]
)
"""What a shard knows of one flow (104 bytes)."""

ASKED = np.dtype(
    [
        ("place", "<i4"),  # of the flow, or of the check made for one
        ("parent", "<i4"),  # place of the flow that a check is made for; -1: this is a flow
        ("hits", "u1"),  # of a flow's checks, answered with SYN-ACK
    ]
)
"""A flow with checks for an ACKing firewall, or such a check, while it moves to another process."""

HELD = np.dtype(
    [
        ("place", "<u4"),  # of the flow
        ("sequence", "<u4"),  # where it begins, if it came too early
        ("length", "<u4"),
        ("early", "<u4"),  # 1: beyond a gap; 0: all that has come in order
    ]
)
"""A part of a reply that a flow holds while it moves to another process; its bytes travel beside the rows."""

TIMER = np.dtype(
    [
        ("due", "<i8"),  # monotonic ns
        ("place", "<i4"),
        ("generation", "<u4"),
        ("kind", "<i4"),  # which of the flow table's queues
    ]
)
"""An armed timer of a flow that moves to another process."""

NO_PROBE = 255

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
"""TCP flags, RFC 9293 §3.1."""


class FlowState(IntEnum):
    """The state of a flow; `lzr.flow.machine` has the transitions."""

    FREE = 0  # no flow in this row
    DELAYED = 1  # a follow-up waits for --probe-delay
    SYN_SENT = 2  # our SYN is out, a SYN-ACK is awaited
    DATA_SENT = 3  # ACK with the probe is out, an answer is awaited
    ACKED = 4  # the peer acknowledged the probe, data is awaited
    SETTLING = 5  # a first, short segment of a reply has come, more may follow
    FIREWALL_CHECK = 6  # a SYN to a random port, asking whether the host is an ACKing firewall


class FlowTrigger(IntEnum):
    """What a segment or a timer means to a flow: state and trigger give the action."""

    NOTHING = 0  # stray, duplicate, out of order, or wrong numbers
    SYN_ACK = 1
    ZERO_WINDOW = 2  # a SYN-ACK that announces no window
    ACK = 3  # acknowledges (part of) the probe, carries nothing; also beyond a gap, and then with FIN too
    DATA = 4
    FIN = 5
    RST = 6
    RETRANSMIT_DUE = 7
    TIMED_OUT = 8  # the wait after the last retransmit is over
    SETTLED = 9
    DELAY_OVER = 10
    EARLY_DATA = 11  # data beyond a gap
    SYN_ACK_AGAIN = 12  # the peer repeats its SYN-ACK: our ACK has not come through


class Expected:
    """What a flow was waiting for when it ended (``expectedRToLZR``); 0 prints as absent."""

    NOTHING, SYN_ACK, ACK, DATA = range(4)
    NAMES = ("", "sa", "ack", "data")


class Reason:
    """Why a flow ended. One of these for every outcome."""

    (
        DATA, SILENT, RST, FIN, ZERO_WINDOW, NO_SYN_ACK, FIREWALL, DUPLICATE, SEND_REFUSED, BLOCKED, SA_ONLY,
    ) = range(11)  # fmt: skip
    NAMES = (
        "data", "silent", "rst", "fin", "zero_window", "no_syn_ack", "acking_firewall", "duplicate",
        "send_refused", "blocked", "sa_only",
    )  # fmt: skip


def join(parts: Sequence[Rows]) -> Rows:
    """Batches of rows of one dtype as one."""
    if len(parts) == 1:
        return parts[0]
    octets = bytearray().join(np.ascontiguousarray(part).data for part in parts)
    return np.frombuffer(octets, parts[0].dtype)


# numpy moves structured rows field by field, ten to twenty times slower than bytes: here they are bytes.


def pick(rows: Rows, which: NDArray[Any]) -> Rows:
    """A copy of some rows: `which` is a mask or indices."""
    found: Rows = rows.view(_raw(rows))[which].view(rows.dtype)
    return found


def put(rows: Rows, at: NDArray[Any], values: Rows) -> None:
    """``rows[at] = values``, of the same dtype."""
    rows.view(_raw(rows))[at] = values.view(_raw(values))


def copied(rows: Rows) -> Rows:
    """A copy that may be written to."""
    found: Rows = rows.view(_raw(rows)).copy().view(rows.dtype)
    return found


# np.unique alone, np.intersect1d and np.isin (but for kind="table") load numpy.ma: 7 ms in each process.


def distinct(values: NDArray[_Number]) -> NDArray[_Number]:
    """Each value once, in order."""
    ordered = np.sort(values)
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def among(values: NDArray[_Number], these: NDArray[_Number]) -> NDArray[np.bool_]:
    """(n,) bool: which of the values are also in `these`."""
    if not len(these):
        return np.zeros(len(values), np.bool_)
    ordered = np.sort(these)
    found: NDArray[np.bool_] = ordered[np.searchsorted(ordered[1:], values, "right")] == values
    return found


_RAW = {
    dtype.itemsize: np.dtype((np.void, dtype.itemsize))
    for dtype in (TARGET, OUTCOME, SEGMENT, FRAME, FLOW, TIMER, ASKED)
}


def _raw(rows: Rows) -> np.dtype[Any]:
    return _RAW[rows.dtype.itemsize]
