"""A scan that is hurt all day: `python -m tests.soak --hours 24` (root). Ends at the first wrong thing.

Rounds of a large list scan with a checkpoint, on a path that loses one segment in a hundred. Every few
seconds a process is killed, the scan interrupted or ended whole and resumed. After each round every target
has exactly one record, each has the right label or none, nothing is left on the host, and no process has
used more memory than in the first rounds.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

from tests.faults import Victim, family, kilobytes, once_each, read
from tests.lab import net
from tests.lab.responder import FIRST, PORT, SCANNER, Range, letter_of
from tests.system.test_e2e_responder import address, services
from tests.system.test_faults_processes import HURTS, hurt

CLASSES = "hsafrhszq"
LABELS = {"h": "http", "s": "ssh"}
OPTIONS = ("-sendSYNs", "-w", "3", "-rate", "3000", "-rn", "3", "-rt", "0.5", "-t", "1", "-c", "3")


def one_round(arena: Range, number: int, count: int, rng: random.Random) -> tuple[int, int]:
    """Returns how often it was hurt and the most memory (kB) all its processes had together."""
    directory = arena.lab.directory
    source, target, kept = (directory / f"{name}{number}" for name in ("in", "out", "kept"))
    source.write_text("".join(services(count)))
    before = arena.scanner.state()
    words: tuple[str | Path, ...] = (*OPTIONS, "-f", target, "--checkpoint", kept)
    hurts = most = 0
    while True:
        with source.open() as stdin:
            victim = Victim(arena.scanner, *words, stdin=stdin, name=f"log{number}")
        words = ("--resume", kept)
        resumed_at, next_kill = time.monotonic(), time.monotonic() + 3
        lifetime = rng.uniform(15, 60)
        while victim.process.poll() is None:
            time.sleep(0.25)
            most = max(most, sum(map(kilobytes, [victim.pid, *family(victim.pid)])))
            now = time.monotonic()
            if now > resumed_at + lifetime and (kept / "checkpoint").exists():
                hurts += 1
                hurt(victim, rng.choice(HURTS))
            elif now > next_kill:
                next_kill = now + rng.uniform(15, 30)  # seldom enough not to look as if it kept dying
                hurts += bool(victim.kill(rng.choice(("flow worker", "flow worker", "collector"))))
        if victim.process.returncode == 0:
            break
        if victim.process.returncode not in (1, 130, 143, -9):
            raise SystemExit(f"status {victim.process.returncode}:\n{victim.said()[-3000:]}")
    found = read(target)
    once_each(found, {(address(at), PORT) for at in range(count)})
    for record in found:
        truth = LABELS.get(letter_of(record["saddr"], CLASSES), "unknown")
        if record["fingerprint"] not in (truth, "unknown"):
            raise SystemExit(f"wrong: {record}")
    if arena.scanner.state() != before:
        raise SystemExit(f"left behind: {arena.scanner.state()}")
    for path in (source, target):
        path.unlink()
    return hurts, most


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--targets", type=int, default=500_000, help="in a round (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    until = time.monotonic() + options.hours * 3600
    with net.lab() as lab:
        arena = Range(lab, bridged=True)
        assert arena.bridge is not None
        net.lose(arena.bridge, 1)
        arena.respond(first=FIRST, count=options.targets, port=PORT, source=SCANNER, classes=CLASSES)
        number = early = 0
        while time.monotonic() < until:
            hurts, most = one_round(arena, number, options.targets, rng)
            early = max(early, most) if number < 3 else early
            print(f"round {number}: hurt {hurts} times, at most {most // 1024} MB, all right", flush=True)
            if most > 1.3 * early:
                raise SystemExit(f"memory grows: {early} kB at first, {most} kB now")
            number += 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
