"""What a flow costs does not grow with how many there are, in memory nor in time. Ratios, with much room."""

from __future__ import annotations

import resource
import time

import numpy as np
import pytest

from lzr.flow.config import FlowConfig
from lzr.flow.table import FlowTable
from lzr.packet.payloads import ProbeTemplate
from lzr.rows import ACK, PSH, SEGMENT, TARGET, V4_MAPPED
from lzr.secrets import Secrets

BATCH = 1000
REPLY = np.frombuffer(b"SSH-2.0-x\r\n", np.uint8)


class Life:
    """A table through which flows pass."""

    def __init__(self) -> None:
        self.table = FlowTable(FlowConfig(probes=(ProbeTemplate((b"hello",)),), secrets=Secrets.derive(7)))
        self.begun = 0

    def begin(self, count: int) -> np.ndarray:
        rows = np.zeros(count, TARGET)
        rows["line"] = np.arange(self.begun, self.begun + count)
        rows["peer_lo"], rows["own_lo"] = V4_MAPPED | rows["line"], V4_MAPPED | np.uint64(1)
        rows["seq"], rows["ack"], rows["window"], rows["peer_port"] = 5, 9, 1000, 80
        self.begun += count
        self.table.open(rows, 0, 0)
        self.table.take_frames()
        return rows

    def answer(self, rows: np.ndarray) -> None:
        found = np.zeros(len(rows), SEGMENT)
        for name in ("peer_lo", "own_lo", "peer_port", "own_port"):
            found[name] = rows[name]
        found["seq"], found["ack"], found["flags"], found["data_len"] = 6, 14, ACK | PSH, len(REPLY)
        self.table.receive(found, REPLY, 0)
        self.table.take_frames()
        assert len(self.table.take_outcomes()[0]) == len(rows)

    def pass_through(self, batches: int) -> float:
        """Processor seconds a flow."""
        start = time.process_time()
        for _ in range(batches):
            self.answer(self.begin(BATCH))
        return (time.process_time() - start) / batches / BATCH


@pytest.mark.native
def test_time_does_not_grow_with_what_is_in_flight() -> None:
    few, many = Life(), Life()
    few.begin(1000)
    for _ in range(300):
        many.begin(BATCH)
    few.pass_through(5)
    many.pass_through(5)
    # Paired, so that whatever else runs here disturbs both.
    ratios = sorted(many.pass_through(10) / few.pass_through(10) for _ in range(7))
    assert ratios[3] < 3


@pytest.mark.native
def test_memory_of_a_flow_in_flight() -> None:
    life = Life()
    life.begin(BATCH)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = 300
    for _ in range(count):
        life.begin(BATCH)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert grown / (count * BATCH) < 400  # with what growing takes for a moment


def test_flows_that_pass_leave_nothing() -> None:
    life = Life()
    life.pass_through(20)
    size = len(life.table.rows)
    life.pass_through(50)
    assert len(life.table.rows) == size
    assert life.table.in_flight == len(life.table.index) == 0
