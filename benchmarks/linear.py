"""Whether cost is linear: µs per flow for many flows and for few, and with more workers, as ratios.

    sudo .venv/bin/python -m benchmarks.linear [--many 1000000] [--few 50000] [--repeat 3]

A scan's cost is that of starting and that of each flow. Starting is measured with a thousand flows; what the
other scans cost beyond it, by flow, is compared. Scans of one round follow each other, so what else the
machine does hits them alike; the median round is printed.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from benchmarks.endtoend import scan
from tests.lab.net import lab
from tests.lab.responder import HALF_CLASSES, Range
from tests.lab.zmaplines import lines

_START = 1000


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="linear", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=50_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args(argv)
    first = options.workers[0]
    found: dict[tuple[int, int], list[float]] = {}
    with lab() as made:
        arena = Range(made)
        sources = {}
        for count in (_START, options.few, options.many):
            sources[count] = made.directory / f"lines.{count}"
            with sources[count].open("w") as out:
                out.writelines(lines(count, classes=HALF_CLASSES))

        def cost(count: int, workers: int) -> float:
            words = ["-t", "2", "-w", f"flow={workers},collect=1"]
            result = scan(arena, sources[count], count, HALF_CLASSES, words)
            if result["records"] != count:
                raise SystemExit(f"{result['records']} records of {count}")
            return float(result["cpu"])

        for _ in range(options.repeat):
            for workers in options.workers:
                start = cost(_START, workers)
                counts = (options.few, options.many) if workers == 2 else (options.few * 8,)
                for count in counts:
                    each = (cost(count, workers) - start) / (count - _START) * 1e6
                    found.setdefault((workers, count), []).append(each)
    costs = {case: statistics.median(each) for case, each in found.items()}
    for (workers, count), each in costs.items():
        print(f"{count:>10,} flows, {workers} flow workers {each:8.2f} µs a flow")
    if 2 in options.workers:
        ratio = costs[2, options.many] / costs[2, options.few]
        print(f"{options.many:,} flows cost {ratio:.2f} times a flow of {options.few:,}")
    last = options.workers[-1]
    if last != first and 2 not in (first, last):
        ratio = costs[last, options.few * 8] / costs[first, options.few * 8]
        print(f"{last} workers cost {ratio:.2f} times what {first} do")
    return 0


if __name__ == "__main__":
    sys.exit(main())
