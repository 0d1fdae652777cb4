"""Every hot function that has two bodies is compared somewhere, with both of them really run."""

from __future__ import annotations

import importlib
import itertools
import os
import pkgutil
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest

import lzr
import workers
from lzr import kernels
from lzr.fingerprint import applications, greetline, webreply
from lzr.flow import tcp
from lzr.layout import FRAME_SIZE, STATUS_SEND_REQUEST, STATUS_USER, STATUS_WRONG_FORMAT
from lzr.packet import ways
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import Builder, LinkHeader
from lzr.protocols import Identity
from lzr.records import summary
from lzr.records.encoders import JsonEncoder
from lzr.rows import ACK, FRAME, NO_PROBE, OUTCOME, TARGET, FlowState, Reason
from lzr.sweep.cookie import Cookies
from lzr.sweep.permutation import Permutation
from lzr.sweep.space import Space
from lzr.targets import dedup
from lzr.targets.lists import ListReader
from lzr.targets.zmap import ZmapReader
from tests import wire
from tests.rows import every_row
from tests.unit.lzr import test_kernels as compared
from tests.unit.lzr.targets.test_lists_targets import LINE, read, same
from tests.wire import kernels_of
from workers.flow import transmitrows
from workers.flow.ring import Arrivals, Ring

pytestmark = pytest.mark.native

for _top in (lzr, workers):
    for _found in pkgutil.walk_packages(_top.__path__, f"{_top.__name__}."):
        if not _found.name.endswith(("__main__", "_native")):
            importlib.import_module(_found.name)

RING = 16


