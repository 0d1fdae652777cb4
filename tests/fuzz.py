"""The long fuzz: `make fuzz`, or FUZZ_SECONDS=86400 make fuzz for a day.

Mutated segments by the million through the parser (in C and in Python, which must agree) and a flow table
that scans while they come; and every parser of input on mutated text. FUZZ_SECONDS is shared out among the
tests; FUZZ_SEED repeats a run. What must hold is said in the code: the same laws as in the short tests.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lzr.fingerprint.classifier import identify
from lzr.flow.config import FlowConfig
from lzr.flow.handover import ShardFlows
from lzr.flow.table import FlowTable
from lzr.ipc import messages
from lzr.ipc.packing import pack, unpack
from lzr.ipc.schema import SchemaError
from lzr.kernels import NATIVE
from lzr.layout import MAX_FRAME
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import ETHERNET, Builder, LinkHeader, parse
from lzr.packet.sharding import flow_key
from lzr.protocols._protocol import Address, Host, Random
from lzr.records.filter import ExpressionError, record_filter
from lzr.rows import ACK, FIN, FRAME, OUTCOME, PSH, RST, SYN, TARGET, V4_MAPPED, FlowState, Opening, Reason
from lzr.secrets import Secrets
from lzr.targets.blocklist import Blocklist
from lzr.targets.lines import LONGEST_LINE
from tests.playbook import check_books
from tests.unit.lzr.flow.test_table_properties import bound
from tests.unit.lzr.targets.test_lists_targets import BLOCK, LINE, READERS, one_fate_each, read, same
from tests.wire import kernels_of

SECONDS = float(os.environ.get("FUZZ_SECONDS", "600"))
SEED = int(os.environ.get("FUZZ_SEED", str(time.time_ns() & 0xFFFFFFFF)))
LEAST = 1_000_000
"""Segments that a run of two minutes or more must have got through."""

MILLISECOND = 1_000_000
BATCH = 4096
FLOWS = 3000
Rows = Any


def turns(share: float) -> Any:
    """Numbers, until this test's share of the time is over."""
    print(f"FUZZ_SEED={SEED}")
    deadline, number = time.monotonic() + SECONDS * share, 0
    while time.monotonic() < deadline:
        yield number
        number += 1


# --- segments -------------------------------------------------------------------------------------------

PAYLOADS = (b"", b"x", b"220 hi\r\n", b"SSH-2.0-", bytes(range(100)), b"\xff" * 1301)
FLAGS = [ACK, ACK | PSH, ACK | PSH, ACK | FIN, RST, RST | ACK, SYN | ACK, SYN | ACK, SYN, SYN | RST | ACK]
FLAGS += [0, FIN, 255]
PLANS: tuple[dict[str, Any], ...] = (
    {},
    {"haf": 3, "haf_threshold": 0.5, "probe_delay": 0.3},
    {"force_all_handshakes": True, "settle": 0.05},
    {"push_data_only": True, "retransmit_number": 3, "shards": 4, "ports": (40000, 40400)},
)


