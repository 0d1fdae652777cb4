"""Who we say we are: in every probe that can say it, and nothing else changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from lzr.fingerprint import Classifier
from lzr.job import Job
from lzr.options.table import Options
from lzr.packet.payloads import ProbeTemplate
from lzr.protocols import PROTOCOLS, Protocol, handshake
from lzr.protocols._useragent import USER_AGENT, carries
from tests.lab.net import Lab
from tests.lab.scan import LZR
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
    assert job.plan().probes[0].parts == handshake("http", AGENT).parts
    assert job.plan().probes[1].parts == handshake("tls").parts
    from workers.collect.label import BlockMaker

    assert BlockMaker(options, ["json"])._sent[0].parts == handshake("http", AGENT).parts


SERVER = """
import socket, sys
server = socket.create_server(("10.1.0.9", 8080))
print("up", flush=True)
with open(sys.argv[1], "wb") as file:
    while True:
        peer, _ = server.accept()
        asked = peer.recv(4096)
        file.write(asked + b"\\n")
        file.flush()
        if asked.startswith(b"GET"):
            peer.sendall(b"HTTP/1.1 200 OK\\r\\nServer: x/1\\r\\n\\r\\n")
        peer.close()
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root and network namespaces")
def test_a_server_reads_who_we_are() -> None:
    """From the command line to the wire, with another tool's name for the first handshake."""
    with Lab() as lab:
        scanner, far = lab.namespace("scan"), lab.namespace("far")
        lab.link(scanner, far, a_addresses=["10.1.0.2/24"], b_addresses=["10.1.0.9/24"])
        heard = lab.directory / "heard"
        server = far.popen(sys.executable, "-c", SERVER, heard, stdout=subprocess.PIPE)
        assert server.stdout is not None
        assert server.stdout.readline().strip() in (b"up", "up")
        words = ("-sendSYNs", "-handshakes", "https,http,https", "--user-agent", AGENT, "-t", "1", "-f", "-")
        done = scanner.run(LZR, *words, input="10.1.0.9:8080\n")
        asked = heard.read_bytes()
    record = json.loads(done.stdout)
    assert (record["fingerprint"], record["HandshakeNum"]) == ("http", 1)
    assert b"\r\nUser-Agent: " + AGENT.encode() + b"\r\n" in asked
    assert b"Firefox" not in asked
    assert "handshakes: https is tls here" in done.stderr
    assert "handshakes: tls is asked once" in done.stderr
    assert "--handshakes=tls,http" in done.stderr
