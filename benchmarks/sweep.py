"""A whole sweep: a silent pair beside the floor of its SYN, `lzr -p` beside `zmap | lzr`, memory.

    sudo .venv/bin/python -m benchmarks.sweep [--pairs 400000] [--rate 50000] [--repeat 3]

All runs of a round are in the same namespaces, one after the other, with the same responder. A silent pair
is what a long sweep costs more than a short one. Asked: at most 1.5 times the floor (floor.c --syns), with
1 % and with 60 % answering no more processor time than ZMap with lzr behind it, and the same hosts found; at
most 200 MB for 2^32 pairs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.processes import Watcher
from benchmarks.syns import floor
from tests.lab.net import lab
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, zmap_words

SHORT = 0.125
FEW, MANY = "h" + 99 * "n", "hhhnn"
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
    return arena.respond(
        first=FIRST, count=pairs, port=PORT, source=SCANNER, classes=classes, more=["--premade"]
    )


def swept(arena: Range, pairs: int, classes: str, *words: str) -> dict[str, Any]:
    """One sweep of so many pairs."""
    responder = respond(arena, pairs, classes)
    out = arena.lab.directory / "sweep.out"
    out.unlink(missing_ok=True)
    more = ("-b", "/dev/null", "--no-dashboard", "-f", str(out))
    found = timed(arena, LZR, "-p", str(PORT), network(pairs), *QUICK, *words, *more)
    return found | {"counters": responder.stop(), "hosts": hosts(out)}


def piped(arena: Range, pairs: int, classes: str, rate: int) -> dict[str, Any]:
    """The same by `zmap | lzr`."""
    responder = respond(arena, pairs, classes)
    out, script = arena.lab.directory / "sweep.out", arena.lab.directory / "sweep.sh"
    out.unlink(missing_ok=True)
    zmap = zmap_words(arena.scanner, SCANNER, arena.gateway_mac, PORT, rate, [network(pairs)])
    quoted = (" ".join(f"'{word}'" for word in line) for line in (zmap, [LZR, *QUICK, "--no-dashboard"]))
    script.write_text(f"{' | '.join(quoted)} -f {out}\n")
    return timed(arena, "bash", script) | {"counters": responder.stop(), "hosts": hosts(out)}


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
    parser.add_argument("--rate", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args(argv)
    pairs = 1 << (options.pairs - 1).bit_length()
    with lab() as made:
        arena = Range(made)
        found = [silent(arena, pairs) for _ in range(options.repeat)]
        base, mine = (statistics.median(one[at] for one in found) for at in (0, 1))
        ratio = statistics.median(one[1] / one[0] for one in found)
        print(f"silent pair            {mine:7.3f} µs, the floor's SYN {base:.3f}; ratio {ratio:.2f}")
        for name, cpu in sorted(found[-1][2].items()):
            print(f"  {name:<20} {cpu:7.3f} µs")
        for title, classes in (("1 % answer", FEW), ("60 % answer", MANY)):
            one = swept(arena, pairs // 2, classes, "-r", str(options.rate))
            other = piped(arena, pairs // 2, classes, options.rate)
            truth = one["counters"]["syn_ack"]
            print(f"{title}, {pairs // 2:,} pairs at {options.rate:,}/s")
            for name, run in (("lzr -p", one), ("zmap | lzr", other)):
                sent = run["counters"]["frames"] / max(1, len(run["hosts"]))
                print(
                    f"  {name:<12} {run['cpu']:6.2f} s CPU, {len(run['hosts']):,} hosts with a record of "
                    f"{truth:,}, {sent:.2f} packets each"
                )
        respond(arena, 1, "n")  # so that there is a gateway
        words = ("-p", "80", "0.0.0.0/0", *QUICK, "-b", "/dev/null", "--max-runtime", "8", "-r", "20000")
        large = timed(arena, LZR, *words, "--no-dashboard", "-f", "/dev/null")
        print(f"2^32 pairs             {large['pss'] / 1e6:7.1f} MB in all processes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
