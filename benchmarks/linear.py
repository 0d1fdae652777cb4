"""Whether cost is linear: µs a flow among few and among many, and with more workers, as ratios.

    sudo .venv/bin/python -m benchmarks.linear [--few 50000] [--many 1000000] [--repeat 5]

What a flow costs is the CPU of a whole scan, less that of one of 1,000 flows: starting and ending. Scans of
one round follow each other, so what else the machine does hits them alike; the median round is printed.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from benchmarks.endtoend import scan
from tests.lab.net import lab
from tests.lab.responder import HALF_CLASSES, Range
from tests.lab.zmaplines import lines

_USUAL = 2  # workers
_LEAST = 1000  # flows


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="linear", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=50_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args(argv)
    few, some, many = options.few, 4 * options.few, options.many
    cases = [(count, _USUAL) for count in (few, many)] + [(some, workers) for workers in options.workers]
    found: dict[tuple[int, int], list[float]] = {case: [] for case in cases}
    with lab() as made:
        arena = Range(made)
        sources = {}
        for count in (_LEAST, few, some, many):
            sources[count] = made.directory / f"lines.{count}"
            with sources[count].open("w") as out:
                out.writelines(lines(count, classes=HALF_CLASSES))

        def cost(count: int, workers: int) -> float:
            words = ["-t", "2", "-w", f"flow={workers},collect=1"]
            result = scan(arena, sources[count], count, HALF_CLASSES, words)
            if result["records"] != count or result["drops"]:
                raise SystemExit(f"{result['records']} records of {count}, {result['drops']} frames dropped")
            return float(result["cpu"])

        for _ in range(options.repeat):
            start = {workers: cost(_LEAST, workers) for workers in {_USUAL, *options.workers}}
            for count, workers in cases:
                each = (cost(count, workers) - start[workers]) / (count - _LEAST)
                found[count, workers].append(each * 1e6)
    costs = {case: statistics.median(each) for case, each in found.items()}
    for (count, workers), each in costs.items():
        print(f"{count:>9,} flows, {workers} flow workers {each:8.2f} µs a flow")
    more = costs[many, _USUAL] / costs[few, _USUAL]
    print(f"among many a flow costs {more:.2f} times what it does among few")
    first, *_, last = options.workers
    more = costs[some, last] / costs[some, first]
    print(f"with {last} workers it costs {more:.2f} times what it does with {first}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
