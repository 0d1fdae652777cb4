"""The rings of a worker are served in turn, whoever shouts."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lzr.addresstext import ranges_of
from lzr.flow.config import FlowConfig
from lzr.flow.table import FlowTable
from lzr.ipc import messages
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import Builder, LinkHeader
from lzr.rows import ACK, FRAME, SEGMENT, TARGET, FlowState, Opening, Reason
from lzr.sweep.space import Space
from lzr.sweep.spread import SLICE
from lzr.targets.blocklist import Blocklist, Prefixes
from workers.flow.engine import AHEAD, OPEN, SMALL, TAKE, FlowEngine
from workers.flow.outbox import Outbox
from workers.flow.refused import RefusedFrames
from workers.flow.ring import Arrivals, OtherRings
from workers.flow.transmit import Transmit


class Unused:
    """A transmit ring into which nothing is put."""

    stuck = False

    def __init__(self) -> None:
        self.refused = RefusedFrames()

    def block(self, policy: Blocklist) -> None:
        """There is nothing to hold back."""


def engine_of(table: FlowTable, others: OtherRings | None = None) -> FlowEngine:
    """An engine without limits on what it sends."""
    builder = Builder(LinkHeader(bytes(6), bytes(6), bytes(6)), table.config.probes)
    transmit = Transmit(builder, table.timers.postpone, None, table.config.shards)
    return FlowEngine(Outbox(1), table, transmit, others=others)


class Queue:
    """A ring that holds frames, of which only the number is looked at: they belong to no flow."""

    rx_frames = 4096
    filling = False

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        self.out = Unused()

    def take(self, limit: int, arrivals: Arrivals) -> int:
        count = min(limit, self.waiting, 2 * TAKE - len(arrivals.segments))
        arrivals._made += count
        self.waiting -= count
        return count

    def has_dropped(self) -> bool:
        return False


def test_a_flood_at_some_rings_starves_no_other() -> None:
    probes = (ProbeTemplate((b"x",)),)
    table = FlowTable(FlowConfig(probes))
    engine = engine_of(table)
    rings: list[Any] = [Queue(1 << 30), Queue(1 << 30), Queue(100), Queue(1 << 30)]
    for shard, ring in enumerate(rings):
        engine.add(shard, ring)
    taken = engine.turn(0, 0)
    assert taken > TAKE
    assert rings[2].waiting == 0
    assert table.ignored["stray"] == taken


def test_of_a_shard_that_was_taken_over_nothing_is_known_until_its_ring_is_read() -> None:
    """Else whoever answered into it meanwhile could be called silent."""
    probes = (ProbeTemplate((b"x",)),)
    table = FlowTable(FlowConfig(probes))
    engine = engine_of(table)
    rings: list[Any] = [Queue(0), Queue(3)]
    engine.add(0, rings[0])
    engine.turn(1000, 1000)
    assert engine.looked == 1000
    engine.add(1, rings[1])
    assert engine.looked == 0
    engine.begin(2000, 2000)  # looks at no ring
    assert engine.looked == 0
    engine.turn(3000, 3000)
    assert (engine.looked, rings[1].waiting) == (3000, 0)


def test_no_more_is_begun_at_once_than_half_of_what_the_rings_hold() -> None:
    probes = (ProbeTemplate((b"x",)),)
    table = FlowTable(FlowConfig(probes))
    engine = engine_of(table)
    steps = []
    for shard in range(3):
        ring: Any = Queue(0)
        ring.rx_frames = 1024
        engine.add(shard, ring)
        steps.append(engine._step)
    assert steps == [512, 1024, 1536]
    full: Any = Queue(0)
    full.rx_frames = 1 << 16
    for shard in range(3):
        engine.remove(shard)
    engine.add(3, full)
    assert engine._step == OPEN


class Recorded:
    """A ring that holds these segments, in order."""

    rx_frames = 65536

    def __init__(self, segments: NDArray[Any], dropped: int = 0) -> None:
        self.segments, self.dropped = segments, dropped
        self.out = Unused()

    def has_dropped(self) -> bool:
        self.dropped -= 1
        return self.dropped >= 0

    def take(self, limit: int, arrivals: Arrivals) -> int:
        count = min(limit, len(self.segments), 2 * TAKE - len(arrivals.segments))
        arrivals._segments[arrivals._made : arrivals._made + count] = self.segments[:count]
        arrivals._made += count
        self.segments = self.segments[count:]
        return count


def test_nobody_is_called_silent_whose_answer_is_still_in_the_ring() -> None:
    """A worker that had no processor for seconds finds a full ring, and the answer at its end."""
    second, epoch = 10**9, 1_700_000_000 * 10**9
    probes = (ProbeTemplate((b"hello",)),)
    table = FlowTable(FlowConfig(probes, retransmit_number=0, timeout=1.0))
    engine = engine_of(table)
    target = np.zeros(1, TARGET)
    target["peer_lo"], target["own_lo"], target["peer_port"], target["own_port"] = 7, 9, 80, 40000
    target["window"], target["seq"], target["ack"] = 1000, 100, 200
    table.open(target, 0, epoch)
    engine.table.take_frames()
    segments = np.zeros(30_000, SEGMENT)
    segments["ts"] = epoch + np.linspace(0.1, 0.9, len(segments)) * second
    answer = segments[-1:]
    for name in ("peer_lo", "own_lo", "peer_port", "own_port"):
        answer[name] = target[name]
    answer["seq"], answer["ack"], answer["flags"], answer["window"] = 101, 205, ACK, 1000
    answer["data_len"] = 64
    ring: Any = Recorded(segments)
    engine.add(0, ring)
    engine.flush = lambda **_: None  # type: ignore[method-assign]
    for turn in range(5):
        engine.turn(3 * second + turn, epoch + 3 * second + turn)
    assert not len(ring.segments)
    engine.hand_over_outcomes()
    assert table.in_flight == 0
    assert table.silent == 0


def test_nobody_is_called_silent_whose_answer_may_have_found_no_room() -> None:
    """Where the kernel has dropped frames, whoever has been asked for the last time is asked once more."""
    second, epoch = 10**9, 1_700_000_000 * 10**9
    probes = (ProbeTemplate((b"hello",)),)
    table = FlowTable(FlowConfig(probes, retransmit_wait=1.0, timeout=2.0))
    engine = engine_of(table)
    targets = np.zeros(40, TARGET)
    targets["peer_lo"], targets["peer_port"], targets["own_port"] = np.arange(40) + 7, 80, 40000
    targets["window"], targets["ticket"] = 1000, np.arange(40)
    table.open(targets, 0, epoch)
    engine.flush = lambda **_: None  # type: ignore[method-assign]
    segments = np.zeros(2 * TAKE, SEGMENT)
    segments["ts"] = epoch + 2 * second
    ring: Any = Recorded(segments[:0])
    engine.add(0, ring)
    engine.turn(second, epoch + second)
    assert table.retransmits == 40
    ring.segments, ring.dropped = segments, 1
    engine.turn(4 * second, epoch + 4 * second)
    assert table.silent == 40
    assert (table.in_flight, table.fresh, engine.overflows.unheard) == (40, 0, 0)
    engine.turn(5 * second, epoch + 5 * second)
    assert (table.in_flight, table.retransmits) == (40, 80)
    engine.turn(7 * second, epoch + 7 * second)
    assert table.in_flight == 0


def test_a_flood_does_not_stop_the_clock() -> None:
    """Frames that never end are looked at in the order in which they came, so time goes on with them."""
    second, epoch = 10**9, 1_700_000_000 * 10**9
    probes = (ProbeTemplate((b"hello",)),)
    table = FlowTable(FlowConfig(probes, retransmit_number=0, timeout=1.0))
    engine = engine_of(table)
    target = np.zeros(1, TARGET)
    target["window"] = 1000
    table.open(target, 0, epoch)
    segments = np.zeros(200_000, SEGMENT)
    segments["ts"] = epoch + np.linspace(0.1, 4.0, len(segments)) * second
    ring: Any = Recorded(segments)
    engine.add(0, ring)
    engine.flush = lambda **_: None  # type: ignore[method-assign]
    for turn in range(12):
        engine.turn(4 * second + turn, epoch + 4 * second + turn)
    assert len(ring.segments) > TAKE, "it goes on"
    assert table.in_flight == 0


def test_who_is_blocked_is_not_begun_and_what_is_open_ends() -> None:
    """Flows in all states; one that has its data from an earlier handshake keeps its record."""
    probes = (ProbeTemplate((b"hello",)), ProbeTemplate((b"again",)))
    table = FlowTable(FlowConfig(probes, force_all_handshakes=True))
    engine = engine_of(table)
    targets = np.zeros(6, TARGET)
    targets["peer_lo"], targets["peer_port"], targets["own_port"] = np.arange(6) + 100, 80, 40000
    targets["window"], targets["line"], targets["ticket"] = 1000, np.arange(6), np.arange(6)
    targets["syn"][1] = Opening.OURS
    table.open(targets[:4], 0, 0)
    table.rows["kept"][table.rows["line"] == 2] = 1
    left: list[Any] = []
    ended: list[Any] = []
    engine.flush = lambda **_: left.extend(table.take_frames())  # type: ignore[method-assign]
    engine.hand_over_outcomes = lambda: ended.append(table.take_outcomes()[0])  # type: ignore[method-assign]
    engine.block(Blocklist(Prefixes([(101, 102), (104, 104)])))
    (outcomes,) = ended
    assert {(row["line"], row["reason"], row["record"], row["final"]) for row in outcomes} == {
        (1, Reason.BLOCKED, 0, 1),
        (2, Reason.SILENT, 0, 1),
    }
    assert table.in_flight == 2
    engine.backlog.put(targets[4:])
    ring: Any = Queue(0)
    engine.add(0, ring)
    assert engine.begin(0, 0) == 2
    begun = table.take_outcomes()[0]
    assert begun[["line", "reason", "record", "final"]].tolist() == [(4, Reason.BLOCKED, 0, 1)]
    assert table.in_flight == 3


@pytest.mark.parametrize(
    "state", [FlowState.SYN_SENT, FlowState.DATA_SENT, FlowState.ACKED, FlowState.SETTLING, FlowState.DELAYED]
)
def test_a_reply_that_has_begun_is_kept(state: FlowState) -> None:
    table = FlowTable(FlowConfig((ProbeTemplate((b"hello",)),)))
    target = np.zeros(1, TARGET)
    target["window"], target["peer_lo"] = 1000, 7
    table.open(target, 0, 0)
    table.rows["state"][table.rows["state"] != FlowState.FREE] = state
    table.connections.count_fresh()
    if state == FlowState.SETTLING:
        table.reassembly.append(int(np.flatnonzero(table.rows["state"])[0]), 0, b"220")
    table.block(Blocklist(Prefixes([(7, 7)])))
    (row,), data = table.take_outcomes()
    whole = state == FlowState.SETTLING
    assert (row["reason"], row["record"], data) == (
        (Reason.DATA, 1, b"220") if whole else (Reason.BLOCKED, 0, b"")
    )
    assert table.in_flight == table.fresh == 0


@pytest.mark.parametrize("probe_delay", [0.0, 5.0])
def test_no_handshake_follows_where_a_host_is_blocked_amid_a_reply(probe_delay: float) -> None:
    probes = (ProbeTemplate((b"hello",)), ProbeTemplate((b"again",)))
    table = FlowTable(FlowConfig(probes, force_all_handshakes=True, probe_delay=probe_delay))
    target = np.zeros(1, TARGET)
    target["window"], target["peer_lo"] = 1000, 7
    table.open(target, 0, 0)
    slots = np.flatnonzero(table.rows["state"]).astype(np.int32)
    table.rows["state"][slots] = FlowState.SETTLING
    table.connections.count_fresh()
    table.reassembly.append(int(slots[0]), 0, b"220")
    table.block(Blocklist(Prefixes([(7, 7)])))
    assert table.in_flight == table.fresh == len(table.index) == 0
    rows, data = table.take_outcomes()
    assert rows[["reason", "record", "final"]].tolist() == [(Reason.DATA, 1, 0), (Reason.SILENT, 0, 1)]
    assert data == b"220"


def test_a_clock_that_is_set_forward_does_not_take_time_back() -> None:
    """A host without a clock of its own sets it decades forward, seconds after it was started, while frames
    from before wait in a ring. What a worker has looked at is a number that can be reported.
    """
    second, epoch = 10**9, 1_700_000_000 * 10**9
    table = FlowTable(FlowConfig((ProbeTemplate((b"hello",)),), timeout=1.0, retransmit_number=0))
    engine = engine_of(table)
    target = np.zeros(1, TARGET)
    target["window"] = 1000
    table.open(target, 0, second)
    segments = np.zeros(30_000, SEGMENT)
    segments["ts"] = second
    engine.add(0, Recorded(segments))  # type: ignore[arg-type]
    engine.flush = lambda **_: None  # type: ignore[method-assign]
    for turn in range(5):
        engine.turn(5 * second + turn, epoch + turn)
        assert engine.looked in (0, 5 * second + turn)
    engine.turn(6 * second, epoch + second)
    assert (engine.looked, table.in_flight) == (6 * second, 0)


def test_a_stretch_whose_syns_are_dropped_with_the_last_ring_does_not_count_as_sent() -> None:
    probes = (ProbeTemplate((b"x",)),)
    table = FlowTable(FlowConfig(probes))
    engine = engine_of(table)
    nobody = np.zeros(0, np.uint64)
    space = Space(ranges_of("198.18.0.0/24"), [(80, 80)])
    engine.sweep(messages.Swept((1, 2), np.zeros(1, np.uint32), 1, space.ranges, space.ports, nobody, nobody))
    assert engine.sweeper is not None
    rings: list[Any] = [Queue(0), Queue(0)]
    for shard, ring in enumerate(rings):
        ring.out.errors = Counter()
        engine.add(shard, ring)
    engine.transmit.queue(np.zeros(5, FRAME))
    engine.sweeper._begun = [messages.Stretch(7, 0, 5, 0, 0, np.empty(0, np.uint8))]
    engine.remove(0)
    assert engine.heard(last=True) == []  # they wait
    engine.remove(1)
    assert rings[1].out.errors == {"no room": 5}
    assert engine.heard(last=True) == []
    assert engine.sweeper.to_ask.waiting == 5  # if it gets a ring again; else whoever is given them next


def test_hosts_that_answer_on_any_port_are_reported_as_they_are_found() -> None:
    probes = (ProbeTemplate((b"x",)),)
    table = FlowTable(FlowConfig(probes, haf=1))
    engine = engine_of(table)
    assert engine.heard(last=True) == []
    nobody = np.zeros(0, np.uint64)
    space = Space(ranges_of("198.18.0.0/24"), [(80, 99)])
    engine.sweep(messages.Swept((1, 2), np.zeros(1, np.uint32), 1, space.ranges, space.ports, nobody, nobody))
    hosts = np.zeros(2, FRAME)
    hosts["peer_lo"] = 5, 6
    table.firewall_checks._hosts.note(hosts)
    table.firewall_checks._found = table.firewall_checks._hosts.count(hosts)
    [told] = engine.heard(last=True)
    assert isinstance(told, messages.Firewalls)
    assert told.hosts.tolist() == [0, 5, 0, 6]
    assert engine.heard(last=True) == []


def test_no_syn_leaves_while_a_ring_is_filling_up_whoever_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    probes = (ProbeTemplate((b"x",)),)
    others: Any = SimpleNamespace(full=False)
    others.filling = lambda own: others.full and 1 not in own
    engine = engine_of(FlowTable(FlowConfig(probes)), others=others)
    sent: list[int] = []
    monkeypatch.setattr(engine.transmit, "spread", lambda syns, *_, **__: sent.append(len(syns)))
    space, own = Space(ranges_of("198.18.0.0/24"), [(80, 80)]), np.array([0, 0xFFFF_0A00_0001], np.uint64)
    engine.sweep(
        messages.Swept(
            (1, 2), np.zeros(1, np.uint32), 1, space.ranges, space.ports, own, np.zeros(0, np.uint64)
        )
    )
    assert engine.sweeper is not None
    ring: Any = Queue(0)
    engine.add(0, ring)

    def asked(number: int) -> tuple[int, int]:
        """What `begin` says of a stretch, and how many SYNs left."""
        sent.clear()
        assert engine.sweeper is not None
        engine.sweeper.put(messages.Stretch(number, 5 * number, 5, 0, 0, np.empty(0, np.uint8)))
        return engine.begin(1000, 1000), sum(sent)

    assert asked(0) == (0, 5)
    ring.filling = True
    work, count = asked(1)
    assert (work >= SMALL, count) == (True, 0)  # it is not idle: a turn that reads the ring is next
    ring.filling, others.full = False, True
    engine.turn(2000, 2000)
    assert sent == []
    assert engine.at_limit
    others.full = False
    engine.turn(3000, 3000)
    assert sum(sent) == 5


@pytest.mark.parametrize(("pairs", "part"), [(400, 2), (1600, 4)])
def test_fewer_turns_are_made_where_few_answers_are_expected(
    monkeypatch: pytest.MonkeyPatch, pairs: int, part: int
) -> None:
    probes = (ProbeTemplate((b"x",)),)
    engine = engine_of(FlowTable(FlowConfig(probes)))
    sent: list[int] = []
    monkeypatch.setattr(engine.transmit, "spread", lambda syns, *_, **__: sent.append(len(syns)))
    space, own = Space(ranges_of("198.18.0.0/16"), [(80, 80)]), np.array([0, 0xFFFF_0A00_0001], np.uint64)
    engine.sweep(
        messages.Swept(
            (1, 2), np.zeros(1, np.uint32), 1, space.ranges, space.ports, own, np.zeros(0, np.uint64)
        )
    )
    assert engine.sweeper is not None
    ring: Any = Queue(0)
    engine.add(0, ring)
    engine.sweeper.put(messages.Stretch(1, 0, pairs, 0, 4 * AHEAD, np.empty(0, np.uint8)))
    engine.begin(1000, 1000)
    slices = 4 * AHEAD // SLICE
    assert sent == [pairs // part + -(-pairs // slices)]  # the first slice is due at once


def test_who_has_answered_is_begun_while_the_silent_fill_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """And taken from the feed, however many pairs wait."""
    probes = (ProbeTemplate((b"x",)),)
    engine = engine_of(FlowTable(FlowConfig(probes)))
    begun: list[int] = []
    monkeypatch.setattr(engine.table, "open", lambda targets, *_: begun.append(len(targets)))
    monkeypatch.setattr(engine.transmit, "spread", lambda *_, **__: None)
    space, own = Space(ranges_of("198.18.0.0/15"), [(80, 80)]), np.array([0, 0xFFFF_0A00_0001], np.uint64)
    engine.sweep(
        messages.Swept(
            (1, 2), np.zeros(1, np.uint32), 1, space.ranges, space.ports, own, np.zeros(0, np.uint64)
        )
    )
    assert engine.sweeper is not None
    ring: Any = Queue(0)
    engine.add(0, ring)
    engine.sweeper.put(messages.Stretch(1, 0, 1 << 15, 0, 0, np.empty(0, np.uint8)))
    assert engine.wants_targets
    while not engine.at_limit:
        engine.begin(1000, 1000)
    assert engine.asking
    engine.backlog.put(np.zeros(OPEN // 4, TARGET))
    engine.begin(1000, 1000)
    assert begun == [OPEN // 4]
    assert engine.asking
