"""Traces of the state machine that read like a capture: `>>` what happens, `<<` what is done about it.

    play = Play(b"HELLO")
    play >> Line() << Sent("A", data=b"HELLO")
    play >> Got("PA", ack=6, data=b"220 welcome\\r\\n") << Sent("RA", seq=6, ack=14) << Ended("data")
    play.over()

All numbers are relative to the ISNs, as in a packet viewer: 0 is the SYN, 1 the first byte. A float is a
moment in seconds: every timer up to then runs. The play fails on any frame or outcome that is not written
down, and on any that is written down and does not come. Frames come before outcomes, in the order sent.

`conn` counts the connections of a play in the order they were opened, from 0; the default is the latest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.flow.config import FlowConfig
from lzr.flow.handover import ShardFlows
from lzr.flow.machine import LEADS_TO, TRANSITIONS, FlowAction, read_triggers
from lzr.flow.table import FlowTable
from lzr.packet.payloads import ProbeTemplate
from lzr.protocols._protocol import Part
from lzr.rows import (
    NO_PROBE,
    SEGMENT,
    SYN,
    TARGET,
    V4_MAPPED,
    Expected,
    FlowState,
    FlowTrigger,
    Opening,
    Reason,
)

SECOND = 1_000_000_000
EPOCH = 1_700_000_000 * SECOND
LETTERS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}
MASK = 0xFFFFFFFF
OWN = V4_MAPPED | 0x0A630002  # 10.99.0.2
PEER = V4_MAPPED | 0x0A040000  # 10.4.0.0
OUR_ISN, PEER_ISN = 1000, 5000
LATEST = -1

_TIMED = (FlowTrigger.RETRANSMIT_DUE, FlowTrigger.TIMED_OUT, FlowTrigger.SETTLED, FlowTrigger.DELAY_OVER)


Edges = dict[tuple[FlowState, FlowTrigger], list[Callable[[], "Play"]]]


def note_edges(
    edges: Edges,
) -> Callable[[FlowState, FlowTrigger], Callable[[Callable[[], Play]], Callable[[], None]]]:
    """The decorator `edge(state, trigger)` of a test that is a trace: it takes an edge, returns its play."""

    def edge(state: FlowState, trigger: FlowTrigger) -> Callable[[Callable[[], Play]], Callable[[], None]]:
        def note(test: Callable[[], Play]) -> Callable[[], None]:
            trace = getattr(test, "trace", test)
            edges.setdefault((state, trigger), []).append(trace)

            @functools.wraps(trace)
            def run() -> None:
                trace()

            run.trace = trace  # type: ignore[attr-defined]
            return run

        return note

    return edge


def bits(letters: str) -> int:
    return sum(LETTERS[letter] for letter in letters)


def letters(flags: int) -> str:
    return "".join(letter for letter, bit in LETTERS.items() if flags & bit)


class Watched(FlowTable):
    """A flow table that notes every edge it takes and fails where an action leads elsewhere than it says."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.edges: set[tuple[FlowState, FlowTrigger]] = set()

    def _dispatch(self, slots: Any, segments: Any, actions: Any) -> None:
        before = self.rows["state"][slots].copy()
        if segments is None:
            triggers = [self._timed(state, action) for state, action in zip(before, actions, strict=True)]
        else:
            flows = self.rows[slots]
            flows["ts"] = 0  # the step has noted these segments' own
            triggers = [FlowTrigger(trigger) for trigger in read_triggers(flows, segments).tolist()]
        super()._dispatch(slots, segments, actions)
        freed = bool((actions == FlowAction.COUNT_FIREWALL_CHECK).any())
        for was, trigger, action, now in zip(
            before, triggers, actions, self.rows["state"][slots], strict=True
        ):
            if action == FlowAction.IGNORE:
                continue
            assert TRANSITIONS[was, trigger] == action
            self.edges.add((FlowState(was), trigger))
            allowed = LEADS_TO[FlowAction(action)] or (FlowState(was),)
            assert FlowState(now) in allowed or (freed and now == FlowState.FREE), (
                FlowState(was),
                trigger,
                FlowState(now),
            )

    @staticmethod
    def _timed(state: int, action: int) -> FlowTrigger:
        if action == FlowAction.IGNORE:
            return FlowTrigger.NOTHING
        return next(trigger for trigger in _TIMED if TRANSITIONS[state, trigger] == action)


def check_books(table: FlowTable) -> None:
    """What must hold of a flow table between any two calls."""
    live = np.flatnonzero(table.rows["state"] != FlowState.FREE)
    assert len(table.index) == len(live)
    assert table.index.find(table.rows["key"][live]).tolist() == live.tolist()
    free = table.store.free
    assert len(np.unique(free)) == len(free) == len(table.rows) - len(live)
    assert not np.isin(live, free).any()
    assert not table.store._released
    assert table.in_flight == np.count_nonzero(table.rows["state"][live] != FlowState.FIREWALL_CHECK)
    if table.in_flight:
        assert table.next_due is not None, "a flow that waits for nothing waits for ever"


