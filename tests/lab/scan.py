"""Running `lzr` as a user would: the console script, in a namespace, with its output read back."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.net import Namespace, run

LZR = Path(sys.executable).parent / "lzr"
ZMAP_FIELDS = "saddr,daddr,sport,dport,seqnum,acknum,window"
ZMAP_FILTER = "success = 1 && repeat = 0"

Record = dict[str, Any]


@dataclass
class Scan:
    """What a finished scan left: its records, its exit status, what it said."""

    returncode: int
    records: list[Record]
    stderr: str
    seconds: float = 0.0
    torn: list[str] = field(default_factory=list)

    def by_service(self) -> dict[tuple[str, int], list[Record]]:
        services: dict[tuple[str, int], list[Record]] = {}
        for record in self.records:
            services.setdefault((record["saddr"], record["sport"]), []).append(record)
        return services

    def labels(self) -> Counter[str]:
        return Counter(record["fingerprint"] for record in self.records)

    def summary(self) -> dict[str, int]:
        """The reference's counters, from the line of stderr that holds them."""
        for line in self.stderr.splitlines():
            start = line.find('{"TotalResponses"')
            if start >= 0:
                counters: dict[str, int] = json.JSONDecoder().raw_decode(line[start:])[0]
                return counters
        raise AssertionError(f"no summary in:\n{self.stderr}")


def parse(text: str) -> tuple[list[Record], list[str]]:
    """Records of JSON lines, and the lines that are none."""
    records: list[Record] = []
    torn: list[str] = []
    for line in text.split("\n"):
        if not line:
            continue
        try:
            records.append(json.loads(line))
        except ValueError:
            torn.append(line)
    if text and not text.endswith("\n"):
        torn.append(text[-80:])
    return records, torn


def scan(
    namespace: Namespace,
    *options: str | Path,
    lines: Iterable[str] | str = (),
    timeout: float = 240,
    name: str = "scan",
    dashboard: bool = False,
) -> Scan:
    """`lzr OPTIONS -f FILE < lines` in a namespace."""
    directory = namespace.lab.directory
    source, target = directory / f"{name}.in", directory / f"{name}.out"
    with source.open("w") as out:
        out.writelines([lines] if isinstance(lines, str) else lines)
    target.unlink(missing_ok=True)
    more = () if dashboard else ("--no-dashboard",)
    begun = time.monotonic()
    with source.open() as stdin:
        done = run(
            *namespace.command(LZR, *options, *more, "-f", target),
            check=False,
            stdin=stdin,
            timeout=timeout,
            cwd=directory,
            env=namespace.lab.environment,
        )
    seconds = time.monotonic() - begun
    records, torn = parse(target.read_text() if target.exists() else "")
    return Scan(done.returncode, records, done.stderr, seconds, torn)


def zmap_words(
    namespace: Namespace,
    source: str,
    mac: str,
    port: int,
    rate: int,
    targets: Sequence[str],
    cooldown: int = 2,
) -> list[str]:
    """Debian's zmap 2.1.1 with the README's options.

    Where it has 256 addresses or fewer it aborts with one of some 200 permutations before it sends anything
    (an assertion in constraint_lookup_index): so not with one by chance, but with one that is known to work.
    """
    # Debian's own list forbids the private networks that the lab is made of; the host's settings stay out.
    nothing = namespace.lab.directory / "blocklist"
    nothing.touch()
    return [
        "zmap",
        f"--config={nothing}",
        "--seed=1",
        f"--target-port={port}",
        f"--output-filter={ZMAP_FILTER}",
        "-f",
        ZMAP_FIELDS,
        "-O",
        "json",
        f"--source-ip={source}",
        "-G",
        mac,
        "-i",
        "eth0",
        "-b",
        str(nothing),
        "-r",
        str(rate),
        "-c",
        str(cooldown),
        "-q",
        *targets,
    ]


def zmap_scan(
    namespace: Namespace,
    zmaps: Sequence[Sequence[str]],
    *options: str | Path,
    timeout: float = 240,
    name: str = "zmapscan",
) -> Scan:
    """`{ zmap … && zmap …; } | lzr OPTIONS -f FILE`: a real pipe between real processes."""
    directory = namespace.lab.directory
    target = directory / f"{name}.out"
    target.unlink(missing_ok=True)
    zmap_log, lzr_log = directory / f"{name}.zmap.log", directory / f"{name}.lzr.log"
    script = directory / f"{name}.sh"
    quoted = " && ".join(" ".join(_quote(word) for word in words) for words in zmaps)
    lzr = " ".join(_quote(str(word)) for word in (LZR, *options, "--no-dashboard", "-f", target))
    script.write_text(f"set -o pipefail\n{{ {quoted}; }} 2>{zmap_log} | {lzr} 2>{lzr_log}\n")
    begun = time.monotonic()
    done = namespace.run("bash", script, check=False, timeout=timeout, cwd=directory)
    seconds = time.monotonic() - begun
    records, torn = parse(target.read_text() if target.exists() else "")
    said = lzr_log.read_text()
    if done.returncode:
        said += f"\n--- zmap said:\n{zmap_log.read_text()}"
    return Scan(done.returncode, records, said, seconds, torn)


def _quote(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
