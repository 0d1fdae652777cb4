"""``lzr enrich``: each address gets what the files say of it, and every record stays as it was."""

from __future__ import annotations

import gzip
import ipaddress
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from coordinator.commands import enrich
from tests import mademmdb, madescans

RANGES = (
    ("10.0.0.0", "10.0.0.255", 64500, "CH", 'FIRST Erste AG, "quoted" \u00fcml\u00e4ut'),
    ("10.0.1.0", "10.0.1.9", 0, "None", "Not routed"),
    ("10.0.1.10", "10.0.2.255", 4200000000, "US", "SECOND"),
    ("2001:db8::", "2001:db8::ff", 64501, "DE", "SIX"),
    ("255.255.255.255", "255.255.255.255", 64502, "XX", ""),
)


def expected(address: str) -> tuple[Any, Any]:
    asked = ipaddress.ip_address(address)
    for first, last, asn, country, _ in RANGES:
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
        if low.version == asked.version and int(low) <= int(asked) <= int(high):
            return (asn, country) if asn else (None, None)
    return None, None


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "ip2asn.tsv.gz"
    lines = ("\t".join(map(str, row)) + "\n" for row in reversed(RANGES))
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return path


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    made = [*madescans.records(900), *madescans.hostile()]
    path = tmp_path / "scan.json"
    path.write_text("".join(map(madescans.line, made)))
    return path