@dataclass
class Line:
    """A line of input: a half-open connection from ZMap, or with `syn` one that we open.

    doubtful: our kernel may have reset it.
    """

    peer: int = 1
    port: int = 80
    own_port: int = 40000
    window: int = 64000
    our_isn: int = OUR_ISN
    peer_isn: int = PEER_ISN
    syn: bool = False
    doubtful: bool = False


@dataclass
class Got:
    """A segment from the peer. Shifts of `seq` and `ack` beyond 2**32 wrap."""

    flags: str
    seq: int = 1
    ack: int = 1
    data: bytes = b""
    conn: int = LATEST
    window: int = 64000
    ttl: int = 55


@dataclass
class Batch:
    """Segments that arrive together."""

    segments: tuple[Got, ...]

    def __init__(self, *segments: Got) -> None:
        self.segments = segments


class Move:
    """All flows go to another process."""


@dataclass
class NoRoom:
    """Frames have found no room in the receive ring. late: flows that get no other try because of it."""

    late: int = 0


@dataclass(frozen=True)
class Sent:
    """A frame of ours. A SYN-less frame has `ack`."""

    flags: str
    seq: int = 1
    ack: int = 1
    data: bytes = b""
    conn: int = LATEST

    @classmethod
    def syn(cls, conn: int = LATEST) -> Sent:
        return cls("S", 0, 0, conn=conn)


class Ended:
    """An outcome. Only the fields given are compared; `final` and `record` default to true."""

    def __init__(self, reason: str, **fields: Any) -> None:
        self.fields = {"reason": reason, "final": 1, "record": 1, **fields}

    def __repr__(self) -> str:
        return f"Ended({self.fields})"


@dataclass
class Connection:
    peer: int
    peer_port: int
    own_port: int
    our_isn: int
    peer_isn: int
    frames: int = 0

    @property
    def address(self) -> tuple[int, int, int]:
        return self.peer, self.peer_port, self.own_port


