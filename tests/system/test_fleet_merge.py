"""Results of real scans, each with its shards and from its own source, made one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from coordinator.commands import fleet
from coordinator.fleet import checking
from tests.lab.net import run
from tests.lab.responder import FIRST, PORT, Range
from tests.lab.scan import LZR

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

COUNT = 512
SHARDS = 4
SOURCES = {"fra1": "10.1.1.1", "ams1": "10.1.1.2", "nyc1": "10.1.1.3"}
WORDS = (
    "-handshakes",
    "wait,http",
    "-haf",
    "0",
    "-rt",
    "1",
    "-t",
    "3",
    "-c",
    "4",
    "-w",
    "2",
    "--no-dashboard",
)


def plan(directory: Path, mode: str) -> Path:
    """A plan of three boxes, settled."""
    what = 'input = "list"' if mode == "list" else f'targets = ["10.64.0.0/23"]\ntarget-ports = {PORT}'
    text = f'name = "three"\nresponsible = "somebody"\nseed = 11\nrate = 10000\nshards = {SHARDS}\n{what}\n'
    text += "".join(f'[[box]]\nname = "{name}"\nsource = "{ip}"\n' for name, ip in SOURCES.items())
    path = directory / "plan.toml"
    path.write_text(text)
    assert checking.main([str(path), "-q"]) == 0
    return path


def scan(arena: Range, mode: str, plan_id: str, source: str, shards: str, target: Path) -> None:
    words = [*WORDS, "--source-ip", source, "--shards", str(SHARDS), "--shard", shards, "-f", target]
    words += ["--seed", "11", "--plan-id", plan_id, "--generation", "1"]
    words += ["-m", target.with_suffix(".metadata.json")]
    words += (
        ["-sendSYNs", "-I", arena.lab.directory / "list"] if mode == "list" else ["-p", PORT, "10.64.0.0/23"]
    )
    done = run(
        *arena.scanner.command(LZR, *map(str, words)),
        check=False,
        timeout=120,
        env=arena.lab.environment,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("mode", ["list", "sweep"])
def test_three_boxes_make_one_result(arena: Range, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    directory = arena.lab.directory
    (directory / "list").write_text("".join(f"10.64.{n >> 8}.{n & 255}:{PORT}\n" for n in range(COUNT)))
    for source in SOURCES.values():
        arena.scanner.ip("addr", "add", f"{source}/32", "dev", "eth0")
    arena.respond(first=FIRST, count=COUNT, port=PORT)
    lock = json.loads(plan(directory, mode).with_suffix(".lock.json").read_bytes())
    parts = []
    for run_ in lock["runs"]:
        parts.append(directory / f"{run_['box']}.json")
        scan(arena, mode, lock["id"], SOURCES[run_["box"]], run_["shards"], parts[-1])
    metadata = [str(part.with_suffix(".metadata.json")) for part in parts]
    sums = set()
    for order in (parts, parts[::-1], parts[2:] + parts[:2]):
        words = ["merge", str(directory / "plan.toml"), "-o", str(directory / "all.json"), "--overwrite"]
        assert fleet.main([*words, *metadata, *map(str, order)]) == 0, capsys.readouterr().err
        sums.add(hashlib.sha256((directory / "all.json").read_bytes()).hexdigest())
    assert len(sums) == 1
    assert fleet.main(["ledger", words[1], *metadata]) == 0
    said = capsys.readouterr().err
    assert said.splitlines()[-1].endswith(f"= {COUNT}: each has its fate once")
    assert f"lzr fleet ledger: inputs: {COUNT}; " in said
    assert fleet.main(["ledger", words[1], *metadata[:2]]) == 1
    found = [json.loads(line) for line in (directory / "all.json").read_text().splitlines()]
    hosts = [record["saddr"] for record in found]
    assert len(set(hosts)) == COUNT
    assert sum(len(part.read_text().splitlines()) for part in parts) == len(found)
    # One of them without its last line, which no line tells.
    cut = directory / "cut.json"
    cut.write_text("".join(parts[0].read_text().splitlines(keepends=True)[:-1]))
    assert fleet.main([*words, *metadata, *map(str, [cut, *parts[1:]])]) == 3
    assert ": 1 record not among these" in capsys.readouterr().err
    # The results of another box's shard, as if it had scanned from here: none of them belongs to this plan.
    swapped = directory / "swapped.json"
    swapped.write_text(parts[0].read_text().replace(SOURCES["fra1"], SOURCES["nyc1"]))
    assert fleet.main([*words, *map(str, [*parts, swapped])]) == 3
    assert f"{len(parts[0].read_text().splitlines())} records of" in capsys.readouterr().err
    assert hashlib.sha256((directory / "all.json").read_bytes()).hexdigest() in sums
