"""Scans that end early or cannot go on: signals, a reader that goes away or sleeps, a disk that is full."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.processes import ownuser
from tests.faults import Victim, alive, family, kilobytes, lines_in, once_each, open_files, read
from tests.lab.net import run, wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, parse
from tests.lab.zmaplines import lines
from tests.system.test_e2e_responder import address, services

pytestmark = pytest.mark.root

QUICK = ("-rt", "0.3", "-t", "2", "-c", "2")
LIVELY = "hsafrhsz"


@pytest.fixture
def source(arena: Range) -> Path:
    return arena.lab.directory / "targets"


@pytest.fixture
def unchanged(arena: Range) -> Iterator[None]:
    before = arena.scanner.state()
    yield
    assert arena.scanner.state() == before
    assert arena.lab.left() == []


def respond(arena: Range, count: int, classes: str = LIVELY) -> None:
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=classes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_once(arena: Range, unchanged: None, source: Path, number: signal.Signals) -> None:
    """In the middle of a large scan: what is in flight ends by itself, the rest is counted."""
    respond(arena, 65536)
    source.write_text("".join(services(65536)))
    target = arena.lab.directory / "out"
    with source.open() as stdin:
        victim = Victim(arena.scanner, "-sendSYNs", "-w", "2", *QUICK, "-f", target, stdin=stdin)
    wait_for(lambda: lines_in(target) > 1000, "records")
    victim.signal(number)
    assert victim.wait(120) == 128 + number
    found = read(target)
    said = victim.said()
    assert f'"TotalResponses":{len(found)}' in said
    assert "interrupted" in said
    assert "(agree)" in said
    assert "Traceback" not in said


def test_a_signal_to_a_sweep_that_is_paused(arena: Range, unchanged: None) -> None:
    """Whoever was asked once has its second SYN all the same, for it is waited for."""
    respond(arena, 4096, "h")
    target, control = arena.lab.directory / "out", arena.lab.directory / "control"
    sweep = (f"{address(0)}/20", "-p", str(PORT), "-r", "1000", "--probes", "2", *QUICK)
    words = (*sweep, "--control-socket", control, "-f", target)
    victim = Victim(arena.scanner, *words, stdin=subprocess.DEVNULL)
    wait_for(lambda: lines_in(target) > 100, "records")
    arena.scanner.run(LZR, "ctl", "--socket", control, "pause", timeout=20)
    victim.signal(signal.SIGINT)
    assert victim.wait(60) == 130
    assert "(agree)" in victim.said()
    assert read(target)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_twice(arena: Range, unchanged: None, source: Path, number: signal.Signals) -> None:
    """Time-outs of a minute, and it ends at once."""
    respond(arena, 65536, "hsnqhsnq")
    source.write_text("".join(services(65536)))
    target = arena.lab.directory / "out"
    waits = ("-rt", "60", "-t", "60", "-c", "60")
    with source.open() as stdin:
        victim = Victim(arena.scanner, "-sendSYNs", "-w", "2", *waits, "-f", target, stdin=stdin)
    wait_for(lambda: lines_in(target) > 1000, "records")
    victim.signal(number)
    wait_for(lambda: Path(f"/proc/{victim.pid}").exists(), "the process")
    victim.signal(number)
    begun = time.monotonic()
    # Two signals at the same moment may come as one: a person presses again, and so do we.
    while victim.process.poll() is None and time.monotonic() - begun < 40:
        time.sleep(0.2)
        if victim.process.poll() is None:
            victim.signal(number)
    assert victim.wait(1) == 128 + number  # within 40 s: sooner than any time-out
    found = read(target)
    said = victim.said()
    assert len(found) >= 1000
    assert f'"TotalResponses":{len(found)}' in said
    assert "(agree)" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_first_line(arena: Range, unchanged: None, number: signal.Signals) -> None:
    respond(arena, 16)
    reader, writer = os.pipe()
    victim = Victim(arena.scanner, "-f", arena.lab.directory / "out", stdin=reader)
    os.close(reader)
    wait_for(victim.forkserver, "the scan to come up")
    victim.signal(number)
    assert victim.wait(120) == 128 + number
    os.close(writer)
    assert "Traceback" not in victim.said()


@pytest.mark.parametrize("feed", ["file", "trickle"])
def test_the_reader_goes_away(arena: Range, unchanged: None, source: Path, feed: str) -> None:
    """`lzr … | head -n 3`: quiet, quick, restored; also when no further record comes to notice it by."""
    respond(arena, 65536, "h")
    text = "".join(services(65536 if feed == "file" else 5))
    source.write_text(text)
    reader, writer = os.pipe()
    os.write(writer, text[:60000].encode())
    stdin = source.open("rb") if feed == "file" else os.fdopen(reader, "rb")
    victim = Victim(arena.scanner, "-sendSYNs", *QUICK, "-f", "-", stdin=stdin, stdout=subprocess.PIPE)
    stdin.close()
    assert victim.process.stdout is not None
    head = [victim.process.stdout.readline() for _ in range(3)]
    assert all(line.endswith(b"\n") for line in head)
    if feed == "trickle":
        assert [victim.process.stdout.readline() for _ in range(2)][1]
    victim.process.stdout.close()
    status = victim.wait(120)
    assert status in (0, 141), victim.said()
    said = victim.said()
    assert "Traceback" not in said
    assert "Broken pipe" not in said
    if feed == "file":
        os.close(reader)
    os.close(writer)


def test_a_full_disk(arena: Range, unchanged: None, source: Path) -> None:
    respond(arena, 65536)
    source.write_text("".join(services(65536)))
    disk = arena.lab.directory / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=3m", "none", disk)
    arena.lab.on_close(lambda: run("umount", "-l", disk))
    target = disk / "out"
    with source.open() as stdin:
        victim = Victim(
            arena.scanner, "-sendSYNs", "-rate", "none", "-w", "2", *QUICK, "-f", target, stdin=stdin
        )
    assert victim.wait(120) == 1
    said = victim.said()
    assert "lzr: cannot write results: No space left on device" in said
    assert "Traceback" not in said
    found = read(target)
    assert target.read_bytes().endswith(b"\n")
    assert len(found) > 500
    assert f'"TotalResponses":{len(found)}' in said
    assert "(agree)" in said


def test_a_full_disk_is_resumed_when_there_is_room(arena: Range, source: Path) -> None:
    count = 8000
    respond(arena, count)
    source.write_text("".join(services(count)))
    disk = arena.lab.directory / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=1m", "none", disk)
    arena.lab.on_close(lambda: run("umount", "-l", disk))
    target, kept = disk / "out", arena.lab.directory / "kept"
    more = ("-sendSYNs", *QUICK, "-f", target, "--checkpoint", kept)
    with source.open() as stdin:
        victim = Victim(arena.scanner, *more, stdin=stdin)
    assert victim.wait(120) == 1
    assert 0 < len(read(target)) < count
    run("mount", "-o", "remount,size=64m", disk)
    with source.open() as stdin:
        victim = Victim(arena.scanner, "--resume", kept, stdin=stdin, name="again")
    assert victim.wait(120) == 0, victim.said()
    once_each(read(target), {(address(index), PORT) for index in range(count)})


class Feeder:
    """Standard input that is never short of lines: a thread that writes as fast as it is read."""

    def __init__(self, text: bytes) -> None:
        self.reader, writer = os.pipe()
        self.taken = 0
        self._text = text
        self._writer = writer
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        os.close(self.reader)
        self._thread.start()

    def _run(self) -> None:
        with os.fdopen(self._writer, "wb", buffering=0) as out:
            try:
                while self.taken < len(self._text):
                    self.taken += out.write(self._text[self.taken : self.taken + 65536])
            except BrokenPipeError:
                pass


def pss(victim: Victim) -> int:
    """Kilobytes of all processes of a scan."""
    return sum(map(kilobytes, [victim.pid, *family(victim.pid)]))


def test_a_slow_reader_and_a_fast_input(arena: Range, unchanged: None) -> None:
    """The reader of the results sleeps: memory comes to a stand, the input too; then nothing is missing."""
    count = 300_000
    respond(arena, count, "h")
    # Long lines, since 64 MB of them may be read ahead while the scan comes up.
    feeder = Feeder(
        "".join(line.replace("\n", " " * 360 + "\n") for line in lines(count, classes="h")).encode()
    )
    victim = Victim(arena.scanner, "-w", "2", *QUICK, "-f", "-", stdin=feeder.reader, stdout=subprocess.PIPE)
    feeder.start()
    assert victim.process.stdout is not None
    out = victim.process.stdout
    assert select.select([out], [], [], 120)[0]
    # Nobody reads. The input stops when every buffer is full.
    taken, since = -1, time.monotonic()
    while time.monotonic() - since < 6:
        if feeder.taken != taken:
            taken, since = feeder.taken, time.monotonic()
        time.sleep(0.1)
    stuck = pss(victim)
    assert taken < len(feeder._text)
    time.sleep(2)
    assert feeder.taken == taken
    later = pss(victim)
    assert later < stuck * 1.05, f"{stuck} kB, then {later} kB"
    assert later < 400_000, f"{later} kB"
    print(f"read {taken * 100 // len(feeder._text)} % of the input, {later} kB")
    text = out.read().decode()
    assert victim.wait(120) == 0, victim.said()
    records, torn = parse(text)
    assert not torn
    once_each(records, {(address(index), PORT) for index in range(count)})


def test_an_input_much_faster_than_the_network(arena: Range, unchanged: None) -> None:
    """Paced at 2,000 a second and fed a million lines a second: they stay in the pipe."""
    count = 65536
    respond(arena, count, "h")
    feeder = Feeder("".join(services(count)).encode() * 20)
    target = arena.lab.directory / "out"
    victim = Victim(arena.scanner, "-sendSYNs", "-rate", "2000", *QUICK, "-f", target, stdin=feeder.reader)
    feeder.start()
    wait_for(lambda: lines_in(target) > 2000, "records")
    early, taken = pss(victim), feeder.taken
    wait_for(lambda: lines_in(target) > 8000, "records")
    assert pss(victim) < early * 1.1 + 5000
    assert feeder.taken - taken < 1_500_000
    victim.signal(signal.SIGINT)
    assert victim.wait(120) == 130
    assert "(agree)" in victim.said()


def test_the_interface_goes_down_for_a_while(arena: Range, source: Path) -> None:
    """Sends fail meanwhile: they are tried again, counted, and every target is scanned right."""
    count = 20_000
    respond(arena, count, LIVELY)
    source.write_text("".join(services(count)))
    target = arena.lab.directory / "out"
    more = ("-sendSYNs", "-rate", "4000", "-w", "2", "-rn", "3", "-gatewayMac", arena.gateway_mac)
    with source.open() as stdin:
        victim = Victim(
            arena.scanner, *more, *QUICK, "-f", target, "-sourceIP", SCANNER, "-i", "eth0", stdin=stdin
        )
    wait_for(lambda: lines_in(target) > 2000, "records")
    arena.scanner.ip("link", "set", "eth0", "down")
    time.sleep(1.5)
    assert victim.process.poll() is None, victim.said()
    arena.scanner.ip("link", "set", "eth0", "up")
    arena.scanner.ip("route", "replace", "default", "via", "10.1.0.1")
    assert victim.wait(120) == 3, victim.said()[-2000:]  # as results may have been lost
    found = read(target)
    once_each(found, {(address(index), PORT) for index in range(count)})
    labels = [record["fingerprint"] for record in found]
    # A few were in flight when the link went down, and had their retransmits then.
    assert labels.count("http") + labels.count("ssh") > count // 2 * 0.9


def test_an_interface_that_stays_down_ends_the_scan(arena: Range, source: Path) -> None:
    count = 60_000
    respond(arena, count, LIVELY)
    source.write_text("".join(services(count)))
    target = arena.lab.directory / "out"
    rules = arena.scanner.rules()
    with source.open() as stdin:
        victim = Victim(
            arena.scanner,
            *("-sendSYNs", "-rate", "4000", "--max-send-failures", "20"),
            *QUICK,
            *("-f", target),
            stdin=stdin,
        )
    wait_for(lambda: lines_in(target) > 2000, "records")
    arena.scanner.ip("link", "set", "eth0", "down")
    assert victim.wait(120) == 1
    said = victim.said()
    assert "the interface took no frame" in said
    assert "Traceback" not in said
    found = read(target)
    assert len(found) > 2000
    assert "(agree)" in said
    assert arena.scanner.rules() == rules


def test_files_belong_to_who_called(arena: Range, source: Path) -> None:
    """Under sudo the results are the caller's, mode 0644; the workers are nobody's, without any power."""
    respond(arena, 4096, "q")
    source.write_text("".join(services(4096)))
    target, kept, status = (arena.lab.directory / name for name in ("out", "kept", "status"))
    environment = {**arena.lab.environment, "SUDO_UID": "12345", "SUDO_GID": "12346", "SUDO_USER": "nobody"}
    with source.open() as stdin:
        victim = Victim(
            arena.scanner,
            *("-sendSYNs", "-rate", "300", "-f", target, "--checkpoint", kept, "-u", status),
            stdin=stdin,
            env=environment,
        )
    wait_for((kept / "checkpoint").exists, "the checkpoint")
    for path in (target, kept, kept / "checkpoint", status):
        found = path.stat()
        assert (found.st_uid, found.st_gid) == (12345, 12346), path
        assert found.st_mode & 0o777 == (0o755 if path == kept else 0o644), path
    children = {**dict.fromkeys([victim.worker()], "worker"), victim.worker("collector"): "collector"}
    children[victim.forkserver()] = "forkserver"
    links = open_files(victim.pid).values()
    (directory,) = {Path(link) for link in links if link.startswith("/run/lzr/run-")}
    own = directory.stat().st_gid
    assert ownuser.is_own(own)
    assert directory.stat().st_mode & 0o777 == 0o710
    assert directory.stat().st_uid == 0, "they pass, and write nothing"
    for entry in directory.iterdir():
        assert entry.is_socket()
        assert (entry.stat().st_uid, entry.stat().st_mode & 0o777) == (own, 0o600), entry
    for pid, what in children.items():
        text = Path(f"/proc/{pid}/status").read_text()
        facts = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        uids, gids = set(facts["Uid"].split()), set(facts["Gid"].split())
        assert "0" not in uids | gids, what
        assert uids == gids == {str(own)}
        assert facts["Groups"].strip() == ""
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(facts[name], 16) == 0, (what, name)
        assert facts["NoNewPrivs"] == "1"
    assert "LISTEN" not in arena.scanner.run("ss", "-Htln").stdout
    victim.signal(signal.SIGKILL)
    everyone = list(children)
    wait_for(lambda: not any(map(alive, everyone)), "the others to end", seconds=60)


def test_an_unknown_user(arena: Range) -> None:
    done = arena.scanner.run(LZR, "--user", "no-such-user", "-f", "-", input="", check=False, timeout=120)
    assert done.returncode == 2
    assert "no such user" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
