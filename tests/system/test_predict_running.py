"""`lzr predict --loop` with real packets, over a responder with a table of a made Internet's services."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.madeinternet import FIRST, Internet, made
from coordinator.files.exclusive import exclusive
from tests.lab.net import Lab
from tests.lab.responder import Range
from tests.lab.scan import LZR

pytestmark = pytest.mark.root

BITS = 14
SPACE = "10.0.0.0/18"
BUDGET = 4_000


def text(number: int) -> str:
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


class Made:
    """A made Internet with a seed of a twentieth of it, in files."""

    def __init__(self, folder: Path) -> None:
        self.internet: Internet = made(BITS, density=0.2)
        self.sample = self.internet.sample(0.05, 3)
        self.rows = self.internet.of_hosts(self.sample)
        self.seed, self.asked, self.table = folder / "seed.json", folder / "asked", folder / "table"
        self.seed.write_text("".join(json.dumps(self.internet.record(row)) + "\n" for row in self.rows))
        self.asked.write_text("".join(f"{text(number)}\n" for number in self.sample.tolist()))
        pairs = self.internet.address << 16 | self.internet.port
        pairs.astype("<u8").tofile(self.table)

    def words(self, folder: Path, *more: str) -> list[str | Path]:
        return [
            LZR, "predict", self.seed, "--asked", self.asked, "--space", SPACE, "--budget", str(BUDGET),
            "--loop", "--batch", "2000", "--state", folder / "state", *more,
            "--", "--handshakes", "http", "-q", "-rn", "0", "--rate", "4000", "-w", "1",
        ]  # fmt: skip


def lists(folder: Path) -> list[tuple[int, int, float]]:
    """(address, port, chance) of all rounds."""
    found = []
    for path in sorted((folder / "state").glob("round-*.list")):
        for line in path.read_text().splitlines():
            where, _, what = line.partition(" # ")
            address, _, port = where.rpartition(":")
            number = int.from_bytes(bytes(map(int, address.split("."))), "big")
            found.append((number, int(port), float(what.split()[0])))
    return found


def found_by(folder: Path) -> set[tuple[str, int]]:
    records = map(json.loads, (folder / "state" / "found.json").read_text().splitlines())
    return {(record["saddr"], record["sport"]) for record in records if record.get("data")}


def open_of(made_: Made, listed: list[tuple[int, int, float]]) -> set[tuple[str, int]]:
    address, port = (np.array([row[column] for row in listed], np.int64) for column in (0, 1))
    hit = made_.internet.find(address, port) >= 0
    return {(text(a), int(p)) for a, p in zip(address[hit].tolist(), port[hit].tolist(), strict=True)}


def test_a_loop_finds_what_the_table_says_is_cut_short_and_goes_on(lab: Lab, tmp_path: Path) -> None:
    world = Made(tmp_path)
    wires = Range(lab)
    wires.respond(classes="h", more=["--table", str(world.table)])
    words = world.words(tmp_path, "--follow-hosts")
    child = wires.scanner.popen(*words, stderr=subprocess.PIPE, text=True)
    interrupted_after(child, tmp_path, rounds=1)
    begun = len(list((tmp_path / "state").glob("round-*.list")))
    done = wires.scanner.run(*words, check=False)
    assert done.returncode == 0, done.stderr
    if child.returncode != 0:
        assert begun == 1
        assert "batches of" in done.stderr or "going on with" in done.stderr

    listed = lists(tmp_path)
    pairs = [row[:2] for row in listed]
    assert len(pairs) == len(set(pairs)) == BUDGET
    sample = set(world.sample.tolist())
    assert all(FIRST <= number < FIRST + (1 << BITS) and number not in sample for number, _ in pairs)
    assert found_by(tmp_path) == open_of(world, listed)
    hits = len(found_by(tmp_path))
    every = np.bincount(world.internet.port, minlength=1 << 16)
    ports, counts = np.unique(world.internet.port[world.rows], return_counts=True)
    first = int(ports[np.argmax(counts)])
    assert hits > 1.3 * every[first] * BUDGET / (1 << BITS)  # what the seed's first port would have given


def interrupted_after(child: subprocess.Popen[Any], folder: Path, rounds: int) -> None:
    """Ctrl-C while a round is scanned; a loop that was quicker has ended by itself."""
    deadline = time.monotonic() + 120
    while child.poll() is None and time.monotonic() < deadline:
        if (folder / "state" / f"round-{rounds:04}.list").exists():
            child.send_signal(signal.SIGINT)
            break
        time.sleep(0.02)
    said = child.communicate(timeout=120)[1]
    assert child.returncode in (0, 130), said
    if child.returncode:
        assert "goes on from here" in said


def nowhere(words: list[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run a command where it reaches nobody."""
    return subprocess.run(["unshare", "-n", *words], capture_output=True, text=True, check=False, timeout=120)


def test_who_uses_a_state_alone(tmp_path: Path) -> None:
    """Who can only read it keeps nobody out."""
    world = Made(tmp_path)
    state = tmp_path / "state"
    state.mkdir()
    descriptor = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    with exclusive(descriptor):
        done = nowhere(world.words(tmp_path))
    assert (done.returncode, "another loop uses" in done.stderr) == (2, True), done.stderr
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    done = nowhere(world.words(tmp_path))
    os.close(descriptor)
    assert "another loop uses" not in done.stderr
    assert "the scan of batch 1 ended with status 2" in done.stderr, "there is no network"


@pytest.mark.parametrize("name", ["round-0001.list", "found.json"])
@pytest.mark.parametrize("kind", ["fifo", "link", "directory", "noise"])
def test_what_else_lies_in_a_state_is_a_sentence(tmp_path: Path, name: str, kind: str) -> None:
    world = Made(tmp_path)
    path = tmp_path / "state" / name
    path.parent.mkdir()
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to("/etc/passwd")
        case "directory":
            path.mkdir()
        case "noise":
            path.write_bytes(os.urandom(10_000))
    done = nowhere(world.words(tmp_path))
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert name in done.stderr


def test_a_seed_of_a_loop_can_be_read_again(tmp_path: Path) -> None:
    world = Made(tmp_path)
    world.seed.unlink()
    os.mkfifo(world.seed)
    done = nowhere(world.words(tmp_path))
    assert (done.returncode, "is no regular file" in done.stderr) == (2, True), done.stderr
