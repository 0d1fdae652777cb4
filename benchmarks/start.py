"""How long it takes to begin: `lzr --help`, and a whole scan of one target that answers at once.

sudo .venv/bin/python -m benchmarks.start [--repeat 9]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.processes import compile_all
from tests.lab.net import lab
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR


def one_target(arena: Range, program: Path = LZR) -> None:
    """A whole scan of one target, which answers. Raises SystemExit if it is not recognised."""
    words = ("-sendSYNs", "--no-dashboard", "-q", "-f", "-")
    done = arena.scanner.run(program, *words, input=f"10.64.0.1:{PORT}\n", timeout=30)
    if '"fingerprint":"http"' not in done.stdout.replace(" ", ""):
        raise SystemExit(f"no answer: {done.stdout}{done.stderr}")


def timed(work: Callable[[], object], repeat: int) -> str:
    found = []
    for _ in range(repeat):
        start = time.monotonic()
        work()
        found.append(time.monotonic() - start)
    return f"{statistics.median(found):.3f} s (worst of {repeat}: {max(found):.3f})"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="start", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=9)
    options = parser.parse_args(argv)
    compile_all()
    print(
        "lzr --help     ",
        timed(lambda: subprocess.run([LZR, "--help"], check=True, capture_output=True), options.repeat),
    )
    with lab() as made:
        arena = Range(made)
        arena.respond(first=FIRST, count=256, port=PORT, source=SCANNER, classes="h")
        one_target(arena)
        print("one target     ", timed(lambda: one_target(arena), options.repeat))
    return 0


if __name__ == "__main__":
    sys.exit(main())