def generations_and_pieces(seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows, _, slots = compared.related(draw, 20)
    for state in (None, FlowState.ACKED):

        def bumped(state: FlowState | None = state) -> Any:
            table = rows.copy()
            return tcp.bump(table, np.unique(slots), state).tolist(), table.tobytes()

        native, python = compared.both(bumped)
        assert native == python
    buffer = draw.bytes(1000)
    starts, lengths = draw.integers(0, 900, 9).astype(np.uint32), draw.integers(0, 100, 9).astype(np.uint32)
    native, python = compared.both(lambda: tcp.gather(buffer, starts, lengths))
    assert native == python
    assert len(native) == lengths.sum()


def entered_hashes(seed: int) -> None:
    keys = np.unique(np.random.default_rng(seed).integers(1, 2**64, 30, np.uint64))

    def entered() -> list[int]:
        table = np.zeros(64, np.uint64)
        dedup.enter(table, keys)
        return sorted(table[table != 0].tolist())

    native, python = compared.both(entered)
    assert native == python == keys.tolist()


class Memory:
    """What a ring maps, without a socket."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("ring")
        os.ftruncate(self._fd, 2 * RING * FRAME_SIZE)

    def fileno(self) -> int:
        return self._fd

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def rows_of_a_ring(seed: int) -> None:
    """Frames are filled in, counted and taken alike, whatever the rest of the ring holds."""
    draw = np.random.default_rng(seed)
    builder = Builder(LinkHeader(bytes(6), bytes(6), bytes(6)), (ProbeTemplate((b"GET /",)),))
    frames = compared.random_rows(draw, FRAME, RING)
    frames["probe"], frames["flags"] = NO_PROBE, ACK
    at, busy = int(draw.integers(0, RING)), int(draw.integers(0, RING))
    packets, starts = compared.packets(draw, RING - 2)

    def life() -> Any:
        positions = np.zeros(2, np.int64)
        with Memory() as memory:
            ring = Ring(memory, positions, (RING, RING))  # type: ignore[arg-type]
            ring.out._status[busy] = STATUS_SEND_REQUEST
            filled = transmitrows.fill(ring.out._flat, at, frames, builder)
            ring.out._status[busy] = STATUS_WRONG_FORMAT
            ring.out._filled, positions[1] = RING - 1, at
            unsent = ring.out._unsent()
            for row, (start, stop) in enumerate(itertools.pairwise(starts)):
                size = int(stop - start)
                ring._rows[row, :24].view(np.uint32)[:] = STATUS_USER, size, size, 0, row, row
                ring._rows[row, :24].view(np.uint16)[6:8] = 66, 66
                ring._rows[row, 66 : 66 + size] = packets[start:stop]
            arrivals = Arrivals(RING)
            taken = arrivals.take(ring._flat, 0, RING)
            told = [part.tobytes() for part in (ring.out._rows, arrivals.segments, arrivals.faults)]
            told.append(arrivals.payloads[: arrivals._used].tobytes())
            del ring
        return filled, unsent, taken, told

    native, python = compared.both(life)
    assert native[:3] == python[:3]
    assert native[3] == python[3]
    assert native[2][0] == RING - 2


def parts_of_a_burst(seed: int) -> None:
    """The same frames are placed, offered and left, wherever the kernel stops."""
    draw = np.random.default_rng(seed)
    builder = Builder(LinkHeader(bytes(6), bytes(6), bytes(6)), (ProbeTemplate((b"GET /",)),))
    burst = compared.random_rows(draw, FRAME, 3 * RING)
    burst["probe"], burst["flags"] = NO_PROBE, ACK
    ends = np.sort(draw.integers(0, len(burst) + 1, 7))
    begin, stop = int(draw.integers(0, RING)), int(draw.integers(0, 9))

    def life() -> Any:
        rows, position, offered = np.zeros((RING, FRAME_SIZE), np.uint8), np.array([begin]), list[bytes]()

        def take() -> None:
            offered.append(rows.tobytes())
            if len(offered) == stop:
                raise OSError
            rows.view(np.uint32)[:, 0] = 0

        found = transmitrows.spread(
            rows.reshape(-1), position, burst, builder, (ends, np.zeros(7, np.int64)), take
        )
        return found, position.tolist(), offered, rows.tobytes()

    native, python = compared.both(life)
    assert native == python


def texts(_: int) -> None:
    heading = b"saddr,daddr,sport,dport,seqnum,acknum,window\n10.0.0.1,10.0.0.2,80,40000,1,2,3\n"
    for make, text in ((ZmapReader, LINE), (ZmapReader, heading), (ListReader, b"10.0.0.1:80\n[::1]:5\n")):
        native, python = compared.both(lambda make=make, text=text: read(make(), [text]))  # type: ignore[misc]
        same(native, python)
        assert len(native.rows)


def records(seed: int) -> None:
    rows = compared.random_rows(np.random.default_rng(seed), OUTCOME, 5)
    rows["data_len"], rows["record"] = 3, 1
    native, python = compared.both(lambda: JsonEncoder().encode(rows, b"abc" * 5, ["http"] * 5))
    assert native == python


def drawn(test: Any, *more: Any) -> Callable[[int], None]:
    """A property of `test_kernels` with a seed, and what else it takes."""
    return lambda seed: test.hypothesis.inner_test(seed, *more)


def ways_out(seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows = compared.random_rows(draw, TARGET, 50)
    starts = [int(row["peer_hi"]) << 64 | int(row["peer_lo"]) for row in rows[:20]]
    table = ways.make(starts, lambda first, last: ways.Way(first % 3), ways.Way(ways.WayKind.RING))
    native, python = compared.both(lambda: table.of(rows))
    assert np.array_equal(native, python)


def sweeps(seed: int) -> None:
    """Pairs by number, elements of a permutation, both ways; source ports and ISNs."""
    draw = np.random.default_rng(seed)
    firsts = np.sort(draw.integers(0, 1 << 40, 30)).tolist()
    sizes = draw.integers(1, 1 << 20, 30).tolist()
    ranges = [(first, first + size) for first, size in zip(firsts, sizes, strict=True)]
    space = Space(ranges, [(80, 90), (443, 443)])
    order = Permutation.of(space.pairs, (seed, 5))
    rows = compared.random_rows(draw, FRAME, 50)
    moved = draw.integers(0, 2, 50).astype(np.uint64) << np.uint64(18)
    cookies = Cookies((seed, 6), int(draw.integers(0, 1 << 62)), (seed % 60000, 61000))

    def found() -> Any:
        placed = np.zeros(50, FRAME)
        numbers = order.take(seed % 100, 7, 50)
        space.place(numbers, placed)
        around = placed.copy()  # pairs of the space, and some beside it
        around["peer_lo"] += moved
        around["peer_port"][::5] += 1
        around["peer_hi"][::7] = 1
        back, inside = space.numbers(around)
        ports, isns = cookies.expected(rows)
        both_ways = order.places(numbers).tolist(), back.tolist(), inside.tolist()
        return numbers.tolist(), placed.tobytes(), *both_ways, ports.tolist(), isns.tolist()

    native, python = compared.both(found)
    assert native == python


def tallies(seed: int) -> None:
    rows = compared.random_rows(np.random.default_rng(seed), OUTCOME, 200)
    rows["record"][: seed % 200] = 1
    rows["reason"][::2] %= len(Reason.NAMES)
    rows["firewall"][::3] = 0
    rows["final"] %= 2
    rows["window"][::4] = rows["data_len"][::3] = rows["record"][::5] = 0
    for some in (rows, rows[::2], rows[:0]):
        native, python = compared.both(lambda some=some: summary.tally(some))  # type: ignore[misc]
        assert native == python


@pytest.mark.parametrize("seed", range(20))
def test_counts_of_rows(seed: int) -> None:
    tallies(seed)


def web_replies(_: int) -> None:
    for data in (
        b"HTTP/1.1 200 OK\r\nServer: consul\r\n\r\n",
        b"HTTP/1.1 400 x\r\n\r\nHTTPS",
        b"SSH-2.0-x\r\n",
    ):
        native, python = compared.both(lambda data=data: (webreply.identity(data), applications.read(data)))  # type: ignore[misc]
        assert native == python


def web_batches(_: int) -> None:
    rows = np.zeros(3, OUTCOME)
    page = b"HTTP/1.1 200 OK\r\nServer: a/1\r\n\r\n"
    rows["data_len"] = len(page), 0, 5

    def told() -> Any:
        names = [Identity("unknown")] * 3
        return webreply.batch(rows, page + b"SSH-2", ((0, b"GET "),), 16, names), names

    native, python = compared.both(told)
    assert native == python
    assert native[0] == ([(2, len(page))], {(0, "http"): 1})


def greetings(_: int) -> None:
    reply = b"220 mx.example.com ESMTP Postfix 3.8\r\n"
    rows = np.zeros(2, OUTCOME)
    rows["data_len"] = len(reply), 5

    def told() -> Any:
        names = [Identity("unknown")] * 2
        left = [(0, 0), (1, len(reply))]
        return (
            greetline.of_line(reply),
            greetline.lines(rows, reply + b"220 x", left, ((0, b"GET "),), 4, names),
            names,
        )

    native, python = compared.both(told)
    assert native == python
    assert native[0] == Identity("smtp", "", "Postfix", "3.8")
    assert native[1] == ([(1, len(reply))], {(0, "smtp"): 1})


COMPARED: dict[str, Callable[[int], None]] = {
    "make_index": drawn(compared.test_whole_traces),
    "flow_hash": drawn(compared.test_hashes, TARGET, 9),
    "flow_key": drawn(compared.test_hashes, TARGET, 9),
    "siphash": drawn(compared.test_hashes, TARGET, 9),
    "ProbeTemplate.lengths": drawn(compared.test_frames, 9),
    "Builder.build": drawn(compared.test_frames, 9),
    "parse": drawn(compared.test_packets),
    "step": drawn(compared.test_a_round, 30),
    "due": drawn(compared.test_rows, 20),
    "outcome_rows": drawn(compared.test_rows, 20),
    "open_rows": drawn(compared.test_acts, 20),
    "finish": drawn(compared.test_acts, 20),
    "send": drawn(compared.test_sent_and_taken, 20),
    "take_data": drawn(compared.test_sent_and_taken, 20),
    "bump": generations_and_pieces,
    "gather": generations_and_pieces,
    "JsonEncoder._lines": records,
    "zmap_json": texts,
    "zmap_csv": texts,
    "listed": texts,
    "remember": drawn(compared.test_recent_targets, 7),
    "enter": entered_hashes,
    "lookup": ways_out,
    "screen": drawn(compared.test_on_the_way_in, 20, 3),
    "overview": drawn(compared.test_on_the_way_in, 20, 3),
    "group": drawn(compared.test_on_the_way_in, 20, 3),
    "Space.place": sweeps,
    "Space.numbers": sweeps,
    "Permutation.take": sweeps,
    "Permutation.places": sweeps,
    "Cookies.expected": sweeps,
    "Arrivals.take": rows_of_a_ring,
    "fill": rows_of_a_ring,
    "unsent": rows_of_a_ring,
    "spread": parts_of_a_burst,
    "identity": web_replies,
    "batch": web_batches,
    "of_line": greetings,
    "lines": greetings,
    "tally": tallies,
    "read": web_replies,
}
"""A hot function -> a test that asks both bodies for the same."""


def test_what_is_found_while_patched_holds_afterwards() -> None:
    """`wire` remembers where the bodies are; asked first inside a patch, it must find them too."""
    wire._places.cache_clear()
    with kernels_of("python"), kernels_of("python"):
        wire._places.cache_clear()
        inside = {(place[0], place[1]) for place in wire._places(len(sys.modules))}
    wire._places.cache_clear()
    assert inside == {(place[0], place[1]) for place in wire._places(len(sys.modules))}
    assert inside


def test_each_pair_has_a_comparison() -> None:
    assert sorted(pair.python.__qualname__ for pair in kernels.PAIRS) == sorted(COMPARED)


@every_row(kernels.PAIRS, lambda pair: pair.python.__qualname__)
def test_the_comparison_runs_both_bodies(pair: kernels.Pair) -> None:
    run: set[CodeType] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        run.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        COMPARED[pair.python.__qualname__](3)
    finally:
        sys.setprofile(before)
    assert pair.python.__code__ in run
    assert pair.native.__code__ in run
