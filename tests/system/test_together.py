"""Scans that begin at the same moment on one host, and scans that are killed at any moment."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults import once_each
from tests.lab.net import Lab, process_name, wait_for
from tests.lab.responder import PORT, Range
from tests.lab.scan import LZR
from tests.system.test_e2e_responder import address

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

SCANS, HOSTS = 8, 32
WORDS = (LZR, "--no-dashboard", "-w", "1", "-sendSYNs", "-rt", "2", "-t", "8")


def hosts(scan: int) -> list[str]:
    return [address(HOSTS * scan + index) for index in range(HOSTS)]


def began(arena: Range, scan: int, place: Path, *words: str | Path) -> subprocess.Popen[bytes]:
    source = place / f"list{scan}"
    source.write_text("".join(f"{host}:{PORT}\n" for host in hosts(scan)))
    with (place / f"log{scan}").open("w") as log:
        return arena.scanner.popen(
            *WORDS, "-I", source, *words, stderr=log, stdout=subprocess.DEVNULL, cwd=place
        )


def test_each_has_its_own_results(lab: Lab, tmp_path: Path) -> None:
    """Without names: files, guards, directories, sockets and users are each scan's own."""
    arena = Range(lab)
    before = arena.scanner.state()
    arena.respond(classes="hs")
    scans = [began(arena, scan, tmp_path) for scan in range(SCANS)]
    assert [scan.wait(120) for scan in scans] == [0] * SCANS
    found = sorted(tmp_path.glob("default_*.json"))
    assert len(found) == SCANS
    asked = set()
    for path in found:
        records = [json.loads(line) for line in path.read_text().splitlines()]
        scan = next(scan for scan in range(SCANS) if records[0]["saddr"] in hosts(scan))
        asked.add(scan)
        once_each(records, {(host, PORT) for host in hosts(scan)})
        assert Counter(record["fingerprint"] for record in records) == {"http": HOSTS // 2, "ssh": HOSTS // 2}
    assert asked == set(range(SCANS))
    assert lab.left() == []
    assert arena.scanner.state() == before


@pytest.mark.parametrize("flags", [("-f", "same"), ("--checkpoint", "same"), ("--control-socket", "same")])
def test_what_only_one_can_have(lab: Lab, tmp_path: Path, flags: tuple[str, str]) -> None:
    """Whoever does not get it is told before a packet is sent, or comes after the other."""
    arena = Range(lab)
    arena.respond(classes="hs")
    scans = [began(arena, scan, tmp_path, *flags) for scan in range(6)]
    status = Counter(scan.wait(120) for scan in scans)
    assert set(status) <= {0, 2}
    assert status[0] > 0
    said = [(tmp_path / f"log{scan}").read_text() for scan in range(6) if scans[scan].returncode]
    assert all(len(text.splitlines()) == 1 and "same" in text for text in said), said
    files = [path for path in (*tmp_path.glob("default_*"), tmp_path / "same") if path.is_file()]
    records = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    whole = [scan for scan in range(6) if not scans[scan].returncode]
    once_each(records, {(host, PORT) for scan in whole for host in hosts(scan)})
    assert lab.left() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_at_any_moment(lab: Lab, tmp_path: Path, number: signal.Signals) -> None:
    """What they leave is gone with the next scan that ends well."""
    arena = Range(lab)
    before = arena.scanner.state()
    arena.respond(classes="hs")
    chance = random.Random(number)
    moments = [chance.uniform(0, 1.2) for _ in range(20)]

    def killed(scan: int) -> int:
        process = began(arena, scan, tmp_path)
        try:
            return process.wait(moments[scan])
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        return process.wait(120)

    with ThreadPoolExecutor(4) as threads:
        ends = set(threads.map(killed, range(len(moments))))
    assert ends <= {0, -number, 128 + number}
    place = tmp_path / "last"
    place.mkdir()
    assert began(arena, 0, place).wait(120) == 0
    (path,) = place.glob("default_*")
    once_each(map(json.loads, path.read_text().splitlines()), {(host, PORT) for host in hosts(0)})
    # Workers of a killed scan end within two seconds.
    wait_for(lambda: not [pid for pid in arena.scanner.pids() if "lzr" in process_name(pid)], "they ended")
    assert lab.left() == []
    assert arena.scanner.state() == before
