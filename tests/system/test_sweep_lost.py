"""Workers that end with answers which they have not told: whoever gave them is asked again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

from tests.faults import Victim, lines_in, read
from tests.lab.net import LabError, wait_for
from tests.lab.responder import PORT, SCANNER, Range
from tests.system.test_advice_running import lzr

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

COUNT = 1 << 17
KILLS = 8
"""A scan ends where one place loses five workers within a minute."""


def kill_in_the_midst(victim: Victim) -> bool:
    """Kill one of two flow workers in the midst of a turn, while the other has sent a part of its SYNs and
    says so only after that; whether there were two.

    Between its turns a worker waits for messages, and has nothing that it has not told; within them it sleeps
    while it spaces its SYNs. One that is behind its rate does not, and is killed anywhere.
    """
    deaths = victim.said().count("a successor takes over")

    def both() -> list[int]:
        pids = victim.of_role("flow worker")
        return pids if len(pids) == 2 or victim.process.poll() is not None else []

    with contextlib.suppress(OSError, ValueError, LabError):
        one, other = wait_for(both, "two workers", 60)
        until_it_spaces(other)
        os.kill(other, signal.SIGSTOP)
        try:
            until_it_spaces(one)
            os.kill(one, signal.SIGKILL)
            wait_for(lambda: victim.said().count("a successor takes over") > deaths, "word of the death", 60)
        finally:
            os.kill(other, signal.SIGCONT)
        return True
    return False


def until_it_spaces(pid: int) -> None:
    """Wait until this worker sleeps in the midst of a turn, if it does so soon."""
    where = Path(f"/proc/{pid}/wchan")
    with contextlib.suppress(LabError):
        wait_for(lambda: "nanosleep" in where.read_text(), "SYNs to be spaced", 0.5, 0.0005)


def test_killed_with_answers_to_what_another_is_sending(arena: Range) -> None:
    responder = arena.respond(first="10.64.0.0", count=COUNT, port=PORT, source=SCANNER, classes="h")
    target, metadata = arena.lab.directory / "out", arena.lab.directory / "metadata"
    words = ("-p", str(PORT), "10.64.0.0/15", "-handshakes", "none", "-c", "2", "-r", "20000")
    more = ("-w", "flow=2,collect=1", "-f", target, "-m", metadata)
    with open(os.devnull) as stdin:
        victim = Victim(arena.scanner, *words, *more, stdin=stdin)
    kills = 0
    wait_for(lambda: lines_in(target) > 4000, "the first records", 60)
    while victim.process.poll() is None and kills < KILLS:
        kills += bool(kill_in_the_midst(victim))
        seen = lines_in(target)

        def moved(seen: int = seen) -> bool:
            return lines_in(target) > seen + 6000 or victim.process.poll() is not None

        wait_for(moved, "records after a kill", 60)
    assert victim.wait(120) == 0, victim.said()[-3000:]
    responder.stop()
    assert kills >= 2
    hosts = [str(record["saddr"]) for record in read(target)]
    assert len(hosts) == len(set(hosts))
    assert len(hosts) == COUNT, f"{COUNT - len(hosts)} of {COUNT} have no record\n{victim.said()[-3000:]}"
    assert json.loads(metadata.read_text())["reasons"] == {"sa_only": COUNT}


def test_what_was_not_told_at_the_end_is_asked_again_on_resume(arena: Range) -> None:
    """The end takes longer than a checkpoint waits for an answer, and nobody listens meanwhile."""
    count = 1 << 16
    responder = arena.respond(first="10.64.0.0", count=count, port=PORT, source=SCANNER, classes="h")
    target, state = arena.lab.directory / "out", arena.lab.directory / "state"
    words = ("-p", str(PORT), "10.64.0.0/16", "-handshakes", "none", "-c", "2", "-r", "20000")
    with open(os.devnull) as stdin:
        victim = Victim(arena.scanner, *words, "-f", target, "--checkpoint", state, stdin=stdin)
    wait_for(lambda: lines_in(target) > 10000, "the first records", 60)
    workers, collectors = victim.of_role("flow worker"), victim.of_role("collector")
    for pid in (*workers, *collectors):
        os.kill(pid, signal.SIGSTOP)
    victim.signal(signal.SIGINT)
    wait_for(lambda: "SIGINT" in victim.said(), "the first signal", 60)
    victim.signal(signal.SIGINT)
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    assert victim.wait(120) == 128 + signal.SIGINT, victim.said()[-3000:]
    assert 10000 < lines_in(target) < count
    done = lzr(arena, "--resume", str(state), "-r", "40000")
    assert done.returncode == 0, done.stderr
    responder.stop()
    hosts = [str(record["saddr"]) for record in read(target)]
    assert len(hosts) == len(set(hosts))
    assert len(hosts) == count, f"{count - len(hosts)} of {count} have no record\n{done.stderr[-3000:]}"
