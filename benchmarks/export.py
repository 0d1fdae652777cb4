"""After the scan: a million records through the commands that read them, each with its time and peak memory.

    python -m benchmarks.export [--records N] [--keep FOLDER]

Asked for with a million records: export to Parquet at most 10 s and 400 MB, enrich at most 10 s.
"""

from __future__ import annotations

import argparse
import gzip
import os
import sys
import tempfile
import time
from pathlib import Path

from tests import madescans

_PROGRAM = "import sys; from coordinator.commands.main import main; sys.exit(main())"


def measured(what: str, words: list[str], out: Path) -> tuple[float, float]:
    """Run ``lzr WORDS`` to its end, print and return seconds and peak memory in MB."""
    began = time.monotonic()
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", _PROGRAM, *words], os.environ)
    _, status, used = os.wait4(pid, 0)
    took = time.monotonic() - began
    if status:
        raise SystemExit(f"{what}: exit {os.waitstatus_to_exitcode(status)}")
    memory = used.ru_maxrss / 1024
    size = out.stat().st_size / 1e6
    cpu = used.ru_utime + used.ru_stime
    print(f"{what:34} {took:7.1f} s {cpu:7.1f} s of CPU {memory:7.0f} MB at most {size:8.1f} MB written")
    return took, memory


def ranges(path: Path, count: int) -> None:
    """A table as iptoasn.com's: `count` ranges of IPv4 end to end, and some of IPv6."""
    width = (1 << 32) // count

    def text(number: int) -> str:
        return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))

    with gzip.open(path, "wt", 1) as file:
        for at in range(count):
            first, number = at * width, at % 60_000 + 1
            file.write(f"{text(first)}\t{text(first + width - 1)}\t{number}\tCH\tSYSTEM-{number}\n")
        for at in range(count // 4):
            network = f"2001:db8:{at >> 8:x}:{at & 255:x}"
            file.write(f"{network}::\t{network}:ffff::\t{at + 1}\tDE\tSIX\n")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.export", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="a folder for the files, which are made once and kept")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as own:
        folder: Path = options.keep or Path(own)
        folder.mkdir(exist_ok=True)
        scan, table = folder / f"scan-{options.records}.json", folder / "ip2asn.tsv.gz"
        if not scan.exists():
            madescans.write(scan, options.records)
        if not table.exists():
            ranges(table, 450_000)
        print(f"{options.records:,} records, {scan.stat().st_size / 1e6:.0f} MB of JSON lines")
        parquet = folder / "out.parquet"
        for what, words, out in (
            ("export to Parquet", ["export", str(scan)], parquet),
            ("export to CSV", ["export", str(scan)], folder / "out.csv"),
            ("export of Parquet to JSON", ["export", str(parquet)], folder / "out.json"),
            ("export to ECS in JSON", ["export", str(scan), "--as", "ecs"], folder / "ecs.json"),
            ("enrich to JSON", ["enrich", str(scan), "--asn", str(table)], folder / "known.json"),
            ("enrich to Parquet", ["enrich", str(scan), "--asn", str(table)], folder / "known.parquet"),
            ("enrich of Parquet", ["enrich", str(parquet), "--asn", str(table)], folder / "again.parquet"),
        ):
            measured(what, [*words, "-o", str(out), "--overwrite", "-q"], out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
