"""What a scan costs that has little to do: idle, and at 1,000 lines a second; and the delay from line to ACK.

    sudo .venv/bin/python -m benchmarks.calm [--rate 1000] [--seconds 6] [-- LZR OPTIONS]

CPU as a share of one core, by process. The delay is measured per flow: the line is written to the scan's
stdin at a known moment, and a packet socket at the far end sees the first packet to its address.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import cpu, title, tree
from tests.lab.net import lab
from tests.lab.responder import FIRST, HALF_CLASSES, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.lab.zmaplines import lines

_GROUP = 0.005


def shares(pid: int, seconds: float) -> dict[str, float]:
    """Share of a core by process over some seconds."""
    before = {each: cpu(each) for each in tree(pid)}
    start = time.monotonic()
    time.sleep(seconds)
    length = time.monotonic() - start
    return {f"{title(each)} {each}": (cpu(each) - spent) / length for each, spent in before.items()}


class Arrivals(threading.Thread):
    """When the first packet to each address came, at the far end."""

    def __init__(self, tap: socket.socket) -> None:
        super().__init__(daemon=True)
        self._tap = tap
        self.first: dict[int, float] = {}

    def run(self) -> None:
        while True:
            try:
                frame = self._tap.recv(64)
            except OSError:
                return
            if frame[12:14] == b"\x08\x00":
                self.first.setdefault(struct.unpack_from("!I", frame, 30)[0], time.monotonic())


@dataclass
class Calm:
    """idle, busy: share of a core by process. delays: of each line until its ACK came, in milliseconds."""

    idle: dict[str, float]
    busy: dict[str, float]
    delays: list[float]


def calm(arena: Range, rate: int, seconds: float, options: Sequence[str], program: Path = LZR) -> Calm:
    """One scan that idles for so long and then gets so many lines a second for so long."""
    count = round(rate * seconds) + 1
    responder = arena.respond(
        first=FIRST, count=count, port=PORT, source=SCANNER, classes=HALF_CLASSES, more=["--premade"]
    )
    tap = arena.far.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003)))
    tap.bind(("eth0", 3))
    arrivals = Arrivals(tap)
    arrivals.start()
    process = arena.scanner.popen(
        program, "-w", "2", "--no-dashboard", "-q", "-f", "/dev/null", "-t", "2", *options,
        stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    text = list(lines(count, classes=HALF_CLASSES))
    process.stdin.write(text[0].encode())
    process.stdin.flush()
    time.sleep(6)  # its start and its only flow are over
    idle = shares(process.pid, seconds)
    written: dict[int, float] = {}

    def write() -> None:
        assert process.stdin is not None
        start, done = time.monotonic(), 1
        while done < count:
            now = time.monotonic()
            upto = min(count, 1 + int((now - start) * rate))
            for line in text[done:upto]:
                address = line.split('"')[3]
                written[struct.unpack("!I", socket.inet_aton(address))[0]] = now
            process.stdin.write("".join(text[done:upto]).encode())
            process.stdin.flush()
            done = upto
            time.sleep(_GROUP)

    writer = threading.Thread(target=write)
    writer.start()
    busy = shares(process.pid, seconds - 0.5)
    writer.join()
    process.stdin.close()
    process.wait(30)
    responder.stop()
    tap.close()
    first = arrivals.first
    return Calm(idle, busy, [(first[a] - when) * 1000 for a, when in written.items() if a in first])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="calm", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("options", nargs="*", help="options for lzr, after --")
    options = parser.parse_args(argv)
    with lab() as made:
        found = calm(Range(made), options.rate, options.seconds, options.options)
    idle, busy, delays = found.idle, found.busy, found.delays
    print(f"{'':<20} {'idle':>8} {options.rate:>6}/s")
    for name, share in idle.items():
        print(f"  {name:<18} {share:8.2%} {busy.get(name, 0):8.2%}")
    print(f"  {'in all':<18} {sum(idle.values()):8.2%} {sum(busy.values()):8.2%}")
    spread = statistics.quantiles(delays, n=20)
    print(f"line to ACK: median {statistics.median(delays):.1f} ms, 95 % under {spread[18]:.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