class Play:
    """One shard, one clock, and the peers of its flows. `probes` are those of the handshakes, in order."""

    def __init__(self, *probes: bytes | tuple[Part, ...], **config: Any) -> None:
        templates = tuple(ProbeTemplate(p if isinstance(p, tuple) else (p,) if p else ()) for p in probes)
        self.config = FlowConfig(templates, **config)
        self.table = Watched(self.config, capacity=4)
        self.now, self.tickets = 0.0, 0
        self.connections: list[Connection] = []
        self.out: list[Sent | Ended] = []
        self.log: list[str] = []
        self.outcomes: list[dict[str, Any]] = []

    # --- in --------------------------------------------------------------------------------------------

    def __rshift__(self, event: Line | Got | Batch | Move | NoRoom | float) -> Play:
        self._nothing_left()
        self.log.append(f">> {event}")
        if isinstance(event, Line):
            self._open(event)
        elif isinstance(event, Got):
            self._receive([event])
        elif isinstance(event, Batch):
            self._receive(list(event.segments))
        elif isinstance(event, Move):
            self._move()
        elif isinstance(event, NoRoom):
            assert self.table.ask_again({0}, self._ns, EPOCH + self._ns) == event.late
            self._collect()
        else:
            self._run_until(event)
        return self

    def _open(self, line: Line) -> None:
        row = np.zeros(1, TARGET)
        row["line"] = row["ticket"] = self.tickets
        self.tickets += 1
        row["peer_lo"], row["own_lo"] = PEER + line.peer, OWN
        row["peer_port"], row["own_port"], row["syn"] = line.port, line.own_port, line.syn
        if line.doubtful:
            row["syn"] = Opening.DOUBTFUL
        if not line.syn:
            row["seq"], row["ack"] = line.peer_isn, line.our_isn + 1 & MASK
            row["window"] = line.window
            address = line.peer, line.port, line.own_port
            if all(c.address != address for c in self.connections):
                self.connections.append(Connection(*address, line.our_isn, line.peer_isn))
        self.table.open(row, self._ns, EPOCH)
        self._collect(line.peer_isn)

    def _receive(self, segments: list[Got]) -> None:
        rows, blob = np.zeros(len(segments), SEGMENT), b"\xee"
        for row, got in zip(rows, segments, strict=True):
            conn = self.connections[got.conn]
            row["peer_lo"], row["own_lo"] = PEER + conn.peer, OWN
            row["peer_port"], row["own_port"] = conn.peer_port, conn.own_port
            row["seq"] = conn.peer_isn + got.seq & MASK
            row["ack"] = conn.our_isn + got.ack & MASK
            row["flags"], row["window"], row["ttl"] = bits(got.flags), got.window, got.ttl
            row["ts"] = EPOCH + self._ns
            row["data_at"], row["data_len"] = len(blob), len(got.data)
            blob += got.data
        self.table.receive(rows, np.frombuffer(blob, np.uint8), self._ns)
        self._collect()

    def _run_until(self, when: float) -> None:
        assert when >= self.now, "time does not go back"
        limit = round(when * SECOND)
        while (due := self.table.next_due) is not None and due <= limit:
            self.now = due / SECOND
            self.table.expire(due)
            self._collect()
        self.now = when

    def _move(self) -> None:
        """Extracted here, adopted there; what a message carries of it is all there is."""
        old, self.table = self.table, Watched(self.config, capacity=16)
        self.table.edges, self.table.ignored = old.edges, old.ignored
        for shard in range(self.config.shards):
            state = old.extract(shard)
            pieces = ShardFlows.held_of(*state.plain_held())
            self.table.adopt(ShardFlows(state.flows, state.armed, state.asked, pieces))
        check_books(old)
        assert old.in_flight == len(old.index) == 0
        assert not old.take_frames()
        assert not len(old.take_outcomes()[0])
        self._collect()

    @property
    def _ns(self) -> int:
        return round(self.now * SECOND)

    # --- out -------------------------------------------------------------------------------------------

    def __lshift__(self, expected: Sent | Ended) -> Play:
        self.log.append(f"<< {expected}")
        assert self.out, "\n".join([*self.log, "but nothing came"])
        came = self.out.pop(0)
        if isinstance(expected, Sent):
            if expected.conn < 0:
                expected = Sent(expected.flags, expected.seq, expected.ack, expected.data, self._latest())
            assert came == expected, "\n".join([*self.log, f"but it was {came}"])
        else:
            assert isinstance(came, Ended), "\n".join([*self.log, f"but it was {came}"])
            found = {name: came.fields[name] for name in expected.fields}
            assert found == expected.fields, "\n".join(self.log)
        return self

    def over(self) -> None:
        """Nothing more came, no flow is left, and every line has exactly one final outcome."""
        self._nothing_left()
        assert self.table.in_flight == 0
        final = sorted(o["ticket"] for o in self.outcomes if o["final"])
        assert final == list(range(self.tickets))

    def sent(self) -> list[Sent]:
        """Take all frames that came, unread."""
        frames = [came for came in self.out if isinstance(came, Sent)]
        self.out = [came for came in self.out if not isinstance(came, Sent)]
        return frames

    def ended(self) -> list[dict[str, Any]]:
        """Take all outcomes that came, unread."""
        ends = [came.fields for came in self.out if isinstance(came, Ended)]
        self.out = [came for came in self.out if not isinstance(came, Ended)]
        return ends

    def _latest(self) -> int:
        return len(self.connections) - 1

    def _nothing_left(self) -> None:
        assert not self.out, "\n".join([*self.log, f"and {self.out} came too"])

    def _collect(self, peer_isn: int = PEER_ISN) -> None:
        check_books(self.table)
        for burst in self.table.take_frames():
            assert len({(int(probe), int(flags) & SYN) for probe, flags in burst[["probe", "flags"]]}) <= 1
            payloads = self._payloads(burst)
            for at, frame in enumerate(burst):
                self.out.append(self._sent(frame, payloads[at], peer_isn))
        rows, blob = self.table.take_outcomes()
        for row in rows:
            fields = {name: row[name].item() for name in row.dtype.names}
            length = fields["data_len"]
            fields["data"], blob = blob[:length], blob[length:]
            fields["reason"] = Reason.NAMES[fields["reason"]]
            fields["expected"] = Expected.NAMES[fields["expected"]]
            fields["flags"] = letters(fields["flags"])
            self.outcomes.append(fields)
            self.out.append(Ended(**fields))
        assert not blob

    def _payloads(self, burst: NDArray[Any]) -> list[bytes]:
        payloads = [b""] * len(burst)
        if len(burst) and burst["probe"][0] != NO_PROBE:
            for indices, block in self.config.probes[int(burst["probe"][0])].render(burst):
                where = range(len(burst)) if indices is None else indices.tolist()
                for at, data in zip(where, block, strict=True):
                    payloads[at] = data.tobytes()
        return payloads

    def _sent(self, frame: Any, data: bytes, peer_isn: int) -> Sent:
        address = int(frame["peer_lo"]) - PEER, int(frame["peer_port"]), int(frame["own_port"])
        assert frame["own_lo"] == OWN
        flags, seq, ack = (int(frame[name]) for name in ("flags", "seq", "ack"))
        same = [at for at, c in enumerate(self.connections) if c.address == address]
        known = same[-1] if same else None
        if known is None or (flags == SYN and seq != self.connections[known].our_isn):
            assert flags == SYN, f"nobody asked for a connection {address}"
            self.connections.append(Connection(*address, seq, peer_isn))
            known = self._latest()
        conn = self.connections[known]
        conn.frames += 1
        relative = 0 if flags == SYN else ack - conn.peer_isn & MASK
        return Sent(letters(flags), seq - conn.our_isn & MASK, relative, data, known)
