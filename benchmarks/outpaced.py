"""A sweep that is asked for more than the machine can send, beside one without a rate.

    sudo .venv/bin/python -m benchmarks.outpaced [--rate 3000000] [--pairs 1048576] [--repeat 3]

Silent pairs, one after the other in the same namespaces. Printed: seconds from the first SYN to the end of
each, and their ratio; 1 means that a rate out of reach costs nothing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from tests.lab.net import lab
from tests.lab.responder import PORT, SCANNER, Range
from tests.lab.scan import LZR

QUICK = ("-handshakes", "http", "-rn", "0", "-rt", "0.5", "-t", "1", "-c", "1", "-b", "/dev/null")


def seconds(arena: Range, bits: int, rate: str) -> float:
    """How long a sweep of 2^bits addresses takes. Raises LabError if it fails."""
    words = ("-p", str(PORT), f"10.128.0.0/{32 - bits}", "-r", rate, "-f", "/dev/null", "--no-dashboard")
    begun = time.monotonic()
    arena.scanner.run(LZR, *words, *QUICK, timeout=600)
    return time.monotonic() - begun


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="outpaced", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=int, default=3_000_000)
    parser.add_argument("--pairs", type=int, default=1 << 20, help="the next lower power of two is taken")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args(argv)
    bits = options.pairs.bit_length() - 1
    ratios = []
    with lab() as made:
        arena = Range(made)
        arena.respond(first="10.64.0.0", count=1, port=0, source=SCANNER, classes="z")
        for _ in range(options.repeat):
            free = seconds(arena, bits, "none")
            asked = seconds(arena, bits, str(options.rate))
            ratios.append(asked / free)
            print(
                f"without a rate {free:.1f} s, at {options.rate:,}/s {asked:.1f} s: {ratios[-1]:.2f}",
                flush=True,
            )
    print(f"ratio: {statistics.median(ratios):.2f}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.SubprocessError as error:
        sys.exit(f"outpaced: {error}")
