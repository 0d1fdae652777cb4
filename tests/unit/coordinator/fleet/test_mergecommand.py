"""``lzr fleet merge``: the same bytes in any order and once more, and nothing left out without a word."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from coordinator.commands import fleet
from coordinator.fleet import lockfile, mergecommand
from lzr import addresses
from tests import madefleet, madescans, packers
from tests.unit.lzr.fleet.test_audit import told


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return madefleet.written(tmp_path / "plan.toml")


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    return madefleet.files(madefleet.lock(), tmp_path, 400)


def merge(plan: Path, output: Path | str, files: Sequence[Path], *more: str) -> int:
    return fleet.main(["merge", str(plan), "-o", str(output), "--overwrite", *more, *map(str, files)])


def sum_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def key(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["saddr"], record["sport"], record["HandshakeNum"]


def place(record: dict[str, Any]) -> tuple[Any, ...]:
    return (*addresses.parse(record["saddr"]), record["sport"], record["HandshakeNum"])


def test_any_order_gives_the_same_bytes_and_again_with_its_parts(
    plan: Path, parts: list[Path], tmp_path: Path
) -> None:
    sums = set()
    for order in itertools.permutations(parts):
        assert merge(plan, tmp_path / "all.json", order) == 0
        sums.add(sum_of(tmp_path / "all.json"))
    assert len(sums) == 1
    merged = tmp_path / "all.json"
    for again in ([merged], [merged, *parts], [parts[1], merged, merged]):
        assert merge(plan, tmp_path / "again.json", again) == 0
        assert sum_of(tmp_path / "again.json") in sums, again
    made = {key(record): record for path in parts for record in records(path)}
    assert {key(record): record for record in records(merged)} == made
    assert len(records(merged)) == len(made)


def test_an_output_that_cannot_be_written_is_told_before_anything_is_read(
    plan: Path, parts: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mergecommand.shardlookup, "of", None)  # reads the input of a plan
    assert merge(plan, "/nowhere/all.json", parts) == 2
    assert "cannot write /nowhere/all.json" in capsys.readouterr().err


def test_lines_in_any_order_within_files_and_files_cut_otherwise(
    plan: Path, parts: list[Path], tmp_path: Path
) -> None:
    assert merge(plan, tmp_path / "all.json", parts) == 0
    lines = [line for path in parts for line in path.read_text().splitlines(keepends=True)]
    random.Random(3).shuffle(lines)
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text("".join(lines[:50]))
    two.write_text("".join(lines[40:]).removesuffix("\n"))  # the last record is whole without its line's end
    assert merge(plan, tmp_path / "again.json", [two, one]) == 0
    assert sum_of(tmp_path / "again.json") == sum_of(tmp_path / "all.json")


def test_compressed_files_and_windows_ends_of_lines(plan: Path, parts: list[Path], tmp_path: Path) -> None:
    assert merge(plan, tmp_path / "all.json", parts) == 0
    packed = tmp_path / "fra1.json.gz"
    packed.write_bytes(gzip.compress(parts[0].read_bytes()))
    ended = tmp_path / "ams1.txt"
    ended.write_bytes(b"\xef\xbb\xbf\r\n" + parts[1].read_bytes().replace(b"\n", b"\r\n"))
    assert merge(plan, tmp_path / "again.json", [packed, ended, parts[2]]) == 0
    assert sum_of(tmp_path / "again.json") == sum_of(tmp_path / "all.json")


def test_the_directory_of_a_run(plan: Path, parts: list[Path], tmp_path: Path) -> None:
    """What lies there beside results and metadata is left alone."""
    here = tmp_path / "g1"
    here.mkdir()
    (here / "results.json").write_bytes(parts[0].read_bytes())
    beside = ("web.lock.json", "web.wanted.json", "web.leases.json", "web.blocks.jsonl", "lease.json")
    for name in ("log.txt", "zmap.jsonl", "zmap-shard.json", "blocks.jsonl", "status.json", *beside):
        (here / name).write_text('{"shard": 3}\n')
    assert merge(plan, tmp_path / "one.json", parts[:1]) == merge(plan, tmp_path / "two.json", [here]) == 0
    assert sum_of(tmp_path / "one.json") == sum_of(tmp_path / "two.json")


def test_zstd(plan: Path, parts: list[Path], tmp_path: Path) -> None:
    packed = tmp_path / "fra1.json.zst"
    packed.write_bytes(packers.zstd(parts[0].read_bytes()))
    assert merge(plan, tmp_path / "one.json", parts[:1]) == merge(plan, tmp_path / "two.json", [packed]) == 0
    assert sum_of(tmp_path / "one.json") == sum_of(tmp_path / "two.json")


@pytest.mark.attack
@pytest.mark.parametrize("name", ["{}.json", "{}/results.json", "{}.json.gz"])
def test_a_box_says_nothing_in_the_name_of_another(
    plan: Path, parts: list[Path], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Records from others' addresses, of their shards, in a file that came from one box."""
    run = madefleet.lock().runs[0]
    own = {tuple(key(record)) for record in records(parts[0])}
    path = tmp_path / "fetched" / name.format(run.name)
    path.parent.mkdir(parents=True)
    data = parts[0].read_bytes() + parts[1].read_bytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    assert merge(plan, tmp_path / "all.json", [path]) == 3
    assert f"left out that no run of {run.box} has asked for" in capsys.readouterr().err
    assert {key(record) for record in records(tmp_path / "all.json")} == own


