"""Outcomes of a sweep: who answered has a record, the rest are counted for what came of them."""

from __future__ import annotations

import json

import numpy as np

from lzr.options.parse import parse
from lzr.rows import ACK, OUTCOME, RST, SYN, V4_MAPPED, Reason
from workers.collect.label import BlockMaker


def outcomes() -> np.ndarray:
    """Data, silence to a SYN, a RST to one (seq 0), a RST to our data, a second handshake without SYN-ACK."""
    rows = np.zeros(5, OUTCOME)
    rows["peer_lo"], rows["own_lo"] = V4_MAPPED | 0xC0000200 + np.arange(5), V4_MAPPED | 1
    rows["ticket"], rows["final"], rows["record"], rows["seq"] = np.arange(5), 1, 1, 77
    rows["reason"] = [Reason.DATA, Reason.NO_SYN_ACK, Reason.RST, Reason.RST, Reason.NO_SYN_ACK]
    rows["flags"] = [ACK, 0, RST | ACK, RST | ACK, SYN | ACK]
    rows["seq"][2] = 0
    rows["handshake"][4] = 1
    rows["data_len"][0] = 4
    return rows


def test_of_a_sweep_only_who_answered_is_recorded_and_all_are_counted() -> None:
    options = parse(["-p", "80", "192.0.2.0/24", "--handshakes", "http,tls"])
    block = BlockMaker(options, ["json"]).make(outcomes(), b"abcd")
    found = [json.loads(line)["saddr"] for line in block.lines[0].splitlines()]
    assert found == ["192.0.2.0", "192.0.2.3", "192.0.2.4"]
    summary = block.counts.summary
    assert summary.reasons == {"data": 1, "no_syn_ack": 2, "refused": 1, "rst": 1}
    assert summary.resolved == 5
    assert summary.counters["TotalResponses"] == 3
    assert sum(summary.fingerprints.values()) == 3
    assert block.tickets.tolist() == [0, 1, 2, 3, 4]


def test_of_a_list_everybody_has_a_record() -> None:
    options = parse(["-sendSYNs", "--handshakes", "http,tls"])
    block = BlockMaker(options, ["json"]).make(outcomes(), b"abcd")
    assert len(block.lines[0].splitlines()) == 5
    assert block.counts.summary.reasons == {"data": 1, "no_syn_ack": 2, "rst": 2}
    assert block.counts.summary.counters["TotalResponses"] == 5
