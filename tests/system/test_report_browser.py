"""The page of `lzr report` in a real browser: it draws and searches, fetches nothing, and text stays text."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.commands import report
from tests import ROOT, madescans
from tests.browser import Browser, browser
from tests.lab.net import run

pytestmark = pytest.mark.timeout(600)

READY = "document.documentElement?.dataset.ready === 'yes'"
HITS = "document.getElementById('hits').textContent"
ROWS = "document.querySelectorAll('#rows tr').length"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan with hostile banners in every text, an older one, and the pages made of them."""
    made = tmp_path_factory.mktemp("report")
    texts = ("product", "version", "application", "fingerprint", "handshake", "country", "as_name")
    bad = [
        {**one, **dict.fromkeys(texts, one.get("data", "")[:300]), "asn": 64496 + number}
        for number, one in enumerate(madescans.hostile())
    ]
    more = list(madescans.records(1200, seed=7, first=20))
    for name, records in (("scan", [*bad, *more]), ("older", more[40:] + bad[:3])):
        (made / f"{name}.json").write_text("".join(map(madescans.line, records)))
    scan, older = str(made / "scan.json"), str(made / "older.json")
    assert report.main([scan, older, "-o", str(made / "page.html")]) == 0
    assert report.main([scan, older, "--static", "-o", str(made / "plain.html")]) == 0
    return made


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


def colours(png: bytes) -> set[bytes]:
    """The colours of a few thousand pixels of a screenshot (filters of PNG undone no further than needed)."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert depth == 8
    size = {2: 3, 6: 4}[kind]
    packed, at = b"", 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += 12 + length
    raw = zlib.decompress(packed)
    assert len(raw) == height * (width * size + 1)
    return {raw[start : start + size] for start in range(1, len(raw) - size, 997)}


def test_the_page_draws_searches_and_fetches_nothing(chromium: Browser, folder: Path) -> None:
    page = folder / "page.html"
    chromium.open(page, READY)
    value = chromium.value

    assert chromium.asked == [page.resolve().as_uri()]
    assert value("document.querySelectorAll('.js-plotly-plot .main-svg').length") >= 6
    assert value("document.querySelectorAll('.bars .point').length") >= 30

    # Whatever hosts said is text: no element is of their making, and no alert was called.
    text = value("document.body.innerText")
    for told in (
        "<script>alert(1)</script><img src=x onerror=alert(2)>",
        "</script><!--<script>",
        "DROP TABLE",
    ):
        assert told in text
    assert (
        value("document.images.length + document.querySelectorAll('a[href]:not([href^=\"#\"])').length") == 0
    )
    assert value("document.scripts.length") == 5
    assert value("[...document.querySelectorAll('*')].every(one => [...one.attributes].every("
                 "attribute => !attribute.name.startsWith('on')))")  # fmt: skip

    # The table: all at first, words that all must be there, a port, a check box, an order.
    total = value("JSON.parse(document.getElementById('services-data').textContent).length")
    assert value(HITS) == f"{total:,} services"
    assert value(ROWS) == 100

    def search(words: str) -> None:
        value(f"(box => {{ box.value = {words!r}; box.dispatchEvent(new Event('input')); }})"
              "(document.getElementById('search'))")  # fmt: skip

    search("ssh OPENSSH 22")
    chromium.wait(f"{HITS} !== '{total:,} services'")
    found = value("[...document.querySelectorAll('#rows tr')].map(row => row.innerText.toLowerCase())")
    assert found
    assert all("openssh" in row and "22" in row for row in found)
    search("<script>alert(1)")
    rows = "[...document.querySelectorAll('#rows tr')]"
    chromium.wait(
        f"{rows}.length && {rows}.every(row => row.innerText.includes('<script>alert(1)</script>'))"
    )
    search("no such words")
    chromium.wait(f"{HITS} === '0 services'")
    search("")
    chromium.wait(f"{HITS} === '{total:,} services'")
    value("document.getElementById('off').click()")
    off = value(
        "JSON.parse(document.getElementById('services-data').textContent).filter(row => row[6]).length"
    )
    assert 0 < off < total
    assert value(HITS) == f"{off:,} services"
    value("document.getElementById('off').click()")
    value("document.querySelectorAll('.services th button')[1].click()")
    ports = value("[...document.querySelectorAll('#rows tr')].map(row => Number(row.cells[1].innerText))")
    assert ports == sorted(ports)
    value("document.getElementById('more').click()")
    assert value(ROWS) == 200

    # Light, dark and narrow: drawn, in other colours, and no wider than the window.
    light, dark = colours(chromium.look()), colours(chromium.look(dark=True))
    assert min(len(light), len(dark)) > 5
    assert light != dark
    chromium.look(width=390, height=800)
    chromium.wait("document.documentElement.scrollWidth <= 390")
    charts = "[...document.querySelectorAll('[data-chart]')]"
    chromium.wait(f"{charts}.every(place => place.querySelector('.main-svg').clientWidth <= 390)")
    assert value(f"{charts}.every(place => place.clientHeight >= 90)"), "charts lie over each other"

    assert chromium.said == []
    assert chromium.asked == [page.resolve().as_uri()]


def test_what_the_policy_does_not_name_does_not_run(chromium: Browser, folder: Path) -> None:
    """Were an escape forgotten, the browser still refuses script, style, image and form."""
    broken = folder / "broken.html"
    page = (folder / "plain.html").read_text()
    evil = "<script>window.owned = 1</script><img src='http://192.0.2.1/x' onerror='window.owned = 2'>"
    broken.write_text(page.replace("<footer>", f"{evil}<footer>"))
    chromium.open(broken)
    assert chromium.value("window.owned") is None
    assert len([one for one in chromium.said if "Content Security Policy" in one]) >= 2


def test_the_static_page_has_charts_and_no_script(chromium: Browser, folder: Path) -> None:
    page = folder / "plain.html"
    chromium.open(page)
    assert chromium.asked == [page.resolve().as_uri()]
    assert chromium.value("document.scripts.length") == 0
    assert chromium.value("document.querySelectorAll('svg.chart rect.bar').length") >= 30
    assert chromium.value("document.querySelector('svg.chart').getBoundingClientRect().height") > 50
    assert "<script>alert(1)</script>" in chromium.value("document.body.innerText")
    assert len(colours(chromium.look())) > 5
    chromium.look(width=390, height=800)
    assert chromium.value("document.documentElement.scrollWidth") <= 390
    assert chromium.said == []


def test_the_browser_starts_whatever_numbers_its_pipes_get(tmp_path: Path) -> None:
    """In a process of its own they are 3 and 4, which Chromium has for its own pipes."""
    program = (
        "import sys; from pathlib import Path; from tests.browser import browser\n"
        "with browser(Path(sys.argv[1])) as page: print(page.value('6 * 7'))"
    )
    assert run(sys.executable, "-c", program, str(tmp_path), cwd=ROOT).stdout == "42\n"
