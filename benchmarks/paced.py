"""Whether a writer of one line a write, as ZMap is, has to wait for us, and how soon its lines leave.

    sudo .venv/bin/python -m benchmarks.paced [--rates 500 2000 24000 100000] [--seconds 5]
        [--zmap zmap /opt/zmap4/zmap] [--pps 50000] [--prefix 14] [-- LZR OPTIONS]

First a writer in C (benchmarks/writer.c) at each rate: how long a write was held up, at most, while the scan
started and after it had caught up, and the time from line to wire from then on. Then each ZMap named, over a
prefix in which everything answers, once into nothing and once into lzr: its own status says what its capture
dropped; what it drops alone it drops whoever reads its lines. Every line it wrote has to have its record.
"""

from __future__ import annotations

import argparse
import csv
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.lab.net import lab
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, zmap_words
from tests.lab.writer import Written, pairs, scan_written

_PROMPT = 0.02
_COOLDOWN = 4


def at_rate(rate: float, seconds: float, options: list[str]) -> Written:
    """One scan behind the writer."""
    with lab() as made:
        return scan_written(Range(made), max(1000, round(rate * seconds)), rate, *options)


def row_of(found: Written) -> str:
    """A scan as a row of the table."""
    caught_up = found.caught_up(_PROMPT)
    later = found.begun >= caught_up
    cells = [
        f"{found.rate:>9,.0f}",
        f"{found.records:>8,} of {len(found.begun):<8,}",
        f"{found.started:>7.2f}",
    ]
    cells.append(f"{caught_up:>9.2f}" if later.any() else f"{'never':>9}")
    for which in (~later, later):
        cells.append(f"{found.held[which].max() * 1e3:>10.1f}" if which.any() else f"{'-':>10}")
    delays = found.delays[later] * 1e3
    if later.any() and not np.isnan(delays).all():
        cells += [f"{np.nanpercentile(delays, share):>9.1f}" for share in (50, 99, 100)]
    return " ".join(cells)


def zmap_run(arena: Range, zmap: str, words: list[str], reader: str, log: Path, size: int) -> dict[str, Any]:
    """`zmap … | reader`: ZMap's last status, seconds, and (size, 2) times of SYNs and of data."""
    directory = arena.lab.directory
    status, far = directory / "status", directory / "far"
    status.write_text("")
    status.chmod(0o666)  # ZMap may have given up root by the time that it opens it
    responder = arena.respond(
        first=FIRST, count=size, port=PORT, source=SCANNER, classes="h", more=["--times", str(far)]
    )
    quiet = words.index("-q")  # no status without
    command = shlex.join([zmap, *words[1:quiet], "-u", str(status), *words[quiet + 1 :]])
    begun = time.monotonic()
    line = f"set -o pipefail; {command} 2>{log} | {reader}"
    done = arena.scanner.run("bash", "-c", line, check=False, timeout=300)
    seconds = time.monotonic() - begun
    if done.returncode:
        raise SystemExit(f"{reader} ended with {done.returncode}:\n{log.read_text()[-1000:]}{done.stderr}")
    with status.open() as rows:
        last = list(csv.DictReader(rows))[-1]
    return {"status": last, "seconds": seconds, "times": pairs(far), "responder": responder.stop()}


def with_zmap(zmap: str, pps: int, prefix: int, options: list[str]) -> None:
    """ZMap alone, and before a scan."""
    size = 1 << 32 - prefix
    with lab() as made:
        arena = Range(made)
        directory = made.directory
        words = zmap_words(
            arena.scanner, SCANNER, arena.gateway_mac, PORT, pps, [f"{FIRST}/{prefix}"], _COOLDOWN
        )
        out, log = directory / "out", directory / "lzr.log"
        lzr = shlex.join([str(LZR), "--no-dashboard", "-f", str(out), *options])
        for name, reader in (("alone", "cat >/dev/null"), ("with lzr", f"{lzr} 2>{log}")):
            found = zmap_run(arena, zmap, words, reader, directory / "zmap.log", size)
            last, seen = found["status"], found["responder"]
            print(
                f"{name:>10}: {found['seconds']:.1f} s; {seen['syn_ack']:,} SYN-ACKs, zmap took "
                f"{int(last['recv-success-total']):,} and says it dropped {int(last['pcap-drop-total']):,}"
                f" (the responder {seen['kernel_drops']:,})",
                flush=True,
            )
        records = out.read_bytes().count(b"\n")
        written = int(last["recv-success-total"])
        print(f"{'':>10}  records {records:,} of {written:,} lines{'' if records == written else ': LOST'}")
        syn, data = found["times"].T
        delays, started = data - syn, np.nanmin(data)
        prompt = syn[(syn > started) & (delays < 2 * _PROMPT)]
        if not len(prompt):
            print(f"{'':>10}  never caught up")
            return
        later = syn >= prompt.min()
        spread = [np.nanpercentile(delays[later], share) * 1e3 for share in (50, 99)]
        print(
            f"{'':>10}  first packet after {started - np.nanmin(syn):.2f} s, caught up after "
            f"{prompt.min() - np.nanmin(syn):.2f} s; from then on SYN to data (ZMap's share included): "
            f"median {spread[0]:.1f} ms, 99 % under {spread[1]:.1f} ms"
        )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="paced", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rates", type=float, nargs="*", default=[500, 2000, 24_000, 100_000])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--zmap", nargs="*", default=["zmap"], help="programs to run")
    parser.add_argument("--pps", type=int, default=50_000)
    parser.add_argument("--prefix", type=int, default=14)
    parser.add_argument("options", nargs="*", help="options for lzr, after --")
    options = parser.parse_args(argv)
    words = ["-w", "2", "-t", "2", *options.options]
    if options.rates:
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        print(
            f"{'lines/s':>9} {'records':>20} {'first s':>7} {'caught up':>9} {'held, ms':>10} {'then':>10}"
            f" {'line to wire: 50 %, 99 %, most (ms)':>29}"
        )
    for rate in options.rates:
        print(row_of(at_rate(rate, options.seconds, words)), flush=True)
    for zmap in options.zmap:
        print(f"\n{zmap}, {options.pps:,} packets a second over a /{options.prefix}")
        with_zmap(zmap, options.pps, options.prefix, words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
