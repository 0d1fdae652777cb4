"""How well a rate holds: connections a second at the far end of a wire, over ten seconds.

    sudo .venv/bin/python -m benchmarks.pace [--rates 10 100 1000 10000 50000 100000] [--seconds 10]

A list of hosts that never answer, one SYN each. Prints the rate over the whole time, and the most and the
least that any half second brought, as shares of what was asked for: bursts and gaps would show there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from tests.lab.net import lab, wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR

_LOOK = 0.02
_WINDOW = 0.5


def counted(arena: Range, rate: int, seconds: float) -> list[tuple[float, int]]:
    """(time, packets at the far end), from shortly after the first."""
    source = arena.lab.directory / "targets"
    with source.open("w") as out:
        for k in range(int(rate * (seconds + 3)) + 10):
            out.write(f"10.{64 + (k >> 16)}.{k >> 8 & 255}.{k & 255}:{PORT}\n")
    words = [
        "-sendSYNs",
        "-rate",
        str(rate),
        "-rt",
        "60",
        "-w",
        "2",
        "-q",
        "--no-dashboard",
        "-f",
        "/dev/null",
    ]
    with source.open() as stdin:
        process = arena.scanner.popen(LZR, *words, stdin=stdin, stderr=subprocess.DEVNULL)
    with arena.far.call(lambda: open("/proc/thread-self/net/dev")) as far:

        def count() -> int:
            far.seek(0)
            line = next(line for line in far.read().splitlines() if line.strip().startswith("eth0:"))
            return int(line.split(":")[1].split()[1])

        before = count()
        wait_for(lambda: count() > before + 4 + rate // 4, "the first packets", pause=0.001)
        seen = [(time.monotonic(), count())]
        while seen[-1][0] < seen[0][0] + seconds:
            time.sleep(_LOOK)
            seen.append((time.monotonic(), count()))
    process.terminate()
    time.sleep(0.3)
    process.terminate()
    process.wait(30)
    return seen


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
            seen = counted(arena, rate, options.seconds)
            held = (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])
            parts = windows(seen, _WINDOW)
            least, most = min(parts) / rate, max(parts) / rate
            print(f"{rate:>10,} {held / rate:>10.2%} {least:>20.1%} {most:>8.1%}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
