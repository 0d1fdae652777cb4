"""Parquet that others have made of our lines: the same records, whatever types their columns have."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from coordinator.analysis.reading import Reading, connect, load
from lzr.errors import UsageError
from tests import madescans
from tests.effort import examples

EVERY = {**next(madescans.records(1)), "data": "".join(map(chr, range(256))), "asn": 64500}


def read(path: Path) -> tuple[list[tuple[Any, ...]], Reading]:
    connection = connect(files=True)
    reading = load(connection, str(path))
    return connection.execute("SELECT * FROM records ORDER BY ALL").fetchall(), reading


def made(path: Path, records: list[dict[str, Any]], replace: str = "", drop: str = "") -> Path:
    """What a program without any idea of results writes: texts, and numbers as they come."""
    lines = path.with_suffix(".lines")
    lines.write_text("".join(map(madescans.line, records)))
    excluded = f"EXCLUDE ({drop})" if drop else ""
    replaced = f"REPLACE ({replace})" if replace else ""
    columns = {name: kind for record in records for name, kind in ((n, _kind(v)) for n, v in record.items())}
    shape = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    _writer().execute(
        f"COPY (SELECT * {excluded} {replaced} FROM read_json('{lines}', columns = {{{shape}}}, "
        f"format = 'newline_delimited', maximum_object_size = 100000000)) TO '{path}' (FORMAT parquet)"
    )
    return path


@cache
def _writer() -> DuckDBPyConnection:
    """One for all: each takes 20 ms."""
    return connect(files=True)


def _kind(value: object) -> str:
    return "BOOLEAN" if isinstance(value, bool) else "BIGINT" if isinstance(value, int) else "VARCHAR"


@pytest.mark.parametrize(
    "replace",
    [
        "",
        "sport::DOUBLE AS sport, asn::DOUBLE AS asn",
        "sport::VARCHAR AS sport, ttl::DECIMAL(9, 2) AS ttl",
        "Timestamp::TIMESTAMP_NS AS Timestamp",
        "Timestamp::TIMESTAMP_NS::TIMESTAMP::TIMESTAMPTZ AS Timestamp",
        "encode(saddr) AS saddr, encode(fingerprint) AS fingerprint",
    ],
)
def test_the_records_are_those_of_the_lines(tmp_path: Path, replace: str) -> None:
    records = [*madescans.records(300, seed=2), *madescans.hostile(), EVERY]
    for record in records:  # what no text of a table can hold in microseconds
        record["Timestamp"] = record["Timestamp"][:26] + "000Z"
    lines = tmp_path / "scan.json"
    lines.write_text("".join(map(madescans.line, records)))
    expected, _ = read(lines)
    rows, reading = read(made(tmp_path / "other.parquet", records, replace))
    assert rows == expected
    assert (reading.records, reading.trouble()) == (len(records), "")


def test_rows_in_which_something_cannot_be_are_left_out_and_counted(tmp_path: Path) -> None:
    good = {"saddr": "2001:db8::1", "sport": 80, "ttl": 64, "data": "x\u4f60", "ackingFirewall": False}
    bad = [{**good, "saddr": "nonsense"}, {**good, "sport": 70_000}, {**good, "ttl": -1}]
    rows, reading = read(made(tmp_path / "other.parquet", [good, *bad, good]))
    assert len(rows) == 2
    assert (reading.records, reading.unreadable) == (2, 3)
    trouble = reading.trouble()
    assert trouble.startswith("3 lines of ")
    assert trouble.endswith(" could not be read (row 2: no address: ('nonsense', 80, 64))")
    assert "x\u4f60".encode() in rows[0]
    with pytest.raises(UsageError, match=r"holds no results of lzr \(row 1: no address"):
        read(made(tmp_path / "none.parquet", bad[:1]))
    with pytest.raises(UsageError, match=r"its column data is VARCHAR\[\]"):
        read(made(tmp_path / "list.parquet", [good], "[data] AS data"))


def test_a_file_of_ours_without_its_sortable_addresses_has_them_again(tmp_path: Path) -> None:
    connection = connect(files=True)
    path = tmp_path / "scan.json"
    path.write_text(json.dumps({"saddr": "192.0.2.1", "sport": 80, "data": "x"}) + "\n")
    load(connection, str(path))
    for number, chosen in enumerate(
        ("* EXCLUDE (saddr_key, daddr_key)", "* REPLACE (saddr_key || 'x'::BLOB AS saddr_key)")
    ):
        where = tmp_path / f"{number}.parquet"
        connection.execute(f"COPY (SELECT {chosen} FROM records) TO '{where}' (FORMAT parquet)")
        keys = [row[1] for row in read(where)[0]]
        assert keys in ([bytes(10) + b"\xff\xff\xc0\0\2\1"], [None])
        assert (keys == [None]) == bool(number)


def test_what_is_damaged_is_told_by_the_name_of_the_file(tmp_path: Path) -> None:
    path = made(tmp_path / "other.parquet", list(madescans.records(500)))
    whole = path.read_bytes()
    for content in (
        whole[:3000],
        whole[:-8] + b"\xff\xff\xff\x7fPAR1",
        whole[:500] + b"\xff" * 5000 + whole[5500:],
    ):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"^cannot read /.*: ") as raised:
            read(path)
        assert "/proc" not in str(raised.value)
        assert "Error:" not in str(raised.value)


@pytest.mark.parametrize("kind", ["DOUBLE", "DECIMAL(9, 2)", "VARCHAR"])
def test_a_number_that_is_not_whole_is_not_rounded(tmp_path: Path, kind: str) -> None:
    records = [{"saddr": "192.0.2.1", "sport": 80, "ttl": ttl} for ttl in (64, 65)]
    part = f"(CASE ttl WHEN 65 THEN 64.5 ELSE ttl END)::{kind} AS ttl"
    rows, reading = read(made(tmp_path / "other.parquet", records, part))
    assert (len(rows), reading.records, reading.unreadable) == (1, 1, 1)


@pytest.mark.parametrize("value", ["'infinity'", "1e30"])
def test_a_number_beyond_all_is_not_a_missing_one(tmp_path: Path, value: str) -> None:
    records = [{"saddr": "192.0.2.1", "sport": sport} for sport in (80, 81)]
    part = f"CASE sport WHEN 81 THEN {value}::DOUBLE ELSE sport END AS sport"
    rows, reading = read(made(tmp_path / "other.parquet", records, part))
    assert (len(rows), reading.unreadable) == (1, 1)


def test_a_missing_truth_among_numbers_is_not_true(tmp_path: Path) -> None:
    record = {"saddr": "192.0.2.1", "sport": 80, "data": "x", "ackingFirewall": True}
    path = made(tmp_path / "other.parquet", [record], "'nan'::DOUBLE AS \"ackingFirewall\"")
    connection = connect(files=True)
    load(connection, str(path))
    assert connection.execute('SELECT "ackingFirewall" FROM records').fetchall() == [(False,)]


def test_a_page_of_a_hundred_megabytes_is_read(tmp_path: Path) -> None:
    """As big as writers make them: the size of a page is the writer's choice, and one is held as a whole."""
    rows = examples(120_000)
    path = tmp_path / "other.parquet"
    connect(memory=1 << 30, files=True).execute(
        "COPY (SELECT '192.0.2.1' AS saddr, 80::BIGINT AS sport, repeat('x', 1500) || i AS data "
        f"FROM range({rows}) t(i)) TO '{path}' (FORMAT parquet)"
    )
    connection = connect(files=True)
    assert load(connection, str(path), columns=("saddr", "sport")).records == rows


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_MS"])
@pytest.mark.parametrize("moment", ["2500-01-01", "infinity", "0001-01-01"])
def test_a_time_beyond_nanoseconds_leaves_out_its_row(tmp_path: Path, kind: str, moment: str) -> None:
    other = f"CASE WHEN saddr = '10.0.0.0' THEN '{moment}'::{kind} ELSE Timestamp::{kind} END AS Timestamp"
    path = made(tmp_path / "x.parquet", list(madescans.records(3)), other)
    rows, reading = read(path)
    assert (len(rows), reading.unreadable) == (2, 1)
    assert "10.0.0.0" in reading.first
