"""Files of results into DuckDB: every form that there is, every byte, and files that are none."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.analysis import source
from coordinator.analysis.reading import connect, load
from lzr.analysis.columns import COLUMNS, NAMES, table
from lzr.errors import UsageError
from tests import madescans, packers

Load = Callable[..., tuple[list[dict[str, Any]], Any]]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """Reads a file, or what is to be in one: the rows, and what is told of them."""

    connection = connect()

    def read(content: bytes | str | Path, name: str = "scan.json") -> tuple[list[dict[str, Any]], Any]:
        if isinstance(content, Path):
            path = content
        else:
            path = tmp_path / name
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        connection.execute("DROP TABLE IF EXISTS records")
        reading = load(connection, str(path))
        cursor = connection.execute("SELECT * REPLACE (epoch_ns(Timestamp) AS Timestamp) FROM records")
        assert cursor.description is not None
        names = [column[0] for column in cursor.description]
        assert tuple(names) == NAMES
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()], reading

    return read


def lines(count: int, **options: Any) -> str:
    return "".join(map(madescans.line, madescans.records(count, **options)))


def agrees(row: dict[str, Any], record: dict[str, Any]) -> None:
    for name, value in record.items():
        if name not in ("data", "Timestamp"):
            assert row[name] == value, name
    assert row["data"] == (record["data"].encode("latin-1") if "data" in record else None)
    assert row["Timestamp"] // 10**9 > 1_700_000_000


def test_the_columns_have_their_types(loaded: Load) -> None:
    connection = connect()
    for name in ("x; DROP TABLE y", 'a"b', "", "é"):
        with pytest.raises(ValueError, match="no name for a table"):
            load(connection, "/nowhere", name)
    rows, _ = loaded("")
    assert rows == []
    assert {c.name: c.sql for c in COLUMNS}["data"] == "BLOB"


def test_records_come_as_they_are_written(loaded: Load) -> None:
    made = [*madescans.records(2000, enrich=True), *madescans.hostile()]
    rows, reading = loaded("".join(map(madescans.line, made)))
    assert (reading.records, reading.unreadable, reading.trouble()) == (len(made), 0, "")
    for row, record in zip(rows, made, strict=True):
        agrees(row, record)
    assert rows[0]["saddr_key"] == bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 0])
    assert any(len(row["saddr_key"]) == 16 and row["saddr_key"][:2] == b"\x20\x01" for row in rows)
    silent = next(row for row in rows if row["data"] is None)
    assert (silent["truncated"], silent["product"], silent["asn"]) == (False, None, None)


def test_every_byte_alone_and_beside_every_other(loaded: Load) -> None:
    payloads = [bytes([byte]) for byte in range(256)]
    payloads += [bytes([byte, other]) for byte in (0, 34, 47, 92, 117, 200) for other in range(256)]
    text = "".join(
        madescans.line({"saddr": "192.0.2.1", "sport": 1, "data": payload.decode("latin-1")})
        for payload in payloads
    )
    raw = "".join(
        json.dumps({"saddr": "192.0.2.1", "data": payload.decode("latin-1")}, ensure_ascii=False) + "\n"
        for payload in payloads
    )
    for content in (text, raw):
        rows, reading = loaded(content)
        assert reading.unreadable == 0
        assert [row["data"] for row in rows] == payloads


def test_other_escapes_of_json_mean_what_they_mean(loaded: Load) -> None:
    rows, reading = loaded(
        r"""{"saddr":"192.0.2.1","data":"\/\u00Ff\\u0041\ud83d\ude00 �"}
{"saddr":"192.0.2.1","data":null}
{"saddr":"192.0.2.1","data":""}
""".encode()
    )
    assert reading.unreadable == 0
    assert [row["data"] for row in rows] == ["/\xff\\u0041\U0001f600 �".encode(), None, b""]


def test_files_of_the_reference_and_those_with_fewer_fields(loaded: Load) -> None:
    rows, reading = loaded(
        '{"saddr":"1.2.3.4","daddr":"10.0.0.1","sport":80,"dport":1,"seqnum":1,"acknum":2,"window":3,"ttl":4,'
        '"Counter":0,"ACK":true,"ACKed":true,"SYN":false,"RST":false,"FIN":false,"PUSH":true,"HandshakeNum":0,'
        '"fingerprint":"http","Timestamp":"2021-08-01T12:00:00.5-07:00","expectedRToLZR":"data",'
        '"data":"caf\u00e9 \ufffd","ackingFirewall":false}\n'
        '{"fingerprint":"ssh"}\n{"sport":22,"saddr":"::ffff:1.2.3.4","unknownField":[1,{"a":null}]}\n'
        '{"saddr":"2001:0db8:0000::0001","sport":1,"asn":64500,"country":"CH"}\n'
    )
    assert reading.unreadable == 0
    assert rows[0]["data"] == "café \ufffd".encode()
    assert rows[0]["Timestamp"] == 1627844400_500000000
    assert (rows[1]["fingerprint"], rows[1]["saddr"]) == ("ssh", None)
    assert rows[2]["saddr"] == "1.2.3.4"
    assert (rows[3]["saddr"], rows[3]["asn"], rows[3]["country"]) == ("2001:db8::1", 64500, "CH")


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        bz2.compress,
        packers.zstd,
        lambda data: gzip.compress(data[:5000]) + gzip.compress(data[5000:]),
    ],
)
def test_compressed_ones(loaded: Load, pack: Callable[[bytes], bytes]) -> None:
    text = lines(500).encode()
    whole, _ = loaded(text)
    assert loaded(pack(text), "scan.json.gz")[0] == whole
    cut, reading = loaded(pack(text)[:-200])
    assert cut == whole[: len(cut)]
    assert "cut short" in reading.trouble()


@pytest.mark.parametrize("coded", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_text_as_other_systems_save_it(loaded: Load, coded: str) -> None:
    text = lines(300)
    whole, _ = loaded(text)
    rows, reading = loaded(text.replace("\n", "\r\n").encode(coded))
    assert rows == whole
    assert reading.unreadable == 0


def test_csv_of_ours(loaded: Load) -> None:
    made = [*madescans.records(300), *madescans.hostile()]
    fields = ("saddr", "sport", "fingerprint", "data", "ACKed", "product", "Timestamp")
    text = madescans.as_csv(made, fields)
    rows, reading = loaded(text + text)  # two files, one after the other
    assert (reading.records, reading.unreadable) == (2 * len(made), 0)
    for row, record in zip(rows, made + made, strict=True):
        agrees(row, {name: record[name] for name in fields if record.get(name)})


def test_the_feed_for_zgrab(loaded: Load) -> None:
    rows, reading = loaded("10.0.0.1,,http,80\n2001:db8::1,,ssh,22\nrubbish\n10.0.0.2,,tls,70000\n")
    assert [(row["saddr"], row["fingerprint"], row["sport"]) for row in rows] == [
        ("10.0.0.1", "http", 80), ("2001:db8::1", "ssh", 22),
    ]  # fmt: skip
    assert reading.unreadable == 2


def test_parquet_and_back(loaded: Load, tmp_path: Path) -> None:
    whole, _ = loaded(lines(700) + "".join(map(madescans.line, madescans.hostile())))
    connection = connect(files=True)
    load(connection, str(tmp_path / "scan.json"))
    connection.execute(f"COPY records TO '{tmp_path}/plain.parquet' (FORMAT parquet)")
    odd = tmp_path / "a*'; DROP TABLE records; --[x]?.parquet"
    (tmp_path / "plain.parquet").rename(odd)
    rows, reading = loaded(odd)
    assert rows == whole
    assert reading.records == len(whole)
    connection.execute(f"COPY (SELECT 1 AS x) TO '{tmp_path}/foreign.parquet' (FORMAT parquet)")
    with pytest.raises(UsageError, match="none of its columns is ours"):
        loaded(tmp_path / "foreign.parquet")
    for cut in (5, 100, 2000):
        with pytest.raises(UsageError, match="cannot read"):
            loaded(odd.read_bytes()[:cut], "cut.parquet")
    damaged = bytearray(odd.read_bytes())
    damaged[4 : len(damaged) // 3] = b"\xff" * (len(damaged) // 3 - 4)
    with pytest.raises(UsageError, match=r"cannot read /.*: (?!.*lzr_incoming)"):
        loaded(bytes(damaged), "damaged.parquet")


def test_lines_that_are_no_records_are_counted(loaded: Load) -> None:
    good = '{"saddr":"192.0.2.1","sport":%s,"fingerprint":"http"}\n'
    bad = [
        "not json", "[1]", "17", '"text"', "{}", '{"foo":1}', '{"ip":"1.2.3.4","data":{"http":{}}}', "null",
        good % 70000, good % -1, good % 1.5, good % '"80"', good % "NaN", good % "1e999", good % "true",
        '{"saddr":"1.2.3","sport":1}', '{"saddr":"1.2.3.4.5"}', '{"saddr":"","sport":1}', '{"saddr":5}',
        '{"saddr":"1.2.3.4","Timestamp":"yesterday"}',
        '{"saddr":"1.2.3.4","Timestamp":"2026-02-30T00:00:00Z"}',
        '{"saddr":"1.2.3.4","Timestamp":"9999-02-01T00:00:00Z"}', '{"saddr":"1.2.3.4","data":[1]}',
        '{"saddr":"1.2.3.4","data":"\\ud800"}', '{"saddr":"1.2.3.4","data":"\\x41"}',
        '{"saddr":"1.2.3.4"', "[" * 100_000, '{"saddr":' * 50_000, '{"saddr":"1.2.3.4"}{"saddr"',
        '{"saddr":"1.2.3.4","product":"\\udc00"}', "\0" * 500,
    ]  # fmt: skip
    for line in bad:
        text = good % 80 + line.rstrip("\n") + "\n" + good % 81
        rows, reading = loaded(text)
        assert [row["sport"] for row in rows] == [80, 81], line[:80]
        assert reading.unreadable == 1, line[:80]
        assert "could not be read" in reading.trouble()
        assert len(reading.trouble()) < 250
    rows, reading = loaded(b'{"saddr":"192.0.2.1","product":"\xff\xfe"}\n' + (good % 80).encode())
    assert (len(rows), reading.unreadable) == (1, 1)


def test_of_a_key_that_stands_twice_the_last_counts(loaded: Load) -> None:
    rows, _ = loaded('{"saddr":"192.0.2.1","sport":1,"sport":2,"data":"a","data":"b"}\n')
    assert (rows[0]["sport"], rows[0]["data"]) == (2, b"b")


def test_a_file_cut_anywhere(loaded: Load) -> None:
    """Its first part holds the lines that are whole, its second those that begin in it."""
    text = lines(4, seed=5).encode()
    starts = [0, *(at + 1 for at, byte in enumerate(text[:-1]) if byte == 10)]
    ends = [at for at, byte in enumerate(text) if byte == 10]
    cuts = [*range(ends[0], starts[-1], 61), *ends[:-1], *starts[1:], *(end - 1 for end in ends[1:])]
    for cut in cuts:
        rows, reading = loaded(text[:cut])
        assert len(rows) == sum(end <= cut for end in ends)
        assert reading.unreadable == (cut not in ends and cut not in starts)
        if cut <= starts[-1]:
            rows, reading = loaded(text[cut:])
            assert len(rows) == sum(start >= cut for start in starts)
            assert reading.unreadable == (cut not in ends and cut not in starts)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("10.0.0.1:80\n", "holds no results"),
        (
            '{"saddr":"1.2.3.4","daddr":"1.1.1.1","sport":1,"dport":2,"seqnum":3,"acknum":4,"window":5}\n',
            "ZMap",
        ),
        ("saddr,daddr,sport,dport,seqnum,acknum,window\n1.2.3.4,1.1.1.1,1,2,3,4,5\n", "ZMap"),
        ("name,address\nx,y\n", "holds no results"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "holds no results"),
        (bytes(range(256)) * 50, "holds no results"),
        (b"\x7fELF" + bytes(1000), "holds no results"),
        ('{"ip":"1.2.3.4","data":{"http":{"status":"success"}}}\n' * 10, "holds no results"),
        ('{"ip":"1.2.3.4","data":{"http":{"status":"success"}}}\n' * 25_000, "holds no results"),
        ("{\n", "holds no results"),
        (b"PAR1" + bytes(50), "cannot read"),
    ],
)
def test_what_is_something_else_is_refused(loaded: Load, content: bytes | str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        loaded(content)


def test_a_line_without_end_is_left_out(loaded: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "CHUNK", 1 << 14)
    monkeypatch.setattr(source, "LONGEST", 1 << 16)
    long = '{"saddr":"192.0.2.9","data":"' + "x" * 300_000 + '"}\n'
    text = lines(40)
    rows, reading = loaded(text + long + text)
    assert (len(rows), reading.unreadable) == (80, 1)
    rows, reading = loaded(text + long.rstrip("\n"))
    assert (len(rows), reading.unreadable) == (40, 1)


def test_names_that_cannot_be_read(loaded: Load, tmp_path: Path) -> None:
    for name in (
        "",
        "no\0such",
        str(tmp_path),
        str(tmp_path / "none"),
        "http://127.0.0.1:1/x.json",
        "s3://x/*.json",
    ):
        with pytest.raises(UsageError, match="cannot read"):
            loaded(Path(name)) if name not in ("", "no\0such") else load(connect(), name)


def test_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    madescans.write(tmp_path / "scan.json.gz", 50)
    with open(tmp_path / "scan.json.gz", "rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        connection = connect()
        assert load(connection, "-").records == 50


def test_nothing_but_the_database_can_be_reached(tmp_path: Path) -> None:
    import duckdb

    connection = connect()
    (tmp_path / "x.csv").write_text("a\n1\n")
    for statement in (
        f"SELECT * FROM '{tmp_path}/x.csv'",
        f"COPY (SELECT 1) TO '{tmp_path}/y.csv'",
        "SELECT * FROM 'http://127.0.0.1:1/x.parquet'",
        "INSTALL httpfs",
        "LOAD httpfs",
        f"ATTACH '{tmp_path}/z.db'",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(statement)


def test_an_empty_text_in_parquet_of_ours_is_none(tmp_path: Path) -> None:
    path = tmp_path / "found.parquet"
    made = connect(files=True)
    made.execute(table("records"))
    made.execute("INSERT INTO records (saddr, product) VALUES ('192.0.2.1', ''), ('192.0.2.2', 'nginx')")
    made.execute(f"COPY records TO '{path}'")
    connection = connect()
    load(connection, str(path))
    assert connection.execute("SELECT product FROM records").fetchall() == [(None,), ("nginx",)]
