"""`--user-agent` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.lab.net import Lab
from tests.lab.scan import LZR
from tests.unit.lzr.protocols.test_useragent import AGENT

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
@pytest.mark.root
def test_a_server_reads_who_we_are() -> None:
    """From the command line to the wire, with another tool's name for the first handshake."""
    with Lab() as lab:
        scanner, far = lab.namespace("scan"), lab.namespace("far")
        lab.link(scanner, far, a_addresses=["10.1.0.2/24"], b_addresses=["10.1.0.9/24"])
        heard = lab.directory / "heard"
        server = far.popen(sys.executable, "-c", SERVER, heard, stdout=subprocess.PIPE)
        assert server.stdout is not None
        assert server.stdout.readline().strip() in (b"up", "up")
        words = ("-sendSYNs", "-handshakes", "https,http,https", "--user-agent", AGENT, "-t", "6", "-f", "-")
        done = scanner.run(LZR, *words, input="10.1.0.9:8080\n")
        asked = heard.read_bytes()
    record = json.loads(done.stdout)
    assert (record["fingerprint"], record["HandshakeNum"]) == ("http", 1)
    assert b"\r\nUser-Agent: " + AGENT.encode() + b"\r\n" in asked
    assert b"Firefox" not in asked
    assert "handshakes: https is tls here" in done.stderr
    assert "handshakes: tls is asked once" in done.stderr
    assert "--handshakes=tls,http" in done.stderr
