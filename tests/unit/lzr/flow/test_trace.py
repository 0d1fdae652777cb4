"""-d: every step is told, and telling changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lzr import addresses
from lzr.flow import trace
from lzr.flow.config import FlowConfig
from lzr.flow.table import FlowTable
from lzr.packet.payloads import ProbeTemplate
from lzr.rows import ACK, PSH, SEGMENT, SYN, TARGET

PEER, OWN = addresses.parse("2001:db8::1"), addresses.parse("2001:db8::2")


def play(table: FlowTable) -> list[object]:
    """A flow that is opened and answered; everything that comes out."""
    target = np.zeros(1, TARGET)
    target["peer_hi"], target["peer_lo"] = PEER
    target["own_hi"], target["own_lo"] = OWN
    target["peer_port"], target["own_port"], target["syn"] = 22, 40000, 1
    table.open(target, 0)
    (syn,) = table.take_frames()
    segment = np.zeros(1, SEGMENT)
    for name in ("peer_hi", "peer_lo", "own_hi", "own_lo", "peer_port", "own_port"):
        segment[name] = target[name]
    segment["seq"], segment["ack"], segment["flags"], segment["window"] = 9, syn["seq"] + 1, SYN | ACK, 100
    table.receive(segment, b"", 1)
    (ack,) = table.take_frames()
    banner = b"SSH-2.0-x\r\n"
    segment["seq"], segment["flags"], segment["data_len"] = 10, ACK | PSH, len(banner)
    table.receive(segment, banner, 2)
    rst = table.take_frames()
    rows, payloads = table.take_outcomes()
    return [syn.tobytes(), ack.tobytes(), *[burst.tobytes() for burst in rst], rows.tobytes(), payloads]


def test_a_flow_from_its_line_to_its_fate() -> None:
    told: list[str] = []

    def tell(lines: Iterator[str]) -> None:
        told.extend(lines)

    config = FlowConfig(probes=(ProbeTemplate((b"hello",)),))
    traced = play(trace.Traced(config, ("ssh",), tell))
    assert traced == play(FlowTable(config))
    flow = "[2001:db8::1]:22 from [2001:db8::2]:40000"
    assert all(line.startswith(flow) for line in told)
    steps = [line.removeprefix(flow + " ") for line in told]
    assert [step[:2] for step in steps] == ["++", "->", "<-", "->", "<-", "->", "=="]
    assert steps[0] == "++ line 1, to be opened"
    assert steps[1].startswith("-> SYN seq")
    assert steps[3].endswith("carrying ssh")
    assert steps[4].startswith("<- PSH ACK seq 10")
    assert steps[4].endswith(", 11 bytes")
    assert steps[6] == "== data, handshake ssh, 11 bytes"


def test_flags_have_names() -> None:
    assert [trace.flags(value) for value in (0, 2, 18, 25)] == ["no flags", "SYN", "SYN ACK", "FIN PSH ACK"]
