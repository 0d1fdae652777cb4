"""``lzr export``: nothing is lost on the way, and nothing half is left behind."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from coordinator.commands import export
from lzr.analysis.columns import COLUMNS, NAMES
from lzr.analysis.exportnames import VIEWS
from lzr.records.fields import FIELDS
from tests import ROOT, forking, madescans

COMMAND = [
    sys.executable,
    "-c",
    "import sys; from coordinator.commands.main import main; sys.exit(main())",
    "export",
]
ENRICHED = ("asn", "as_name", "country")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    made = [*madescans.records(400, enrich=True), *madescans.hostile()]
    path = tmp_path / "scan.json"
    path.write_text("".join(map(madescans.line, made)))
    return path


def run(*words: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*forking.program(), "export", *map(str, words)],
        capture_output=True, cwd=ROOT, timeout=120, check=False, **options,
    )  # fmt: skip


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_to_parquet_and_back_nothing_is_lost(scan: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a'; DROP TABLE x; --*[1]?.parquet"
    for target in (odd, tmp_path / "with.json", tmp_path / "scan.csv"):
        assert export.main([str(scan), "-o", str(target), "-q"]) == 0
        again = tmp_path / "again.json"
        assert export.main([str(target), "-o", str(again), "--overwrite", "-q"]) == 0
        assert again.read_text() == scan.read_text(), target
    described = duckdb.sql(
        "SELECT * FROM read_parquet($1)", params=[str(odd).replace("*[1]?", "[*][[]1][?]")]
    )
    assert list(zip(described.columns, map(str, described.types), strict=True)) == [
        (c.name, c.sql) for c in COLUMNS
    ]
    with open(tmp_path / "scan.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, line in zip(rows, scan.read_text().splitlines(), strict=True):
        record = json.loads(line)
        said = row["data"].encode().decode("unicode_escape").encode("latin-1")
        assert said == record.get("data", "").encode("latin-1")
        assert not any(cell[:1] in tuple("=+-@| ") for cell in row.values() if cell)
        assert not any(";" in cell or not cell.isascii() or not cell.isprintable() for cell in row.values())


def test_the_names_of_others(scan: Path, tmp_path: Path) -> None:
    records = [json.loads(line) for line in scan.read_text().splitlines()]
    shown = {}
    for view in VIEWS:
        assert export.main([str(scan), "--as", view, "-o", str(tmp_path / f"{view}.json"), "-q"]) == 0
        assert export.main([str(scan), "--as", view, "-o", str(tmp_path / f"{view}.parquet"), "-q"]) == 0
        assert export.main([str(scan), "--as", view, "-o", str(tmp_path / f"{view}.csv"), "-q"]) == 0
        lines = (tmp_path / f"{view}.json").read_text()
        assert lines.isascii()
        shown[view] = [json.loads(line) for line in lines.splitlines()]
        assert len(shown[view]) == len(records)
    for record, zgrab, censys, ecs in zip(
        records, shown["zgrab"], shown["censys"], shown["ecs"], strict=True
    ):
        ((protocol, inner),) = zgrab["data"].items()
        assert (zgrab["ip"], inner["port"]) == (record["saddr"], record["sport"])
        assert inner["status"] == "success" if "data" in record else inner["status"] != "success"
        assert protocol == (record["fingerprint"] if record["fingerprint"] != "unknown" else "banner")
        services = censys["services"]
        assert (censys["ip"], services["port"], services["observed_at"]) == (
            record["saddr"], record["sport"], record["Timestamp"],
        )  # fmt: skip
        assert services.get("banner_hex", "") == record.get("data", "").encode("latin-1").hex()
        assert ecs["destination"]["ip"] == record["saddr"]
        assert ecs["network"]["type"] == ("ipv6" if ":" in record["saddr"] else "ipv4")
        assert ecs["network"].get("protocol", "unknown") == record["fingerprint"]


def test_the_schemas_are_the_table_of_fields(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert export.main(["--schema", "json"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert list(schema["properties"]) == [field.name for field in FIELDS] + list(ENRICHED)
    assert "data" not in schema["required"]
    assert "saddr" in schema["required"]
    assert schema["properties"]["sport"]["maximum"] == 65535
    assert export.main(["--schema", "bigquery", "-o", str(tmp_path / "schema.json")]) == 0
    columns = json.loads((tmp_path / "schema.json").read_text())
    assert [column["name"] for column in columns] == list(NAMES)
    assert {column["name"]: column["type"] for column in columns}["data"] == "BYTES"


def test_mistakes_are_one_sentence(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there.parquet").write_text("mine")
    (tmp_path / "foreign.json").write_text('{"x":1}\n')
    os.link(scan, tmp_path / "link.parquet")
    before = left(tmp_path)
    for words, sentence in (
        ([scan, "-o", tmp_path / "there.parquet"], "exists; --overwrite replaces it"),
        ([scan, "-o", scan, "--format", "json"], "is the input too"),
        ([scan, "-o", scan, "--format", "json", "--overwrite"], "is the input too"),
        ([scan, "-o", tmp_path / "link.parquet", "--overwrite"], "is the input too"),
        ([scan, "-o", tmp_path, "--format", "csv"], "is a directory"),
        ([scan, "-o", tmp_path], "is a directory"),
        ([scan, "-o", f"{tmp_path}/", "--follow"], "is a directory"),
        ([scan, "-o", tmp_path / "x.xlsx"], "--format says what to write"),
        ([scan, "-o", tmp_path / "none" / "x.parquet"], "No such file or directory"),
        ([scan, "-o", "x\0.parquet"], "cannot write"),
        ([tmp_path / "none.json", "-o", tmp_path / "x.parquet"], "No such file"),
        ([tmp_path / "foreign.json", "-o", tmp_path / "x.parquet"], "holds no results of lzr"),
        ([scan, "-o", "/dev/full", "--format", "parquet"], "no space left on device"),
        ([scan, "-o", "/dev/full", "--format", "csv"], "no space left on device"),
        ([scan, "-o", "/dev/full", "--format", "json"], "No space left on device"),
        ([scan, "--as", "shodan"], "invalid choice"),
        (["", "-o", tmp_path / "x.parquet"], "cannot read ''"),
        ([scan, "-o", "", "--format", "json"], "cannot write ''"),
        ([scan, "--follow"], "name them with -o"),
        ([scan, "--part-seconds", "0"], "no number"),
        (["--frmat", "csv"], "unknown flag"),
    ):
        assert export.main([str(word) for word in words]) == 2, words
        told = capsys.readouterr().err
        assert sentence in told, told
        assert told.startswith("lzr export: ")
        assert told.count("\n") == 1
    assert left(tmp_path) == before
    assert (tmp_path / "there.parquet").read_text() == "mine"


def test_what_could_not_be_read_is_said(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(scan, "a") as file:
        file.write('{"saddr":"\x1b[2J')
    assert export.main([str(scan), "-o", str(tmp_path / "x.parquet")]) == 3
    told = capsys.readouterr().err
    assert "1 line of" in told
    assert "\x1b" not in told
    assert "414 records in" in told


def test_pipes(scan: Path) -> None:
    packed = run("-", "--format", "parquet", input=scan.read_bytes())
    assert (packed.returncode, packed.stdout[:4]) == (0, b"PAR1")
    text = run(input=scan.read_bytes())
    assert text.stdout == scan.read_bytes()
    refused = run(input=packed.stdout)
    assert refused.returncode == 2
    assert b"Parquet" in refused.stderr
    for form in ("json", "csv", "parquet"):
        nobody = subprocess.run(
            ["sh", "-c", '"$@" | true', "sh", *forking.program(), "export", str(scan), "--format", form],
            capture_output=True, cwd=ROOT, timeout=120, check=False,
        )  # fmt: skip
        assert nobody.stderr == b"", form


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_who_is_ended_leaves_nothing(number: int, tmp_path: Path) -> None:
    """While it waits for more of its input, with a part of the output written."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [*COMMAND, "-", "-o", str(tmp_path / "x.parquet")],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert process.stdin is not None
    lines = "".join(map(madescans.line, madescans.records(500))).encode()
    process.stdin.write(lines * 20)
    process.stdin.flush()
    until(lambda: writes_into(process.pid, tmp_path))
    process.send_signal(number)
    process.stdin.close()
    assert process.stderr is not None
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) in (130, -9), told
    assert told == b""
    assert number == signal.SIGKILL or not left(temporary)
    shutil.rmtree(temporary)
    # Where the file system has no files without a name, one that is killed leaves a hidden one.
    assert {
        name for name in left(tmp_path) if number != signal.SIGKILL or not name.endswith(".part")
    } == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_is_ignored_ends_nothing(number: int, tmp_path: Path) -> None:
    """As under nohup, or in the background of a script."""
    process = subprocess.Popen(
        ["sh", "-c", f'trap "" {number}; exec "$@"', "sh", *COMMAND, "-", "-o", str(tmp_path / "x.parquet")],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None
    until(lambda: writes_into(process.pid, tmp_path))
    process.send_signal(number)
    lines = "".join(map(madescans.line, madescans.records(50))).encode()
    _, told = process.communicate(lines, timeout=60)
    assert (process.returncode, b"50 records in" in told) == (0, True), told


def writes_into(pid: int, folder: Path) -> bool:
    """Whether a process has a file in a folder open, with a name or without."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(descriptor).startswith(f"{folder}/"):
                return True
    return False


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_running_scan_is_followed_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    growing, parts = tmp_path / "scan.json", tmp_path / "parts"
    parts.mkdir()
    made = list(madescans.records(3000))
    lines = list(map(madescans.line, made))
    results: list[int] = []
    words = [str(growing), "--follow", "-o", str(parts / "s.parquet"), "--part-records", "1000"]
    thread = threading.Thread(target=lambda: results.append(export.main(words)))
    with open(growing, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        thread.start()
        for at in range(0, 3000, 500):
            text = "".join(lines[at : at + 500])
            file.write(text[:-50])
            file.flush()
            file.write(text[-50:])
            file.flush()
            if at == 1500:
                until(lambda: len(left(parts)) >= 1)
    thread.join(60)
    assert results == [0]
    names = sorted(left(parts))
    assert names == [f"s-{number:05}.parquet" for number in range(len(names))]
    assert 2 <= len(names) <= 4
    rows = [
        row
        for name in names
        for row in duckdb.sql(
            "SELECT saddr, sport FROM read_parquet($1)", params=[str(parts / name)]
        ).fetchall()
    ]
    assert rows == [(record["saddr"], record["sport"]) for record in made]
    assert f"3,000 records in {len(names)} parts" in capsys.readouterr().err
    assert export.main(words) == 2
    assert "--overwrite replaces the parts" in capsys.readouterr().err
    assert export.main([*words, "--overwrite", "-q"]) == 0


@pytest.mark.parametrize(
    "text", ["10.0.0.1,,http,80\n", 'saddr,sport,fingerprint\r\n10.0.0.1,80,http\r\n',
             '"saddr","sport","fingerprint"\n10.0.0.1,80,http\n',
             '\ufeff{"saddr":"10.0.0.1","sport":80,"fingerprint":"http"}\n'],
)  # fmt: skip
def test_every_form_of_lines_can_be_followed(tmp_path: Path, text: str) -> None:
    growing = tmp_path / "growing"
    growing.write_text(text)
    assert export.main([str(growing), "--follow", "-o", str(tmp_path / "s.json")]) == 0
    (record,) = map(json.loads, (tmp_path / "s-00000.json").read_text().splitlines())
    assert record == {"saddr": "10.0.0.1", "sport": 80, "fingerprint": "http"}


def test_a_follower_that_is_interrupted_writes_what_it_has(tmp_path: Path) -> None:
    growing = tmp_path / "scan.json"
    madescans.write(growing, 300)
    with open(growing, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for number, whole in ((signal.SIGKILL, 1), (signal.SIGINT, 2)):
            out = tmp_path / f"out{number}"
            out.mkdir()
            process = subprocess.Popen(
                [*COMMAND, str(growing), "--follow", "-o", str(out / "s.parquet"), "--part-records", "100"],
                cwd=ROOT,
            )
            until(lambda out=out: bool(left(out)))  # type: ignore[misc]
            if whole == 2:
                file.write("".join(map(madescans.line, madescans.records(50))))
                file.flush()
                until(lambda process=process: at_end(process.pid, growing))  # type: ignore[misc]
            process.send_signal(number)
            assert process.wait(60) in (0, -9)
            for name in left(out):
                assert duckdb.sql(
                    "SELECT count(*) FROM read_parquet($1)", params=[str(out / name)]
                ).fetchall()
        assert left(out) == {"s-00000.parquet", "s-00001.parquet"}


def at_end(pid: int, path: Path) -> bool:
    """Whether a process has read all of a file."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(descriptor) != str(path):
                continue
            (place,) = re.findall(
                r"^pos:\s*(\d+)", Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text(), re.M
            )
            return int(place) == path.stat().st_size
    return False


def test_one_record_is_called_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = madescans.write(tmp_path / "one.json", 1)
    assert export.main([str(scan), "-o", str(tmp_path / "one.csv")]) == 0
    assert capsys.readouterr().err.startswith("lzr export: 1 record in ")