def test_systems_and_countries_of_a_table(scan: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "known.json"
    assert enrich.main([str(scan), "--asn", str(table), "-o", str(out)]) == 0
    before = [json.loads(line) for line in scan.read_text().splitlines()]
    after = [json.loads(line) for line in out.read_text().splitlines()]
    assert out.read_text().isascii()
    known = set()
    for old, new in zip(before, after, strict=True):
        found = new.pop("asn", None), new.pop("country", None)
        assert found == expected(str(old["saddr"])), old["saddr"]
        if found[0] == 64500:
            assert new["as_name"] == RANGES[0][4]
        known.add(found[0])
        new.pop("as_name", None)
        assert new == old
    assert known == {64500, 4200000000, 64501, None}


def test_all_forms_say_the_same(scan: Path, table: Path, tmp_path: Path) -> None:
    plain, parquet, again = tmp_path / "a.json", tmp_path / "a.parquet", tmp_path / "b.parquet"
    asn = ["--asn", str(table), "-q"]
    assert enrich.main([str(scan), *asn, "-o", str(plain)]) == 0
    assert enrich.main([str(scan), *asn, "-o", str(parquet)]) == 0
    assert enrich.main([str(parquet), *asn, "-o", str(again)]) == 0
    assert enrich.main([str(again), *asn, "-o", str(tmp_path / "c.json")]) == 0
    assert sorted((tmp_path / "c.json").read_text().splitlines()) == sorted(plain.read_text().splitlines())
    # what was said before is said anew, not twice
    assert enrich.main([str(plain), *asn, "-o", str(tmp_path / "d.json")]) == 0
    assert (tmp_path / "d.json").read_text() == plain.read_text()
    query = "SELECT count(*), count(asn), count(country) FROM read_parquet($1)"
    (counts,) = duckdb.sql(query, params=[str(parquet)]).fetchall()
    assert counts == duckdb.sql(query, params=[str(again)]).fetchall()[0]
    assert counts[1] > 100


def test_maxmind_databases(scan: Path, table: Path, tmp_path: Path) -> None:
    systems, countries = tmp_path / "asn.mmdb", tmp_path / "country.mmdb"
    systems.write_bytes(
        mademmdb.database(
            {
                "10.0.0.0/25": {
                    "autonomous_system_number": 65001,
                    "autonomous_system_organization": "A" * 300,
                },
                "10.0.0.128/26": {"asn": "AS65002", "as_name": "IP info", "country_code": "it"},
                "2001:db8::/32": {"autonomous_system_number": 65003},
            }
        )
    )
    countries.write_bytes(
        mademmdb.database({"10.0.0.0/23": {"country": {"iso_code": "FR", "names": {"en": "France"}}}})
    )
    out = tmp_path / "known.json"
    assert enrich.main([str(scan), "--mmdb", str(systems), "--mmdb", str(countries), "-o", str(out)]) == 0
    seen = set()
    for record in map(json.loads, out.read_text().splitlines()):
        asked = ipaddress.ip_address(record["saddr"])
        asn, country = record.get("asn"), record.get("country")
        seen.add(asn)
        if asked.version == 6:
            assert (asn, country) == (65003, None)
            continue
        inside = int(asked) - int(ipaddress.ip_address("10.0.0.0"))
        assert asn == (65001 if inside < 128 else 65002 if inside < 192 else None)
        assert country == ("IT" if 128 <= inside < 192 else "FR" if inside < 512 else None)
        if asn == 65001:
            assert record["as_name"] == "A" * 200
    assert seen == {65001, 65002, 65003, None}
    # systems of the table, countries of the database
    both = ["--asn", str(table), "--mmdb", str(countries), "-o", str(tmp_path / "both.json"), "-q"]
    assert enrich.main([str(scan), *both]) == 0
    first = json.loads((tmp_path / "both.json").read_text().splitlines()[0])
    assert (first["asn"], first["country"]) == (64500, "FR")


def test_lines_that_are_no_records_are_left_out(
    scan: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = scan.read_text().splitlines()
    lines.insert(3, "rubbish")
    lines.insert(9, '{"saddr":"1.2.3","sport":80}')
    lines.insert(11, "")
    mixed = tmp_path / "mixed.json"
    mixed.write_text("\n".join(lines) + '\r\n{"saddr":"10.0')
    assert enrich.main([str(mixed), "--asn", str(table), "-o", str(tmp_path / "x.json")]) == 3
    assert len((tmp_path / "x.json").read_text().splitlines()) == len(lines) - 3
    told = capsys.readouterr().err
    assert "3 lines of" in told
    assert f"{len(lines) - 3} records" in told


@pytest.mark.parametrize("between", ["", " ", '{"saddr":"nobody"}', '{"x":{"y":1}}', '{"data":"}{"}'])
@pytest.mark.parametrize("before", [{}, {"asn": 5}])
def test_several_records_on_a_line(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], between: str, before: dict[str, int]
) -> None:
    """As where files were put together of which one had no end of its last line."""
    scan, out = tmp_path / "scan.json", tmp_path / "out.json"
    one, two = (json.dumps({"saddr": f"10.0.0.{at}", "sport": 80, **before}) for at in (1, 2))
    scan.write_text(f"{one}{between}{two}\n{one}\n")
    whole = between in ("", " ", '{"data":"}{"}')
    assert enrich.main([str(scan), "--asn", str(table), "-o", str(out)]) == (0 if whole else 3)
    found = [json.loads(line) for line in out.read_text().splitlines() if "saddr" in line]
    assert [(record["saddr"], record["asn"]) for record in found] == [
        ("10.0.0.1", 64500), ("10.0.0.2", 64500), ("10.0.0.1", 64500),
    ]  # fmt: skip
    assert capsys.readouterr().err.count("1 line of") == (not whole)


def test_lengths_of_prefixes_are_no_ranges(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As RouteViews has them (pfx2as): 0.0.0.0 with 8 was taken for 0.0.0.0 to 0.0.0.8."""
    for line in ("0.0.0.0\t8\t64500\n", "2001:db8::\t32\t64500_64501\n"):
        (tmp_path / "pfx2as.tsv").write_text(line)
        words = ["--asn", str(tmp_path / "pfx2as.tsv"), "-o", str(tmp_path / "out.json")]
        assert enrich.main([str(scan), *words]) == 2
        assert "the length of a prefix" in capsys.readouterr().err


def test_mistakes_are_one_sentence(
    scan: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = mademmdb.database({"10.0.0.0/8": {"autonomous_system_number": 1}})
    files = {
        "empty.tsv": b"",
        "words.tsv": b"one two three\n",
        "html.tsv": b"<html>\n",
        "back.tsv": b"10.0.0.9\t10.0.0.1\t1\tCH\tx\n",
        "late.tsv": b"1.0.0.0\t1.0.0.9\t1\tCH\tx\n1.0.1.0\n",
        "big.tsv": b"1.0.0.0\t1.0.0.9\t99999999999\tCH\tx\n",
        "cut.tsv.gz": table.read_bytes()[:-20],
        "not.mmdb": b"PNG" * 100,
        "empty.mmdb": b"",
        "cut.mmdb": good[: len(good) // 2],
        "named.mmdb": good.replace(b"Made-ASN", b"\xff" * 8),
        "torn.mmdb": good.replace(b"autonomous_system_number", b"\xff" * 24),
        "foreign.json": b'{"a":1}\n',
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    out = tmp_path / "out.json"
    for words in (
        [],
        *(["--asn", tmp_path / name] for name in ("none.tsv", "not.mmdb", *files) if not name.endswith("b")),
        *(["--mmdb", tmp_path / name] for name in ("none.mmdb", *files) if name.endswith(".mmdb")),
        ["--mmdb", tmp_path],
        ["--asn", table, "--output", table],
        ["--asn", table, "--output", scan, "--overwrite"],
    ):
        argv = [str(scan), "-o", str(out), *map(str, words)]
        assert enrich.main(argv) == 2, words
        told = capsys.readouterr().err
        assert told.startswith("lzr enrich: ")
        assert told.count("\n") == 1
        assert not out.exists()
    assert enrich.main([str(scan), "-o", "/nowhere/x.json", "--asn", str(tmp_path / "none.tsv")]) == 2
    assert "cannot write /nowhere/x.json" in capsys.readouterr().err, "before anything is read"
    assert enrich.main([str(tmp_path / "foreign.json"), "-o", str(out), "--asn", str(table)]) == 2
    assert "holds no results" in capsys.readouterr().err
    assert enrich.main([str(scan), "-o", "/dev/full", "--format", "json", "--asn", str(table)]) == 2
    assert "No space left" in capsys.readouterr().err


def test_products_from_the_replies(table: Path, tmp_path: Path) -> None:
    """Of records that say nothing yet; what they say already stays, and so do all other fields."""
    scan = tmp_path / "plain.json"
    records = [*madescans.records(300), *madescans.hostile()]
    for at, record in enumerate(records):
        if at % 3:
            record.pop("product", None)
            record.pop("version", None)
    scan.write_text("".join(map(madescans.line, records)))
    for words in ([], ["--asn", str(table)]):
        out, parquet = tmp_path / f"{len(words)}.json", tmp_path / f"{len(words)}.parquet"
        assert enrich.main([str(scan), "--products", *words, "-o", str(out), "-q"]) == 0
        assert enrich.main([str(scan), "--products", *words, "-o", str(parquet), "-q"]) == 0
        after = [json.loads(line) for line in out.read_text().splitlines()]
        for old, new in zip(records, after, strict=True):
            assert {name: new[name] for name in old} == old
            if old["fingerprint"] == "ssh":
                assert new["product"] == "OpenSSH"
                assert "openssh" in new["cpe"]
            assert ("asn" in new) == (bool(words) and expected(new["saddr"])[0] is not None)
        query = "SELECT product, version, cpe, os FROM read_parquet($1)"
        found = duckdb.sql(query, params=[str(parquet)]).fetchall()
        names = ("product", "version", "cpe", "os")
        assert found == [tuple(record.get(name) for name in names) for record in after]


def test_fields_of_others_stay_as_they_are_whatever_they_hold(table: Path, tmp_path: Path) -> None:
    strange = (
        b'"x":"\xff\xfe"',
        b'"x":1e999',
        b'"x":123456789012345678901234567890',
        b'"\xff":1',
        b'"x":[ 1.0 ]',
    )
    old = [b'{"saddr":"10.0.0.1","sport":%d,"asn":7,%s}' % (80 + at, of) for at, of in enumerate(strange)]
    (tmp_path / "a.json").write_bytes(b"\n".join(old))
    out = tmp_path / "b.json"
    assert enrich.main([str(tmp_path / "a.json"), "--asn", str(table), "-o", str(out), "-q"]) == 0
    for line, of in zip(out.read_bytes().splitlines(), strange, strict=True):
        assert of in line
        assert b'"asn":64500' in line
