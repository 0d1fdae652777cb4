"""docs/analysis.md: every snippet of it runs as it stands."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest

from tests import ROOT, forking, mademmdb, madescans, madeservices
from tests.docs.test_docs import blocks
from tests.lab.net import run

PAGE = "docs/analysis.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    madescans.write(tmp_path / "found.json", 1500)
    return tmp_path


def sh(folder: Path, *kinds: str) -> None:
    """The blocks of shell, one after the other, with `lzr` as it is here."""
    (folder / "bin").mkdir()
    (folder / "bin" / "lzr").write_text(f'#!/bin/sh\nexec {shlex.join(forking.program())} "$@"\n')
    (folder / "bin" / "lzr").chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    for block in (block for kind in kinds for block in blocks(PAGE, kind)):
        run("bash", "-euo", "pipefail", "-c", block, cwd=folder, env={**os.environ, "PATH": path})


def test_shell_and_sql_as_the_page_has_them(folder: Path) -> None:
    sh(folder, "sh")
    made = {path.name for path in folder.iterdir()}
    assert {"found.parquet", "parts-00000.parquet", "zgrab.json", "censys.parquet", "ecs.json"} <= made
    assert {"schema.json", "record.schema.json"} <= made
    (query,) = blocks(PAGE, "sql")
    for statement in query.split(";")[:-1]:
        in_folder = statement.replace("'found.parquet'", "read_parquet($1)")
        assert duckdb.sql(in_folder, params=[str(folder / "found.parquet")]).fetchall()


def test_enrich_as_the_page_has_it(folder: Path) -> None:
    row = "10.0.0.0\t10.0.255.255\t64500\tCH\tONE\n"
    (folder / "ip2asn-combined.tsv.gz").write_bytes(gzip.compress(row.encode()))
    (folder / "country.mmdb").write_bytes(mademmdb.database({"10.0.0.0/24": {"country": {"iso_code": "FR"}}}))
    sh(folder, "sh enrich")
    first = json.loads((folder / "known.json").read_text().partition("\n")[0])
    assert (first["asn"], first["as_name"], first["country"]) == (64500, "ONE", "FR")


def test_plan_as_the_page_has_it(folder: Path) -> None:
    every_one = madeservices.records(1500)
    for record in every_one:  # the networks of the page
        record["saddr"] = "198.51." + record["saddr"].split(".", 2)[2]
    madeservices.write(folder / "every.json", every_one)
    about = {"force_all_handshakes": True, "retransmit_number": 1}
    every = {"program": "lzr", "format": 1, "scan": {"handshakes": madeservices.HANDSHAKES}, "options": about}
    (folder / "every.meta.json").write_text(json.dumps(every))
    sh(folder, "sh plan")
    order, ours = ((folder / name).read_text() for name in ("order.toml", "ours.toml"))
    assert tomllib.loads(order)["ports"] != tomllib.loads(ours)["ports"]
    assert json.loads((folder / "ours.json").read_text())["services"] < 100


def test_diff_and_report_as_the_page_has_them(folder: Path) -> None:
    lines = (folder / "found.json").read_text().splitlines(keepends=True)
    (folder / "monday.json").write_text("".join(lines[:-20]))
    (folder / "tuesday.json").write_text("".join(lines[20:]))
    table, objects = blocks(PAGE, "sh diff")
    done = subprocess.run(
        [*forking.program(), *shlex.split(table)[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("+ ")
    sh(folder, "sh confirm", "sh report")
    assert (folder / "gone.txt").read_text() == ""
    assert objects.startswith(table.replace("diff ", "diff --json ").strip())
    for name in ("report.html", "changes.html", "plain.html"):
        assert (folder / name).read_text().endswith("</html>\n")


def test_python_as_the_page_has_it(folder: Path) -> None:
    (program,) = blocks(PAGE, "python")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert "http" in run(sys.executable, "-W", "error", "-c", program, cwd=folder, env=env).stdout
    (packages,) = blocks(PAGE, "python packages")
    compile(packages, PAGE, "exec")
    if find_spec("pandas"):  # which the tests do not ask for
        assert "http" in run(sys.executable, "-c", packages, cwd=folder, env=env).stdout
