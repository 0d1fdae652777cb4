"""A sweep beside what people use today, on the same responder: `lzr -p`, `zmap | lzr`, `masscan --banners`.

    sudo .venv/bin/python -m benchmarks.beside [--zmap zmap /opt/zmap4/zmap] [--pairs 1048576]
        [--rate 100000] [--share 1 60] [--repeat 3] [--no-masscan]

All in the same namespaces, one after the other, with 1 % and with 60 % of the hosts answering (with HTTP).
Asked: lzr finds the hosts that ZMap finds, within 0.1 %; takes less processor time, all processes together,
than each of the others; and sends those who answer no more packets than they do, counted by the responder.

CPU is user and system time of the command with all its children; what the network stack does in softirqs is
in it as far as the kernel does it in the sender's name, which it does with veth pairs. Every figure is the
median of the rounds, every ratio the median of the ratios of each round.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import Watcher, compile_all
from tests.lab.net import lab
from tests.lab.responder import FIRST, SCANNER, Range
from tests.lab.scan import LZR, zmap_words

PORT = 80  # masscan asks for HTTP there, not elsewhere
SHARES = {1: "h" + 99 * "n", 60: "hhhnn"}  # of the addresses, in percent: who answers
SPOOFED = "10.1.0.9"
"""masscan's source: an address that the kernel does not have, so it resets nothing."""
COOLDOWN = "2"
ASKED = ("-handshakes", "http", "-t", "1", "-c", COOLDOWN)
_CHATTER = 0.02
_BOUND = 150  # seconds beyond what the rate needs


@dataclass
class Run:
    """What a program took, and what came of it. packets: to each host that answered, its SYN included."""

    name: str
    cpu: float
    hits: int
    packets: float
    said: str
    processes: dict[str, float]
    counters: dict[str, int]
    memory: int


def timed(arena: Range, words: list[str | Path], seconds: float) -> dict[str, Any]:
    """Runs a command for so long at most: seconds of CPU with its children, peak PSS, what it said."""
    log = arena.lab.directory / "beside.log"
    with log.open("w") as stderr:
        process = arena.scanner.popen(*words, stdin=subprocess.DEVNULL, stderr=stderr, stdout=stderr)
        watcher = Watcher(process.pid)
        watcher.start()
        until = time.monotonic() + seconds
        while (done := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > until:
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.05)
        _, status, usage = done
        process.returncode = os.waitstatus_to_exitcode(status)
    watcher.stop()
    said = log.read_text(errors="replace")
    if process.returncode:
        raise SystemExit(f"{words[0]} ended with {process.returncode}:\n{said[-3000:]}")
    cpu = {name: seen.cpu for name, seen in watcher.by_title().items()}
    return {
        "cpu": usage.ru_utime + usage.ru_stime,
        "said": said,
        "processes": cpu,
        "memory": watcher.most,
    }


@contextlib.contextmanager
def chatter(arena: Range) -> Iterator[None]:
    """A frame now and then, as on any network: masscan's receiver does not end while nothing comes."""
    sock = arena.far.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    sock.bind(("eth0", 0))
    over = threading.Event()
    there = bytes.fromhex(arena.scanner.mac("eth0").replace(":", ""))
    frame = there + bytes((2, 0, 0, 0, 0, 1)) + b"\x88\xb5" + bytes(46)  # a local experimental EtherType

    def talk() -> None:
        while not over.wait(_CHATTER):
            sock.send(frame)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        sock.close()


def lzr_words(network: str, rate: int, out: Path) -> list[str | Path]:
    return [
        *(LZR, "-p", str(PORT), network, *ASKED, "-r", str(rate), "-b", "/dev/null"),
        *("--no-dashboard", "-f", str(out)),
    ]


def pipe_words(arena: Range, zmap: str, network: str, rate: int, out: Path) -> list[str | Path]:
    words = zmap_words(arena.scanner, SCANNER, arena.gateway_mac, PORT, rate, [network], int(COOLDOWN))
    reader = shlex.join([str(LZR), *ASKED, "--no-dashboard", "-f", str(out)])
    return ["bash", "-c", f"set -o pipefail; {shlex.join([zmap, *words[1:]])} | {reader}"]


