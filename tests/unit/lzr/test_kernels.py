"""The native kernels answer as the Python they stand in for: random rows, packets, keys, whole traces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lzr.flow import tcp
from lzr.flow.config import FlowConfig
from lzr.flow.index import FlowIndex, NativeIndex, make_index
from lzr.flow.table import FlowTable
from lzr.kernels import NATIVE
from lzr.layout import AGES
from lzr.ownership import ledger
from lzr.packet import segments, sharding
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import Builder, LinkHeader
from lzr.protocols._protocol import Address, Host, Random
from lzr.rows import (
    ACK,
    FIN,
    FLOW,
    FRAME,
    NO_PROBE,
    OUTCOME,
    PSH,
    RST,
    SEGMENT,
    SYN,
    TARGET,
    V4_MAPPED,
    FlowState,
    FlowTrigger,
    Number,
    Reason,
)
from lzr.secrets import Secrets
from lzr.siphash import siphash
from lzr.targets import screen
from lzr.targets.dedup import RecentTargets
from tests.effort import examples
from tests.wire import kernels_of

pytestmark = pytest.mark.native

T = TypeVar("T")
Rows = NDArray[Any]
SEEDS = st.integers(0, 2**32 - 1)
FLAGS = (ACK, ACK | PSH, ACK | FIN, RST, RST | ACK, SYN | ACK, SYN, 0, FIN, ACK | PSH | FIN)


@contextmanager
def in_python() -> Iterator[None]:
    """Runs what stands behind the kernels."""
    with kernels_of("python"):
        yield


def both(function: Callable[[], T]) -> tuple[T, T]:
    native = function()
    with in_python():
        return native, function()


def random_rows(draw: np.random.Generator, dtype: np.dtype[Any], count: int) -> Rows:
    rows: Rows = np.frombuffer(draw.bytes(dtype.itemsize * count), dtype).copy()
    v4 = draw.random(count) < 0.7
    for side in ("peer", "own"):
        rows[f"{side}_hi"][v4] = 0
        rows[f"{side}_lo"][v4] = V4_MAPPED << 0 | (rows[f"{side}_lo"][v4] & 0xFFFFFFFF)
    return rows


@given(SEEDS, st.sampled_from([TARGET, OUTCOME, SEGMENT, FRAME, FLOW]), st.integers(0, 40))
@settings(max_examples=examples(40), deadline=None)
def test_hashes(seed: int, dtype: np.dtype[Any], count: int) -> None:
    rows = random_rows(np.random.default_rng(seed), dtype, count)
    ways: tuple[Callable[[], NDArray[Any]], ...] = (
        lambda: sharding.flow_key(rows, seed * 0x9E3779B97F4A7C15),
        lambda: sharding.flow_hash(rows, seed),
        lambda: sharding.flow_hash(rows[::2], ~seed),
        lambda: sharding.cookie(rows, seed * 0x9E3779B97F4A7C15),
        lambda: siphash((seed, ~seed & 0xFFFFFFFF), rows["peer_lo"], rows["peer_hi"]),
    )
    for hashed in ways:
        native, python = both(hashed)
        assert native.dtype == python.dtype
        assert np.array_equal(native, python)


@given(SEEDS, st.integers(1, 40))
@settings(max_examples=examples(20), deadline=None)
def test_recent_targets(seed: int, window: int) -> None:
    draw = np.random.default_rng(seed)
    pool = random_rows(draw, TARGET, 60)
    pool["syn"] = draw.integers(0, 3, 60)
    native, python = (RecentTargets(window, seed) for _ in range(2))
    for _ in range(12):
        rows = draw.choice(pool, draw.integers(0, 90))
        found = native.fresh(rows)
        with in_python():
            assert np.array_equal(found, python.fresh(rows))


@given(SEEDS, st.integers(0, 60), st.integers(1, 9))
@settings(max_examples=examples(60), deadline=None)
def test_on_the_way_in(seed: int, count: int, shards: int) -> None:
    draw = np.random.default_rng(seed)
    rows = random_rows(draw, TARGET, count)
    rows["syn"] = draw.integers(0, 3, count)
    rows["peer_port"] = draw.integers(0, 9, count)
    own, spared = (int(draw.integers(0, 65536)), int(draw.integers(0, 65536))), (int(draw.integers(0, 9)), 4)
    found = both(lambda: screen.screen(rows, own, spared))
    assert len({repr(None if verdicts is None else verdicts.tolist()) for verdicts in found}) == 1
    rows["own_hi"][1:], rows["own_lo"][1:] = rows["own_hi"][:1], rows["own_lo"][:1]
    assert len({repr(seen) for seen in both(lambda: screen.overview(rows))}) == 1
    rows["own_lo"][1:2] += np.uint64(seed % 2)
    seen = both(lambda: screen.overview(rows))
    assert seen[0] == seen[1]
    assert (seen[0].own is None) == (count == 0 or (count > 1 and seed % 2 == 1))
    rows["ticket"] = draw.permutation(count + 5)[:count]
    owners = draw.integers(0, shards + 1, shards).astype(np.uint16)

    def grouped() -> Any:
        kept, where = np.zeros(count + 5, TARGET), np.zeros(count + 5, np.uint16)
        parts = ledger.group(rows, seed, owners, kept, where)
        return [(owner, part.tobytes()) for owner, part in parts], kept.tobytes(), where.tolist()

    assert len(set(map(repr, both(grouped)))) == 1
    if count:
        with pytest.raises(IndexError):
            ledger.group(rows, seed, owners, np.zeros(0, TARGET), np.zeros(0, np.uint16))


def test_no_room_to_remember() -> None:
    assert NATIVE is not None
    rows, fresh, table = np.zeros(8, TARGET), np.zeros(8, bool), np.zeros(8, np.uint64)
    with pytest.raises(ValueError, match="no room"):
        NATIVE.remember(rows, 0, table, 0, table, fresh)  # it would not end
    with pytest.raises(ValueError, match="no room"):
        NATIVE.enter(table, np.arange(1, 9, dtype=np.uint64))
    with pytest.raises(ValueError, match="power of two"):
        NATIVE.remember(rows[:1], 0, np.zeros(3, np.uint64), 0, table, fresh)


@given(SEEDS)
@settings(max_examples=examples(40), deadline=None)
def test_index(seed: int) -> None:
    assert NATIVE is not None
    draw = np.random.default_rng(seed)
    native, python = NativeIndex(NATIVE.Index()), FlowIndex()
    # Few distinct low bits, so that places are fought for; 0 and -1 are keys like any other.
    pool = np.concatenate([draw.integers(0, 2**64, 400, np.uint64), np.arange(200, dtype=np.uint64) << 56])
    pool = np.unique(np.concatenate([pool, np.array([0, 2**64 - 1], np.uint64)]))
    for _ in range(40):
        keys = draw.choice(pool, draw.integers(0, 150))
        if draw.random() < 0.5:
            slots = draw.integers(0, 2**31, len(keys)).astype(np.int32)
            assert np.array_equal(native.insert(keys, slots), python.insert(keys, slots))
        else:
            keys = np.unique(keys)
            there = keys[python.find(keys) >= 0]
            native.remove(there)
            python.remove(there)
        assert np.array_equal(native.find(pool), python.find(pool))
        assert len(native) == len(python)
    with pytest.raises(KeyError):
        native.remove(pool[python.find(pool) < 0][:1])


def test_index_grows_and_shrinks() -> None:
    assert NATIVE is not None
    index = NativeIndex(NATIVE.Index())
    keys = np.random.default_rng(1).permutation(np.arange(1, 200_001, dtype=np.uint64))
    slots = np.arange(len(keys), dtype=np.int32)
    for start in range(0, len(keys), 1000):
        assert index.insert(keys[start : start + 1000], slots[start : start + 1000]).all()
    assert np.array_equal(index.find(keys), slots)
    index.remove(keys[500:])
    assert np.array_equal(index.find(keys[:1000]) >= 0, np.arange(1000) < 500)
    assert len(index) == 500


def packets(draw: np.random.Generator, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Packets that are nearly right, end to end, and where each starts."""
    frames = random_rows(draw, FRAME, count)
    frames["flags"] = draw.choice(FLAGS, count)
    frames["probe"] = draw.choice([0, 1, NO_PROBE], count)
    blocks, at, where = [], [], 0
    builder = Builder(
        LinkHeader(bytes(6), bytes(6), bytes(6)), (ProbeTemplate((b"GET /x",)), ProbeTemplate((b"y" * 77,)))
    )
    for row in range(count):
        out = np.zeros((1, 1600), np.uint8)
        length = int(builder.build(frames[row : row + 1], out)[0])
        packet = out[0, 14:length].copy()
        extra = draw.random()
        if extra < 0.25 and packet[0] >> 4 == 6:  # extension headers
            kinds = draw.choice([0, 43, 44, 60, 59], draw.integers(1, 6))
            headers = b"".join(
                bytes([following, size, *bytes(6 + 8 * size)])
                for following, size in zip(
                    [*kinds[1:], 6], draw.integers(0, 3, len(kinds)).tolist(), strict=True
                )
            )
            packet = np.concatenate([packet[:40], np.frombuffer(headers, np.uint8), packet[40:]])
            packet[6] = kinds[0]
            packet[4:6] = np.frombuffer((len(packet) - 40).to_bytes(2, "big"), np.uint8)
        for _ in range(draw.integers(0, 4)):
            place = draw.integers(0, min(len(packet), 64))
            packet[place] = draw.integers(0, 256)
        blocks.append(packet[: draw.integers(0, len(packet) + 1)] if draw.random() < 0.2 else packet)
        at.append(where)
        where += len(blocks[-1])
    return np.concatenate([*blocks, np.zeros(512, np.uint8)]), np.array([*at, where], np.int64)


