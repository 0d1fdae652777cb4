"""`--enrich` in whole scans: as root, in namespaces, by workers that can open no file."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lzr.records.fields import DEFAULT, ENRICHED
from tests.lab.net import Lab, Namespace
from tests.lab.scan import LZR

pytestmark = pytest.mark.root

SERVER = r"""
import socket, threading
ANSWERS = {
    8001: b"HTTP/1.1 200 OK\r\nServer: Apache/2.4.29 (Ubuntu)\r\n\r\n",
    8002: b"HTTP/1.1 401 No\r\nServer: =cmd|,\x1b[2J\"Boa\r\nSet-Cookie: PHPSESSID=1\r\n\r\n",
    8003: b"HTTP/1.1 200 OK\r\nServer: " + b"Linux/" * 80 + b" UPnP/1.0 miniupnpd/\xff\x00\r\n\r\n",
    8004: b"not known at all\r\n",
}
def serve(port, answer):
    server = socket.create_server(("10.1.0.9", port))
    up.release()
    while True:
        peer, _ = server.accept()
        peer.recv(4096)
        peer.sendall(answer)
        peer.close()
up = threading.Semaphore(0)
for one in ANSWERS.items():
    threading.Thread(target=serve, args=one, daemon=True).start()
for _ in ANSWERS:
    up.acquire()
print("up", flush=True)
threading.Event().wait()
"""
INPUT = "".join(f"10.1.0.9:{port}\n" for port in range(8001, 8005))
WORDS = ("-sendSYNs", "-handshakes", "http", "-t", "6", "-f", "-")


@pytest.fixture(scope="module")
def scanner() -> Iterator[Namespace]:
    with Lab() as lab:
        scanner, far = lab.namespace("scan"), lab.namespace("far")
        lab.link(scanner, far, a_addresses=["10.1.0.2/24"], b_addresses=["10.1.0.9/24"])
        server = far.popen(sys.executable, "-c", SERVER, stdout=subprocess.PIPE)
        assert server.stdout is not None
        assert server.stdout.readline().strip() in (b"up", "up")
        yield scanner


def test_fingerprints_add_fields_and_change_no_label(scanner: Namespace) -> None:
    plain, rich = (
        {
            record["sport"]: record
            for record in map(json.loads, scanner.run(LZR, *WORDS, *more, input=INPUT).stdout.splitlines())
        }
        for more in ((), ("--enrich",))
    )
    assert set(plain) == set(rich) == {8001, 8002, 8003, 8004}
    assert not [name for record in plain.values() for name in ENRICHED if name in record]
    for port, record in rich.items():
        assert record["fingerprint"] == plain[port]["fingerprint"]
        assert record["data"] == plain[port]["data"]
    assert rich[8001]["cpe"] == "cpe:/a:apache:http_server:2.4.29 cpe:/o:canonical:ubuntu_linux:-"
    assert (rich[8001]["os"], rich[8001]["product"]) == ("Ubuntu Linux", "Apache")
    assert rich[8002]["cpe"] == "cpe:/a:php:php:-"
    assert not [name for name in ENRICHED if name in rich[8004]]


def test_a_csv_has_the_columns_and_no_cell_that_a_peer_makes_a_formula(scanner: Namespace) -> None:
    done = scanner.run(LZR, *WORDS, "--enrich", "-O", "csv", input=INPUT)
    assert done.stdout.isascii()
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == [*DEFAULT, *ENRICHED]
    assert len(rows) == 4
    assert not [
        cell for row in rows for cell in row.values() if cell[:1] in "=+-@|" and cell and not cell.isdigit()
    ]
    assert {row["sport"]: row["cpe"] for row in rows}["8001"].startswith("cpe:/a:apache")


@pytest.mark.parametrize("words", [("--output-fields", "saddr,cpe"), ("--output-filter", 'os = "Linux"')])
def test_a_field_that_would_be_empty_is_refused(scanner: Namespace, words: tuple[str, ...]) -> None:
    done = scanner.run(LZR, *WORDS, *words, input=INPUT, check=False)
    assert done.returncode == 2
    assert "is empty without --enrich" in done.stderr
    chosen = scanner.run(LZR, *WORDS, *words, "--enrich", input=INPUT)
    assert "cpe" in chosen.stdout or not chosen.stdout
