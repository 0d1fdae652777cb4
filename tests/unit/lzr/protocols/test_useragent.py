"""Who we say we are: in every probe that can say it, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

from lzr.fingerprint.classifier import Classifier
from lzr.ipc.job import Job
from lzr.options.table import Options
from lzr.packet.payloads import ProbeTemplate
from lzr.protocols import PROTOCOLS, Protocol, handshake
from lzr.protocols._useragent import USER_AGENT, carries
from tests.unit.lzr.packet.test_payloads import rendered, rows_for
from tests.unit.lzr.protocols.test_catalogue import render

AGENT = "example-scan/1.0 (+https://scan.example.org)"
CARRY = [protocol for protocol in PROTOCOLS if carries(protocol)]


def test_who_carries_it() -> None:
    assert {protocol.name for protocol in CARRY} == {
        "http", "ipp", "websocket", "elasticsearch-transport", "rtsp", "sip", "icap",
    }  # fmt: skip
    for protocol in PROTOCOLS:
        said = any(USER_AGENT in part for part in protocol.parts if isinstance(part, bytes))
        assert said == (protocol.name in ("http", "ipp")), "the reference's two"
        assert protocol in CARRY or handshake(protocol.name, AGENT) is protocol


@pytest.mark.parametrize("protocol", CARRY, ids=lambda p: p.name)
@pytest.mark.parametrize("agent", [AGENT, "é", "x" * 256])
def test_it_stands_there_once_and_in_the_head(protocol: Protocol, agent: str) -> None:
    before, after = render(protocol), render(handshake(protocol.name, agent))
    line = b"\r\nUser-Agent: " + agent.encode("latin-1") + b"\r\n"
    assert after.partition(b"\r\n\r\n")[0].count(line[:-2]) == 1
    assert b"Firefox" not in after
    assert after.lower().count(b"user-agent:") == 1
    assert after.partition(b"\r\n\r\n")[2] == before.partition(b"\r\n\r\n")[2], "the body is the same"
    assert after.replace(line, b"\r\n") == before.replace(b"\r\nUser-Agent: " + USER_AGENT, b"")
    assert len(after) <= 1200


@pytest.mark.parametrize("protocol", CARRY, ids=lambda p: p.name)
def test_our_own_probe_come_back_is_an_echo_still(protocol: Protocol) -> None:
    sent = handshake(protocol.name, AGENT)
    classifier = Classifier()
    assert classifier.classify(render(sent), sent) == "echo"
    for end in range(16, len(render(sent))):
        assert classifier.classify(render(sent)[:end], sent) in ("echo", protocol.name)
    for example in protocol.examples:
        assert classifier.classify(example, sent) == protocol.name


@pytest.mark.parametrize("protocol", CARRY, ids=lambda p: p.name)
def test_both_kernels_send_it(protocol: Protocol) -> None:
    to = [("192.0.2.7", 8080), ("2001:db8::7", 80), ("198.51.100.77", 80)]
    sent = handshake(protocol.name, AGENT)
    template = ProbeTemplate(sent.parts)
    rows = rows_for(to)
    found = rendered(template, rows)
    assert found[0] == render(sent)
    lengths = template.lengths(rows)
    assert lengths.tolist() == [len(data) for data in found]
    assert AGENT.encode() in template.program, "which the native kernel writes frames by"
    assert np.asarray(lengths).max() < 1200


def test_a_worker_sends_it_and_a_collector_knows_it() -> None:
    options = Options(handshakes=("http", "tls"), user_agent=AGENT)
    job = Job(options, "", 1, b"", b"", b"", (40000, 40001), (1, 1), 1, 1)
    assert job.flow_config().probes[0].parts == handshake("http", AGENT).parts
    assert job.flow_config().probes[1].parts == handshake("tls").parts
    from workers.collect.label import Labeller

    assert Labeller(options, ["json"])._sent[0].parts == handshake("http", AGENT).parts