@given(SEEDS)
@settings(max_examples=examples(40), deadline=None)
def test_packets(seed: int) -> None:
    draw = np.random.default_rng(seed)
    buffer, at = packets(draw, 12)
    captured = np.diff(at)
    ts = draw.integers(0, 2**63, len(captured), np.uint64)
    checked = draw.random(len(captured)) < 0.6
    native, python = both(lambda: segments.parse(buffer, at[:-1], captured, ts, checked))
    assert np.array_equal(native[1], python[1])
    assert np.array_equal(native[0], python[0])


@given(SEEDS, st.integers(1, 30))
@settings(max_examples=examples(40), deadline=None)
def test_frames(seed: int, count: int) -> None:
    draw = np.random.default_rng(seed)
    parts = (b"GET / HTTP/1.1\r\nHost: ", Host(), b"\r\n", Address(), Random(13), b"!", Random(8), Random(1))
    templates = tuple(map(ProbeTemplate, ((), (b"wait",), parts, (Random(32),), (Host(), Address()))))
    builder = Builder(LinkHeader(b"\1\2\3\4\5\6", b"\7" * 6, b"\x08" * 6), templates)
    rows = random_rows(draw, FRAME, count)
    rows["peer_lo"][draw.random(count) < 0.3] &= ~np.uint64(0xFFFF0000)  # runs of zeros in an address
    rows["peer_port"][draw.random(count) < 0.3] = 80
    rows["flags"] = draw.choice(FLAGS)
    rows["probe"] = draw.choice([0, 1, 2, 3, 4, NO_PROBE])

    def build() -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
        out = np.zeros((count, 1514), np.uint8)
        return out, builder.build(rows, out)

    native, python = both(build)
    assert np.array_equal(native[1], python[1])
    assert np.array_equal(native[0], python[0])
    for template in templates:
        lengths, reference = both(lambda template=template: template.lengths(rows))  # type: ignore[misc]
        assert np.array_equal(lengths, reference)
        assert template.fixed_length is None or (lengths == template.fixed_length).all()


