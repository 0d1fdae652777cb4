"""A writer of one line a write, as ZMap is, at any speed: all rows, neither blamed nor kept waiting."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import Any

import numpy as np
import pytest

from benchmarks.paced import zmap_run
from coordinator.commands.ctl import ask
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range, build
from tests.lab.scan import LZR, scan, zmap_words
from tests.lab.writer import Written, scan_written, write_lines

pytestmark = pytest.mark.root

QUICK = ("-w", "2", "-t", "2")
BLAMED = "input slower than workers"


def assert_whole(found: Written, count: int) -> None:
    """Every line has its packet, its record and its fate."""
    assert found.returncode == 0, found.said
    assert found.records == count, found.said
    assert not np.isnan(found.arrived).any()
    assert f"inputs: {count} read = {count} recorded (agree)" in found.said


@pytest.mark.parametrize(("rate", "count"), [(500, 1000), (2000, 6000), (24_000, 48_000), (100_000, 100_000)])
def test_nothing_is_lost_or_left_lying(arena: Range, rate: int, count: int) -> None:
    found = scan_written(arena, count, rate, *QUICK)
    assert_whole(found, count)


def test_how_often_the_input_was_written_costs_no_time(arena: Range) -> None:
    """The same lines from a file, and from a writer that is as quick as it can be."""
    count = 30_000
    written = scan_written(arena, count, 0, *QUICK)
    assert_whole(written, count)
    source = arena.lab.directory / "again"
    write_lines(source, count, "h")
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes="h", more=["--premade"])
    read = scan(arena.scanner, *QUICK, lines=source.read_text())
    assert len(read.records) == count
    assert written.seconds < 3 * read.seconds + 20  # a pause for each write would be minutes


def test_a_socket_does_as_well(arena: Range) -> None:
    """It holds some hundred lines, and is looked at the more often."""
    count = 20_000
    found = scan_written(arena, count, 20_000, *QUICK, over_socket=True)
    assert_whole(found, count)


def test_who_waits_is_not_blamed(arena: Range) -> None:
    """While a scan has more to read than it can take, nothing that it says is that the input is slow."""
    directory, count = arena.lab.directory, 60_000
    source = directory / "lines"
    write_lines(source, count, "q")  # nobody answers: as many answers are awaited as rings take
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes="q", more=["--premade"])
    control = directory / "control"
    words = (
        "-w",
        "1",
        "-t",
        "3",
        "--no-dashboard",
        "--control-socket",
        control,
        "-f",
        directory / "out",
    )
    process = arena.scanner.popen(LZR, *words, stdin=subprocess.PIPE)
    assert process.stdin is not None
    writer = arena.scanner.popen(build("writer"), source, directory / "times", "0", stdout=process.stdin)
    process.stdin.close()
    wait_for(control.exists, "the scan")
    said: list[str] = []

    def all_is_read() -> bool:
        now: dict[str, Any] = json.loads(ask(control, "status --json")[1])
        if now["read"] < count:  # after the last line there is nothing to say until its end is seen
            said.append(now["bottleneck"])
        return bool(now["input_ended"])

    wait_for(all_is_read, "the end of the input", 60)
    assert writer.wait(120) == 0
    assert process.wait(120) == 0
    assert len(said) > 10
    assert not [sentence for sentence in said if BLAMED in sentence]


def test_it_says_when_zmap_cannot_go_on(arena: Range) -> None:
    """More than can be kept, from a writer that is as quick as can be: it has to wait, and that is said."""
    directory, count = arena.lab.directory, 700_000
    source, log = directory / "lines", directory / "log"
    write_lines(source, count, "q")
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes="q", more=["--premade"])
    words = ("-w", "1", "-t", "5", "-rt", "5", "--no-dashboard", "-f", directory / "out")
    with log.open("w") as stderr:
        process = arena.scanner.popen(LZR, *words, stdin=subprocess.PIPE, stderr=stderr)
    assert process.stdin is not None
    arena.scanner.popen(build("writer"), source, directory / "times", "0", stdout=process.stdin)
    process.stdin.close()
    wait_for(lambda: "loses answers" in log.read_text(), "a word to who runs ZMap", 90)
    process.terminate()
    wait_for(lambda: "interrupted" in log.read_text() or process.poll() is not None, "the signal", 60)
    process.terminate()
    process.wait(120)
    assert log.read_text().count("loses answers") >= 1


def test_zmap_at_50_000_a_second(arena: Range) -> None:
    """Every row that it wrote has its record; what is missing its own capture dropped, as its status says."""
    directory, size = arena.lab.directory, 1 << 18
    words = zmap_words(arena.scanner, SCANNER, arena.gateway_mac, PORT, 50_000, [f"{FIRST}/14"], 4)
    out, log = directory / "out", directory / "lzr.log"
    reader = shlex.join([str(LZR), *QUICK, "--no-dashboard", "-f", str(out)]) + f" 2>{log}"
    found = zmap_run(arena, "zmap", words, reader, directory / "zmap.log", size)
    status, seen = found["status"], found["responder"]
    rows, dropped = int(status["recv-success-total"]), int(status["pcap-drop-total"])
    print(f"{seen['syn_ack']} SYN-ACKs, {rows} rows, {dropped} dropped by zmap: {found['seconds']:.1f} s")
    assert out.read_bytes().count(b"\n") == rows
    assert f"inputs: {rows} read = {rows} recorded (agree)" in log.read_text()
    assert "loses answers" not in log.read_text(), "zmap had to wait for us"
