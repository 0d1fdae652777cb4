"""Memory over time: ten million flows through a bounded window, and PSS at every tenth of them.

    sudo .venv/bin/python -m benchmarks.steady [--flows 10000000] [--workers 2]

Prints PSS of all processes together as the scan goes on, and the growth from the third tenth to the last:
by then every table has the size that the window asks for.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import threading
import time
from typing import Any

from benchmarks.processes import cpu, pss, tree
from tests.lab.net import lab
from tests.lab.responder import FIRST, HALF_CLASSES, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.lab.zmaplines import lines

_TOGETHER = 4096


def _write(to: Any, count: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        text = lines(count, classes=HALF_CLASSES)
        for _ in range(0, count, _TOGETHER):
            to.write("".join(line for line, _ in zip(text, range(_TOGETHER), strict=False)).encode())
        to.write("".join(text).encode())
        to.close()


def _last_row(status: Any) -> dict[str, str]:
    rows = [line.split(",") for line in status.read_text().splitlines()] if status.exists() else []
    return dict(zip(rows[0], rows[-1], strict=False)) if len(rows) > 1 else {}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="steady", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--flows", type=int, default=10_000_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(argv)
    seen: list[tuple[int, int, float]] = []
    with lab() as made:
        arena = Range(made)
        where = {"first": FIRST, "count": options.flows, "port": PORT, "source": SCANNER}
        arena.respond(**where, classes=HALF_CLASSES, more=["--premade"])
        status = made.directory / "status"
        words = [str(LZR), "--no-dashboard", "-q", "-f", "/dev/null", "-t", "2", "-w", str(options.workers)]
        process = arena.scanner.popen(
            *words,
            "--status-updates-file",
            status,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None
        writer = threading.Thread(target=_write, args=(process.stdin, options.flows), daemon=True)
        writer.start()
        start = time.monotonic()
        while process.poll() is None:
            time.sleep(0.5)
            done = int(_last_row(status).get("done-total", 0))
            if done >= options.flows * (len(seen) + 1) / 10:
                with contextlib.suppress(OSError):
                    pids = tree(process.pid)
                    seen.append((done, sum(map(pss, pids)), sum(map(cpu, pids))))
                    print(
                        f"{done:>12,} {seen[-1][1] / 1e6:8.1f} MB {seen[-1][2] / done * 1e6:8.2f} µs a flow"
                    )
        seconds = time.monotonic() - start
    if process.returncode or len(seen) < 4:
        raise SystemExit(f"lzr ended with {process.returncode} after {len(seen)} tenths")
    growth = seen[-1][1] / seen[2][1] - 1
    print(f"{options.flows:,} flows in {seconds:.0f} s; PSS from the third tenth to the last {growth:+.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