class Scan:
    """A flow table at work, and what a perfect observer knows of it."""

    def __init__(self, draw: np.random.Generator, **options: Any) -> None:
        self.draw = draw
        probes = (
            ProbeTemplate((b"GET ", Host(), b"\r\n", Random(9))),
            ProbeTemplate(()),
            ProbeTemplate((Address(),)),
        )
        self.config = FlowConfig(
            probes, retransmit_wait=0.2, timeout=0.5, cooldown=0.7, secrets=Secrets.derive(5), **options
        )
        self.table = FlowTable(self.config, capacity=16)
        self.peers = Builder(
            LinkHeader(b"\0" * 6, b"\0" * 6, b"\0" * 6),
            tuple(ProbeTemplate((p,) if p else ()) for p in PAYLOADS),
        )
        self.now = 0
        self.tickets = 0
        self.fates = np.zeros(1 << 12, np.uint8)
        self.starts: dict[int, int] = {}
        self.syns: dict[int, int] = {}
        self.frames: dict[int, int] = {}
        self.hosts: set[int] = set()
        self.segments = self.rows = 0

    def open(self, count: int) -> None:
        draw, rows = self.draw, np.zeros(count, TARGET)
        rows["line"] = rows["ticket"] = np.arange(self.tickets, self.tickets + count)
        self.tickets += count
        while len(self.fates) < self.tickets:
            self.fates = np.concatenate([self.fates, np.zeros_like(self.fates)])
        number = draw.integers(0, 20000, count).astype(np.uint64)
        six = draw.random(count) < 0.3
        for side, base in (("peer", 0x0A000000), ("own", 0x0B000000)):
            rows[f"{side}_hi"] = np.where(six, np.uint64(0xFD << 56 | base), np.uint64(0))
            rows[f"{side}_lo"] = np.where(six, np.uint64(7 << 40), np.uint64(V4_MAPPED | base))
        rows["peer_lo"] += number
        rows["peer_port"], rows["own_port"] = draw.integers(1, 4, count), draw.integers(40000, 40100, count)
        rows["syn"] = draw.integers(0, 3, count)
        rows["seq"], rows["ack"] = draw.integers(0, 2**32, (2, count), np.uint32)
        near = draw.random(count) < 0.3
        rows["seq"][near] = rows["ack"][near] = np.uint32(2**32 - 5)
        rows["window"] = draw.choice([0, 1, 64000], count, p=[0.05, 0.05, 0.9])
        self.hosts |= set((rows["peer_lo"] ^ rows["peer_hi"]).tolist())
        half_open = rows[rows["syn"] != Opening.OURS]
        for key in flow_key(half_open, self.config.secrets.index).tolist():
            self.starts[key] = self.starts.get(key, 0) + 1
        self.table.open(rows, self.now, self.now)

    def answer(self) -> None:
        """A batch from the wire: answers that are right or nearly, then mutated, cut, or trusted blindly."""
        draw = self.draw
        buffer, at, captured = self._wire(BATCH)
        checked = draw.random(BATCH) < 0.8
        ts = np.full(BATCH, self.now, np.uint64)
        rows, counts = parse(buffer, at, captured, ts, checked)
        if NATIVE is not None:
            with kernels_of("python"):
                plain, plain_counts = parse(buffer, at, captured, ts, checked)
            assert rows.tobytes() == plain.tobytes()
            assert counts.tolist() == plain_counts.tolist()
        assert len(rows) + counts.sum() == BATCH
        assert (rows["data_at"].astype(np.int64) + rows["data_len"] <= len(buffer)).all()
        self.segments += BATCH
        self.rows += len(rows)
        self.table.receive(rows, buffer, self.now)

    def _wire(self, count: int) -> tuple[Any, Any, Any]:
        draw, table = self.draw, self.table
        live = np.flatnonzero(table.rows["state"] != FlowState.FREE)
        flows = table.rows[draw.choice(live, count)]
        burst = np.zeros(count, FRAME)
        for ours, theirs in (("own", "peer"), ("peer", "own")):
            for name in ("hi", "lo", "port"):
                burst[f"{ours}_{name}"] = flows[f"{theirs}_{name}"]
        burst["flags"] = draw.choice(FLAGS, count)
        burst["probe"] = draw.integers(0, len(PAYLOADS), count)
        burst["probe"][burst["flags"] & SYN != 0] = 0
        offsets = np.array([0, 0, 0, 1, -1, 7, 60000, 2**31], np.int64)
        burst["seq"] = flows["rcv"] + draw.choice(offsets, count).astype(np.uint32)
        base = np.where(draw.random(count) < 0.5, flows["una"], flows["nxt"])
        burst["ack"] = base + draw.choice(
            offsets, count, p=[0.25, 0.25, 0.25, 0.05, 0.05, 0.05, 0.05, 0.05]
        ).astype(np.uint32)
        strange = draw.random(count) < 0.1
        burst["seq"][strange] = draw.integers(0, 2**32, int(strange.sum()), np.uint32)
        out = np.zeros((count, MAX_FRAME), np.uint8)
        lengths = np.zeros(count, np.int64)
        kinds = burst["probe"].astype(np.int64) * 2 + (burst["flags"] & SYN != 0)
        for kind in np.unique(kinds):
            chosen = np.flatnonzero(kinds == kind)
            block = np.zeros((len(chosen), MAX_FRAME), np.uint8)
            lengths[chosen] = self.peers.build(burst[chosen], block)
            out[chosen] = block
        for _ in range(3):
            mutated = np.flatnonzero(draw.random(count) < 0.25)
            where = ETHERNET + draw.integers(0, np.minimum(lengths[mutated] - ETHERNET, 100))
            out[mutated, where] = draw.integers(0, 256, len(mutated))
        noise = np.flatnonzero(draw.random(count) < 0.02)
        out[noise] = draw.integers(0, 256, (len(noise), MAX_FRAME))
        captured = lengths - ETHERNET
        cut = draw.random(count) < 0.1
        captured[cut] = draw.integers(0, captured[cut] + 1)
        return out.reshape(-1), np.arange(count, dtype=np.int64) * MAX_FRAME + ETHERNET, captured

    def collect(self) -> None:
        for burst in self.table.take_frames():
            if not len(burst):
                continue
            assert len(np.unique(burst["probe"])) == 1
            assert set((burst["peer_lo"] ^ burst["peer_hi"]).tolist()) <= self.hosts, (
                "a host nobody asked for"
            )
            keys = flow_key(burst, self.config.secrets.index).tolist()
            if burst["flags"][0] & SYN:
                assert (burst["flags"] == SYN).all()
                for key, seq in zip(keys, burst["seq"].tolist(), strict=True):
                    self.starts[key] = self.starts.get(key, 0) + (self.syns.get(key) != seq)
                    self.syns[key] = seq
            for key in keys:
                assert key in self.starts, "a connection nobody asked for"
                self.frames[key] = self.frames.get(key, 0) + 1
                assert self.frames[key] <= bound(self.config) * self.starts[key]
        rows, blob = self.table.take_outcomes()
        assert rows.dtype == OUTCOME
        assert len(blob) == rows["data_len"].sum()
        assert ((rows["data_len"] > 0) == (rows["reason"] == Reason.DATA)).all()
        final = rows["ticket"][rows["final"] != 0]
        assert not self.fates[final].any(), "a ticket has two fates"
        self.fates[final] += 1
        assert (self.fates[final] == 1).all()

    def wait(self, nanoseconds: int) -> None:
        self.now += nanoseconds
        self.table.expire(self.now)
        self.collect()

    def move(self) -> None:
        old = self.table
        self.table = FlowTable(self.config, capacity=16)
        for shard in range(self.config.shards):
            state = old.extract(shard)
            pieces = ShardFlows.held_of(*state.plain_held())
            self.table.adopt(ShardFlows(state.flows, state.armed, state.asked, pieces))

    def finish(self) -> None:
        while self.table.next_due is not None:
            self.wait(500 * MILLISECOND)
        assert self.table.in_flight == len(self.table.index) == 0
        assert (self.fates[: self.tickets] == 1).all(), "a ticket without a fate"


