"""`lzr report`: the figures of a scan on its page, mistakes in a sentence."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from coordinator.commands import report
from tests import madescans
from tests.unit.coordinator.commands.test_diff import a_record, silent
from tests.unit.lzr.analysis.page.test_document import Page
from tests.unit.lzr.analysis.test_asked import SWEEP, metadata


def scan(path: Path, records: list[madescans.Record]) -> str:
    path.write_text("".join(map(madescans.line, records)))
    return str(path)


def made(path: Path, *words: str) -> Page:
    assert report.main([*words, "-o", str(path)]) == 0
    return Page(path.read_text())


def words(page: Page) -> str:
    return " ".join(" ".join(page.text).split())


def test_a_page_says_what_the_scan_found(tmp_path: Path) -> None:
    records = [
        *(
            a_record(f"10.0.{number}.1", 80, product="nginx", version="1.22", handshake="http")
            for number in range(5)
        ),
        a_record("10.0.0.9", 2200, "ssh", "SSH-2.0-OpenSSH_9.2\r\n", product="OpenSSH", version="9.2"),
        a_record("2001:db8::1", 22, "ssh", "SSH-2.0-OpenSSH_9.2\r\n", product="OpenSSH", version="9.3"),
        *(silent("10.7.7.7", port) for port in range(1000, 1020)),
        silent("10.7.7.8", 1, ackingFirewall=True),
        *madescans.hostile(),
    ]
    page = made(tmp_path / "page.html", scan(tmp_path / "found.json", records))
    text = words(page)
    total = 7 + len(madescans.HOSTILE)
    for told in (
        f"{total} services of {len(records)} records",
        "14% off their port 1 service",
        "1 ACKing firewalls",
        "nginx 5 1 1.22 (5)",
        "OpenSSH 2 2 9.2 (1), 9.3 (1)",
        "ssh 2 1 50% 2200",
        "10.7.7.0/24 21 0 2 21",
        "There are no metadata of this run.",
        f"All of the scan: {total} services.",
    ):
        assert told in text, (told, text)
    charts, rows = (json.loads(data) for kind, data in page.raw if kind == "application/json")
    assert len(rows) == total
    assert ["10.0.0.9", 2200, "ssh", "OpenSSH 9.2", "", "SSH-2.0-OpenSSH_9.2\\r\\n", 1] in rows
    by = {chart["title"]: dict(zip(chart["labels"], chart["values"], strict=True)) for chart in charts}
    assert by["By protocol"]["http"] == 5
    assert by["By network (/16, /48)"]["2001:db8::/48"] == 2
    assert by["How targets ended"]["data taken, no answer"] == 20
    assert by["By the handshake that drew the answer"]["http"] == 5
    assert "MIT licence" in text
    assert any("Plotly, Inc." in data for _, data in page.raw), "its notice stays"
    assert (tmp_path / "page.html").stat().st_size < 6_000_000


def test_an_older_scan_and_metadata_beside_it(tmp_path: Path) -> None:
    older = scan(
        tmp_path / "older.json",
        [a_record("10.0.0.1", 80), a_record("10.0.0.2", 80, product="a", version="1")],
    )
    newer = scan(
        tmp_path / "newer.json",
        [a_record("10.0.0.2", 80, product="a", version="2"), a_record("10.0.0.3", 81)],
    )
    (tmp_path / "newer.metadata.json").write_text(
        json.dumps(metadata(**SWEEP, counters={"TotalResponses": 2}))
    )
    text = words(made(tmp_path / "page.html", newer, older, "--static", "--title", "Office <b>"))
    for told in (
        "Office <b>", "1 appeared", "1 gone asked for, and no answer", "1 changed", "0 not asked again",
        "changed 10.0.0.2:80 http a 1 -> 2", "gone 10.0.0.1:80 http (no answer)", "Ledger: 10 inputs read, "
        "by fate",
        "done how it ended",
    ):  # fmt: skip
        assert told in text, (told, text)


def test_columns_of_enrich_make_charts(tmp_path: Path) -> None:
    records = [a_record("10.0.0.1", 80, country="DE", asn=64496, as_name="Müller Netz")]
    page = made(tmp_path / "page.html", scan(tmp_path / "found.json", records), "--static")
    assert "AS64496 Müller Netz: 1" in words(page)


def test_a_scan_that_found_nothing_makes_a_page(tmp_path: Path) -> None:
    for name, records in (("none", []), ("silent", [silent("10.0.0.1", 80)])):
        text = words(made(tmp_path / f"{name}.html", scan(tmp_path / f"{name}.json", records)))
        assert "All of the scan: 0 services." in text


def test_a_page_of_stdin_on_stdout(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scan(tmp_path / "found.json", [a_record("10.0.0.1", 80)])
    with open(path) as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert report.main(["-", "--static", "-o", "-"]) == 0
    assert "All of the scan: 1 service." in words(Page(capfd.readouterr().out))


def test_what_is_there_is_not_replaced_unless_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, page = scan(tmp_path / "found.json", [a_record("10.0.0.1", 80)]), tmp_path / "page.html"
    page.write_text("mine")
    assert report.main([path, "--static", "-o", str(page)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert page.read_text() == "mine"
    assert report.main([path, "--static", "-o", str(page), "--overwrite"]) == 0
    assert report.main([path, "--static", "-o", path, "--overwrite"]) == 2


def test_the_page_is_none_of_what_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, older = (scan(tmp_path / name, [a_record("10.0.0.1", 80)]) for name in ("found.json", "older.json"))
    for words in (
        ["--metadata", "told.json"],
        ["older.json", "--old-metadata", "told.json"],
        ["older.json", "--asked", "told.json"],
        ["found.metadata.json"],
    ):
        *named, last = words
        told = tmp_path / last
        told.write_text('{"program": "lzr", "format": 1}')
        more = [str(tmp_path / word) if word.endswith(".json") else word for word in named]
        more += [str(told)] if named else []
        assert report.main([path, *more, "--static", "-o", str(told), "--overwrite"]) == 2, words
        assert "is the input too" in capsys.readouterr().err
        assert told.read_text().startswith("{")
        told.unlink()
    assert report.main(["-", older, "--asked", "-", "--static", "-o", str(tmp_path / "x.html")]) == 2
    assert "cannot both come from stdin" in capsys.readouterr().err


def test_without_plotly_there_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report.util, "find_spec", lambda _: None)
    assert report.main(["x.json", "-o", str(tmp_path / "page.html")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("lzr report: the charts need plotly: ")
    assert "[analysis]" in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"hello\n", b"\x7fELF", b"<html>", b'{"a":1}\n'])
def test_a_file_of_something_else_is_a_sentence(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(content)
    assert report.main([str(tmp_path / "file"), "--static", "-o", str(tmp_path / "page.html")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "page.html").exists()


def test_a_page_of_what_could_be_read_and_the_status_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = scan(tmp_path / "whole.json", [a_record("10.0.0.1", 80)])
    cut = tmp_path / "cut.json"
    cut.write_text(Path(whole).read_text() + '{"saddr":"10.0')
    for number, files in enumerate(([str(cut)], [str(cut), whole], [whole, str(cut)])):
        page = tmp_path / f"page{number}.html"
        assert report.main([*files, "--static", "-o", str(page)]) == 3
        assert page.read_text().endswith("</html>\n")
        assert "1 line of" in capsys.readouterr().err
