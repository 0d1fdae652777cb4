"""`coordinator.files` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from coordinator.files import opening
from tests.faults import Victim, lines_in, once_each, read
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.system.test_e2e_responder import address, services

QUICK = ("-sendSYNs", "-rt", "0.3", "-t", "6", "-c", "5", "--no-dashboard")


def respond(arena: Range, count: int, classes: str = "h") -> None:
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=classes)


class Box:
    """Scans of one after the other, in a directory of their own."""

    def __init__(self, arena: Range, tmp_path: Path, count: int = 64) -> None:
        self.arena, self.directory = arena, tmp_path
        self.lines = services(count)
        respond(arena, count)

    def scan(
        self, *words: str | Path, first: int = 0, last: int = 64, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        lines = "".join(self.lines[first:last]) if text is None else text
        return subprocess.run(
            self.arena.scanner.command(LZR, *QUICK, *words),
            input=lines, capture_output=True, text=True, timeout=120, check=False, cwd=self.directory,
        )  # fmt: skip


@pytest.fixture
def box(arena: Range, tmp_path: Path) -> Box:
    return Box(arena, tmp_path)


@pytest.mark.root
def test_results_are_appended(box: Box) -> None:
    target = box.directory / "x"
    first = box.scan("-f", target, last=40)
    assert (first.returncode, "results go to" in first.stderr) == (0, True)
    assert f"results: 40 records of this scan in {target}" in first.stderr
    second = box.scan("-f", target, "-w", "2", "--collect-workers", "2", first=40)
    assert second.returncode == 0
    assert f"appending to {target}, which holds 40 records" in second.stderr
    assert f"results: 24 records of this scan in {target}" in second.stderr
    assert '"TotalResponses":24' in second.stderr
    assert "as JSON lines" not in second.stderr
    named = box.scan("-f", "found.csv", last=4)
    assert "results go to found.csv, as JSON lines (-O csv writes CSV)" in named.stderr
    once_each(read(target), {(address(index), PORT) for index in range(64)})


@pytest.mark.root
def test_a_csv_has_one_heading(box: Box) -> None:
    target = box.directory / "x.csv"
    words = ("-O", "csv", "--output-fields", "saddr,sport,fingerprint", "-f")
    box.scan(*words, target, last=40)
    done = box.scan(*words, target, first=40)
    assert "which holds 40 records" in done.stderr
    text = target.read_text().splitlines()
    assert text[0] == "saddr,sport,fingerprint"
    assert (len(text), len(set(text))) == (65, 65)
    other = box.scan("-O", "csv", "--output-fields", "saddr,data", "-f", target)
    assert other.returncode == 2
    assert "has other columns than asked for (saddr,sport,fingerprint)" in other.stderr
    assert target.read_text().splitlines() == text


@pytest.mark.root
def test_stdout_that_is_appended_to(box: Box) -> None:
    target = box.directory / "x.csv"
    words = box.arena.scanner.command(LZR, *QUICK, "-O", "csv", "--output-fields", "saddr", "-f", "-")
    for first in (0, 32):
        with target.open("a") as out:
            text = "".join(box.lines[first : first + 32])
            subprocess.run(words, input=text, stdout=out, text=True, timeout=120, check=True)
        if not first:
            target.write_text(target.read_text().removesuffix("\n"))  # a crash took the last byte
    text = target.read_text().splitlines()
    assert (text[0], len(text), len(set(text))) == ("saddr", 65, 65)


@pytest.mark.root
@pytest.mark.parametrize("torn", ["line", "end"])
def test_a_torn_last_line(box: Box, torn: str) -> None:
    target = box.directory / "x"
    box.scan("-f", target, last=40)
    whole = target.read_bytes()
    target.write_bytes(whole[: -30 if torn == "line" else -1])
    kept = 39 if torn == "line" else 40
    done = box.scan("-f", target, first=kept)
    assert done.returncode == 0
    assert f"which holds {kept} records" in done.stderr
    assert ("are cut off" in done.stderr, "had no end" in done.stderr) == (torn == "line", torn == "end")
    found = read(target)
    assert len(found) == 64
    assert target.read_bytes().startswith(whole[: whole[:-1].rindex(b"\n") + 1])


@pytest.mark.root
def test_a_mistake_empties_nothing(box: Box) -> None:
    """Whatever goes wrong before the first packet, the results are as they were, with --overwrite too."""
    target = box.directory / "x"
    box.scan("-f", target)
    before = target.read_bytes()
    assert len(read(target)) == 64
    wrong: tuple[tuple[str, ...], ...] = (
        ("-i", "nope0"),
        ("--control-socket", "/nope/socket"),
        ("--user", "no-such-user"),
        ("-u", "/nope/status"),
        ("--metrics-port", "1", "--metrics-address", "203.0.113.9"),
        ("-b", "/nope/list"),
        ("-m", "/nope/meta"),
        ("--handshakes", "htp"),
        ("-I", "/nope/targets"),
    )
    for words in wrong:
        done = box.scan("-f", target, "--overwrite", *words)
        assert (done.returncode, target.read_bytes() == before) == (2, True), (words, done.stderr)
    for words in wrong[:2]:
        new = box.directory / "new"
        assert box.scan("-f", new, *words).returncode == 2
        assert not new.exists(), words


@pytest.mark.root
def test_overwrite(box: Box) -> None:
    target = box.directory / "x"
    box.scan("-f", target, last=40)
    done = box.scan("-f", target, "--overwrite", first=40)
    assert done.returncode == 0
    assert f"overwriting {target}, which held 40 records" in done.stderr
    once_each(read(target), {(address(index), PORT) for index in range(40, 64)})
    csv = box.scan("-f", target, "--overwrite", "-O", "csv")
    assert csv.returncode == 0, csv.stderr
    assert target.read_text().count("\n") == 65
    target.write_text("".join(box.lines))
    refused = box.scan("-f", target, "--overwrite")
    assert refused.returncode == 2
    assert target.read_text() == "".join(box.lines)


@pytest.mark.root
@pytest.mark.parametrize(
    "content", ["192.0.2.1:80\n", '{"a": 1}\n', "a remark", "\x7fELF\0\0", "saddr,daddr\n1,2\n"]
)
def test_what_is_not_ours_is_refused(box: Box, content: str) -> None:
    target = box.directory / "x"
    target.write_text(content)
    done = box.scan("-f", target)
    assert (done.returncode, target.read_text()) == (2, content)
    assert f"lzr: {target} holds no results of lzr; give -f another name" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.root
def test_one_writer_at_a_time(box: Box) -> None:
    """A second lzr is refused by name; when the first is gone, also killed, the file is free."""
    target = box.directory / "x"
    reader, writer = os.pipe()
    first = Victim(box.arena.scanner, *QUICK, "-f", target, stdin=reader)
    os.write(writer, "".join(box.lines[:32]).encode())
    wait_for(lambda: lines_in(target) == 32, "records")
    second = box.scan("-f", target)
    assert second.returncode == 2
    assert f"{target} is being written by another lzr" in second.stderr
    with target.open("a") as out:
        words = box.arena.scanner.command(LZR, *QUICK, "-f", "-")
        third = subprocess.run(
            words, stdout=out, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120, check=False
        )
    assert (third.returncode, b"by another lzr" in third.stderr) == (2, True)
    first.signal(signal.SIGKILL)
    first.wait()
    os.close(reader)
    os.close(writer)
    assert box.scan("-f", target, first=32).returncode == 0
    once_each(read(target), {(address(index), PORT) for index in range(64)})


@pytest.mark.root
def test_the_input_is_not_the_output(box: Box) -> None:
    targets = box.directory / "targets"
    text = "".join(box.lines)
    targets.write_text(text)
    os.link(targets, box.directory / "hard")
    (box.directory / "soft").symlink_to(targets)
    for words, said in (
        (("-I", targets, "-f", targets), "are the same file"),
        (("-I", targets, "-f", box.directory / "hard"), "are the same file"),
        (("-I", targets, "-f", box.directory / "x", "-m", box.directory / "soft"), "are the same file"),
        (("-f", box.directory / "x", "-l", box.directory / "x"), "are the same file"),
        (("-f", box.directory / "x", "-u", box.directory / "x"), "are the same file"),
        (("-b", targets, "-f", targets), "are the same file"),
    ):
        done = box.scan(*words, text="")
        assert (done.returncode, said in done.stderr) == (2, True), (words, done.stderr)
    command = box.arena.scanner.command(LZR, *QUICK)
    for more, out in ((("-f", targets), os.devnull), (("-f", "-"), targets)):
        with targets.open() as stdin, open(out, "a") as stdout:
            done = subprocess.run(
                [*command, *more], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
                text=True, timeout=120, check=False,
            )  # fmt: skip
        assert (done.returncode, "the input (stdin) and" in done.stderr) == (2, True), done.stderr
    assert targets.read_text() == text


@pytest.mark.root
def test_a_collector_dies_in_an_appended_file(box: Box) -> None:
    """What was there before is not cut off, and no record of either scan is lost or doubled."""
    count = 20_000
    respond(box.arena, count)
    target, source = box.directory / "x", box.directory / "targets"
    source.write_text("".join(services(count)[:8000]))
    assert box.scan("-f", target, "-I", source).returncode == 0
    before = target.read_bytes()
    source.write_text("".join(services(count)[8000:]))
    words = ("-rate", "2000", "-w", "2", "--collect-workers", "2")
    victim = Victim(box.arena.scanner, *QUICK, *words, "-f", target, "-I", source, stdin=subprocess.DEVNULL)
    for more in (1000, 4000):
        wait_for(lambda more=more: lines_in(target) > 8000 + more, "records")
        assert victim.kill("collector")
    assert victim.wait(120) == 0, victim.said()
    assert "a successor takes over" in victim.said()
    assert target.read_bytes().startswith(before)
    once_each(read(target), {(address(index), PORT) for index in range(count)})


@pytest.mark.root
def test_a_killed_scan_leaves_what_was_there(box: Box) -> None:
    count = 20_000
    respond(box.arena, count)
    target, source = box.directory / "x", box.directory / "targets"
    assert box.scan("-f", target).returncode == 0
    before = target.read_bytes()
    source.write_text("".join(services(count)))
    victim = Victim(
        box.arena.scanner, *QUICK, "-rate", "3000", "-f", target, "-I", source, stdin=subprocess.DEVNULL
    )
    wait_for(lambda: lines_in(target) > 1000, "records")
    victim.signal(signal.SIGKILL)
    victim.wait()
    with target.open("ab") as again:
        waiting = opening.WhileWaiting(lambda seconds: bool(time.sleep(seconds)))
        assert opening.lock(again.fileno(), 60, waiting) == ""
    assert target.read_bytes().startswith(before)
    assert len(read(target)) > 64


@pytest.mark.root
def test_a_fifo(box: Box) -> None:
    """Without a reader it says so and can be ended; with one, the records go there."""
    pipe = box.directory / "pipe"
    os.mkfifo(pipe)
    reader, writer = os.pipe()
    for number in (signal.SIGINT, signal.SIGTERM):
        victim = Victim(box.arena.scanner, *QUICK, "-f", pipe, stdin=reader, name=str(int(number)))
        wait_for(lambda v=victim: "a FIFO that nobody reads yet" in v.said(), "a sentence")
        victim.signal(number)
        assert victim.wait(120) == 128 + number
    os.write(writer, "".join(box.lines).encode())
    os.close(writer)
    victim = Victim(box.arena.scanner, *QUICK, "-f", pipe, stdin=reader, name="read")
    wait_for(lambda: "a FIFO that nobody reads yet" in victim.said(), "a sentence")
    assert pipe.read_text().count("\n") == 64
    assert victim.wait(120) == 0
    os.close(reader)


@pytest.mark.root
def test_names_that_are_no_plain_files(box: Box) -> None:
    target = box.directory / "x"
    (box.directory / "link").symlink_to(target)
    assert box.scan("-f", box.directory / "link").returncode == 0
    assert len(read(target)) == 64
    for name in ("/dev/stdout", "/proc/self/fd/1"):
        assert box.scan("-f", name).stdout.count("\n") == 64
    assert box.scan("-f", "/dev/null").returncode == 0
    directory = box.scan("-f", box.directory)
    assert (directory.returncode, "Is a directory" in directory.stderr) == (2, True)
    target.write_text("")
    assert box.scan("-f", target).returncode == 0
    assert len(read(target)) == 64
