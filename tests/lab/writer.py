"""A writer that writes as ZMap does (benchmarks/writer.c) in front of a scan, and what both sides saw.

The writer is asked when a line was written, and the host when its packet came, both by the same clock;
the scan is asked for neither.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.lab.net import LabError
from tests.lab.responder import FIRST, PORT, SCANNER, Range, build
from tests.lab.scan import LZR
from tests.lab.zmaplines import lines

Times = NDArray[np.float64]


@dataclass
class Written:
    """A scan behind a writer. Times are in seconds since the first line was written, nan: never.

    begun, done: of each line, when its write began and when it returned. arrived: when data came to its host.
    """

    rate: float
    begun: Times
    done: Times
    arrived: Times
    records: int
    returncode: int
    said: str
    seconds: float

    @property
    def held(self) -> Times:
        """How long each write took."""
        return self.done - self.begun

    @property
    def delays(self) -> Times:
        """From line to wire."""
        return self.arrived - self.begun

    @property
    def started(self) -> float:
        """When the first packet left."""
        return float(np.nanmin(self.arrived))

    def caught_up(self, within: float) -> float:
        """When the first line was written that left within so many seconds; inf: none did."""
        prompt = self.begun[self.delays < within]
        return float(prompt.min()) if len(prompt) else np.inf


def pairs(path: Path) -> NDArray[np.float64]:
    """(n, 2) seconds since the epoch, nan for what never happened, from a file of pairs of ns."""
    found = np.fromfile(path, np.uint64).reshape(-1, 2)
    return np.where(found == 0, np.nan, found.astype(np.float64) / 1e9)


def write_lines(path: Path, count: int, classes: str) -> NDArray[np.int64]:
    """ZMap's lines into a file; which host (counted from FIRST) each is about."""
    hosts = np.empty(count, np.int64)
    with path.open("w") as out:
        for at, line in enumerate(lines(count, classes=classes)):
            out.write(line)
            _, b, c, d = line.split('"', 4)[3].split(".")
            hosts[at] = (int(b) - 64) << 16 | int(c) << 8 | int(d)
    return hosts


def scan_written(
    arena: Range,
    count: int,
    rate: float,
    *options: str,
    classes: str = "h",
    over_socket: bool = False,
) -> Written:
    """`writer LINES TIMES RATE | lzr OPTIONS`: so many lines, a write each. Raises LabError if it hangs.

    over_socket: between them is a pair of sockets, which holds few lines, and no pipe.
    """
    directory = arena.lab.directory
    source, times, far = directory / "lines", directory / "times", directory / "far"
    hosts = write_lines(source, count, classes)
    arena.respond(
        first=FIRST, count=count, port=PORT, source=SCANNER, classes=classes,
        more=["--premade", "--times", str(far)],
    )  # fmt: skip
    target, log = directory / "written.out", directory / "written.log"
    begun = time.monotonic()
    ends = socket.socketpair() if over_socket else map(os.fdopen, os.pipe(), ("rb", "wb"))
    reads, writes = ends
    with log.open("w") as stderr, reads, writes:
        scan = arena.scanner.popen(LZR, *options, "--no-dashboard", "-f", target, stdin=reads, stderr=stderr)
        writer = arena.scanner.popen(build("writer"), source, times, str(rate), stdout=writes)
        reads.close()
        writes.close()
        timeout = 60 + (count / rate if rate else 0) * 3
        try:
            if writer.wait(timeout):
                raise LabError(f"the writer could not write: {log.read_text()[-2000:]}")
            scan.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"not within {timeout:.0f} s: {log.read_text()[-2000:]}") from error
    wrote, came = pairs(times), pairs(far)
    first = wrote[0, 0]
    return Written(
        rate,
        wrote[:, 0] - first,
        wrote[:, 1] - first,
        came[hosts, 1] - first,
        target.read_bytes().count(b"\n"),
        scan.returncode,
        log.read_text(),
        time.monotonic() - begun,
    )
