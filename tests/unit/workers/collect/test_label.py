"""A batch of outcomes into lines and counts."""

from __future__ import annotations

import numpy as np
import pytest

from lzr.options.parse import parse
from lzr.rows import ACK, OUTCOME, RST, SYN, V4_MAPPED, Reason
from workers.collect.label import Labeller


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


@pytest.mark.parametrize("words", ["-sendSYNs", "-p 80 192.0.2.0/24"])
def test_everybody_has_a_record(words: str) -> None:
    """Of a sweep come those who have answered, also if they do not when they are asked again."""
    options = parse([*words.split(), "--handshakes", "http,tls"])
    block = Labeller(options, ["json"]).make(outcomes(), b"abcd")
    assert len(block.lines[0].splitlines()) == 5
    assert block.counts.summary.reasons == {"data": 1, "no_syn_ack": 2, "rst": 2}
    assert block.counts.summary.counters["TotalResponses"] == 5


@pytest.mark.parametrize("left_out", [0, 1])
def test_labels_are_counted_of_what_is_recorded(left_out: int) -> None:
    rows = outcomes()
    rows["record"][4] = 1 - left_out
    block = Labeller(parse(["--handshakes", "http,tls"]), ["json"]).make(rows, b"SSH-")
    assert sum(block.counts.summary.fingerprints.values()) == 5 - left_out
    assert block.counts.summary.fingerprints == {"unknown": 5 - left_out}
    rows["data_len"][0] = 23
    block = Labeller(parse(["--handshakes", "http,tls"]), ["json"]).make(rows, b"SSH-2.0-OpenSSH_9.2p1\r\n")
    assert block.counts.summary.fingerprints == {"unknown": 4 - left_out, "ssh": 1}


def test_a_port_scan_shows_what_is_open_on_a_terminal() -> None:
    rows = outcomes()[:3]
    rows["reason"], rows["data_len"] = [Reason.SA_ONLY, Reason.NO_SYN_ACK, Reason.SA_ONLY], 0
    rows["peer_port"] = [22, 23, 443]
    options = parse(["-p", "22,23,443", "192.0.2.0/24", "-handshakes", "none"])
    counts = Labeller(options, ["json"], findings=True).make(rows, b"").counts
    assert counts.findings == [("192.0.2.0", 22, "open", "", ""), ("192.0.2.2", 443, "open", "", "")]
    assert counts.summary.reasons == {"sa_only": 2, "no_syn_ack": 1}
