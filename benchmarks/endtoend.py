"""Cost per flow, end to end, beside the kernel's floor for the same frames.

    sudo .venv/bin/python -m benchmarks.endtoend [--flows 400000] [--workers 2] [--repeat 3] [-- LZR OPTIONS]

ZMap lines in, ACK with the HTTP request out, answer in, RST out, JSON record out; half of the peers answer
with HTTP. In each round the floor (benchmarks/floor.c) and two scans run in the same namespaces, a short
and a long one: their difference is the cost of a flow, what is left is the cost of starting. Rounds are
paired, so what else the machine does hits both alike; the median is printed, and every round with --json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.processes import Watcher
from tests.lab.net import lab
from tests.lab.responder import FIRST, HALF_CLASSES, PORT, SCANNER, Range, Responder, build
from tests.lab.scan import LZR
from tests.lab.zmaplines import lines

SHORT = 0.125


def _respond(arena: Range, flows: int, classes: str) -> Responder:
    where = {"first": FIRST, "count": flows, "port": PORT, "source": SCANNER}
    return arena.respond(**where, classes=classes, more=["--premade"])


def floor(arena: Range, flows: int, classes: str) -> dict[str, Any]:
    """The floor's own figures, under the guard that a scan would put up."""
    guard = ("--source-ip", SCANNER)
    arena.scanner.run(LZR, "guard", "on", *guard)
    try:
        _respond(arena, flows, classes)
        words = ("--interface", "eth0", "--classes", classes, "--first", FIRST, "--count", str(flows))
        more = ("--source", SCANNER, "--gateway-mac", arena.gateway_mac, "--port", str(PORT))
        out = arena.scanner.run(build("floor"), *words, *more, timeout=300).stdout
    finally:
        arena.scanner.run(LZR, "guard", "off", check=False)
    figures: dict[str, Any] = json.loads(out)
    return figures


def scan(
    arena: Range, source: Path, flows: int, classes: str, options: list[str], program: Path = LZR
) -> dict[str, Any]:
    """One scan of `flows` lines: seconds of CPU and bytes by process, records, losses."""
    responder = _respond(arena, flows, classes)
    target = arena.lab.directory / "out.json"
    log = arena.lab.directory / "out.log"
    target.unlink(missing_ok=True)  # results are appended
    words = [str(program), "--no-dashboard", "-f", str(target), *options]
    begun = time.monotonic()
    with source.open() as stdin, log.open("w") as stderr:
        process = arena.scanner.popen(*words, stdin=stdin, stderr=stderr, stdout=subprocess.DEVNULL)
        watcher = Watcher(process.pid)
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - begun
    watcher.stop()
    counters = responder.stop()
    if process.returncode:
        raise SystemExit(f"lzr ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    records = data = 0
    with target.open("rb") as results:
        for line in results:
            records += 1
            data += b'"data":' in line
    return {
        "flows": flows,
        "records": records,
        "data": data,
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "user": usage.ru_utime,
        "system": usage.ru_stime,
        "processes": {name: [p.cpu, p.pss] for name, p in watcher.by_title().items()},
        "pss": watcher.most,
        "responder": counters,
        "drops": _dropped(log.read_text()),
        "log": log.read_text(),
    }


def _dropped(log: str) -> int:
    """Frames the kernel dropped because a ring was full, as the summary has it."""
    found = re.search(r"([\d,]+) dropped", log)
    return int(found[1].replace(",", "")) if found else 0


def measure(arena: Range, flows: int, classes: str, options: list[str]) -> dict[str, Any]:
    """One round: floor, short scan, long scan."""
    sources = {}
    for count in (max(1000, round(flows * SHORT)), flows):
        path = arena.lab.directory / f"lines.{count}"
        if not path.exists():
            with path.open("w") as out:
                out.writelines(lines(count, classes=classes))
        sources[count] = path
    base = floor(arena, flows, classes)
    short, long = (scan(arena, path, count, classes, options) for count, path in sources.items())
    added = long["flows"] - short["flows"]
    per_flow = (long["cpu"] - short["cpu"]) / added * 1e6
    by_process = {
        name: (cpu - short["processes"].get(name, [0, 0])[0]) / added * 1e6
        for name, (cpu, _) in long["processes"].items()
    }
    return {
        "floor_us": base["cpu_us_per_flow"],
        "us": per_flow,
        "ratio": per_flow / base["cpu_us_per_flow"],
        "fixed_s": short["cpu"] - per_flow * short["flows"] / 1e6,
        "by_process_us": by_process,
        "short": short,
        "long": long,
        "floor": base,
    }


def _show(found: list[dict[str, Any]]) -> None:
    def middle(*path: str) -> float:
        values = []
        for one in found:
            value: Any = one
            for key in path:
                value = value.get(key, 0)
            values.append(value)
        return float(statistics.median(values))

    long = found[-1]["long"]
    flows, counters = long["flows"], long["responder"]
    user, system = (middle("long", kind) / flows * 1e6 for kind in ("user", "system"))
    ratios = ", ".join(format(one["ratio"], ".2f") for one in found)
    print(f"floor           {middle('floor_us'):8.2f} µs a flow")
    print(
        f"lzr             {middle('us'):8.2f} µs a flow (with start-up: user {user:.2f}, system {system:.2f})"
    )
    print(f"ratio           {middle('ratio'):8.2f} (rounds: {ratios})")
    print(f"start and end   {middle('fixed_s'):8.2f} s of CPU")
    for name, (_, pss) in long["processes"].items():
        print(f"  {name:<20} {middle('by_process_us', name):6.2f} µs a flow, PSS {pss / 1e6:6.1f} MB")
    print(f"PSS in all      {long['pss'] / 1e6:8.1f} MB")
    print(f"records         {long['records']} of {flows}, data {long['data']}, in {long['seconds']:.1f} s")
    print(f"ring drops      {long['drops']}; lost by the floor {found[-1]['floor']['lost']}")
    told = ("kernel_drops", "data", "data_psh", "rst")
    print("responder       " + ", ".join(f"{name} {counters[name]}" for name in told))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="endtoend", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--flows", type=int, default=400_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--vary", action="store_true", help="no two HTTP replies are the same")
    parser.add_argument("--json", type=Path, help="write every round here")
    parser.add_argument("options", nargs="*", help="options for lzr, after --")
    options = parser.parse_args(argv)
    words = ["-w", str(options.workers), "-t", "2", *options.options]
    classes = HALF_CLASSES.replace("h", "v") if options.vary else HALF_CLASSES
    found = []
    with lab() as made:
        arena = Range(made)
        for _ in range(options.repeat):
            found.append(measure(arena, options.flows, classes, words))
    _show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
