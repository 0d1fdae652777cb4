"""Answers and the room in the receive rings: no more is asked than there is room for, whoever has the rings;
whoever gave an answer that found none is asked again, or the status says it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import Victim, lines_in, read
from tests.lab.net import wait_for
from tests.lab.responder import PORT, SCANNER, Range, Responder

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

HELD = 16_000
"""SYNs that are answered at once: the rings of one worker have 8,192 frames."""
RING = ("--ring", "65536")
"""Frames of the responder's own: the SYNs that it is to answer come among other packets."""
WORDS = ("-handshakes", "none", "-c", "2", "-r", "40000", "-b", "/dev/null")


@contextlib.contextmanager
def stopped(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def packets(pid: int, column: int) -> int:
    """Packets that have come to (1) or left from (9) the interface of this process's namespace."""
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()
    return int(next(line for line in lines if line.strip().startswith("eth0:")).split(":")[1].split()[column])


def count_syns(arena: Range) -> None:
    arena.far.nft("insert rule netdev deaf ingress tcp flags & (syn | ack) == syn counter")


def syns(arena: Range) -> int:
    """SYNs that have come to the responder's interface since `count_syns`, read by it or not."""
    listed = json.loads(arena.far.run("nft", "-j", "list", "chain", "netdev", "deaf", "ingress").stdout)
    rules = (one["rule"]["expr"] for one in listed["nftables"] if "rule" in one)
    return sum(int(part["counter"]["packets"]) for rule in rules for part in rule if "counter" in part)


def drop(arena: Range, victim: Victim, responder: Responder) -> None:
    """Answers to some thousands of SYNs come at once, while no worker reads them."""
    with contextlib.ExitStack() as far:
        far.enter_context(stopped(responder.process.pid))
        before = syns(arena)
        wait_for(lambda: syns(arena) >= before + HELD, "SYNs without an answer", 60)
        with stopped(*victim.of_role("flow worker")):
            come = packets(victim.pid, 1)
            far.close()
            wait_for(lambda: packets(victim.pid, 1) >= come + HELD * 3 // 4, "their answers", 60)
            wait_until_quiet(victim, 1)


def wait_until_quiet(victim: Victim, column: int, most: int = 1 << 62) -> None:
    """Wait until no more packets come or leave (`packets`), or so many have."""
    seen = [packets(victim.pid, column), -1, -1, -1]

    def quiet() -> bool:
        seen.append(packets(victim.pid, column))
        return len({*seen[-4:]}) == 1 or seen[-1] > seen[0] + most

    wait_for(quiet, "an end of it", 60, 0.1)


def sweep(arena: Range, network: str, workers: int = 1) -> tuple[Victim, Path, Path]:
    target, metadata = arena.lab.directory / "out", arena.lab.directory / "metadata"
    more = ("-w", f"flow={workers},collect=1", "-f", target, "-m", metadata)
    words = ("-p", str(PORT), network, *WORDS, *more)
    with open(os.devnull) as stdin:
        victim = Victim(arena.scanner, *words, stdin=stdin)
    wait_for(lambda: lines_in(target) > 2000, "the first records", 60)
    return victim, target, metadata


def test_nothing_is_asked_while_a_worker_that_has_no_processor_has_no_room(arena: Range) -> None:
    """The answers to what one worker sends come to the rings of all."""
    count = 1 << 18
    responder = arena.respond(first="10.64.0.0", count=count, port=PORT, source=SCANNER, classes="h")
    victim, target, metadata = sweep(arena, "10.64.0.0/14", workers=2)
    for worker in victim.of_role("flow worker"):
        with stopped(worker):
            wait_until_quiet(victim, 9, 80_000)
    assert victim.wait(120) == 0, victim.said()[-3000:]
    counters = responder.stop()
    told = json.loads(metadata.read_text())
    assert told["packets"]["drops"] < 1000  # else 4,000 and more; what is on its way is not seen in the rings
    assert len({str(record["saddr"]) for record in read(target)}) == count
    assert counters["syn"] == count or told["packets"]["drops"]


def test_who_gave_an_answer_that_was_dropped_is_asked_again(arena: Range) -> None:
    count = 1 << 18
    responder = arena.respond(
        first="10.64.0.0", count=count, port=PORT, source=SCANNER, classes="h", more=RING
    )
    count_syns(arena)
    victim, target, metadata = sweep(arena, "10.64.0.0/14")
    drop(arena, victim, responder)
    assert victim.wait(120) == 0, victim.said()[-3000:]
    counters = responder.stop()
    told = json.loads(metadata.read_text())
    assert told["packets"]["drops"] > HELD // 8  # three quarters have come at least, and the rings took 8,192
    hosts = [str(record["saddr"]) for record in read(target)]
    assert len(hosts) == len(set(hosts)) == count, victim.said()[-3000:]
    assert told["reasons"] == {"sa_only": count}
    assert not told["results_lost"]
    assert any("no room in a receive ring" in one for one in told["warnings"]), told["warnings"]
    assert count < counters["syn"] < 2 * count


def test_answers_that_are_dropped_again_and_again_make_a_status_of_their_own(arena: Range) -> None:
    count = 1 << 19
    responder = arena.respond(
        first="10.64.0.0", count=count, port=PORT, source=SCANNER, classes="h", more=RING
    )
    count_syns(arena)
    victim, _, metadata = sweep(arena, "10.64.0.0/13")
    for _ in range(8):
        if "again and again" in victim.said():
            break
        drop(arena, victim, responder)
    assert victim.wait(120) == 3, victim.said()[-3000:]
    responder.stop()
    told = json.loads(metadata.read_text())
    assert told["results_lost"]
    assert any("an answer may be lost" in one for one in told["warnings"]), told["warnings"]
    assert sum(told["reasons"].values()) == count
