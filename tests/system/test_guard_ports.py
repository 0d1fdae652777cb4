"""`zmap --source-port=…` of which lzr was not told, against real TCP stacks: the guard follows the lines."""

from __future__ import annotations

import json

import pytest

from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import zmap_scan, zmap_words
from tests.system.test_faults_loss import awake

pytestmark = pytest.mark.root
COUNT = 512


def test_ports_that_only_the_lines_name(arena: Range) -> None:
    """What the kernel has reset before the first line was read is opened anew: nothing is missing."""
    awake(arena.far)
    zmap = zmap_words(arena.scanner, SCANNER, arena.gateway_mac, PORT, 200, [f"{FIRST}/23"])
    about = arena.lab.directory / "about"
    options = ("--handshakes", "http", "--metadata-file", about)
    done = zmap_scan(arena.scanner, [[*zmap, "--source-port=20000-65000"]], *options)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(about.read_text())
    assert len(done.records) == found["inputs"]["read"] > 0.8 * COUNT  # ZMap loses some on a busy machine
    ports = {record["dport"] for record in done.records}
    assert any(not 32768 <= port <= 61000 for port in ports)  # what is opened anew has one of ours
    assert done.labels().keys() == {"http", "ssh"}
    assert done.stderr.count("[WARN] lzr: ZMap sends from port") == 1
    (warning,) = [text for text in found["warnings"] if "ZMap sends" in text]
    assert "covered 32768-61000: it covers 1024-65535 from now on" in warning
    assert "give lzr the --source-port that zmap has" in warning
    assert f"warning: {warning}" in done.stderr


def test_ports_outside_those_that_were_given(arena: Range) -> None:
    awake(arena.far)
    zmap = zmap_words(arena.scanner, SCANNER, arena.gateway_mac, PORT, 100, [f"{FIRST}/24"])
    options = ("--handshakes", "http", "--source-port", "30000-50000")
    done = zmap_scan(arena.scanner, [[*zmap, "--source-port=20000-65000"]], *options)
    assert done.returncode == 3, done.stderr[-3000:]
    assert 0 < len(done.records) < 256
    assert "outside --source-port" in done.stderr
    assert "give zmap and lzr the same --source-port" in done.stderr
    assert done.labels().keys() == {"http", "ssh"}