def test_a_probe_that_is_too_long() -> None:
    builder = Builder(LinkHeader(bytes(6), bytes(6), bytes(6)), (ProbeTemplate((b"x" * 1600,)),))
    with pytest.raises(ValueError, match="does not fit"):
        builder.build(np.zeros(1, FRAME), np.zeros((1, 2000), np.uint8))


def related(draw: np.random.Generator, count: int) -> tuple[Rows, Rows, NDArray[np.int32]]:
    """A table, segments that nearly belong to its flows, and whose they are."""
    rows = random_rows(draw, FLOW, 24)
    rows["state"] = draw.integers(0, len(FlowState), len(rows))
    rows["nxt"] = rows["una"] + draw.integers(0, 4, len(rows)).astype(np.uint32) * np.uint32(50)
    slots = draw.integers(0, len(rows), count).astype(np.int32)
    found = random_rows(draw, SEGMENT, count)
    for name in ("peer_hi", "peer_lo", "own_hi", "own_lo", "peer_port", "own_port"):
        keep = draw.random(count) < 0.97
        found[name][keep] = rows[name][slots][keep]
    near = draw.integers(-3, 60, count).astype(np.uint32)
    found["ack"] = np.where(draw.random(count) < 0.8, rows["una"][slots] + near, found["ack"])
    shift = draw.choice([0, 0, 0, 1, 10, 2**32 - 1, 2**32 - 20, 70000], count).astype(np.uint32)
    found["seq"] = rows["rcv"][slots] + shift
    found["data_len"] = draw.choice([0, 0, 1, 10, 1000], count)
    found["flags"] = draw.choice(FLAGS, count)
    found["window"][draw.random(count) < 0.3] = 0
    return rows, found, slots


