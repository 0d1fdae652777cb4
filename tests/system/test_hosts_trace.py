"""--trace-pcap: what all workers sent and received, readable by tcpdump and by lzr identify."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import lines_in, read
from tests.lab.net import Lab, run, wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.system.test_e2e_responder import services

pytestmark = pytest.mark.root

QUICK = ("-sendSYNs", "-rt", "0.3", "-t", "6", "-c", "5", "--no-dashboard", "-rate", "2000")


@pytest.fixture(scope="module")
def here() -> Iterator[Range]:
    with Lab() as lab:
        yield Range(lab)


def tcpdump(path: Path, expression: str) -> int:
    done = run("tcpdump", "-nn", "-r", path, expression)
    return len(done.stdout.splitlines())


def test_every_segment_of_every_worker(here: Range, tmp_path: Path) -> None:
    """Two workers that become three; the responder's counters are the truth."""
    responder = here.respond(first=FIRST, count=512, port=PORT, source=SCANNER, classes="h")
    control = tmp_path / "ctl"
    process = here.scanner.popen(
        *(LZR, *QUICK, "-w", "2", "-f", "found", "--trace-pcap", "trace", "--control-socket", control),
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write("".join(services(512)[:256]))
    process.stdin.flush()
    wait_for(lambda: lines_in(tmp_path / "found") > 0, "records")
    here.scanner.run(LZR, "ctl", "--socket", control, "workers", "flow=3", timeout=120)
    process.stdin.write("".join(services(512)[256:]))
    process.stdin.close()
    process.stdin = None
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert len(read(tmp_path / "found")) == 512
    counters = responder.stop()
    trace = tmp_path / "trace"
    assert tcpdump(trace, f"src host {SCANNER} and tcp[13] == 2") == counters["syn"]
    assert tcpdump(trace, "tcp[13] == 18") == counters["syn"]
    assert tcpdump(trace, f"src host {SCANNER} and tcp[13] == 16 and greater 100") == counters["data"]
    told = run(LZR, "identify", "--format", "pcap", trace)
    assert told.stdout.count("http") >= 512, told.stdout[:500]


def test_a_full_disk_ends_the_trace_and_not_the_scan(here: Range, tmp_path: Path) -> None:
    here.respond(first=FIRST, count=512, port=PORT, source=SCANNER, classes="h")
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64k", "none", small)
    try:
        words = (*QUICK, "-w", "1", "-f", tmp_path / "found", "--trace-pcap", small / "trace")
        done = here.scanner.run(LZR, *words, input="".join(services(512)), timeout=120, check=False)
        assert done.returncode == 3, done.stderr
        assert "the trace cannot be written any more: No space left on device" in done.stderr
        assert len(read(tmp_path / "found")) == 512
        assert tcpdump(small / "trace", "tcp") > 0
    finally:
        run("umount", small)


def test_no_other_file_is_emptied(here: Range, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("".join(services(4)))
    words = (*QUICK, "-f", "found", "--trace-pcap", "list")
    done = here.scanner.run(LZR, *words, input="", cwd=tmp_path, check=False, timeout=120)
    assert (done.returncode, "list: the file is there and is no capture" in done.stderr) == (2, True)
    assert (tmp_path / "list").read_text() == "".join(services(4))


def test_a_trace_is_of_one_scan(here: Range, tmp_path: Path) -> None:
    """One that has no scan leaves the trace that is there, and of two scans the second has none."""
    here.respond(first=FIRST, count=512, port=PORT, source=SCANNER, classes="h")
    words = (*QUICK, "-w", "1", "--trace-pcap", "trace")
    done = here.scanner.run(LZR, *words, input="".join(services(8)), cwd=tmp_path, timeout=120)
    before = (tmp_path / "trace").read_bytes()
    assert len(before) > 1000
    done = here.scanner.run(LZR, *words, "-b", "none", input="", cwd=tmp_path, check=False, timeout=120)
    assert (done.returncode, (tmp_path / "trace").read_bytes() == before) == (2, True), done.stderr
    first = here.scanner.popen(LZR, *words, stdin=subprocess.PIPE, cwd=tmp_path, stderr=subprocess.DEVNULL)
    assert first.stdin is not None
    first.stdin.write("".join(services(8)).encode())
    first.stdin.flush()
    wait_for(lambda: (tmp_path / "trace").read_bytes()[:500] != before[:500], "a trace")
    done = here.scanner.run(LZR, *words, input="", cwd=tmp_path, check=False, timeout=120)
    assert (done.returncode, "trace is being written by another lzr" in done.stderr) == (2, True)
    first.stdin.close()
    assert first.wait(120) == 0
    assert tcpdump(tmp_path / "trace", "tcp[13] == 18") == 8
