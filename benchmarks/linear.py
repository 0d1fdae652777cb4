"""Whether cost is linear: what a flow more costs among few and among many, and with more workers, as ratios.

    sudo .venv/bin/python -m benchmarks.linear [--few 50000] [--many 1000000] [--repeat 3]

Scans of three sizes: the difference between two is what the flows between them cost, without the price of
starting and of touching rings and tables for the first time. Scans of one round follow each other, so what
else the machine does hits them alike; the median round is printed.
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


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="linear", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=50_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args(argv)
    few, some, many = options.few, 4 * options.few, options.many
    found: dict[tuple[int, str], list[float]] = {}
    with lab() as made:
        arena = Range(made)
        sources = {}
        for count in (few, some, many):
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
                least, middle = cost(few, workers), cost(some, workers)
                each = (middle - least) / (some - few) * 1e6
                found.setdefault((workers, f"{few:,} to {some:,}"), []).append(each)
                if workers == _USUAL:
                    each = (cost(many, workers) - middle) / (many - some) * 1e6
                    found.setdefault((workers, f"{some:,} to {many:,}"), []).append(each)
    costs = {case: statistics.median(each) for case, each in found.items()}
    for (workers, flows), each in costs.items():
        print(f"flows {flows:<22} {workers} flow workers {each:8.2f} µs a flow")
    usual = [each for (workers, _), each in costs.items() if workers == _USUAL]
    if len(usual) == 2:
        print(f"among many a flow costs {usual[1] / usual[0]:.2f} times what it does among few")
    least, *_, most = (each for (_, flows), each in costs.items() if flows.endswith(f"{some:,}"))
    first, *_, last = options.workers
    print(f"with {last} workers it costs {most / least:.2f} times what it does with {first}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
