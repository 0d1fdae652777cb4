"""`lzr.targets.zmap` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.lab.net import Lab
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, scan, zmap_words
from tests.lab.zmaplines import lines


@pytest.mark.root
@pytest.mark.parametrize("form", ["json", "csv", "no heading"])
def test_real_zmap_unfiltered(lab: Lab, form: str) -> None:
    """Half of the hosts refuse with RST; ZMap passes those too, and they are not written to."""
    arena = Range(lab)
    responder = arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER, classes="hc")
    words = zmap_words(arena.scanner, SCANNER, arena.gateway_mac, PORT, 1000, [f"{FIRST}/26"])
    filter_ = next(at for at, word in enumerate(words) if word.startswith("--output-filter"))
    said = "" if form == "no heading" else ",classification,success,repeat"
    words[words.index("-f") + 1] += said
    words[words.index("-O") + 1] = "json" if form == "json" else "csv"
    words[filter_] = "--output-filter=success = 1 || success = 0"
    if form == "no heading":
        words[filter_] = "--output-filter=success = 1 && repeat = 0"
    rows = arena.scanner.run(*words).stdout
    if form == "no heading":
        rows = rows.partition("\n")[2] if rows.startswith("saddr") else rows
    responder.stop()
    responder = arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER, classes="hc")
    found = scan(arena.scanner, "-t", "6", lines=rows)
    assert found.returncode == 0, found.stderr
    assert len(found.records) == 32
    assert {record["fingerprint"] for record in found.records} == {"http"}
    assert responder.stop()["addresses"] == 32, "a packet went to a host that had refused"
    if form != "no heading":
        assert "inputs: 64 read = 32 recorded + 32 not a SYN-ACK (agree)" in found.stderr


@pytest.mark.root
def test_port_0_from_row_to_record(arena: Range) -> None:
    arena.respond(first=FIRST, count=4, port=0, source=SCANNER, classes="h", more=["--premade"])
    found = scan(arena.scanner, "-t", "6", lines=lines(4, port=0, classes="h"))
    assert found.returncode == 0, found.stderr
    assert [(record["sport"], record["fingerprint"]) for record in found.records] == [(0, "http")] * 4


@pytest.mark.root
def test_a_zmap_that_hangs_before_its_scan_is_told_what_it_lacks(arena: Range, tmp_path: Path) -> None:
    """On Linux 6.9 and later ZMap 2.1.1 waits for ever for its gateway; `sleep` stands in for it."""
    sleep = shutil.which("sleep")
    assert sleep
    shutil.copy(Path(sleep).resolve(), tmp_path / "zmap")
    pipeline = f"{tmp_path}/zmap 8 | {LZR} -q -f {tmp_path}/found.json"
    said = arena.scanner.run("sh", "-c", pipeline).stderr
    assert "has not begun to scan" in said
    assert "--gateway-mac=MAC" in said
    assert "waiting for the input" not in said
