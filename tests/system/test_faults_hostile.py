"""Peers that mean harm: never a crash, never a wrong record, all of it counted by kind."""

from __future__ import annotations

import csv
import ipaddress
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import median_low

import pytest

from tests import ROOT
from tests.faults import once_each
from tests.lab.hostile import BANNER, FIRST, MANNERS, NASTY, manner_of
from tests.lab.net import Lab, wait_for
from tests.lab.responder import GATEWAY, PORT, SCANNER, Range
from tests.lab.scan import LZR, scan
from tests.system.test_faults_loss import awake

pytestmark = [pytest.mark.root, pytest.mark.attack]
ROUNDS = 8


def hosts() -> list[str]:
    return [
        str(ipaddress.IPv4Address(FIRST) + round_ * 256 + at) for round_ in range(ROUNDS) for at in range(250)
    ]


def start(arena: Range) -> subprocess.Popen[bytes]:
    process = arena.far.popen(
        sys.executable, "-m", "tests.lab.hostile", "eth0", "900", stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    # It knows no ARP: the scanner has its address from here.
    arena.scanner.ip("neigh", "replace", GATEWAY, "lladdr", arena.gateway_mac, "dev", "eth0")
    return process


@pytest.fixture
def hostile(arena: Range) -> Range:
    start(arena)
    return arena


def metadata(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("workers", ["1", "3"])
def test_no_manner_makes_a_wrong_record(hostile: Range, workers: str) -> None:
    about = hostile.lab.directory / "about.json"
    # A host answers with up to a hundred segments, and sends none of them twice: none may be dropped.
    words = ("-sendSYNs", "-rate", "150", "-rt", "2", "-t", "4", "-gatewayMac", hostile.gateway_mac)
    found = scan(
        hostile.scanner,
        *words,
        # The peer is a slow program on a busy machine: between two of its bytes it may rest for long.
        *("-w", workers, "-m", about, "--settle", "2"),
        lines=[f"{host}:{PORT}\n" for host in hosts()],
    )
    assert found.returncode == 0, found.stderr[-3000:]
    assert not found.torn
    assert "Traceback" not in found.stderr
    assert "ended unasked" not in found.stderr
    assert "(agree)" in found.stderr
    once_each(found.records, {(host, PORT) for host in hosts()})
    wrong: Counter[str] = Counter()
    for record in found.records:
        name, truth, _ = manner_of(record["saddr"])
        if record["fingerprint"] != truth:
            wrong[f"{name}: {record['fingerprint']}, not {truth}"] += 1
        elif name == "dripping_on":
            assert record["data"].startswith(BANNER.decode().strip())
        elif truth == "ssh" and record["data"] != BANNER.decode():
            wrong[f"{name}: {record['data']!r}"] += 1
        elif name == "escapes":
            assert record["data"].encode("latin-1") == NASTY
    assert not wrong, wrong
    ignored = json.dumps(metadata(about))
    for kind in ("stray", "out_of_turn", "checksum"):
        counted = re.search(rf'"[a-z_]*{kind}[a-z_]*": (\d+)', ignored)
        assert counted, ignored
        assert int(counted[1]) > 0, kind


@pytest.mark.parametrize("again", [1, 3])
def test_no_host_gets_more_than_the_stated_packets(arena: Range, again: int) -> None:
    """SYNs 1+rn, data 1+rn, at most 32 ACKs while a reply settles, one RST: whatever the host does."""
    # The kernel would reset what still comes when the scan has ended and taken its guard away.
    arena.scanner.run(LZR, "guard", "on", "--source-ip", SCANNER)
    process = start(arena)
    found = scan(
        arena.scanner,
        *("-sendSYNs", "-rate", "250", "-rt", "3", "-rn", str(again), "-t", "3"),
        lines=[f"{host}:{PORT}\n" for host in hosts()],
    )
    assert found.returncode == 0, found.stderr
    process.terminate()
    heard = json.loads(process.communicate(timeout=120)[0])["heard"]
    counts: dict[str, list[int]] = {}
    for host, count in heard.items():
        counts.setdefault(manner_of(host)[0], []).append(count)
    # Most hosts: one that is slow to answer on a busy machine is asked again, and the peer may miss a packet.
    assert median_low(counts["plain"]) == 3  # SYN, data, RST
    assert median_low(counts["never_answers_data"]) == 1 + (1 + again) + 1
    assert median_low(counts["dripping_on"]) > 21
    most = {name: max(some) for name, some in counts.items()}
    assert max(most.values()) <= (1 + again) * 2 + 32 + 1, most


def test_frames_merged_on_the_way(lab: Lab) -> None:
    """A kernel that hands over many segments as one frame, far longer than a row of the ring."""
    arena = Range(lab)
    awake(arena.far, "b")
    count = 500
    found = scan(
        arena.scanner,
        *("-sendSYNs", "-rate", "2000", "-w", "2"),
        lines=[f"10.64.{index >> 8}.{index & 255}:{PORT}\n" for index in range(count)],
    )
    assert found.returncode == 0, found.stderr
    assert len(found.records) == count
    assert {record["fingerprint"] for record in found.records} == {"ssh"}
    longest = max(len(record["data"]) for record in found.records)
    assert 1460 < longest < 2048  # it was merged, and what did not fit was left out
    assert all(record["data"].startswith("SSH-2.0-responder_1.0\r\nbbbb") for record in found.records)


def test_every_manner_is_tried() -> None:
    assert len(MANNERS) < 250
    assert {manner_of(host)[0] for host in hosts()} == {name for name, _, _ in MANNERS}


@pytest.mark.parametrize("module", ["json", "csv", "zgrab"])
def test_banners_stay_in_their_field(hostile: Range, module: str) -> None:
    """Escapes, markup, NULs, quotes and line ends: in no output, log or status as themselves."""
    mine = [host for host in hosts() if manner_of(host)[0] == "escapes"]
    target = hostile.lab.directory / "banners.out"
    log, status = hostile.lab.directory / "log", hostile.lab.directory / "status.csv"
    done = hostile.scanner.run(
        *(Path(sys.executable).parent / "lzr", "--no-dashboard", "-sendSYNs", "-rt", "1", "-t", "5"),
        *("-O", module, "-f", target, "-l", log, "-u", status, "-v", "5"),
        input="".join(f"{host}:{PORT}\n" for host in mine) + "\x1b[31mnot an address\x07\n",
        timeout=120,
        check=False,
        cwd=hostile.lab.directory,
    )
    assert done.returncode == 0, done.stderr
    everything = (done.stdout + done.stderr + log.read_text() + status.read_text()).encode()
    everything += target.read_bytes()
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f-\xff]", everything)
    text = target.read_text()
    if module == "json":
        records = [json.loads(line) for line in text.splitlines()]
        assert {record["saddr"] for record in records} == set(mine)
        assert all(record["data"].encode("latin-1") == NASTY for record in records)
    elif module == "csv":
        rows = list(csv.DictReader(text.splitlines()))
        assert {row["saddr"] for row in rows} == set(mine)
        assert len(rows) == len(mine)
    else:
        assert len(text.splitlines()) == len(mine)


def test_the_dashboard_shows_no_escape(hostile: Range) -> None:
    """On a terminal: only the dashboard's own control sequences come out."""
    mine = [host for host in hosts() if manner_of(host)[0] == "escapes"]
    source = hostile.lab.directory / "in"
    source.write_text("".join(f"{host}:{PORT}\n" for host in mine))
    screen = hostile.lab.directory / "screen"
    lzr = Path(sys.executable).parent / "lzr"
    command = f"{lzr} -sendSYNs --dashboard -rate 20 -rt 1 -t 5 -f {hostile.lab.directory / 'o'} < {source}"
    shown = hostile.scanner.popen(
        *("script", "-q", "-e", "-c", command, str(screen)),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**hostile.lab.environment, "TERM": "xterm-256color", "COLUMNS": "150", "LINES": "45"},
    )
    assert shown.wait(120) == 0
    seen = wait_for(lambda: screen.read_bytes() if screen.exists() else b"", "the screen")
    assert len(seen) > 2000
    assert b"\x1b[2J\x1b]0;owned" not in seen
    assert b"]0;owned\x07" not in seen
    assert b"\xc2\x9b" not in seen