@pytest.mark.attack
@pytest.mark.parametrize("name", ["{}.metadata.json", "{}/metadata.json"])
def test_a_box_says_nothing_in_the_name_of_another_in_its_metadata(
    plan: Path, parts: list[Path], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """They were taken for results of nobody knows whom, so each record in them was believed."""
    run = madefleet.lock().runs[0]
    path = tmp_path / "fetched" / name.format(run.name)
    path.parent.mkdir(parents=True)
    path.write_bytes(parts[1].read_bytes())
    assert merge(plan, tmp_path / "all.json", [parts[2], path]) == 3
    assert f"{path} is no metadata" in capsys.readouterr().err
    assert records(tmp_path / "all.json") == sorted(records(parts[2]), key=place)
    assert fleet.main(["ledger", str(plan), str(path)]) == 1


@pytest.mark.attack
def test_a_box_tells_of_no_run_of_another(
    plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = lockfile.read(str(plan))
    for run, own in zip(lock.runs, (500, 246, 250), strict=True):
        table = json.dumps(told(lock, run.name, own))
        (tmp_path / f"{run.name}.metadata.json").write_text(table)
        if run.box == "ams1":
            (tmp_path / "any.json").write_text(table)
    files = [str(path) for path in sorted(tmp_path.glob("*.metadata.json"))]
    assert fleet.main(["ledger", str(plan), *files]) == 0
    (tmp_path / "ams1-g1.metadata.json").rename(tmp_path / "nyc1-g1.metadata.json")
    assert fleet.main(["ledger", str(plan), *files[1:]]) == 1
    said = capsys.readouterr().err
    assert "nyc1-g1.metadata.json is of ams1-g1, and not of nyc1" in said
    assert "nothing is known of ams1-g1" in said


@pytest.mark.attack
@pytest.mark.parametrize("junk", ["gz", "utf-16", "parquet", "csv", "png", "empty lines", "deep", "text"])
def test_a_box_of_which_nothing_can_be_read_keeps_no_other_out(
    plan: Path, parts: list[Path], tmp_path: Path, junk: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is what it gives unpacked: a few bytes may become any number of them."""
    data = {
        "gz": gzip.compress(parts[0].read_bytes()),
        "utf-16": parts[0].read_text().encode("utf-16"),
        "parquet": b"PAR1" + bytes(100) + b"PAR1",
        "csv": b"saddr,sport\n192.0.2.1,80\n",
        "png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        "empty lines": b"\n" * 1000 + b"{}\n",
        "deep": b"[" * 100_000,
        "text": b"hello\n",
    }[junk]
    parts[0].write_bytes(data)
    assert merge(plan, tmp_path / "all.json", parts) == 3
    assert f"{parts[0]}" in capsys.readouterr().err
    own = [*records(parts[1]), *records(parts[2])]
    assert records(tmp_path / "all.json") == sorted(own, key=place)


def test_foreign_records_are_counted_and_said(
    plan: Path, parts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a source that the plan does not have, and of a shard that another box has."""
    assert merge(plan, tmp_path / "all.json", parts) == 0
    made = records(parts[0])
    wrong = tmp_path / "wrong.json"
    wrong.write_text(
        madescans.line({**made[0], "daddr": "192.0.2.77", "sport": 1})
        + madescans.line(made[1])
        + madescans.line({**made[2], "daddr": madefleet.SOURCES["nyc1"]})
    )
    capsys.readouterr()
    assert merge(plan, tmp_path / "again.json", [*parts, wrong]) == 3
    assert sum_of(tmp_path / "again.json") == sum_of(tmp_path / "all.json")
    said = capsys.readouterr().err
    assert "2 records of" in said
    assert "192.0.2.77" in said
    assert "; 1 line came more than once" in said


@pytest.mark.attack
def test_what_is_cut_damaged_or_no_record_is_counted_and_said(
    plan: Path, parts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert merge(plan, tmp_path / "all.json", parts) == 0
    whole = parts[0].read_bytes()
    torn = tmp_path / "torn.json"
    lines = whole.splitlines(keepends=True)
    torn.write_bytes(b"".join([lines[0], b"not a record\n", b'{"saddr":"10.0.0.1"}\n', *lines[1:]])[:-20])
    capsys.readouterr()
    assert merge(plan, tmp_path / "again.json", [torn, *parts[1:]]) == 3
    said = capsys.readouterr().err
    assert "is cut: its last line has no end" in said
    assert "2 lines of" in said
    assert len(records(tmp_path / "again.json")) == len(records(tmp_path / "all.json")) - 1
    packed = tmp_path / "half.json.gz"
    packed.write_bytes(gzip.compress(whole)[:-3000])
    assert merge(plan, tmp_path / "again.json", [packed, *parts[1:]]) == 3
    assert "was read up to where" in capsys.readouterr().err


def test_several_records_on_a_line_are_each_one(
    plan: Path, parts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where files were put together of which one had no end of its last line."""
    assert merge(plan, tmp_path / "all.json", parts) == 0
    lines = [line for path in parts for line in path.read_text().splitlines()]
    together = tmp_path / "together.json"
    together.write_text("\n".join("".join(lines[at : at + 3]) for at in range(0, len(lines), 3)) + "\n")
    assert merge(plan, tmp_path / "again.json", [together]) == 0
    assert sum_of(tmp_path / "again.json") == sum_of(tmp_path / "all.json")

    bad = json.dumps({**json.loads(lines[0]), "saddr": "nobody"})
    for text in (
        f"{lines[0]}{lines[1]}\n{bad}\n",
        f"{lines[0]}{bad} {lines[1]}\n",
        f'{lines[1]}{{"x":1}}{lines[0]}\n',
    ):
        together.write_text(text)
        capsys.readouterr()
        assert merge(plan, tmp_path / "again.json", [together]) == mergecommand.MISSING
        assert sorted(map(key, records(tmp_path / "again.json"))) == sorted(
            map(key, map(json.loads, lines[:2]))
        )
        assert "1 line of" in capsys.readouterr().err


def test_the_output_is_none_of_what_is_read(plan: Path, parts: list[Path], tmp_path: Path) -> None:
    metadata = tmp_path / "run.metadata.json"
    metadata.write_text('{"program":"lzr","format":1}')
    for path in (metadata, plan.with_suffix(".lock.json")):
        before = path.read_bytes()
        assert merge(plan, path, [metadata, *parts]) == 2
        assert path.read_bytes() == before


def test_a_service_that_was_asked_twice_is_one_record(
    plan: Path, parts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = next(record for record in records(parts[0]) if record.get("data"))
    silent = {name: value for name, value in made.items() if name != "data"}
    more = tmp_path / "more.json"
    more.write_text(madescans.line({**silent, "Timestamp": "2026-11-01T00:00:00.000000000Z"}))
    assert merge(plan, tmp_path / "all.json", [more, *parts]) == 0
    assert "1 record of what was asked twice left out" in capsys.readouterr().err
    assert made in records(tmp_path / "all.json")
    assert merge(plan, tmp_path / "again.json", parts) == 0
    assert sum_of(tmp_path / "again.json") == sum_of(tmp_path / "all.json")


def test_parquet_holds_the_same_and_is_the_same_each_time(
    plan: Path, parts: list[Path], tmp_path: Path
) -> None:
    import duckdb

    assert merge(plan, tmp_path / "all.json", parts) == 0
    sums = set()
    for order in (parts, parts[::-1]):
        assert merge(plan, tmp_path / "all.parquet", order) == 0
        sums.add(sum_of(tmp_path / "all.parquet"))
    assert len(sums) == 1
    found = duckdb.sql(f"SELECT saddr, sport, HandshakeNum FROM '{tmp_path / 'all.parquet'}'").fetchall()
    assert found == [key(record) for record in records(tmp_path / "all.json")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["x.csv"], "what is merged are JSON lines"),
        (["nothing.json"], "cannot read"),
        (["text.json"], "holds no results of lzr"),
        (["-o", "out.csv", "fra1-g1.json"], "lzr export makes CSV of it"),
        (["-o", "fra1-g1.json", "--overwrite", "fra1-g1.json"], "is the input too"),
        ([], "plan.results: lzr fleet start does that"),
        (["empty"], "none of the files that are named has results"),
    ],
)
def test_mistakes(
    plan: Path,
    parts: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("saddr,sport\n10.0.0.1,80\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.json").write_text("hello\n")
    (tmp_path / "plan.results").mkdir()
    assert fleet.main(["merge", str(plan), "-o", "out.json", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out.json").exists()


def test_what_was_fetched_of_another_plan_is_not_this_ones(
    plan: Path, parts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fleet.main(["ledger", str(plan)]) == 2
    assert "nothing has been fetched into" in capsys.readouterr().err
    results = tmp_path / "plan.results"
    results.mkdir()
    for path in parts:
        path.rename(results / path.name)
    (results / "plan.id").write_text(f"{lockfile.read(str(plan)).id}\n")
    assert merge(plan, tmp_path / "all.json", []) == 0
    (results / "plan.id").write_text("0123456789abcdef\n")
    capsys.readouterr()
    assert merge(plan, tmp_path / "none.json", []) == 2
    assert "has the results of another plan (0123456789abcdef)" in capsys.readouterr().err
    assert not (tmp_path / "none.json").exists()
