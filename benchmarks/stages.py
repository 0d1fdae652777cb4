"""What each stage costs, alone: µs of processor time per flow, in large batches and in small ones.

    python -m benchmarks.stages [--rounds 40]

The same flows go through all of them: a ZMap line is read and admitted, its target travels to a worker, is
opened, its ACK with the HTTP request is built; the answer is taken from a ring and acted upon, the outcome
travels to the collector, is identified and written as JSON. No socket of the network is touched; the hop
is a real ZeroMQ one, over ipc. The median round is printed. In small batches the code is warm here; between
two turns of a scan that has little to do it is not, and costs several times as much.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import zmq

from coordinator.input.intake import Intake
from lzr.flow.config import FlowConfig
from lzr.flow.table import FlowTable
from lzr.ipc import messages, packing
from lzr.ipc.schema import Message
from lzr.kernels import NATIVE
from lzr.layout import FRAME_SIZE
from lzr.options.table import Options
from lzr.ownership.ledger import Ledger
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import Builder, LinkHeader
from lzr.protocols import handshake
from lzr.rows import ACK, FRAME, PSH
from lzr.targets.zmap import ZmapReader
from workers.collect.label import Labeller
from workers.flow.ring import Arrivals

BATCHES = (2048, 64, 8)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Type: text/html\r\nContent-Length: 615\r\n\r\n" * 2
)
_READY = 1 | 1 << 7  # TP_STATUS_USER, TP_STATUS_CSUM_VALID (linux/if_packet.h)
_HEADERS, _LINK = 32, 14
LINE = (
    '{{ "saddr": "10.{}.{}.{}", "daddr": "10.1.0.2", "sport": 80, "dport": 40000, "seqnum": 7,'
    ' "acknum": 9, "window": 29200 }}\n'
)


class Hop:
    """One message from a PUSH to a PULL, over ipc, as between two of our processes."""

    def __init__(self, directory: str) -> None:
        self._context: zmq.Context[Any] = zmq.Context()
        self._push, self._pull = self._context.socket(zmq.PUSH), self._context.socket(zmq.PULL)
        self._pull.bind(f"ipc://{directory}/hop")
        self._push.connect(f"ipc://{directory}/hop")

    def __call__(self, message: Message) -> Message:
        self._push.send_multipart(packing.pack(message))
        return packing.unpack(self._pull.recv_multipart()).message

    def close(self) -> None:
        self._context.destroy(linger=0)


def ring_of(builder: Builder, frames: Any) -> Any:
    """The answers to FRAME rows as a receive ring holds them: (n * 2048,) uint8, TPACKET_V2."""
    ring = np.zeros((len(frames), FRAME_SIZE), np.uint8)
    wire = np.zeros((len(frames), FRAME_SIZE - _HEADERS), np.uint8)
    lengths = builder.build(frames, wire)
    ring[:, _HEADERS:] = wire
    words, halves = ring.view(np.uint32), ring.view(np.uint16)
    words[:, 0] = _READY
    words[:, 1] = words[:, 2] = lengths
    halves[:, 6], halves[:, 7] = _HEADERS, _HEADERS + _LINK
    return ring.reshape(-1)


def answers(sent: Any) -> Any:
    """FRAME rows of the peers: each answers with data to what it was sent."""
    frames = np.zeros(len(sent), FRAME)
    for ours, theirs in (("own", "peer"), ("peer", "own")):
        for part in ("hi", "lo", "port"):
            frames[f"{ours}_{part}"] = sent[f"{theirs}_{part}"]
    frames["seq"], frames["flags"] = sent["ack"], ACK | PSH
    frames["ack"] = sent["seq"] + np.uint32(1)
    return frames


def one_round(size: int, first: int, hop: Hop, spent: dict[str, list[float]]) -> None:
    """`size` flows, the first of them number `first`, through all stages."""

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        start = time.process_time_ns()
        result = work()
        spent[stage].append((time.process_time_ns() - start) / size / 1000)
        return result

    probe = ProbeTemplate(handshake("http").parts)
    builder = Builder(LinkHeader(bytes(6), bytes(6), bytes(6)), (probe,))
    peers = Builder(LinkHeader(bytes(6), bytes(6), bytes(6)), (ProbeTemplate((ANSWER,)),))
    config, numbers = FlowConfig((probe,)), range(first, first + size)
    text = "".join(LINE.format(n >> 16 & 255, n >> 8 & 255, n & 255) for n in numbers).encode()
    reader = ZmapReader()
    timed("read a line", lambda: reader.feed(text))
    intake, ledger = _INTAKE
    timed("read, admit", lambda: intake.feed(text))
    targets = intake.take(size)
    assert targets is not None

    def place() -> None:
        ledger.enter_by_owner(targets, 1, _OWNERS)
        ledger.give(targets)

    timed("choose a shard", place)
    targets = timed("hop to a worker", lambda: hop(messages.Targets(targets))).rows
    table = _TABLES.setdefault(size, FlowTable(config))
    timed("open", lambda: table.open(targets, 0, 0))
    (sent,) = table.take_frames()
    memory = _MEMORY[:size]
    timed("build a frame", lambda: builder.build(sent, memory))
    ring, arrivals = ring_of(peers, answers(sent)), _ARRIVALS
    arrivals.clear()
    timed("take a frame", lambda: arrivals.take(ring, 0, size))
    timed("act on data", lambda: table.receive(arrivals.segments, arrivals.payloads, 0))
    (closing,) = table.take_frames()
    timed("build a RST", lambda: builder.build(closing, memory))
    rows, payloads = table.take_outcomes()
    assert len(rows) == size
    message = timed("hop of outcomes", lambda: hop(messages.Outcomes(1, 1, rows, payloads)))
    rows, payloads = message.rows, message.payloads
    block = timed("identify, write", lambda: _MAKER.make(rows, payloads.tobytes()))
    assert block.lines[0].count(b'"http"') == size
    timed("settle", lambda: ledger.settle(block.tickets))


_LEDGER = Ledger()
_INTAKE = Intake(ZmapReader(), _LEDGER), _LEDGER
_OWNERS = np.arange(8, dtype=np.uint16) % 2 + 1
_ARRIVALS = Arrivals(2 * max(BATCHES), FRAME_SIZE * max(BATCHES))
_MEMORY = np.ones((max(BATCHES), 1514), np.uint8)
_MAKER = Labeller(Options(), ["json"])
_TABLES: dict[int, FlowTable] = {}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="stages", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args(argv)
    columns: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as directory:
        hop, first = Hop(directory), 0
        for size in BATCHES:
            spent: dict[str, list[float]] = defaultdict(list)
            for _ in range(options.rounds):
                one_round(size, first, hop, spent)
                first += size
            columns.append({stage: statistics.median(found) for stage, found in spent.items()})
        hop.close()
    print(f"{'µs a flow, in batches of':<26}" + "".join(f"{size:>8}" for size in BATCHES), end="")
    print("" if NATIVE is not None else "   without the C kernels")
    for stage in columns[0]:
        print(f"{stage:<26}" + "".join(f"{column[stage]:8.2f}" for column in columns))
    return 0


if __name__ == "__main__":
    sys.exit(main())
