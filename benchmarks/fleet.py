"""A fleet of boxes on one machine, counted on their wires: rates, kills, a controller that is away, blocking.

    sudo .venv/bin/python -m benchmarks.fleet [rate kills away block status] [--boxes 1 2 4] [--kills 20]

Every box is a namespace with a responder of its own behind it, the workers and the controller are real
processes that speak TLS. All figures are ratios of what was asked for, or seconds' worth of it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

from benchmarks.pace import slope
from tests.lab.boxes import PORT, Box, Boxes, packets
from tests.lab.net import lab, wait_for
from tests.lab.responder import letter_of
from tests.lab.scan import LZR, parse

FIRST = "10.64.0.0"
CLASSES = "hsaq"
RATE = 2000
"""Targets a second of each box."""
LONGEST = 240.0
SO_TIMESTAMPNS, ETH_P_ALL = 35, 3  # socket has neither


def plan(bits: int, rate: int) -> str:
    """The keys of a sweep of a prefix with so many bits of hosts."""
    options = '["-handshakes", "http", "-rt", "1", "-t", "2", "-c", "2", "-w", "1"]'
    return (
        f'targets = ["{FIRST}/{32 - bits}"]\ntarget-ports = "{PORT}"\nseed = 11\nrate = {rate}\n'
        f"options = {options}\n"
    )


@contextlib.contextmanager
def fleet(count: int, bits: int, rate: int) -> Iterator[Boxes]:
    """Boxes with their workers, settled; nothing scans yet. rate: of all together."""
    with lab() as made:
        boxes = Boxes(made, count, plan(bits, rate), classes=CLASSES)
        boxes.settle()
        boxes.respond(FIRST, 1 << bits)
        for box in boxes.boxes:
            boxes.work(box)
        yield boxes


def sent(boxes: Boxes) -> tuple[int, int]:
    """SYNs from the boxes' own addresses, TCP packets from any other."""
    counts = [packets(box) for box in boxes.boxes]
    return sum(own for own, _ in counts), sum(other for _, other in counts)


def watched(boxes: Boxes, until: Callable[[], bool]) -> list[tuple[float, int]]:
    """(time, SYNs so far) twice a second until that holds."""
    seen = [(time.monotonic(), sent(boxes)[0])]
    while not until():
        time.sleep(0.5)
        seen.append((time.monotonic(), sent(boxes)[0]))
        if seen[-1][0] - seen[0][0] > LONGEST:
            raise TimeoutError(f"not there after {LONGEST:.0f} s\n{boxes.said()}")
    return seen