def masscan_words(arena: Range, network: str, rate: int, out: Path) -> list[str | Path]:
    # Its hello goes out two seconds after the SYN-ACK, when the server has said nothing.
    words = f"masscan --adapter eth0 --source-ip {SPOOFED} --source-port 40000 --wait 6 --banners"
    router = arena.gateway_mac.replace(":", "-")
    more = ("--router-mac", router, "--rate", str(rate), "-p", str(PORT), network, "-oD", str(out))
    return [*words.split(), *more]


def hosts(out: Path) -> int:
    """How many different hosts have a record, whoever wrote it."""
    found = set()
    with out.open("rb") as lines:
        for line in lines:
            record = json.loads(line)
            found.add(record.get("saddr") or record["ip"])
    return len(found)


def run(arena: Range, name: str, pairs: int, classes: str, rate: int) -> Run:
    """One sweep of so many hosts by this program."""
    source = SPOOFED if name == "masscan" else SCANNER
    responder = arena.respond(first=FIRST, count=pairs, port=PORT, source=source, classes=classes)
    network, out = f"{FIRST}/{32 - (pairs - 1).bit_length()}", arena.lab.directory / "beside.out"
    out.unlink(missing_ok=True)
    bound = pairs / rate + _BOUND
    if name == "lzr -p":
        found = timed(arena, lzr_words(network, rate, out), bound)
    elif name == "masscan":
        with chatter(arena):
            found = timed(arena, masscan_words(arena, network, rate, out), bound)
    else:
        found = timed(arena, pipe_words(arena, name.removesuffix(" | lzr"), network, rate, out), bound)
    counters = responder.stop()
    hits = hosts(out)
    answers = counters["data"] + counters["bare_ack"] + counters["rst"] + counters["fin"]
    packets = 1 + answers / max(1, counters["syn_ack"])
    cpu = found["cpu"]
    return Run(name, cpu, hits, packets, found["said"], found["processes"], counters, found["memory"])


def show(rounds: list[list[Run]]) -> None:
    """A row for each program, its ratios to ours."""
    for at, first in enumerate(rounds[0]):
        mine, each = [r[0] for r in rounds], [r[at] for r in rounds]
        cpu = statistics.median(one.cpu for one in each)
        ratio = statistics.median(own.cpu / one.cpu for own, one in zip(mine, each, strict=True))
        hits = statistics.median(one.hits for one in each)
        truth = each[0].counters["syn_ack"]
        packets = statistics.median(one.packets for one in each)
        share = f"lzr -p takes {ratio:.2f} of it" if at else ""
        print(
            f"  {first.name:<28} {cpu:6.2f} s CPU, {hits:,.0f} hosts with a record of {truth:,} that "
            f"answered, {packets:.2f} packets and {cpu / max(1, hits) * 1e6:,.0f} µs of CPU each  {share}"
        )
        if not at:
            for name, spent in sorted(each[-1].processes.items(), key=lambda item: -item[1])[:4]:
                print(f"    {name:<26} {spent:6.2f} s")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="beside", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--zmap", nargs="+", default=["zmap"], metavar="PATH")
    parser.add_argument("--pairs", type=int, default=1 << 20, help="with 1 %%; a quarter of it with 60 %%")
    parser.add_argument("--rate", type=int, default=100_000)
    parser.add_argument(
        "--share", type=int, nargs="+", choices=SHARES, default=list(SHARES), metavar="PERCENT"
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--masscan", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args(argv)
    compile_all()
    pairs = 1 << (options.pairs - 1).bit_length()
    names = ["lzr -p", *(f"{zmap} | lzr" for zmap in options.zmap if shutil.which(zmap))]
    if options.masscan and shutil.which("masscan"):
        names.append("masscan")
    for missing in {*options.zmap, "masscan"} - {name.split(" |")[0] for name in names}:
        print(f"not here, or not wanted: {missing}")
    with lab() as made:
        arena = Range(made)
        for share in options.share:
            count = pairs if share == 1 else max(1 << 12, pairs // 4)
            print(f"{share} % answer, {count:,} pairs at {options.rate:,}/s", flush=True)
            show(
                [
                    [run(arena, name, count, SHARES[share], options.rate) for name in names]
                    for _ in range(options.repeat)
                ]
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
