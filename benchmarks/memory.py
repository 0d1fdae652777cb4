"""Memory with many flows in flight: hosts that never answer, timers longer than the measurement.

    sudo .venv/bin/python -m benchmarks.memory [--flows 1000000] [--workers 2]

Prints PSS by process when a twentieth and when all of the flows are in flight; the difference is the growth.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.processes import pss, title, tree
from tests.lab.net import lab
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.lab.zmaplines import lines


def in_flight(arena: Range, flows: int, options: list[str], program: Path = LZR) -> dict[str, int]:
    """PSS by process title while `flows` flows wait for an answer."""
    responder = arena.respond(
        first=FIRST, count=flows, port=PORT, source=SCANNER, classes="q", more=["--premade"]
    )
    directory = arena.lab.directory
    source, status = directory / "lines", directory / "status"
    with source.open("w") as out:
        out.writelines(lines(flows, classes="q"))
    words = [str(program), "--no-dashboard", "-f", "/dev/null", "-rt", "600", *options]
    status.unlink(missing_ok=True)
    with source.open() as stdin:
        process = arena.scanner.popen(
            *words, "--status-updates-file", status, stdin=stdin, stderr=subprocess.DEVNULL
        )
        try:
            _wait(status, flows)
            found: dict[str, int] = {}
            for pid in tree(process.pid):
                with contextlib.suppress(OSError):
                    found[title(pid)] = found.get(title(pid), 0) + pss(pid)
        finally:
            for _ in range(2):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGINT)
                time.sleep(0.3)
            process.wait(20)
    responder.stop()
    return found


def _wait(status: Any, flows: int) -> None:
    """Until the status file says that so many are in flight."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        time.sleep(0.25)
        if status.exists():
            rows = [line.split(",") for line in status.read_text().splitlines()]
            if len(rows) > 1:
                last = dict(zip(rows[0], rows[-1], strict=False))
                if int(last["sent-total"]) >= flows:
                    time.sleep(1)
                    return
    raise SystemExit("the flows never were in flight")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="memory", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--flows", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(argv)
    few = options.flows // 20
    with lab() as made:
        arena = Range(made)
        found = [in_flight(arena, count, ["-w", str(options.workers)]) for count in (few, options.flows)]
    growth = (sum(found[1].values()) - sum(found[0].values())) / (options.flows - few)
    for name in found[1]:
        print(f"  {name:<20} {found[0].get(name, 0) / 1e6:7.1f} -> {found[1][name] / 1e6:7.1f} MB")
    totals = [sum(each.values()) / 1e6 for each in found]
    print(
        f"in all               {totals[0]:7.1f} -> {totals[1]:7.1f} MB; {growth:.0f} bytes a flow in flight"
    )
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
