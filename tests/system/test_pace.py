"""Rates hold: on paper to the packet, and on a wire, counted at its far end."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.pacing.maxrate import Budget
from tests.faults import Victim, lines_in
from tests.lab.net import wait_for
from tests.lab.rate import Counted, counted, write_hosts
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.zmaplines import lines

SECOND = 1_000_000_000


@given(st.sampled_from([1.0, 7.5, 300.0, 100_000.0]), st.sampled_from([1.0, 0.25]), st.integers(0, 2**32))
@settings(max_examples=12, deadline=None)
def test_packets_on_paper(rate: float, share: float, seed: int) -> None:
    draw, budget, now, sent = random.Random(seed), Budget(rate, None, 0), 0, 0
    budget.set_share(share, 0)
    while now < 20 * SECOND:
        room = budget.frames(now)
        budget.spend(room, room * 60)
        sent += room
        assert sent <= rate * share * (now / SECOND + 0.02) + 2
        now += max(1, round(min(budget.wait(), 0.5) * SECOND), draw.randrange(SECOND // 100))
    assert sent >= rate * share * 20 * 0.98 - 2


@given(st.sampled_from([10_000.0, 1e6, 1e8]), st.integers(0, 2**32))
@settings(max_examples=6, deadline=None)
def test_bits_on_paper(rate: float, seed: int) -> None:
    draw, budget, now, bits = random.Random(seed), Budget(None, rate, 0), 0, 0
    while now < 20 * SECOND:
        room = budget.frames(now)
        octets = sum(draw.choice((60, 250, 1514)) for _ in range(min(room, 50))) * max(1, room // 50)
        room = min(room, 50) * max(1, room // 50)
        budget.spend(room, octets)
        bits += 8 * max(84 * room, octets + 24 * room)
        assert bits <= rate * (now / SECOND + 0.02) + 2 * 8 * 1538
        now += max(1, min(round(budget.wait() * SECOND), 5 * SECOND), draw.randrange(SECOND // 500))
    assert bits >= rate * 20 * 0.8


def test_no_limit() -> None:
    budget = Budget(None, None, 0)
    budget.spend(10**9, 10**12)
    assert budget.frames(0) > 10**6
    assert budget.wait() == 0


def smooth(seen: Counted, rate: float) -> bool:
    """No gap made good by a burst: every stretch brings what fits its time and the depth of the bucket."""
    return all(
        b.count - a.count <= rate * (b.after - a.before + 0.1) * 1.5 + 3 for a, b in pairwise(seen.looks)
    )


@pytest.mark.root
@pytest.mark.parametrize("rate", [10, 2000, 30_000])
def test_connections_a_second(arena: Range, rate: int) -> None:
    arena.respond(first=FIRST, port=PORT, source=SCANNER, classes="n")
    seconds = 3.0
    source = arena.lab.directory / "targets"
    write_hosts(source, int(rate * (seconds + 9)))
    words = ["-sendSYNs", "-rate", str(rate), "-rt", "20", "-w", "2"]
    seen = counted(arena, words, source, seconds, 8 + rate // 4)
    # Up to 0.2 s that were lost before we looked may be made good while we do; more than that is lost.
    assert rate * 0.95 * seen.least - 2 <= seen.came <= rate * (1.02 * seen.most + 0.2) + 2, seen
    assert smooth(seen, rate)


@pytest.mark.root
@pytest.mark.parametrize(("option", "limit"), [("--max-rate", 3000), ("--bandwidth", 4_000_000)])
def test_everything_that_is_sent(arena: Range, option: str, limit: int) -> None:
    arena.respond(first=FIRST, count=1 << 20, port=PORT, source=SCANNER, more=["--premade"])
    source = arena.lab.directory / "targets"
    with source.open("w") as out:
        out.writelines(lines(20_000))
    bits = option == "--bandwidth"
    words = [option, str(limit), "-w", "2"]
    seen = counted(arena, words, source, 3.0, limit // 32 if bits else limit // 4, octets=bits)
    if bits:  # the wire adds 24 bytes to each packet, which are counted too
        assert 0.6 * limit * seen.least < seen.came * 8 < limit * seen.most, seen
    else:
        assert limit * 0.95 * seen.least <= seen.came <= limit * (1.02 * seen.most + 0.2), seen
    assert smooth(seen, limit)


@pytest.mark.root
def test_bits_alone_pace_a_sweep(arena: Range) -> None:
    arena.respond(first=FIRST, port=PORT, source=SCANNER, classes="n")
    limit = 20_000_000  # 29,000 SYNs a second: more than the rate is where no bits are given
    source = arena.lab.directory / "nothing"
    source.touch()
    words = ["-p", str(PORT), "10.64.0.0/12", "-B", str(limit), "-handshakes", "none", "-b", "/dev/null"]
    seen = counted(arena, words, source, 3.0, limit // 32, octets=True)
    on_wire = seen.came * 8 * 86 / 62
    assert 0.6 * limit * seen.least < on_wire < limit * (seen.most + 0.2), seen


@pytest.mark.root
def test_who_ends_a_sweep_does_not_wait_for_its_bits(arena: Range) -> None:
    """What the workers have by then is a second's worth: it was 65,536 SYNs for each."""
    arena.respond(first=FIRST, port=PORT, source=SCANNER, classes="n")
    limit = 1_000_000
    words = (
        "-p",
        str(PORT),
        "10.64.0.0/12",
        "-B",
        str(limit),
        "-handshakes",
        "none",
        "-b",
        "/dev/null",
        "-c",
        "1",
    )
    status = arena.lab.directory / "status"
    begun = time.monotonic()
    with open(os.devnull) as stdin:
        victim = Victim(arena.scanner, *words, "-w", "flow=2", "-u", status, stdin=stdin)
    wait_for(lambda: lines_in(status) > 3, "status lines", 60)
    victim.signal(signal.SIGINT)
    wait_for(lambda: "SIGINT" in victim.said(), "an answer", 60)
    seconds = time.monotonic() - begun
    victim.process.wait(240)
    sent = int(re.findall(r"packets: ([\d,]+) sent", victim.said())[-1].replace(",", ""))
    assert sent <= limit / 8 / 84 * (seconds + 3)