@given(SEEDS, st.integers(1, 80))
@settings(max_examples=examples(40), deadline=None)
def test_a_round(seed: int, count: int) -> None:
    draw = np.random.default_rng(seed)
    rows, found, slots = related(draw, count)
    assert NATIVE is not None
    keys = rows["key"][slots]
    keys[draw.random(count) < 0.05] ^= np.uint64(1)

    took = [0, 1, 2**20 - 1, 2**20, 600_000_000, 2**50, 2**64 - 5]  # the last: a clock set back
    found["ts"] = rows["ts"][slots] + draw.choice(np.array(took, np.uint64), count)

    def rounds() -> tuple[Rows, list[Any]]:
        table, made = rows.copy(), []
        ages = np.zeros(AGES, np.int64)
        todo = np.arange(count, dtype=np.int32)
        while len(todo):
            live, actions, todo, *counts = tcp.step(table, found, keys, slots, todo, ages)
            made.append((live.tolist(), actions.tolist(), counts, ages.tolist()))
            assert ages.sum() == sum(each[2][1] for each in made)
        return table, made

    native, python = both(rounds)
    assert native[1] == python[1]
    assert np.array_equal(native[0], python[0])


@given(SEEDS, st.integers(0, 24))
@settings(max_examples=examples(40), deadline=None)
def test_rows(seed: int, count: int) -> None:
    draw = np.random.default_rng(seed)
    rows = related(draw, 1)[0]
    slots = draw.permutation(len(rows))[:count].astype(np.int32)
    generations = rows["generation"][slots] + draw.integers(0, 2, count).astype(np.uint32)
    for trigger in (
        FlowTrigger.RETRANSMIT_DUE,
        FlowTrigger.TIMED_OUT,
        FlowTrigger.SETTLED,
        FlowTrigger.DELAY_OVER,
    ):
        native, python = both(lambda trigger=trigger: tcp.due(rows, slots, generations, trigger))  # type: ignore[misc]
        assert np.array_equal(native[0], python[0])
        assert np.array_equal(native[1], python[1])
        assert native[2] == python[2]
    lengths = draw.integers(0, 2**32, count).astype(np.uint32)
    final = draw.random(count) < 0.5
    for reason in range(len(Reason.NAMES)):
        outcomes = both(lambda r=reason: tcp.outcome_rows(rows, slots, r, lengths, final))  # type: ignore[misc]
        assert np.array_equal(*outcomes)


def alike(act: Callable[[Rows, FlowIndex], Any], rows: Rows, keys: NDArray[np.uint64]) -> None:
    """An act does the same to the rows and to the index, and returns the same, natively and in Python."""
    assert NATIVE is not None
    found = []
    for index in (NativeIndex(NATIVE.Index()), FlowIndex()):
        table = rows.copy()
        index.insert(rows["key"], np.arange(len(rows), dtype=np.int32))
        returned = act(table, index)
        found.append((table.tobytes(), repr(returned), index.find(keys).tolist(), len(index)))
    assert found[0] == found[1]


