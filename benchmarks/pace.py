"""How well a rate holds: connections a second at the far end of a wire, over ten seconds.

    sudo .venv/bin/python -m benchmarks.pace [--rates 10 100 1000 10000 50000 100000] [--seconds 10]

A list of hosts that never answer, one SYN each. Prints the rate over the whole time, and the most and the
least that any half second brought, as shares of what was asked for: bursts and gaps would show there.
"""

from __future__ import annotations

import argparse
import sys

from tests.lab.net import lab
from tests.lab.rate import counted, write_hosts
from tests.lab.responder import FIRST, PORT, SCANNER, Range

_WINDOW = 0.5


def slope(seen: list[tuple[float, int]]) -> float:
    """How many a second. seen: (seconds, how many so far)."""
    return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])


def windows(seen: list[tuple[float, int]], length: float) -> list[float]:
    """Packets a second in every stretch of about this length."""
    found, start = [], 0
    for end in range(len(seen)):
        while seen[end][0] - seen[start][0] > length:
            start += 1
        if start and seen[end][0] - seen[start - 1][0] >= length:
            a, b = seen[start - 1], seen[end]
            found.append((b[1] - a[1]) / (b[0] - a[0]))
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pace", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rates", type=int, nargs="+", default=[10, 100, 1000, 10_000, 50_000, 100_000])
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args(argv)
    print(f"{'asked for':>10} {'held':>10} {'half second: least':>20} {'most':>8}")
    with lab() as made:
        arena = Range(made)
        arena.respond(first=FIRST, port=PORT, source=SCANNER, classes="n")
        for rate in options.rates:
            source = made.directory / "targets"
            write_hosts(source, int(rate * (options.seconds + 3)) + 10)
            words = ["-sendSYNs", "-rate", str(rate), "-rt", "60", "-w", "2"]
            looks = counted(arena, words, source, options.seconds, 4 + rate // 4).looks
            seen = [(look.before, look.count) for look in looks]
            parts = windows(seen, _WINDOW)
            least, most = min(parts) / rate, max(parts) / rate
            print(f"{rate:>10,} {slope(seen) / rate:>10.2%} {least:>20.1%} {most:>8.1%}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
