"""How fast the limit on outstanding flows grows, and what is lost when a worker is held up: simulated.

    .venv/bin/python -m benchmarks.outstanding [--rate 150000] [--seconds 8] [--growth 25 50 100 200 400]

A worker that can begin RATE flows a second has four rings of 2,048 frames. Every host answers after the same
round trip, so the answers come evenly. Shown for each round trip and each interval between two steps of
growth (`_PATIENCE` in workers/flow/outstanding.py): when the full rate was reached, the mean rate over all
the time, and the frames that the rings lost where the worker has no processor for 100 ms of each second.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from typing import NamedTuple

from workers.flow import outstanding

_MS = 1_000_000
_FRAMES, _RINGS = 2048, 4
_TIMEOUT = 5_000 * _MS
_STALL = 100
ROUND_TRIPS = (20, 200, 1000)


class Found(NamedTuple):
    """reached: ms until 95 % of the rate, None for never. mean: flows a second. lost: frames."""

    reached: int | None
    mean: int
    lost: int


def simulate(rate: int, round_trip: int, seconds: int, *, stall: int = 0) -> Found:
    """round_trip, stall: ms; stall: without a turn at the beginning of each second."""
    made = outstanding.Outstanding(_FRAMES, _RINGS, _TIMEOUT)
    step = rate // 1000
    air: deque[tuple[int, int]] = deque()
    ring = fresh = lost = 0
    begun: list[int] = []
    reached = None
    for ms in range(seconds * 1000):
        while air and air[0][0] <= ms:
            ring += air.popleft()[1]
        over = max(0, ring - _FRAMES * _RINGS)
        ring, fresh, lost = ring - over, fresh - over, lost + over
        if ms % 1000 < stall:
            begun.append(0)
            continue
        taken = min(ring, 2 * step)
        ring, fresh = ring - taken, fresh - taken
        made.note_fill(taken // _RINGS, ms * _MS)
        flows = min(made.room(fresh, ms * _MS), step)
        if flows:
            made.note_begun(flows, ms * _MS)
            fresh += flows
            air.append((ms + round_trip, flows))
        begun.append(flows)
        if reached is None and ms >= round_trip and sum(begun[-round_trip:]) >= 0.95 * step * round_trip:
            reached = ms
    return Found(reached, sum(begun) // seconds, lost)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="outstanding", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=int, default=150_000)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--growth", type=int, nargs="*", default=[25, 50, 100, 200, 400], help="ms")
    options = parser.parse_args(argv)
    print(f"{'round trip':>10} {'growth':>7} {'full rate after':>16} {'mean':>9} {'lost when held up':>18}")
    for round_trip in ROUND_TRIPS:
        for growth in options.growth:
            outstanding._PATIENCE = growth * _MS
            even = simulate(options.rate, round_trip, options.seconds)
            held = simulate(options.rate, round_trip, options.seconds, stall=_STALL)
            when = f"{even.reached / 1000:.1f} s" if even.reached is not None else "not in time"
            print(f"{round_trip:>7} ms {growth:>4} ms {when:>16} {even.mean:>7}/s {held.lost:>18,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
