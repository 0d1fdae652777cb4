"""Whoever reads what a scan says has stopped: the scan goes on, loses no result, and ends on a signal.

And little of what a host gives to a process: threads, memory, processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import Victim, lines_in, title
from tests.lab.net import Lab, wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, parse
from tests.system.test_e2e_responder import services

pytestmark = pytest.mark.root

QUICK = ("-sendSYNs", "-rt", "0.3", "-t", "6", "-c", "5", "-w", "1", "--no-dashboard")
COUNT = 64
_F_SETPIPE_SZ = 1031


@pytest.fixture(scope="module")
def here() -> Iterator[Range]:
    with Lab() as lab:
        made = Range(lab)
        made.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
        yield made


@pytest.fixture
def full() -> Iterator[int]:
    """The end to write to of a pipe in which there is no room."""
    reads, writes = os.pipe()
    fill(writes)
    yield writes
    os.close(reads)
    os.close(writes)


def fill(descriptor: int) -> None:
    fcntl.fcntl(descriptor, _F_SETPIPE_SZ, 4096)
    os.set_blocking(descriptor, False)
    for size in (512, 1):
        try:
            while True:
                os.write(descriptor, b"x" * size)
        except BlockingIOError:
            pass
    os.set_blocking(descriptor, True)


def start(here: Range, *words: str | Path, stderr: int) -> subprocess.Popen[str]:
    return here.scanner.popen(LZR, *QUICK, *words, stdin=subprocess.PIPE, stderr=stderr, text=True)


def test_nobody_reads_stderr(here: Range, full: int, tmp_path: Path) -> None:
    """As with a pager that nobody scrolls: all results, and a signal ends it."""
    process = start(here, "-f", tmp_path / "found", "-d", stderr=full)
    assert process.stdin is not None
    process.stdin.write("".join(services(COUNT)))
    process.stdin.flush()
    wait_for(lambda: lines_in(tmp_path / "found") == COUNT, "records")
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 128 + signal.SIGTERM
    assert "lzr_" not in here.scanner.rules()


def test_nobody_reads_the_metadata(here: Range, tmp_path: Path) -> None:
    """It is given up after some seconds, and that is said; the results are whole, the guard is gone."""
    os.mkfifo(tmp_path / "meta")
    reads = os.open(tmp_path / "meta", os.O_RDONLY | os.O_NONBLOCK)
    writes = os.open(tmp_path / "meta", os.O_WRONLY)
    fill(writes)
    process = start(here, "-f", tmp_path / "found", "-m", tmp_path / "meta", stderr=subprocess.PIPE)
    _, said = process.communicate("".join(services(COUNT)), timeout=120)
    os.close(reads)
    os.close(writes)
    assert process.returncode == 3, said
    assert f"cannot write {tmp_path}/meta: its reader takes nothing" in said
    assert len(parse((tmp_path / "found").read_text())[0]) == COUNT
    assert "lzr_" not in here.scanner.rules()


def test_nobody_reads_trace_profiles_or_status(here: Range, tmp_path: Path) -> None:
    """All of them at once: what finds no room is left out, and said where it was asked for whole."""
    names = ("trace-pcap", "cpuprofile", "status-updates-file")
    words, ends = [], []
    for name in names:
        os.mkfifo(tmp_path / name)
        ends.append(os.open(tmp_path / name, os.O_RDONLY | os.O_NONBLOCK))
        ends.append(os.open(tmp_path / name, os.O_WRONLY))
        fill(ends[-1])
        words += [f"--{name}", tmp_path / name]
    with (tmp_path / "stderr").open("w") as stderr, (tmp_path / "list").open("w+") as source:
        source.write("".join(services(COUNT)))
        source.seek(0)
        process = here.scanner.popen(
            LZR, *QUICK, "-f", tmp_path / "found", *words, stdin=source, stderr=stderr
        )
        try:
            status = process.wait(120)
        finally:
            process.kill()
            for end in ends:
                os.close(end)
    said = (tmp_path / "stderr").read_text()
    assert status == 3, said
    assert "Traceback" not in said
    assert "--trace-pcap: the trace cannot be written any more: its reader takes nothing" in said
    assert "a profile is not whole: its reader takes nothing" in said
    assert len(parse((tmp_path / "found").read_text())[0]) == COUNT
    assert "lzr_" not in here.scanner.rules()


def test_little_memory_and_few_processes(here: Range, tmp_path: Path) -> None:
    """With 300 MB of addresses no thread can be started; with one process no worker, which is said."""
    (tmp_path / "list").write_text("".join(services(COUNT)))
    lzr = f"{LZR} {' '.join(QUICK)}"
    done = here.scanner.run(
        "bash",
        "-c",
        f"ulimit -v 300000; {lzr} -f found -m meta <list",
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    if done.returncode:
        assert "ulimit -v" in done.stderr, done.stderr
    else:
        assert json.loads((tmp_path / "meta").read_text())["inputs"]["fates"]["recorded"] == COUNT
    words = ("prlimit", "--nproc=1", LZR, *QUICK, "--user", "games", "-f", "other", "-I", "list")
    done = here.scanner.run(*words, cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    assert "ulimit -u leaves 1 thread to user games, and about " in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "lzr_" not in here.scanner.rules()


def test_more_descriptors_are_open_than_select_takes(here: Range, tmp_path: Path) -> None:
    """Whoever starts us has left 1,100 open."""
    (tmp_path / "list").write_text("".join(services(COUNT)))

    def leave_open() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))
        for _ in range(1100):
            os.set_inheritable(os.dup(0), True)

    with (tmp_path / "list").open() as stdin:
        words = (LZR, *QUICK, "-f", tmp_path / "found")
        process = here.scanner.popen(*words, stdin=stdin, preexec_fn=leave_open, close_fds=False)
        assert process.wait(120) == 0
    assert len(parse((tmp_path / "found").read_text())[0]) == COUNT


def test_no_process_is_left_for_a_worker_more(here: Range) -> None:
    """`lzr ctl`, or --auto-workers, wants more than a control group allows: the scan goes on as it was."""
    found, source, most = here.lab.directory / "more", here.lab.directory / "more.in", 30
    control = here.lab.directory / "more.control"
    source.write_text("".join(services(COUNT)))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))

    words = (*QUICK, "-rate", "10", "--user", "games", "--control-socket", control, "-f", found)
    with source.open() as stdin:
        victim = Victim(here.scanner, *words, stdin=stdin, preexec_fn=limit)
    wait_for(lambda: lines_in(found) > 0, "the first records", 60)
    here.scanner.run(LZR, "ctl", "--socket", control, "workers", "collect=20", timeout=60)
    assert victim.wait(120) == 0, victim.said()
    assert "cannot be started: the scan goes on without it" in victim.said()
    assert "(agree)" in victim.said()
    assert len(parse(found.read_text())[0]) == COUNT


def test_more_workers_are_asked_for_than_descriptors_allow(here: Range) -> None:
    """ZeroMQ ends a process that has no descriptor left."""
    found, source = here.lab.directory / "few", here.lab.directory / "few.in"
    control = here.lab.directory / "few.control"
    source.write_text("".join(services(COUNT)))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))

    words = (*QUICK, "-rate", "10", "--control-socket", control, "-f", found)
    with source.open() as stdin:
        victim = Victim(here.scanner, *words, stdin=stdin, preexec_fn=limit)
    wait_for(lambda: lines_in(found) > 0, "the first records", 60)

    def ask(count: int) -> subprocess.CompletedProcess[str]:
        words = (LZR, "ctl", "--socket", control, "workers", f"collect={count}")
        return here.scanner.run(*words, check=False, timeout=60)

    assert "ulimit -n" in ask(200).stderr
    assert ask(20).returncode == 0
    wait_for(lambda: len(victim.of_role("collector")) == 20, "the collectors", 60)
    assert victim.wait(120) == 0, victim.said()
    assert len(parse(found.read_text())[0]) == COUNT


def test_no_process_is_left_for_a_worker_in_the_middle_of_a_scan(here: Range) -> None:
    """Enough could be started when it began, but by now others of the same user run."""
    found, most = here.lab.directory / "middle", 40
    words = (*QUICK, "-rate", "10", "--user", "games", "-f", found)
    source = here.lab.directory / "middle.in"
    source.write_text("".join(services(COUNT)))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))

    with contextlib.ExitStack() as stack:
        stdin = stack.enter_context(source.open())
        victim = Victim(here.scanner, *words, stdin=stdin, preexec_fn=limit)
        wait_for(lambda: lines_in(found) > 0, "the first records", 60)
        for _ in range(most):
            other = here.scanner.popen(
                *("setpriv", "--reuid=games", "--regid=games", "--clear-groups", "sleep", "900")
            )
            stack.callback(other.kill)
            wait_for(lambda pid=other.pid: title(pid).startswith("sleep"), "another process", 60)
        victim.kill("flow worker")
        assert victim.wait(120) == 1, victim.said()
    assert "cannot be started: Resource temporarily unavailable; look at ulimit -u" in victim.said()
    assert "the scan cannot go on" in victim.said()
    assert "lzr_" not in here.scanner.rules()
