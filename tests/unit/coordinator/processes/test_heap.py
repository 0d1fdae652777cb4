"""Memory that was freed is the system's again."""

from __future__ import annotations

from pathlib import Path

from coordinator.processes import heap


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_what_was_freed_is_given_back() -> None:
    """Pieces below the size from which the C library maps each by itself, the last of them still in use."""
    pieces = [bytearray(100_000) for _ in range(400)]
    last = pieces.pop()
    full = resident()
    pieces.clear()
    heap.give_back()
    assert resident() < full - 20_000_000
    assert len(last) == 100_000
