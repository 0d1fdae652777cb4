"""Profiles: folded stacks that any reader of them takes, of every process, with weights that add up."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from lzr.profiles import CpuProfile, MemoryProfile
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import scan
from tests.lab.zmaplines import lines

MS = 1_000_000


def folded(text: str) -> Counter[tuple[str, ...]]:
    found: Counter[tuple[str, ...]] = Counter()
    for line in text.splitlines():
        stack, weight = line.split(" ")
        found[tuple(stack.split(";"))] += int(weight)
    return found


def test_samples_weigh_what_was_spent() -> None:
    main, process = iter((0, 10, 10, 35)), iter((0, 10, 12, 40))
    profile = CpuProfile(
        "a process", lambda: sys._getframe(0), lambda: next(main) * MS, lambda: next(process) * MS
    )
    for _ in range(3):
        profile.sample()
    found = folded(profile.text())
    assert all(stack[0] == "a_process" for stack in found)
    assert sum(found.values()) == 40_000
    assert found["a_process", "other_threads"] == 5_000
    stack = next(stack for stack in found if len(stack) > 2)
    assert stack[-3].endswith("test_profiles.test_samples_weigh_what_was_spent")
    assert stack[-2].endswith("CpuProfile.sample")


def test_memory_at_its_most() -> None:
    profile = MemoryProfile("p")
    try:
        block = bytearray(10_000_000)
        profile.sample()
        del block
        profile.sample()
        found = folded(profile.text())
    finally:
        import tracemalloc

        tracemalloc.stop()
    here = [weight for stack, weight in found.items() if "test_profiles.py" in stack[-1]]
    assert 10_000_000 <= max(here) < 11_000_000


@pytest.mark.root
def test_every_process_is_in_them(arena: Range, tmp_path: Path) -> None:
    responder = arena.respond(first=FIRST, count=2000, port=PORT, source=SCANNER, more=["--premade"])
    cpu, memory = tmp_path / "cpu", tmp_path / "mem"
    words = ("-rt", "0.5", "-t", "1", "-w", "2", "--pin", "-cpuprofile", cpu, "-memprofile", memory)
    found = scan(arena.scanner, *words, lines=lines(2000))
    responder.stop()
    assert found.returncode == 0, found.stderr
    assert len(found.records) == 2000
    processes = {"lzr:_coordinator", "lzr:_collect_0", "lzr:_flow_0", "lzr:_flow_1"}
    for path in (cpu, memory):
        stacks = folded(path.read_text())
        assert {stack[0] for stack in stacks} == processes
        assert all(weight > 0 for weight in stacks.values())
    spent = folded(cpu.read_text())
    assert any(name.endswith("FlowWorker._loop") for stack in spent for name in stack)
    assert any(name.endswith("Collector._loop") for stack in spent for name in stack)