def test_segments() -> None:
    draw = np.random.default_rng(SEED)
    segments = rows = 0
    scan = Scan(draw)
    for turn in turns(0.6):
        if turn % 200 == 0:  # a new scan with other options
            scan.finish()
            segments, rows = segments + scan.segments, rows + scan.rows
            scan = Scan(draw, **PLANS[turn // 200 % len(PLANS)])
        if scan.table.in_flight < FLOWS:
            scan.open(FLOWS - scan.table.in_flight)
            scan.collect()
        if turn % 20 == 0:
            check_books(scan.table)
        if turn % 37 == 0:
            scan.move()
        if scan.table.in_flight:
            scan.answer()
        scan.collect()
        scan.wait(int(draw.integers(0, 40)) * MILLISECOND)
    scan.finish()
    segments, rows = segments + scan.segments, rows + scan.rows
    print(f"{segments} segments, {rows} of them well-formed")
    assert rows > segments / 10
    assert segments >= LEAST or SECONDS < 120


# --- inputs ---------------------------------------------------------------------------------------------

SEEDS: tuple[bytes, ...] = (
    LINE * 4,
    b"10.0.0.1:80\n10.0.0.2;443\r\n[2001:db8::1]:8080\n# note\n\n1.2.3.4:65535\n",
    BLOCK * 3,
    bytes(range(60)),
    b"\xef\xbb\xbf10.0.0.1:80\n" + b"x" * (LONGEST_LINE + 10) + b"\n10.0.0.1:81\n",
)
PREFIXES = b"10.0.0.0/8 # private\n192.0.2.0/24\n2001:db8::/32\n::1\n\n#\n255.255.255.255\n"
FILTER = b'success = 1 && (ttl >= 64 || fingerprint != "ht\\"tp") && !(saddr < 10.0.0.1) || ackingFirewall'
REPLIES = (
    b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n",
    b"220 x ESMTP\r\n",
    b"SSH-2.0-x\r\n",
    b"\x16\x03\x01\0\x31\x02",
    b"-ERR\r\n",
)
BREAKING = (b"-1", b"9" * 20, b"\0", b"\n", b'"', b"\\u0000", b"{}", b"::", b"\xff", b"1e9")


def mutate(rng: random.Random, seed: bytes) -> bytes:
    """A few edits: flips, cuts, repeats, splices, and the values that numbers break on."""
    data = bytearray(seed)
    for _ in range(rng.randint(0, 8)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randint(1, 12)]
        elif kind == 2:
            data[at:at] = data[max(0, at - rng.randint(1, 40)) : at]
        elif kind == 3:
            data[at:at] = rng.choice(BREAKING)
        elif kind == 4:
            data[at:at] = rng.randbytes(rng.randint(1, 8))
        else:
            other = rng.choice(SEEDS[:4])
            data[at : at + rng.randint(0, 30)] = other[rng.randrange(len(other)) :][: rng.randint(0, 60)]
    return bytes(data)


def test_target_readers() -> None:
    rng = random.Random(SEED)
    count = 0
    for turn in turns(0.2):
        text = mutate(rng, SEEDS[4] if turn % 100 == 0 else rng.choice(SEEDS[:4]))
        cuts = sorted(rng.randrange(len(text) + 1) for _ in range(rng.randint(0, 5)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        for make in READERS:
            batch = read(make(), pieces)
            one_fate_each(batch)
            with kernels_of("python"):
                same(batch, read(make(), pieces))
            count += 1
    print(f"{count} inputs")


def _refusing(function: Callable[[Any], object], *errors: type[Exception]) -> Callable[[bytes], None]:
    def attempt(data: bytes) -> None:
        with contextlib.suppress(*errors):
            function(data)

    return attempt


PARSERS: dict[str, tuple[tuple[bytes, ...], Callable[[bytes], None]]] = {
    "blocklist": ((PREFIXES,), _refusing(lambda data: Blocklist.parse(data.decode("latin-1")), ValueError)),
    "filter": ((FILTER,), _refusing(lambda data: record_filter(data.decode("latin-1")), ExpressionError)),
    "reply": (REPLIES, lambda data: str(identify(data))[:0] and None),
    "message": (
        tuple(bytes(part) for part in pack(messages.Outcomes(1, 2, np.zeros(1, OUTCOME), b"x"))),
        _refusing(lambda data: unpack([data, bytes(OUTCOME.itemsize), b"x"]), SchemaError),
    ),
}


@pytest.mark.parametrize("name", PARSERS)
def test_other_parsers(name: str) -> None:
    rng = random.Random(SEED)
    seeds, attempt = PARSERS[name]
    for _ in turns(0.2 / len(PARSERS)):
        attempt(mutate(rng, rng.choice(seeds)))