def steady(boxes: Boxes, before: int, total: int) -> float:
    """SYNs a second between an eighth and seven eighths of all."""
    watched(boxes, lambda: sent(boxes)[0] - before > total // 8)
    return slope(watched(boxes, lambda: sent(boxes)[0] - before > total * 7 // 8))


def found(boxes: Boxes, bits: int) -> str:
    """Services without a record, services with two, records that are wrong: of all boxes together."""
    counts = Counter((one["saddr"], one["sport"]) for box in boxes.boxes for one in boxes.results(box.name))
    missing = (1 << bits) - len(counts)
    twice = sum(1 for many in counts.values() if many > 1)
    return f"{missing} missing, {twice} twice"


def merged(boxes: Boxes) -> str:
    """What the merge of the results says, in four orders of the files."""
    files = sorted((boxes.directory / "plan.results").glob("*.json"))
    sums, status, said = set(), 0, ""
    for seed in range(4):
        order = random.Random(seed).sample(files, len(files))
        target = boxes.directory / "merged.json"
        done = boxes.lzr(
            "fleet", "merge", boxes.plan, "-o", target, "--overwrite", *order, check=False, timeout=120
        )
        sums.add(hashlib.sha256(target.read_bytes()).hexdigest())
        status |= done.returncode
        said = done.stderr.strip().splitlines()[-1]
    records = parse((boxes.directory / "merged.json").read_text())[0]
    wrong = sum(
        1 for one in records if (letter_of(one["saddr"], CLASSES) == "h") != (one["fingerprint"] == "http")
    )
    return f"merged: {len(sums)} sum, status {status}, {len(records):,} records, {wrong} wrong; {said}"


def alone(boxes: Boxes, bits: int) -> float:
    """SYNs a second where every box runs a plain scan of its part, without a fleet around it."""
    total, before, count = 1 << bits, sent(boxes)[0], len(boxes.boxes)
    scans = []
    for at, box in enumerate(boxes.boxes):
        words = ["-sourceIP", box.source, "-handshakes", "http", "-rt", "1", "-t", "2", "-c", "2", "-w", "1"]
        words += ["--targets", f"{FIRST}/{32 - bits}", "--target-ports", str(PORT), "--rate", str(RATE)]
        words += ["--seed", "11", "--shards", str(count), "--shard", str(at), "--no-dashboard", "--quiet"]
        with (box.directory / "plain.log").open("w") as log:
            out = box.directory / "plain.json"
            scans.append(box.namespace.popen(LZR, *words, "-f", out, stdout=log, stderr=log))
    found = steady(boxes, before, total)
    for scan in scans:
        scan.wait(LONGEST)
    return found


def rate(options: argparse.Namespace) -> None:
    for count in options.boxes:
        bits = options.bits + max(0, count - 1).bit_length()
        with fleet(count, bits, RATE * count) as boxes:
            plain, before = alone(boxes, bits), sent(boxes)[0]
            controller = boxes.start()
            total = 1 << bits
            held = steady(boxes, before, total)
            status = controller.wait(LONGEST)
            own, other = sent(boxes)
            own -= before
            print(
                f"rate: {count} boxes: {held / RATE:.3f} times one box's "
                f"({held / RATE / count:.1%} of all, "
                f"{held / plain:.3f} times as many plain scans); "
                f"{found(boxes, bits)}; SYNs {own / total:.4f} times the targets, from elsewhere {other}; "
                f"status {status}; {merged(boxes)}",
                flush=True,
            )


def scan_processes(boxes: Boxes, box: Box) -> list[int]:
    """Processes of the scan of a box: what its worker is not, and has not forked."""
    there = []
    for pid in box.namespace.pids():
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
            if b"fleet worker" not in line and line.strip():
                there.append(pid)
    return there


def kills(options: argparse.Namespace) -> None:
    chance, bits, per_box = random.Random(options.seed), options.bits + 1, 500
    with fleet(2, bits, per_box * 2) as boxes:
        controller = boxes.start()
        wait_for(lambda: all(packets(box)[0] > 50 for box in boxes.boxes), "both scan", 60)
        story: Counter[str] = Counter()
        for _ in range(options.kills):
            time.sleep(chance.uniform(0.2, 2.5))
            box, what = chance.choice(boxes.boxes), chance.choice(options.of)
            if controller.poll() is not None:
                break
            if what == "controller":
                controller.kill()
                controller.wait(10)
                controller = boxes.start()
            elif what == "worker":
                assert box.worker is not None
                os.killpg(box.worker.pid, signal.SIGKILL)
                box.worker.wait(10)
                boxes.work(box)
            else:
                pids = scan_processes(boxes, box)
                if what == "box":  # everything of the scan at once
                    for pid in pids:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                elif pids:
                    pid = chance.choice(pids)
                    with contextlib.suppress(OSError):
                        what = Path(f"/proc/{pid}/comm").read_text().strip() or what
                        os.kill(pid, signal.SIGKILL)
                else:
                    what = "nothing"
            story[what] += 1
        killed = time.monotonic()
        with contextlib.suppress(Exception):
            boxes.lzr("fleet", "rate", boxes.plan, "8k", check=False)
        until = killed + LONGEST
        status = -1
        while time.monotonic() < until:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = controller.wait(1)
                break
        own, other = sent(boxes)
        more = own - (1 << bits)
        scans = sum(n for name, n in story.items() if name not in ("worker", "controller", "nothing"))
        print(
            f"kills: {dict(story)}: {found(boxes, bits)}; asked again {more}, "
            f"{more / per_box / max(1, scans):.2f} s of targets a kill of a scan; from elsewhere {other}; "
            f"status {status}; {merged(boxes)}",
            flush=True,
        )
        for box in boxes.boxes:
            for path in box.state.glob("*/*-g1/metadata.json"):
                with contextlib.suppress(ValueError, KeyError):
                    fates = json.loads(path.read_text())["inputs"]["fates"]
                    print(f"    {box.name}: { {name: many for name, many in fates.items() if many} }")
        if status:
            print(boxes.said()[-6000:])


def attend(boxes: Boxes, said: int) -> None:
    """Wait until the controller goes on with both runs."""
    wait_for(lambda: boxes.said().count("goes on with its run") >= said + 2, "attached", 30)


def away(options: argparse.Namespace) -> None:
    seconds = options.seconds
    bits = max(18, int(RATE * (2 * seconds + 60)).bit_length())  # the scan outlasts all parts
    with fleet(2, bits, RATE) as boxes:
        controller = boxes.start()
        wait_for(lambda: all(packets(box)[0] > 500 for box in boxes.boxes), "both scan", 60)
        parts = []
        for what in ("there", "away", "back"):
            if what == "away":
                controller.kill()
                controller.wait(10)
            if what == "back":
                since = time.monotonic()
                controller = boxes.start()
                said = boxes.said().count("goes on with its run")
                attend(boxes, said)
                attached = time.monotonic() - since
            end = time.monotonic() + (seconds if what == "away" else seconds / 2)
            parts.append(slope(watched(boxes, lambda end=end: time.monotonic() > end)))  # type: ignore[misc]
        print(
            f"away: {seconds:.0f} s without a controller: {parts[1] / parts[0]:.3f} times the rate "
            f"before, after it {parts[2] / parts[0]:.3f}; attached to both boxes after {attached:.1f} s; "
            f"from elsewhere {sent(boxes)[1]}",
            flush=True,
        )


class Last:
    """When the kernel saw the last packet to a network, on one box's Internet (seconds since 1970)."""

    def __init__(self, box: Box, network: str) -> None:
        self.network, self.at, self.count = ip_network(network), 0.0, 0
        self.sock = box.far.call(
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        )
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, more, _, where = self.sock.recvmsg(64, 64)
                if where[1:3] == (0x800, socket.PACKET_HOST) and ip_address(data[16:20]) in self.network:
                    seconds, nano = struct.unpack("qq", more[0][2][:16])
                    self.at, self.count = seconds + nano / 1e9, self.count + 1


def block(options: argparse.Namespace) -> None:
    network = "10.65.0.0/17"
    with fleet(4, 18, 1600) as boxes:
        boxes.start()
        wait_for(lambda: all(packets(box)[0] > 200 for box in boxes.boxes), "all scan", 60)
        seen = [Last(box, network) for box in boxes.boxes]
        time.sleep(1)
        begun, had = time.time(), sum(one.count for one in seen)
        order = boxes.lzr("fleet", "block", boxes.plan, network, "--reason", "test")
        took = time.time() - begun
        time.sleep(3)
        kept = json.loads((boxes.directory / "plan.blocks.jsonl").read_text().splitlines()[0])["at"]
        last = max(one.at for one in seen)
        print(
            f"block: {sum(one.count for one in seen) - had} packets more ({had} in the second before), the "
            f"last {last - kept:.2f} s after the controller had it; the command took {took:.2f} s, "
            f"{kept - begun:.2f} s of it its own start: {order.stdout.strip()}",
            flush=True,
        )


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has taken, with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status(options: argparse.Namespace) -> None:
    with fleet(8, 16, 800) as boxes:
        controller = boxes.start("--no-fetch")
        boxes.until(lambda: all(packets(box)[0] > 20 for box in boxes.boxes), "all scan", 120)
        time.sleep(3)
        pids = [
            pid for pid in boxes.controller.pids() if b"fleet" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        at, had = time.monotonic(), sum(map(cpu, pids))
        time.sleep(options.seconds)
        alone = (sum(map(cpu, pids)) - had) / (time.monotonic() - at)
        boxes.controller.popen(
            LZR, "fleet", "watch", boxes.plan, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(4)
        watch = [pid for pid in boxes.controller.pids() if pid not in pids]
        at, had, shown = time.monotonic(), sum(map(cpu, pids)), sum(map(cpu, watch))
        time.sleep(options.seconds)
        wall = time.monotonic() - at
        print(
            f"status: the controller of eight boxes takes {alone:.1%} of a core, beside lzr fleet watch "
            f"{(sum(map(cpu, pids)) - had) / wall:.1%}, and that {(sum(map(cpu, watch)) - shown) / wall:.1%}",
            flush=True,
        )
        assert controller.poll() is None


PARTS = {"rate": rate, "kills": kills, "away": away, "block": block, "status": status}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fleet", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--boxes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument(
        "--of", nargs="+", default=["scan", "scan", "worker", "controller", "box"], metavar="WHAT",
        help="what is killed: a process of a scan, all of them (box), worker, controller",
    )  # fmt: skip
    parser.add_argument("--bits", type=int, default=14, help="of hosts that a box scans")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--seconds", type=float, default=30.0, help="without a controller, or watched")
    options = parser.parse_args(argv)
    for name in options.parts or PARTS:
        PARTS[name](options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