@given(SEEDS, st.integers(0, 24))
@settings(max_examples=examples(30), deadline=None)
def test_acts(seed: int, count: int) -> None:
    """What is done to many flows at once: the index says which of the two does it."""
    draw = np.random.default_rng(seed)
    rows = related(draw, 1)[0]
    slots = draw.permutation(len(rows))[:count].astype(np.int32)
    lengths = draw.integers(0, 2**32, count).astype(np.uint32)
    targets = random_rows(draw, TARGET, count)
    targets["syn"] = draw.integers(0, 3, count)
    targets["window"][draw.random(count) < 0.3] = 0
    again = draw.integers(0, max(1, count), count)
    targets = np.where(draw.random(count) < 0.8, targets, targets[again]) if count else targets
    new = np.arange(len(rows), len(rows) + count, dtype=np.int32)
    room = np.concatenate([rows, np.zeros(count, FLOW)])
    keys = np.concatenate([rows["key"], sharding.flow_key(targets, Secrets.derive(seed).index)])

    def opened(table: Rows, index: FlowIndex) -> Any:
        with in_python() if type(index) is FlowIndex else nullcontext():
            kinds, counts = tcp.open_rows(table, index, targets, new, Secrets.derive(seed), 9)
        return kinds.tolist(), counts

    alike(opened, room, keys)
    for reason in range(len(Reason.NAMES)):
        for payload in (None, lengths):

            def ended(table: Rows, index: FlowIndex, reason: int = reason, payload: Any = payload) -> Any:
                with in_python() if type(index) is FlowIndex else nullcontext():
                    frames, outcomes = tcp.finish(table, index, slots, reason, payload, Secrets.derive(seed))
                return frames.tobytes(), outcomes.tobytes()

            alike(ended, rows, rows["key"])


@given(SEEDS, st.integers(0, 24))
@settings(max_examples=examples(20), deadline=None)
def test_sent_and_taken(seed: int, count: int) -> None:
    draw = np.random.default_rng(seed)
    rows, found, met = related(draw, max(1, count))
    slots = draw.permutation(len(rows))[:count].astype(np.int32)
    for number in Number:
        for template in (
            None,
            ProbeTemplate(()),
            ProbeTemplate((b"abc", Host())),
            ProbeTemplate((Random(9),)),
        ):
            for arm in (False, True):

                def sent(number: Number = number, template: Any = template, arm: bool = arm) -> Any:
                    table, probe = rows.copy(), 1 if template else NO_PROBE
                    frames, generations = tcp.send(
                        table, slots, number, ACK, Secrets.derive(seed), probe, template, arm=arm
                    )
                    return (
                        table.tobytes(),
                        frames.tobytes(),
                        None if generations is None else generations.tolist(),
                    )

                assert len(set(map(repr, both(sent)))) == 1
    for reason in range(len(Reason.NAMES)):
        closed = both(lambda r=reason: tcp.close(rows.copy(), slots, r, Secrets.derive(seed)).tobytes())  # type: ignore[misc]
        assert len(set(closed)) == 1
    met, first = np.unique(met, return_index=True)
    found = found[first]
    found["data_at"] = np.arange(len(found)) * 1000
    ahead = rows["rcv"][met] - found["seq"]
    fresh = ahead < found["data_len"]
    buffer = bytearray(draw.choice(np.frombuffer(b"a\r\n", np.uint8), 1000 * len(found) + 20).tobytes())
    for at in (found["data_at"] + ahead)[fresh].tolist():  # replies whose form says that more comes
        head = (b"", b"HTTP/", b"RTSP/", b"220-", b"220-\n220 ", b"220-\n221 ", b"22a-")[draw.integers(7)]
        buffer[at : at + len(head)] = head
    buffer = bytes(buffer)

    def taken() -> Any:
        table = rows.copy()
        columns = tcp.take_data(table, met[fresh], found[fresh], buffer, 64, 8)
        return [column.tolist() for column in columns], table.tobytes()

    assert len(set(map(repr, both(taken)))) == 1
    if len(found) and not fresh.all():
        with pytest.raises(IndexError):
            tcp.take_data(rows.copy(), met, found, buffer, 64, 8)


@given(st.binary(max_size=300), SEEDS)
@settings(max_examples=examples(40), deadline=None)
def test_gather(data: bytes, seed: int) -> None:
    draw = np.random.default_rng(seed)
    starts = draw.integers(0, len(data) + 1, 9).astype(np.uint32)
    lengths = (draw.random(9) * (len(data) - starts + 1)).astype(np.uint32)
    assert len(set(both(lambda: tcp.gather(data, starts, lengths)))) == 1
    with in_python(), pytest.raises(IndexError):
        tcp.gather(data, starts, lengths + np.uint32(len(data) + 1))
    with pytest.raises(IndexError):
        tcp.gather(data, starts, lengths + np.uint32(len(data) + 1))


