"""This lzr beside another one, in turn in one run: cost a flow, memory, start, and what little work costs.

    sudo .venv/bin/python -m benchmarks.paired OTHER/.venv/bin/lzr [--rounds 5] [--flows 400000]
        [--parts endtoend memory start calm]

Prints the median of each of both, and that of the ratios round by round: above 1, this one takes more. Every
other round the other one is first. Both are measured from outside, by the benchmarks of this checkout.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import calm, endtoend, memory, start
from tests.lab.net import lab
from tests.lab.responder import FIRST, HALF_CLASSES, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.lab.zmaplines import lines

Figures = dict[str, float]
_QUICK = ["-w", "2", "-t", "2"]


def cost(arena: Range, program: Path, flows: int) -> Figures:
    """Of a flow, without what every scan costs: from a short scan and a long one."""
    found = []
    for count in (flows // 8, flows):
        source = arena.lab.directory / f"lines.{count}"
        if not source.exists():
            with source.open("w") as out:
                out.writelines(lines(count, classes=HALF_CLASSES))
        found.append(endtoend.scan(arena, source, count, HALF_CLASSES, _QUICK, program))
    short, long = found
    added = long["flows"] - short["flows"]
    flow = (long["cpu"] - short["cpu"]) / added * 1e6
    return {
        "CPU of a flow, us": flow,
        "CPU of start and end, s": short["cpu"] - flow * short["flows"] / 1e6,
        "seconds for them all": long["seconds"],
        "PSS in all, MB": long["pss"] / 1e6,
    }


def held(arena: Range, program: Path, flows: int) -> Figures:
    """Memory of flows in flight."""
    few, many = (memory.in_flight(arena, count, ["-w", "2"], program) for count in (flows // 8, flows))
    growth = (sum(many.values()) - sum(few.values())) / (flows - flows // 8)
    return {"bytes of a flow in flight": growth, "PSS with all in flight, MB": sum(many.values()) / 1e6}


def begun(arena: Range, program: Path, flows: int) -> Figures:
    """How long one target takes, from the command to its end."""
    responder = arena.respond(first=FIRST, count=256, port=PORT, source=SCANNER, classes="h")
    before = time.monotonic()
    start.one_target(arena, program)
    found = {"seconds for one target": time.monotonic() - before}
    responder.stop()
    return found


def little(arena: Range, program: Path, flows: int) -> Figures:
    """Idle, and at 1,000 lines a second."""
    found = calm.calm(arena, 1000, 4.0, [], program)
    return {
        "share of a core, idle, %": sum(found.idle.values()) * 100,
        "share of a core at 1,000/s, %": sum(found.busy.values()) * 100,
        "line to ACK, ms": statistics.median(found.delays),
    }


PARTS: dict[str, Callable[[Range, Path, int], Figures]] = {
    "endtoend": cost,
    "memory": held,
    "start": begun,
    "calm": little,
}


def compile_modules(program: Path) -> None:
    """Compile an installation's modules, as installing a wheel does: else each start may do it again, where
    PYTHONDONTWRITEBYTECODE is set, and the larger program seems slower to start than it is."""
    code = "import compileall, coordinator, lzr, workers\n" + (
        "for each in (coordinator, lzr, workers): compileall.compile_dir(each.__path__[0], quiet=1)"
    )
    subprocess.run([program.parent / "python", "-P", "-c", code], check=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="paired", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("other", type=Path, help="the other lzr, installed in its own environment")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flows", type=int, default=400_000)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    options = parser.parse_args(argv)
    for program in (LZR, options.other):
        compile_modules(program)
    print(f"{'':<32} {'this':>10} {'other':>10} {'ratio':>7}  rounds")
    for part in options.parts:
        rounds: list[dict[Path, Figures]] = []
        with lab() as made:
            arena = Range(made)
            for number in range(options.rounds):
                programs = (LZR, options.other) if number % 2 == 0 else (options.other, LZR)
                rounds.append({program: PARTS[part](arena, program, options.flows) for program in programs})
        for name in rounds[0][LZR]:
            ours, theirs = ([each[program][name] for each in rounds] for program in (LZR, options.other))
            ratios = [a / b if b else float("nan") for a, b in zip(ours, theirs, strict=True)]
            print(
                f"{name:<32} {statistics.median(ours):10.2f} {statistics.median(theirs):10.2f}"
                f" {statistics.median(ratios):7.3f}  {' '.join(format(each, '.2f') for each in ratios)}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
