"""What comparing and showing scans costs: a million records each, made, with changes planted among noise.

    .venv/bin/python -m benchmarks.analysis [--records N]

`lzr diff` is asked to take at most five seconds for two such scans on two cores, and to find what was
planted and nothing else; `lzr report` fifteen seconds, and 6 MB for its page.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from coordinator.analysis.reading import connect
from lzr.analysis.columns import COLUMNS

LZR = Path(sys.executable).parent / "lzr"
_PLANTED = {"version": 3, "gone": 7, "unasked": 11}
"""Of each thousand hosts, which number gets which change."""


def _scan(path: Path, records: int, seed: int, *, changed: bool) -> None:
    """A Parquet file: half web servers, a quarter each of TLS and SSH, whose clocks and randoms go by
    `seed`."""
    found = {
        "saddr_key": "unhex('00000000000000000000FFFF' || printf('%08X', (167772160 + i)::BIGINT))",
        "saddr": "'10.' || (i // 65536) % 256 || '.' || (i // 256) % 256 || '.' || i % 256",
        "daddr": "'192.0.2.1'",
        "sport": "[80, 443, 22, 8080][i % 4 + 1]",
        "fingerprint": "['http', 'tls', 'ssh', 'http'][i % 4 + 1]",
        "product": "['nginx', NULL, 'OpenSSH', 'nginx'][i % 4 + 1]",
        "version": "CASE i % 4 WHEN 1 THEN NULL WHEN 2 THEN '9.2p1' ELSE '1.' || i % 30 END",
        "ACKed": "true",
        "HandshakeNum": "0",
        "Timestamp": "make_timestamp_ns(1795000000000000000 + i * 1000)",
        "expectedRToLZR": "'data'",
        "data": f"""CASE i % 4
            WHEN 1 THEN unhex('160303005a020000560303' || repeat(md5((i * {seed})::VARCHAR), 2) || '20'
                || repeat(md5((i + {seed})::VARCHAR), 2) || '130100000e002b00020304003300060017000207c9')
            WHEN 2 THEN encode(e'SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u' || i % 7 || e'\\r\\n')
            ELSE encode(e'HTTP/1.1 200 OK\\r\\nServer: nginx/1.' || i % 30
                || e'\\r\\nDate: Sun, 22 Nov 2026 08:'
                || printf('%02d:%02d', (i + {seed}) % 60, (i // 60 + {seed}) % 60)
                || e' GMT\\r\\nContent-Type: text/html\\r\\nContent-Length: 615\\r\\n\\r\\n'
                || '<html><head><title>Host ' || i || '</title></head>' || repeat('lorem ipsum ', 20)) END""",
    }
    where = "true"
    if changed:
        planted = f"i % 1000 = {_PLANTED['version']}"
        found["version"] = f"CASE WHEN {planted} THEN '2.0' ELSE {found['version']} END"
        gone = f"i % 1000 = {_PLANTED['gone']}"
        for name, without in (("data", "NULL"), ("fingerprint", "'unknown'"), ("product", "NULL")):
            found[name] = f"CASE WHEN {gone} THEN {without} ELSE {found[name]} END"
        where = f"i % 1000 <> {_PLANTED['unasked']}"
    columns = ", ".join(f'CAST({found.get(c.name, "NULL")} AS {c.sql}) AS "{c.name}"' for c in COLUMNS)
    connect(files=True).execute(
        f"COPY (SELECT {columns} FROM range({records}) t(i) WHERE {where}) TO '{path}' (FORMAT parquet, "
        f"COMPRESSION zstd)"
    )


def _timed(*words: str | Path) -> tuple[float, float, str]:
    """Seconds by the clock, seconds of processor, and what was printed last."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run([LZR, *words], capture_output=True, text=True, check=False)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, used, done.stdout.rstrip().rpartition("\n")[2]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.analysis", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    records = parser.parse_args(argv).records
    with tempfile.TemporaryDirectory() as folder:
        old, new, page = (Path(folder) / name for name in ("old.parquet", "new.parquet", "page.html"))
        _scan(old, records, 17, changed=False)
        _scan(new, records, 23, changed=True)
        planted = {
            "changed": records // 1000,
            "gone": records // 1000,
            "not_asked": records // 1000,
            "appeared": 0,
        }
        print(f"planted {planted}")
        right = True
        lines = [path.with_suffix(".json") for path in (old, new)]
        for path, to in zip((old, new), lines, strict=True):
            _timed("export", path, "-o", to)
        for name, pair in (("Parquet", (old, new)), ("JSON lines", lines)):
            wall, used, last = _timed("diff", "--json", *pair)
            told = json.loads(last)["summary"]
            print(f"lzr diff, 2 x {records:,} records ({name}): {wall:.1f} s, {used:.1f} s of processor")
            print(f"  found   { {name: told[name] for name in planted} }")
            right = right and all(told[name] == count for name, count in planted.items())
        for words in ((), ("--static",)):
            wall, used, _ = _timed("report", new, "-o", page, "--overwrite", *words)
            size = page.stat().st_size / 1e6
            print(
                f"lzr report {' '.join(words)}: {wall:.1f} s, {used:.1f} s of processor, a page of "
                f"{size:.2f} MB"
            )
            right = right and size <= 6
    print("right" if right else "WRONG")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
