"""A whole sweep: a silent pair beside the floor of its SYN, one that answers beside one of a list, memory.

    sudo .venv/bin/python -m benchmarks.sweep [--pairs 400000] [--repeat 3]

All runs of a round are in the same namespaces, one after the other, with the same responder. A silent pair
is what a long sweep costs more than a short one. Asked: at most 1.5 times the floor (floor.c --syns); a pair
that answers takes no more than as a line of a list (`-sendSYNs`); at most 200 MB, all processes together, for
2^32 pairs with 10,000 flows in flight. `benchmarks.beside` compares with other programs.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.processes import Watcher, compile_all
from benchmarks.syns import floor
from tests.lab.net import lab
from tests.lab.rate import write_hosts
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR

SHORT = 0.125
QUICK = ("-handshakes", "http", "-t", "1", "-c", "2")


def network(pairs: int) -> str:
    """A prefix of so many addresses; a power of two."""
    return f"{FIRST}/{32 - (pairs - 1).bit_length()}"


def timed(arena: Range, *words: str | Path) -> dict[str, Any]:
    """Seconds of CPU of a command with its children, peak memory, what it said."""
    log = arena.lab.directory / "sweep.log"
    with log.open("w") as stderr:
        process = arena.scanner.popen(
            *words, stdin=subprocess.DEVNULL, stderr=stderr, stdout=subprocess.DEVNULL
        )
        watcher = Watcher(process.pid)
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    watcher.stop()
    said = log.read_text()
    if process.returncode:
        raise SystemExit(f"{words[0]} ended with {process.returncode}:\n{said[-3000:]}")
    return {
        "cpu": usage.ru_utime + usage.ru_stime,
        "pss": watcher.most,
        "log": said,
        "processes": {name: p.cpu for name, p in watcher.by_title().items()},
    }


def respond(arena: Range, pairs: int, classes: str) -> Any:
    return arena.respond(first=FIRST, count=pairs, port=PORT, source=SCANNER, classes=classes)


def swept(arena: Range, pairs: int, classes: str, *words: str) -> dict[str, Any]:
    """One sweep of so many pairs."""
    responder = respond(arena, pairs, classes)
    out = arena.lab.directory / "sweep.out"
    out.unlink(missing_ok=True)
    more = ("-b", "/dev/null", "--no-dashboard", "-f", str(out))
    found = timed(arena, LZR, "-p", str(PORT), network(pairs), *QUICK, *words, *more)
    return found | {"counters": responder.stop(), "hosts": hosts(out)}


def listed(arena: Range, pairs: int, classes: str, *words: str) -> dict[str, Any]:
    """The same pairs as lines of a list."""
    respond(arena, pairs, classes)
    source, out = arena.lab.directory / f"list.{pairs}", arena.lab.directory / "sweep.out"
    out.unlink(missing_ok=True)
    if not source.exists():
        write_hosts(source, pairs)
    more = ("--input-file", str(source), "-b", "/dev/null", "--no-dashboard", "-f", str(out))
    return timed(arena, LZR, "-sendSYNs", *QUICK[:4], *words, *more) | {"hosts": hosts(out)}


def answering(arena: Range, pairs: int) -> tuple[float, float]:
    """µs of CPU of a pair that answers: of a sweep, and of a list."""
    few, found = max(1 << 12, pairs // 8), []
    for run in (swept, listed):
        short, long = (run(arena, count, "h") for count in (few, pairs))
        assert len(long["hosts"]) == pairs
        found.append((long["cpu"] - short["cpu"]) / (pairs - few) * 1e6)
    return found[0], found[1]


def hosts(out: Path) -> set[bytes]:
    with out.open("rb") as lines:
        return {line.split(b'"', 4)[3] for line in lines}


def silent(arena: Range, pairs: int) -> tuple[float, float, dict[str, float]]:
    """µs of CPU of the floor's SYN, of a pair that does not answer, and of that by process."""
    respond(arena, pairs, "n")  # what takes the SYNs at the other end is paid for by who sends
    base = floor(arena, pairs)
    few = max(1 << 14, pairs // 8)
    short, long = (swept(arena, count, "n", "-r", "5M") for count in (few, pairs))
    assert long["counters"]["syn"] == pairs
    parts = {
        name: (cpu - short["processes"].get(name, 0)) / (pairs - few) * 1e6
        for name, cpu in long["processes"].items()
    }
    return base, (long["cpu"] - short["cpu"]) / (pairs - few) * 1e6, parts


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="sweep", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1 << 19)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args(argv)
    compile_all()
    pairs = 1 << (options.pairs - 1).bit_length()
    with lab() as made:
        arena = Range(made)
        found = [silent(arena, pairs) for _ in range(options.repeat)]
        base, mine = (statistics.median(one[at] for one in found) for at in (0, 1))
        ratio = statistics.median(one[1] / one[0] for one in found)
        print(f"silent pair            {mine:7.3f} µs, the floor's SYN {base:.3f}; ratio {ratio:.2f}")
        for name, cpu in sorted(found[-1][2].items()):
            print(f"  {name:<20} {cpu:7.3f} µs")
        each = [answering(arena, pairs // 2) for _ in range(options.repeat)]
        of_sweep, of_list = (statistics.median(one[at] for one in each) for at in (0, 1))
        ratio = statistics.median(one[0] / one[1] for one in each)
        print(
            f"pair that answers      {of_sweep:7.3f} µs, as a line of a list {of_list:.3f}; ratio {ratio:.2f}"
        )
        arena.respond(classes="q")  # everybody answers the SYN and says nothing then
        words = ("-p", "80", "0.0.0.0/0", "-handshakes", "http", "-t", "2", "-b", "/dev/null", "-r", "8000")
        large = timed(arena, LZR, *words, "--max-runtime", "12", "--no-dashboard", "-f", "/dev/null")
        flows = max(map(int, re.findall(r"in flight: (\d+)", large["log"])))
        print(
            f"2^32 pairs             {large['pss'] / 1e6:7.1f} MB in all processes, {flows:,} flows in flight"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