@pytest.mark.parametrize("bad", [-1, 24, 2**31 - 1])
def test_a_slot_outside_the_table(bad: int) -> None:
    rows, slots = np.zeros(24, FLOW), np.array([0, bad], np.int32)
    with pytest.raises(IndexError):
        tcp.bump(rows, slots)
    with pytest.raises(IndexError):
        tcp.send(rows, slots, Number.UNA, ACK, Secrets.derive(0))
    with pytest.raises(IndexError):
        tcp.finish(rows, make_index(), slots, Reason.DATA, None, Secrets.derive(0))


def answers(draw: np.random.Generator, frames: Rows, buffer: bytearray) -> Rows:
    """What hosts might send back to these frames, well-behaved or not; payloads go to the end of `buffer`."""
    made = []
    for frame in frames.tolist():
        peer_hi, peer_lo, own_hi, own_lo, _, seq, ack, peer_port, own_port, flags, *_ = frame
        if flags & RST or draw.random() < 0.25:
            continue
        for _ in range(draw.integers(1, 4)):
            if flags & SYN:
                reply, number, acked, data = SYN | ACK, int(draw.integers(0, 2**32)), seq + 1, b""
                if draw.random() < 0.2:
                    reply = RST | ACK
            else:
                reply = int(draw.choice([ACK, ACK | PSH, ACK | FIN, RST | ACK, ACK | PSH | FIN]))
                number = ack + int(draw.choice([0, 0, 0, 1, 5, 2**32 - 1]))
                acked = seq + int(draw.choice([0, 3, 3, 500]))
                lines = [b"", b"SSH-2.0-x\r\n", b"S", b"x" * 80]
                data = b"" if reply & RST else lines[draw.integers(0, len(lines))]
            row = (peer_hi, peer_lo, own_hi, own_lo, 7, number % 2**32, acked % 2**32, len(buffer), len(data))
            made.append((*row, peer_port, own_port, int(draw.choice([0, 500, 500])), 60, reply))
            buffer += data
    order = draw.permutation(len(made))
    return np.array([made[k] for k in order], SEGMENT)


def trace(seed: int) -> list[bytes]:
    """A table's whole life with hosts of all kinds: every frame and outcome it made, as bytes."""
    draw = np.random.default_rng(seed)
    config = FlowConfig(
        probes=tuple(map(ProbeTemplate, ((Host(), b"abc"), (), (Random(9),))))[: draw.integers(1, 4)],
        haf=int(draw.choice([0, 0, 2])),
        push_data_only=bool(draw.random() < 0.2),
        force_all_handshakes=bool(draw.random() < 0.3),
        retransmit_number=int(draw.integers(0, 3)),
        probe_delay=float(draw.choice([0, 0.3])),
        secrets=Secrets.derive(seed),
        shards=int(draw.choice([1, 3])),
    )
    table = FlowTable(config, capacity=8)
    told, now, line = [], 0, 0
    for _ in range(14):
        count = int(draw.integers(0, 12))
        targets = random_rows(draw, TARGET, count)
        targets["line"] = np.arange(line, line + count)
        targets["syn"] = draw.integers(0, 3, count)
        targets["window"][draw.random(count) < 0.2] = 0
        if count > 3:
            for name in ("peer_hi", "peer_lo", "own_hi", "own_lo", "peer_port", "own_port"):
                targets[name][3] = targets[name][1]  # the same 4-tuple twice
        line += count
        table.open(targets, now, 5)
        for _ in range(draw.integers(1, 4)):
            bursts = table.take_frames()
            told += [burst.tobytes() for burst in bursts]
            buffer = bytearray()
            if bursts:
                found = answers(draw, np.concatenate(bursts), buffer)
                table.receive(found, bytes(buffer), now)
        now += int(draw.choice([1, 300_000_000, 1_100_000_000, 6_000_000_000]))
        table.expire(now, int(draw.choice([3, 1000])))
        rows, payloads = table.take_outcomes()
        told += [rows.tobytes(), bytes(payloads)]
        told.append(repr((table.in_flight, table.fresh, table.ignored)).encode())
    return told


@given(SEEDS)
@settings(max_examples=examples(12), deadline=None)
def test_whole_traces(seed: int) -> None:
    native, python = both(lambda: trace(seed))
    assert native == python
