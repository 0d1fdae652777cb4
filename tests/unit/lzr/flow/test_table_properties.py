"""A flow table in a hostile network: whatever comes in whatever order, the books balance.

The network holds back, loses, repeats and reorders what well-behaved peers say; forgers send what they like;
time passes; flows move to another process. After every step the table's books agree, and no frame goes to a
4-tuple that nobody asked for. At the end every ticket has exactly one final outcome, and no connection has
cost more than `BOUND` packets.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lzr.flow.config import FlowConfig
from lzr.flow.handover import ShardFlows
from lzr.flow.index import make_index
from lzr.flow.table import FlowTable
from lzr.layout import COOKIE_BITS
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.sharding import cookie
from lzr.rows import ACK, FIN, NO_PROBE, PSH, RST, SEGMENT, SYN, TARGET, FlowState, Opening, Reason
from lzr.secrets import Secrets
from lzr.sourceports import DEFAULT_PORTS
from tests.effort import examples
from tests.playbook import MASK, OWN, PEER, SECOND, Watched, check_books

PIECES = 32
PROBES = (b"GET / HTTP/1.0\r\n\r\n", b"", b"\x16\x03\x01hello")

BANNERS = (b"", b"220 a banner", b"SSH-2.0-x", b"", b"", b"")
"""By kind: silent; banner and FIN; banner and RST; FIN; no window for our SYNs; RST."""

Address = tuple[int, int, int]  # peer, peer port, own port

pytestmark = [pytest.mark.usefixtures("kernels"), pytest.mark.attack]


def bound(config: FlowConfig) -> int:
    """Packets one connection may cost: SYN and the ACK that carries the probe, each with its retransmits; an
    ACK for each piece of a banner that drips; one RST."""
    retransmits = max(config.retransmit_number, 1 if config.push_data_only else 0)
    return 2 * (1 + retransmits) + PIECES + 1


@dataclass
class Peer:
    """One end of a connection that behaves: what it has sent and what it has of ours."""

    isn: int
    banner: bytes
    ours: int = 0  # the next byte awaited from us
    lines: int = 0


@dataclass
class Segment:
    address: Address
    flags: int
    seq: int
    ack: int
    data: bytes = b""
    window: int = 64000


@dataclass
class World:
    """Everything but the flow table: who was asked for, what is on the way, what came out."""

    config: FlowConfig
    table: FlowTable
    now: int = 0
    opened: set[Address] = field(default_factory=set)
    hosts: set[int] = field(default_factory=set)
    peers: dict[Address, Peer] = field(default_factory=dict)
    way: list[Segment] = field(default_factory=list)
    frames: Counter[Address] = field(default_factory=Counter)
    starts: Counter[Address] = field(default_factory=Counter)
    syns: dict[Address, int] = field(default_factory=dict)
    outcomes: list[Any] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    tickets: int = 0

    def open(self, lines: list[tuple[Address, int, int, bytes, int, int]]) -> None:
        rows, live = np.zeros(len(lines), TARGET), self.live()
        for row, (address, our_isn, peer_isn, banner, opening, window) in zip(rows, lines, strict=True):
            peer, port, own_port = address
            row["line"] = row["ticket"] = self.tickets
            self.tickets += 1
            row["peer_lo"], row["own_lo"] = PEER + peer, OWN
            row["peer_port"], row["own_port"], row["syn"] = port, own_port, opening
            self.opened.add(address)
            self.hosts.add(peer)
            if opening == Opening.OURS:
                continue
            row["seq"], row["ack"], row["window"] = peer_isn, our_isn + 1 & MASK, window
            self.starts[address] += 1
            if address not in live:
                live.add(address)
                self.syns[address] = our_isn
                self.peers[address] = Peer(peer_isn, banner, our_isn + 1 & MASK)
        self.table.open(rows, self.now, self.now)
        self.collect()

    def live(self) -> set[Address]:
        rows = self.table.rows[self.table.rows["state"] != FlowState.FREE]
        return set(
            zip(
                (rows["peer_lo"] - np.uint64(PEER)).tolist(),
                rows["peer_port"].tolist(),
                rows["own_port"].tolist(),
                strict=True,
            )
        )

    def deliver(self, segments: list[Segment]) -> None:
        rows, blob = np.zeros(len(segments), SEGMENT), b""
        for row, segment in zip(rows, segments, strict=True):
            peer, port, own_port = segment.address
            row["peer_lo"], row["own_lo"], row["peer_port"], row["own_port"] = (
                PEER + peer,
                OWN,
                port,
                own_port,
            )
            row["seq"], row["ack"] = segment.seq & MASK, segment.ack & MASK
            row["flags"], row["window"] = segment.flags, segment.window
            row["data_at"], row["data_len"] = len(blob), len(segment.data)
            blob += segment.data
        self.table.receive(rows, blob, self.now)
        self.collect()

    def pass_time(self, nanoseconds: int) -> None:
        until = self.now + nanoseconds
        while (due := self.table.next_due) is not None and due <= until:
            self.now = max(self.now, due)
            self.table.expire(self.now)
            self.collect()
        self.now = until

    def move(self) -> None:
        old = self.table
        self.table = Watched(self.config, capacity=2, index=make_index())
        for shard in range(self.config.shards):
            state = old.extract(shard)
            pieces = ShardFlows.held_of(*state.plain_held())
            self.table.adopt(ShardFlows(state.flows, state.armed, state.asked, pieces))
        assert len(old.index) == 0

    def collect(self) -> None:
        for burst in self.table.take_frames():
            for frame in burst:
                self._sent(frame)
        rows, blob = self.table.take_outcomes()
        assert len(blob) == rows["data_len"].sum()
        for row in rows:
            self.outcomes.append(row)
            self.payloads.append(blob[: row["data_len"]])
            blob = blob[row["data_len"] :]

    def _sent(self, frame: Any) -> None:
        address = int(frame["peer_lo"]) - PEER, int(frame["peer_port"]), int(frame["own_port"])
        flags, seq, ack = (int(frame[name]) for name in ("flags", "seq", "ack"))
        assert flags in (SYN, ACK, ACK | PSH, RST | ACK)
        assert frame["own_lo"] == OWN
        if flags == SYN:
            self._asked(address, frame)
            if self.syns.get(address) != seq:
                self.syns[address] = seq
                self.starts[address] += 1
                self.peers.pop(address, None)
        assert address in self.syns, "a frame to a connection that nobody asked for"
        self.frames[address] += 1
        length = 0
        if frame["probe"] != NO_PROBE:
            length = len(PROBES[int(frame["probe"])])
            assert flags & ACK
        self._answer(address, flags, seq, ack, length)

    def _asked(self, address: Address, frame: Any) -> None:
        """A SYN goes to a host of the input, to a port of it or an ephemeral one; it has the cookie."""
        peer, port, own_port = address
        assert peer in self.hosts
        assert any(port == asked for host, asked, _ in self.opened if host == peer) or (
            self.config.haf and DEFAULT_PORTS[0] <= port <= DEFAULT_PORTS[1]
        )
        assert address in self.opened or self.config.ports[0] <= own_port <= self.config.ports[1]
        row = frame.reshape(1)
        assert int(frame["seq"]) & (1 << COOKIE_BITS) - 1 == int(cookie(row, self.config.secrets.cookie)[0])

    def _answer(self, address: Address, flags: int, seq: int, ack: int, length: int) -> None:
        """What a peer that behaves puts on the way: how it behaves depends on its number."""
        kind, odd = address[0] % 6, address[1] % 2
        isn = address[1] * 7919 + address[2] & MASK
        if kind == 0 or flags & RST:
            return
        if flags == SYN:
            self.peers[address] = Peer(isn, BANNERS[kind], seq + 1 & MASK)
            answer = RST | ACK if kind == 5 and address[2] % 2 else SYN | ACK
            self.way.append(Segment(address, answer, isn, seq + 1, window=0 if kind == 4 else 64000))
            return
        peer = self.peers.get(address)
        if peer is None or seq != peer.ours or not (length or peer.lines == 0):
            return
        peer.ours = seq + length & MASK
        peer.lines += 1
        start = peer.isn + 1 & MASK
        if length and odd:
            self.way.append(Segment(address, ACK, start, peer.ours))
        step = max(1, address[1] % 7)
        for at in range(0, len(peer.banner), step):
            piece = peer.banner[at : at + step]
            self.way.append(Segment(address, PSH | ACK, start + at, peer.ours, piece))
        if kind in (1, 3):
            self.way.append(Segment(address, FIN | ACK, start + len(peer.banner), peer.ours))
        elif kind in (2, 5):
            self.way.append(Segment(address, RST, start + len(peer.banner), 0))


addresses = st.tuples(st.integers(0, 12), st.integers(79, 82), st.integers(40000, 40003))
isns = st.integers(0, MASK) | st.integers(-40, 40).map(lambda n: n & MASK)
offsets = st.integers(-3, 3) | st.sampled_from([5, 18, 30, -30, 60000, 1 << 31, 1 << 32 - 1])


class Scan(RuleBasedStateMachine):
    world: World

    @initialize(
        handshakes=st.integers(1, 3),
        number=st.integers(0, 2),
        settle=st.sampled_from([0.0, 0.25]),
        probe_delay=st.sampled_from([0.0, 0.0, 2.0]),
        haf=st.sampled_from([0, 0, 1, 4]),
        push=st.booleans(),
        force=st.booleans(),
        shards=st.sampled_from([1, 3]),
    )
    def begin(
        self,
        handshakes: int,
        number: int,
        settle: float,
        probe_delay: float,
        haf: int,
        push: bool,
        force: bool,
        shards: int,
    ) -> None:
        config = FlowConfig(
            tuple(ProbeTemplate((probe,) if probe else ()) for probe in PROBES[:handshakes]),
            retransmit_number=number,
            settle=settle,
            probe_delay=probe_delay,
            haf=haf,
            haf_threshold=0.5,
            push_data_only=push,
            force_all_handshakes=force,
            shards=shards,
            ports=(40000, 40039),
            secrets=Secrets.derive(99),
        )
        self.world = World(config, Watched(config, capacity=2, index=make_index()))

    @rule(
        lines=st.lists(
            st.tuples(
                addresses,
                isns,
                isns,
                st.sampled_from([b"", b"SSH-2.0-x\r\n"]),
                st.integers(0, 2),
                st.sampled_from([0, 9, 9]),
            ),
            max_size=5,
        )
    )
    def lines_come(self, lines: list[Any]) -> None:
        self.world.open(lines)

    @precondition(lambda self: self.world.way)
    @rule(data=st.data(), again=st.booleans(), count=st.integers(1, 6))
    def some_arrive(self, data: st.DataObject, again: bool, count: int) -> None:
        """In any order; with `again` they stay on the way, and so arrive twice."""
        way, batch = self.world.way, []
        for _ in range(min(count, len(way))):
            at = data.draw(st.integers(0, len(way) - 1))
            batch.append(way[at] if again else way.pop(at))
        self.world.deliver(batch)

    @precondition(lambda self: self.world.way)
    @rule()
    def all_arrive(self) -> None:
        batch, self.world.way = self.world.way, []
        self.world.deliver(batch)

    @precondition(lambda self: self.world.way)
    @rule(data=st.data())
    def one_is_lost(self, data: st.DataObject) -> None:
        self.world.way.pop(data.draw(st.integers(0, len(self.world.way) - 1)))

    @precondition(lambda self: self.world.syns)
    @rule(
        data=st.data(),
        made=st.lists(
            st.tuples(
                st.integers(0, 63),
                offsets,
                offsets,
                st.binary(max_size=3) | st.just(b"x" * 70),
                st.sampled_from([0, 1]),
            ),
            min_size=1,
            max_size=4,
        ),
    )
    def forgers_send(self, data: st.DataObject, made: list[tuple[int, int, int, bytes, int]]) -> None:
        """Segments for real connections with numbers that are nearly right, or quite."""
        world, batch = self.world, []
        for flags, seq, ack, payload, window in made:
            address = data.draw(st.sampled_from(sorted(world.syns)))
            peer = world.peers.get(address)
            base = (peer.isn + 1, peer.ours) if peer else (0, world.syns[address] + 1)
            batch.append(Segment(address, flags, base[0] + seq, base[1] + ack, payload, window))
        world.deliver(batch)

    @rule(
        segments=st.lists(
            st.tuples(addresses, st.integers(0, 63), isns, isns, st.binary(max_size=5)), max_size=4
        )
    )
    def strangers_send(self, segments: list[Any]) -> None:
        self.world.deliver([Segment(*fields) for fields in segments])

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.25, 0.9, 1.0, 3.0, 5.0, 8.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(round(seconds * SECOND))

    @rule()
    def flows_move(self) -> None:
        self.world.move()

    @invariant()
    def books_balance(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        check_books(world.table)
        final = [int(row["ticket"]) for row in world.outcomes if row["final"]]
        assert len(set(final)) == len(final), "a ticket has two fates"
        states = world.table.rows["state"]
        waiting = world.table.rows["ticket"][
            (states != FlowState.FREE) & (states != FlowState.FIREWALL_CHECK)
        ].tolist()
        assert sorted(waiting + final) == list(range(world.tickets)), "a ticket is lost"

    @invariant()
    def nobody_gets_too_much(self) -> None:
        if hasattr(self, "world"):
            most = bound(self.world.config)
            for address, count in self.world.frames.items():
                assert count <= most * self.world.starts[address]

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.pass_time(400 * SECOND)
        assert world.table.in_flight == len(world.table.index) == 0
        assert sorted(int(row["ticket"]) for row in world.outcomes if row["final"]) == list(
            range(world.tickets)
        )
        for row, payload in zip(world.outcomes, world.payloads, strict=True):
            assert bool(payload) == (row["reason"] == Reason.DATA)
        assert not world.table.reassembly
        assert not len(world.table.take_outcomes()[0])


def test_whatever_happens_the_books_balance() -> None:
    run_state_machine_as_test(
        Scan, settings=settings(max_examples=examples(25), stateful_step_count=30, deadline=None)
    )
