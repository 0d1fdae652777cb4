"""What a scan sends, counted at the far end of its wire while it runs."""

from __future__ import annotations

import time
from pathlib import Path

from tests.lab.net import wait_for
from tests.lab.responder import PORT, Range
from tests.lab.scan import LZR

_LOOK = 0.02


def write_hosts(path: Path, count: int) -> None:
    """A list of so many hosts, one service each."""
    with path.open("w") as out:
        for k in range(count):
            out.write(f"10.{64 + (k >> 16)}.{k >> 8 & 255}.{k & 255}:{PORT}\n")


def counted(
    arena: Range, words: list[str], source: Path, seconds: float, beyond: int, *, octets: bool = False
) -> list[tuple[float, int]]:
    """(time, packets or octets at the far end) from when `beyond` of them have come, for so many seconds.

    Beyond what finding the next hop takes, and what the start owes.
    """
    directory = arena.lab.directory
    with source.open() as stdin, (directory / "rate.log").open("w") as log:
        process = arena.scanner.popen(
            LZR, *words, "--no-dashboard", "-f", directory / "rate.out", stdin=stdin, stderr=log
        )
        with arena.far.call(lambda: open("/proc/thread-self/net/dev")) as far:

            def count() -> int:
                far.seek(0)
                line = next(line for line in far.read().splitlines() if line.strip().startswith("eth0:"))
                return int(line.split(":")[1].split()[0 if octets else 1])

            before = count()
            wait_for(lambda: count() > before + beyond, "the first packets", pause=0.001)
            seen = [(time.monotonic(), count())]
            while seen[-1][0] < seen[0][0] + seconds:
                time.sleep(_LOOK)
                seen.append((time.monotonic(), count()))
        # Once: no new targets. Again, when that is understood: give up what is in flight.
        process.terminate()
        time.sleep(0.3)
        process.terminate()
        process.wait(30)
    return seen


def slope(seen: list[tuple[float, int]]) -> float:
    """How many a second."""
    return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])
