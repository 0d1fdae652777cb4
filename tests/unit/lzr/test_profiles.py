"""Profiles: folded stacks that any reader of them takes, of every process, with weights that add up."""

from __future__ import annotations

import sys
import tracemalloc
from collections import Counter

from lzr.profiles import CpuProfile, MemoryProfile

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
        profile.close()
    assert not tracemalloc.is_tracing()
    here = [weight for stack, weight in found.items() if "test_profiles.py" in stack[-1]]
    assert 10_000_000 <= max(here) < 11_000_000
