"""Processes killed while they work: every input still has exactly one record."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.faults import Victim, alive, family, lines_in, once_each, read
from tests.lab.net import LabError, wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range, expected, letter_of
from tests.lab.scan import scan
from tests.lab.zmaplines import lines
from tests.system.test_e2e_responder import address, services

pytestmark = pytest.mark.root

QUICK = ("-rt", "0.3", "-t", "2", "-c", "2")
# Where what is found is judged: with two fifths of a core for all of it, hosts answered up to 1.9 s late.
PATIENT = ("-rt", "1.5", "-t", "6", "-c", "2")
# No host that stays silent: a scan is as long as its pace says.
LIVELY = "hsafrhsz"


def wanted(count: int) -> set[tuple[str, int]]:
    return {(address(index), PORT) for index in range(count)}


@pytest.fixture
def source(arena: Range) -> Path:
    return arena.lab.directory / "targets"


def right(found: list[dict[str, object]], classes: str = LIVELY) -> None:
    wrong = [
        difference
        for record in found
        if (difference := expected(letter_of(str(record["saddr"]), classes)).wrong(record))
    ]
    assert not wrong, f"{len(wrong)} wrong, such as {wrong[:3]}"


@pytest.mark.parametrize(("mode", "workers"), [("list", "3"), ("zmap", "3"), ("zmap", "flow=3,collect=2")])
def test_workers_and_collectors_killed_all_the_time(
    arena: Range, source: Path, mode: str, workers: str
) -> None:
    count = 40_000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    source.write_text("".join(services(count) if mode == "list" else lines(count, classes=LIVELY)))
    target = arena.lab.directory / "out"
    # No faster than kills can come, and the test may be held up: ten seconds.
    how = ("-sendSYNs", "-rate", "4000") if mode == "list" else ("--max-rate", "8000")
    with source.open() as stdin:
        words = ("-w", workers, "--verbosity", "2", *how, *PATIENT)
        victim = Victim(arena.scanner, *words, "-f", target, stdin=stdin)
    kills = 0
    roles = itertools.cycle(("flow worker", "collector", "flow worker"))
    victim.worker()
    wait_for(lambda: lines_in(target) > 500, "the first records")
    # None near the end: a worker that has been told to end is not replaced.
    while (seen := lines_in(target)) < count - 8000 and kills < 7 and victim.process.poll() is None:
        kills += bool(victim.kill(next(roles)))

        def moved(seen: int = seen) -> bool:
            return lines_in(target) > seen + 1000 or victim.process.poll() is not None

        try:
            wait_for(moved, "records after a kill")
        except LabError as error:
            raise AssertionError(victim.said()) from error
    assert victim.wait() == 0, victim.said()[-3000:]
    assert kills >= 4
    found = read(target)
    once_each(found, wanted(count))
    right(found)
    said = victim.said()
    assert f"ended unasked and were replaced: {kills}" in said
    assert said.count("a successor takes over") >= kills
    assert "(agree)" in said


def test_a_worker_that_keeps_dying_ends_the_scan(arena: Range, source: Path) -> None:
    count = 100_000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    source.write_text("".join(services(count)))
    target = arena.lab.directory / "out"
    rules = arena.scanner.rules()
    options = ("-sendSYNs", "-w", "1", "-rate", "3000", *QUICK)
    with source.open() as stdin:
        victim = Victim(arena.scanner, *options, "-f", target, stdin=stdin)
    wait_for(lambda: lines_in(target) > 100, "the first records")
    killed: set[int] = set()
    while victim.process.poll() is None and len(killed) < 6:
        for pid in set(victim.of_role("flow worker")) - killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        time.sleep(0.02)
    assert victim.wait(120) == 1
    said = victim.said()
    assert "lzr: flow worker 0 ended 5 times within a minute" in said
    assert "Traceback" not in said
    assert "(agree)" in said
    found = read(target)
    assert len({record["saddr"] for record in found}) == len(found) > 100
    assert arena.scanner.rules() == rules


@pytest.mark.parametrize("role", ["coordinator", "forkserver"])
def test_when_one_that_leads_is_killed_all_end(arena: Range, source: Path, role: str) -> None:
    count = 200_000
    arena.respond(first=FIRST, count=65536, port=PORT, source=SCANNER, classes=LIVELY)
    source.write_text("".join(services(min(count, 65536))))
    target = arena.lab.directory / "out"
    before = arena.scanner.rules()
    with source.open() as stdin:
        words = ("-sendSYNs", "-rate", "4000", "-w", "2", *QUICK)
        victim = Victim(arena.scanner, *words, "-f", target, stdin=stdin)
    wait_for(lambda: lines_in(target) > 2000, "records")
    everyone = [victim.pid, *family(victim.pid)]
    assert len(everyone) >= 5
    victim.kill(role)
    wait_for(lambda: not any(map(alive, everyone[1:])), "the others to end", seconds=60)
    status = victim.wait(120)
    found = read(target)
    # The coordinator cuts off again what it had not heard of yet: on a busy machine that may be much.
    assert len({record["saddr"] for record in found}) == len(found) >= (2000 if role == "coordinator" else 1)
    assert target.read_bytes().endswith(b"\n")
    if role == "forkserver":
        assert status == 1
        assert "the fork server, which starts the workers, has died" in victim.said()
        assert "Traceback" not in victim.said()
    else:
        assert arena.scanner.rules() != before, "the guard of the dead run stands until the next one"
    left = arena.lab.left()
    # The directory of the sockets is root's, and with the coordinator root has gone: the next run sweeps it.
    assert [path.name.rpartition("-")[0] for path in left] == (
        [f"run-{victim.pid}"] * (role == "coordinator")
    )
    again = scan(arena.scanner, "-sendSYNs", *QUICK, lines=services(64), name="again")
    assert again.returncode == 0
    assert arena.lab.left() == []
    assert arena.scanner.rules() == before


def test_the_directory_of_the_sockets_is_removed(arena: Range, source: Path) -> None:
    """Nothing is missed in it until a process has to be replaced."""
    arena.respond(first=FIRST, count=65536, port=PORT, source=SCANNER, classes=LIVELY)
    source.write_text("".join(services(65536)))
    target = arena.lab.directory / "out"
    with source.open() as stdin:
        words = ("-sendSYNs", "-rate", "4000", "-w", "2", *QUICK)
        victim = Victim(arena.scanner, *words, "-f", target, stdin=stdin)
    wait_for(lambda: lines_in(target) > 1000, "records")
    (directory,) = arena.lab.left()
    shutil.rmtree(directory)
    victim.kill("flow worker")
    assert victim.wait(60) == 1
    said = victim.said()
    assert f"cannot be started: {directory}, where its sockets were to be, is gone" in said
    assert "Traceback" not in said
    assert "(agree)" in said
    assert len({record["saddr"] for record in read(target)}) == lines_in(target) > 1000


def resume(arena: Range, source: Path, kept: Path, *more: str, name: str) -> Victim:
    with source.open() as stdin:
        return Victim(arena.scanner, "--resume", kept, *more, stdin=stdin, name=name)


HURTS = ("coordinator", "SIGINT", "forkserver", "SIGTERM twice", "everyone", "disappear")


def hurt(victim: Victim, how: str) -> None:
    """End a scan in one of the ways in which scans end early."""
    if how == "SIGINT":
        victim.signal(signal.SIGINT)
    elif how == "SIGTERM twice":
        victim.signal(signal.SIGTERM)
        victim.signal(signal.SIGTERM)
    elif how in ("everyone", "disappear"):
        for pid in [*family(victim.pid), victim.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    else:
        victim.kill(how)
    victim.wait(120)


def test_resumed_again_and_again(arena: Range, source: Path) -> None:
    """Interrupted in every way, one after the other: one output, exactly one record each."""
    count = 30_000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    bad = ["rubbish\n", "10.64.0.1:99999\n"]
    source.write_text("".join([*services(count), *bad, *services(50)]))  # 50 of them twice
    target, kept = arena.lab.directory / "out", arena.lab.directory / "kept"
    options = ("-sendSYNs", "-w", "2", "-rate", "2500", *PATIENT)
    with source.open() as stdin:
        victim = Victim(arena.scanner, *options, "-f", target, "--checkpoint", kept, stdin=stdin, name="run0")
    for number, how in enumerate(HURTS):
        start = lines_in(target)

        def further(start: int = start, victim: Victim = victim) -> bool:
            return lines_in(target) > start + 1500 or victim.process.poll() is not None

        wait_for(further, "more records")
        assert victim.process.poll() is None, victim.said()[-2000:]
        hurt(victim, how)
        if how in ("SIGINT", "SIGTERM twice"):
            assert victim.process.returncode == (130 if how == "SIGINT" else 143)
            assert "(agree)" in victim.said(), victim.said()
            read(target)
        victim = resume(arena, source, kept, name=f"run{number + 1}")
    assert victim.wait(120) == 0, victim.said()[-3000:]
    found = read(target)
    once_each(found, wanted(count))
    right(found)
    said = victim.said()
    assert "(agree)" in said
    assert f'"TotalResponses":{count}' in said, "the summary is of the whole scan"
    assert "2 unparsable" in said
    assert "50 duplicate" in said
    # And once more, when nothing is left to do.
    again = resume(arena, source, kept, name="done")
    assert again.wait(120) == 0
    assert len(read(target)) == count


def test_power_loss(arena: Range, source: Path) -> None:
    """A copy of what is on the disk at any moment can be resumed: checkpoint first, then what was synced."""
    count = 12_000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    source.write_text("".join(services(count)))
    directory = arena.lab.directory
    target, kept = directory / "out.csv", directory / "kept"
    # Twenty-four seconds, in each of which there is a checkpoint.
    options = ("-sendSYNs", "-w", "2", "-rate", "500", *QUICK, "-O", "csv", "--output-fields", "saddr,sport")
    with source.open() as stdin:
        victim = Victim(arena.scanner, *options, "-f", target, "--checkpoint", kept, stdin=stdin)
    copies = []
    saved = 0.0
    while victim.process.poll() is None and len(copies) < 3:
        stamp = (kept / "checkpoint").stat().st_mtime if (kept / "checkpoint").exists() else 0.0
        if stamp == saved or lines_in(target) < 500:
            time.sleep(0.01)
            continue
        saved = stamp
        copy = directory / f"copy{len(copies)}"
        try:
            shutil.copytree(kept, copy)
        except shutil.Error:  # the next one was written meanwhile
            shutil.rmtree(copy)
            continue
        copies.append((copy, target.read_bytes()))
    assert victim.wait(120) == 0, victim.said()
    assert len(copies) == 3
    whole = target.read_bytes()
    for number, (copy, data) in enumerate(copies):
        # What had not been synced may be there in part, or as zeros.
        target.write_bytes(data + b"10.64." + bytes(100))
        again = resume(arena, source, copy, "-rate", "5000", name=f"again{number}")
        assert again.wait(120) == 0, again.said()
        rows = target.read_text().splitlines()
        assert rows[0] == "saddr,sport"
        assert sorted(rows[1:]) == sorted(whole.decode().splitlines()[1:])
        assert len(rows) == count + 1
    # A file that is not the one the checkpoint tells of is not touched.
    target.write_text("saddr,sport\n")
    refused = resume(arena, source, copies[-1][0], name="refused")
    assert refused.wait(120) == 2
    assert "shorter than it was" in refused.said()
    assert target.read_text() == "saddr,sport\n"


def test_zmap_connections_are_opened_anew(arena: Range, source: Path) -> None:
    count = 20_000
    responder = arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    source.write_text("".join(lines(count, classes=LIVELY)))
    target, kept = arena.lab.directory / "out", arena.lab.directory / "kept"
    feeder = os.pipe()
    victim = Victim(arena.scanner, "-w", "2", *PATIENT, "-f", target, "--checkpoint", kept, stdin=feeder[0])
    os.close(feeder[0])
    text = source.read_bytes()
    half = text.index(b"\n", len(text) // 2) + 1
    with os.fdopen(feeder[1], "wb") as out:
        out.write(text[:half])
        out.flush()
        wait_for(lambda: lines_in(target) > 2000, "records")
        first = (kept / "checkpoint").stat().st_mtime_ns
        wait_for(lambda: (kept / "checkpoint").stat().st_mtime_ns > first, "a checkpoint that knows of them")
        victim.kill("coordinator")
        victim.wait(120)
    refused = resume(arena, source, kept, name="refused")
    assert refused.wait(120) == 2
    assert "half-open connections of ZMap cannot be resumed" in refused.said()
    assert "--reopen" in refused.said()
    again = resume(arena, source, kept, "--reopen", name="again")
    assert again.wait(120) == 0, again.said()[-2000:]
    found = read(target)
    once_each(found, wanted(count))
    right(found)
    counters = responder.stop()
    # What had its record was not asked again, and nobody was asked more than twice.
    assert 0 < counters["syn"] <= 2 * (count - 2000)


def test_resume_refuses_another_input(arena: Range, source: Path) -> None:
    arena.respond(first=FIRST, count=2000, port=PORT, source=SCANNER, classes=LIVELY)
    source.write_text("".join(services(2000)))
    target, kept = arena.lab.directory / "out", arena.lab.directory / "kept"
    with source.open() as stdin:
        first = Victim(arena.scanner, "-sendSYNs", *QUICK, "-f", target, "--checkpoint", kept, stdin=stdin)
    assert first.wait(120) == 0
    before = target.read_bytes()
    source.write_text("".join(services(2000)[1:]))
    other = resume(arena, source, kept, name="other")
    assert other.wait(120) == 2
    assert "the input is not that of the scan to be resumed" in other.said()
    assert target.read_bytes() == before


def test_files_are_found_again(arena: Range, source: Path) -> None:
    """Neither -I nor -f is given again, nor the working directory: the input and a default name are known."""
    count = 6000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    source.write_text("".join(services(count)))
    kept = arena.lab.directory / "kept"
    words = ("-sendSYNs", "-rate", "1000", *QUICK, "-I", source.name, "--checkpoint", kept.name)
    with open(os.devnull) as nothing:
        victim = Victim(arena.scanner, *words, stdin=nothing)
        target = wait_for(lambda: next(arena.lab.directory.glob("default_*.json"), None), "the output")
        assert target is not None
        wait_for(lambda: lines_in(target) > 1000, "records")
        hurt(victim, "disappear")
        again = Victim(arena.scanner, "--resume", kept, stdin=nothing, name="again")
    assert again.wait(120) == 0, again.said()
    once_each(read(target), wanted(count))
    assert list(arena.lab.directory.glob("default_*")) == [target]
