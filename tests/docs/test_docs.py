"""What the pages tell people to type works as typed, and what they point at is there."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from lzr.options import parse
from lzr.protocols import PROTOCOLS
from lzr.records.fields import FIELDS
from tests import ROOT
from tests.conftest import cannot_run
from tests.lab.net import Lab, run
from tests.lab.scan import LZR

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])

RECORDS: list[dict[str, object]] = [
    {"saddr": "192.0.2.1", "sport": 8888, "fingerprint": "http", "ACKed": True, "product": "nginx",
     "version": "1.22.1", "data": "HTTP/1.1 200 OK\r\n\r\n\xff\x00", "Counter": 0, "ttl": 64,
     "Timestamp": "2026-11-28T16:51:52.040409933Z"},
    {"saddr": "192.0.2.2", "sport": 80, "fingerprint": "http", "ACKed": True, "data": "HTTP/1.0 400\r\n",
     "ttl": 64, "Timestamp": "2026-11-28T16:51:53.140409933Z"},
    {"saddr": "2001:db8::1", "sport": 22, "fingerprint": "unknown", "ACKed": True, "expectedRToLZR": "data",
     "ttl": 64, "Timestamp": "2026-11-28T16:51:54.240409933Z"},
]  # fmt: skip


def blocks(page: str, kind: str) -> list[str]:
    """The fenced blocks of a page that are of this kind, exactly."""
    return re.findall(rf"^```{re.escape(kind)}\n(.*?)^```$", (ROOT / page).read_text(), re.S | re.M)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "found.json").write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    return tmp_path


def test_jq_as_the_page_has_it(results: Path) -> None:
    if not shutil.which("jq"):
        cannot_run("jq is not installed; `make test` installs it")
    first, second = blocks("docs/results.md", "sh")
    done = run("bash", "-euo", "pipefail", "-c", first, cwd=results)
    lines = done.stdout.splitlines()
    assert [line.split() for line in lines[:2]] == [["2", "http"], ["1", "unknown"]]
    assert "192.0.2.1:8888\tnginx" in lines
    assert json.loads(lines[-1]) == {"saddr": "2001:db8::1", "sport": 22, "expectedRToLZR": "data"}
    assert (results / "again.txt").read_text() == "2001:db8::1:22\n"
    payloads = [str(record["data"]).encode("latin-1") for record in RECORDS if "data" in record]
    assert (results / "replies.bin").read_bytes() == b"".join(payloads)
    (results / "yesterday.txt").write_text("192.0.2.1:8888 http\n")
    compared = run(
        "bash", "-euo", "pipefail", "-c", second, cwd=results, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    )
    assert compared.stdout.splitlines() == ["192.0.2.2:80 http", "2001:db8::1:22 unknown"]


def test_python_as_the_page_has_it(results: Path) -> None:
    (program,) = blocks("docs/results.md", "python")
    done = run(sys.executable, "-c", program, cwd=results)
    assert "       1 http on port 8888" in done.stdout.splitlines()


def test_pandas_and_duckdb_as_the_page_has_them(results: Path) -> None:
    """What they name are fields. Run where they are installed, which the tests do not ask for."""
    (program,) = blocks("docs/results.md", "python pandas")
    (query,) = blocks("docs/results.md", "sql")
    named = set(re.findall(r"^ *\"?(\w+)\"?: '|(?<=, )\"?(\w+)\"?: '", query, re.M))
    named |= set(re.findall(r"found\.(\w+) ==|found\[\"(\w+)\"\]", program))
    columns = {name for pair in named for name in pair if name}
    assert len(columns) > 8
    assert columns <= {field.name for field in FIELDS}
    compile(program, "pandas", "exec")
    in_duckdb = f"import duckdb\nfor part in {query!r}.split(';')[:-1]:\n    print(duckdb.sql(part))"
    for tool, source in (("pandas", program), ("duckdb", in_duckdb)):
        if find_spec(tool):
            assert "nginx" in run(sys.executable, "-W", "error", "-c", source, cwd=results).stdout


def test_links_between_pages_lead_somewhere() -> None:
    gone = []
    for page in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            target, _, part = link.partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            there = (page.parent / target).resolve() if target else page
            if not there.exists():
                gone.append(f"{page.name}: {link}")
            elif part and part not in anchors(there):
                gone.append(f"{page.name}: {link} (no such heading)")
    assert gone == []


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as those who show Markdown make them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


CTL_FLAGS = ("json", "format", "cap-add", "all", "reason", "box")
"""Of first words (`lzr identify`, `lzr ctl`) and of other programs in such lines."""


def test_every_flag_that_the_pages_for_users_type_is_known() -> None:
    """In lines that call lzr: what follows it, up to the end of the command."""
    unknown = []
    for page in ("README.md", "docs/install.md", "docs/faq.md", "docs/results.md"):
        for command in re.findall(
            r"\blzr(?: (?:doctor|guard|ctl|identify))?((?: [^|;&`\n)]*)?)", (ROOT / page).read_text()
        ):
            for flag in re.findall(r"(?<=\s)--?([A-Za-z][\w-]*)", command):
                known = flag in parse.FLAGS or flag in parse.NEGATED or flag in CTL_FLAGS
                if not known:
                    unknown.append(f"{page}: {flag} in{command}")
    assert unknown == []


def test_the_number_of_protocols() -> None:
    labels = sum(protocol.match is not None for protocol in PROTOCOLS)
    text = (ROOT / "README.md").read_text()
    assert f"{labels} protocols" in text
    assert f"{len(PROTOCOLS) - labels} further handshakes" in text


# --- systemd and the container ----------------------------------------------------------------------------

UNIT = ROOT / "etc/lzr@.service"


def unit() -> configparser.SectionProxy:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(UNIT)
    return parsed["Service"]


def test_the_unit_is_one_and_runs_a_command_that_is_one(tmp_path: Path) -> None:
    program, *words = unit()["ExecStart"].split()
    assert program == "/usr/local/bin/lzr"
    config = b'input-file = "services.txt"\nsend-syns = true\noutput-file = "found.json"\n'
    options = parse.parse([word.replace("%i", "x") for word in words], lambda path: config)
    assert options.send_syns
    assert options.input_file == "services.txt"
    assert not options.dashboard
    if shutil.which("systemd-analyze"):  # a bare root has none
        text = UNIT.read_text().replace(program, str(shutil.which("true")))
        (tmp_path / "lzr@.service").write_text(text)
        done = run("systemd-analyze", "verify", "--man=no", tmp_path / "lzr@.service", check=False)
        assert [line for line in done.stderr.splitlines() if "lzr" in line] == []
        assert done.returncode == 0


@pytest.mark.root
def test_the_rights_that_the_unit_leaves_are_enough(lab: Lab) -> None:
    rights = "-all,+" + unit()["CapabilityBoundingSet"].lower().replace("cap_", "").replace(" ", ",+")
    home = lab.namespace("home")
    words = ("setpriv", "--no-new-privs", f"--bounding-set={rights}", f"--inh-caps={rights}", LZR)
    done = home.run(
        *words, "-sendSYNs", "--no-dashboard", "-q", "-f", "-", input="127.0.0.1:9\n", check=False
    )
    assert (done.returncode, '"saddr"' in done.stdout) == (0, True), done.stderr


def test_the_container_is_made_of_what_is_there() -> None:
    text = (ROOT / "Containerfile").read_text()
    for line in text.splitlines():
        if line.startswith("COPY") and "--from" not in line:
            for name in line.split()[1:-1]:
                assert (ROOT / name).exists(), name
    assert 'ENTRYPOINT ["lzr"]' in text
