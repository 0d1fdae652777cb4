"""What a scan sends, counted at the far end of its wire while it runs."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.faults import family
from tests.lab.net import wait_for
from tests.lab.responder import PORT, Range
from tests.lab.scan import LZR

_LOOK = 0.02


def write_hosts(path: Path, count: int) -> None:
    """A list of so many hosts, one service each."""
    with path.open("w") as out:
        for k in range(count):
            out.write(f"10.{64 + (k >> 16)}.{k >> 8 & 255}.{k & 255}:{PORT}\n")


class Look(NamedTuple):
    """How many packets or octets had come at some moment between these two, in seconds."""

    before: float
    count: int
    after: float


@dataclass(frozen=True)
class Counted:
    """Looks at the far end of the wire, in order.

    waited: seconds for which processes of the scan were ready and had no processor meanwhile, summed: on a
    busy machine a rate is not kept in that time, and no more is owed for it.
    """

    looks: list[Look]
    waited: float

    @property
    def came(self) -> int:
        return self.looks[-1].count - self.looks[0].count

    @property
    def most(self) -> float:
        """Seconds in which they came, at most."""
        return self.looks[-1].after - self.looks[0].before

    @property
    def least(self) -> float:
        """Seconds in which they came and the scan had its processors, at least."""
        return max(0.0, self.looks[-1].before - self.looks[0].after - self.waited)


def counted(
    arena: Range, words: list[str], source: Path, seconds: float, beyond: int, *, octets: bool = False
) -> Counted:
    """Packets or octets at the far end from when `beyond` of them have come, for so many seconds.

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

            def look() -> Look:
                return Look(time.monotonic(), count(), time.monotonic())

            before = count()
            wait_for(lambda: count() > before + beyond, "the first packets", pause=0.001)
            waited = waiting(process.pid)
            seen = [look()]
            while seen[-1].before < seen[0].after + seconds:
                time.sleep(_LOOK)
                seen.append(look())
            waited = waiting(process.pid) - waited
        # Once: no new targets. Again, when that is understood: give up what is in flight.
        process.terminate()
        log_path = directory / "rate.log"
        wait_for(lambda: "SIGTERM" in log_path.read_text() or process.poll() is not None, "the signal")
        process.terminate()
        process.wait(60)
    return Counted(seen, waited)


def waiting(pid: int) -> float:
    """Seconds for which this process and all that it has started were ready and had no processor so far.

    What a host has taken from this machine is in them (`steal`); both are the kernel's own figures.
    """
    nanoseconds = 0
    for one in (pid, *family(pid)):
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                with contextlib.suppress(OSError):
                    nanoseconds += int(Path(f"/proc/{one}/task/{task}/schedstat").read_text().split()[1])
    stolen = int(Path("/proc/stat").read_text().split(maxsplit=9)[8])
    return nanoseconds / 1e9 + stolen / os.sysconf("SC_CLK_TCK")
