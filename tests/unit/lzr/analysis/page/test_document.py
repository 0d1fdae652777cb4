"""The page: everything escaped, every script and style named by its hash, nothing to fetch."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.analysis.page import svg
from lzr.analysis.page.document import STATIC_ROWS, write
from lzr.analysis.page.health import health
from lzr.analysis.page.parts import (
    Bars,
    Line,
    Matrix,
    PageTable,
    Paragraph,
    Report,
    Section,
    ServiceTable,
    ShareCell,
    Tile,
    Tiles,
)
from tests.unit.lzr.analysis.test_asked import metadata

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&<!--]]>"
PLOTLY = 'var Plotly={};document.getElementById("' + "ab" * 32 + '")'


def report(text: str, rows: int = 3) -> Report:
    parts = (
        Tiles((Tile(text, text, text, "warn"),)),
        Bars(text, (text, "b"), (3, 0), text),
        Line(text, ("2026-11-22T09:26:01", text), (1, 2)),
        Matrix(text, (text,), (text, "80"), ((5, 0),), frozenset({(0, 1)}), text),
        PageTable(text, (text, "n", "s"), ((text, 1234, ShareCell(0.5)),), text),
        Paragraph(text, "warn"),
    )
    services = ServiceTable([(text, 80, text, text, text, text, 1)] * rows, rows + 7, text)
    return Report(text, text, (Tile("1", text),), (Section("a", text, text, parts),), services, text)


class Page(HTMLParser):
    """Elements with their attributes, what scripts and styles hold, and the text of the rest."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.text: list[str] = []
        self._in = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._in = dict(attrs).get("type") or tag
            self.raw.append((self._in, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in:
            kind, before = self.raw[-1]
            self.raw[-1] = kind, before + data
        else:
            self.text.append(data)

    def attribute(self, tag: str, name: str, value: str, wanted: str) -> str:
        return next(
            found[wanted] or "" for kind, found in self.elements if kind == tag and found.get(name) == value
        )


def page(made: Report, plotly: str | None = PLOTLY) -> Page:
    return Page("".join(write(made, plotly)))


ALLOWED = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "div",
        "p",
        "h1",
        "b",
        "span",
        "small",
        "nav",
    ),
    *(
        "a",
        "main",
        "section",
        "h2",
        "figure",
        "figcaption",
        "svg",
        "g",
        "text",
        "rect",
        "polygon",
        "polyline",
    ),
    *(
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "label",
        "input",
        "output",
        "button",
        "code",
        "footer",
        "i",
    ),
    "script",
}


@pytest.mark.parametrize("plotly", [PLOTLY, None])
def test_hostile_text_stays_text(plotly: str | None) -> None:
    made, plain = page(report(HOSTILE), plotly), page(report("x"), plotly)
    assert [tag for tag, _ in made.elements] == [tag for tag, _ in plain.elements]
    assert {tag for tag, _ in made.elements} <= ALLOWED
    for _, attributes in made.elements:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("style", "src", "action")
        ]
    assert "".join(made.text).count(HOSTILE) >= 20
    links = [attributes.get("href") or "" for tag, attributes in made.elements if tag == "a"]
    assert links
    assert all(link.startswith("#") for link in links)


def test_the_policy_names_each_script_and_the_style_by_its_hash_and_allows_nothing_else() -> None:
    made = page(report("x"))
    policy = made.attribute("meta", "http-equiv", "Content-Security-Policy", "content")
    rules = {name: words for name, *words in (rule.split() for rule in policy.split("; "))}
    digests = [
        (kind, f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'")
        for kind, text in made.raw
    ]
    assert rules == {
        "default-src": ["'none'"],
        "script-src": [digest for kind, digest in digests if kind == "script"],
        "style-src": [digest for kind, digest in digests if kind == "style"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    assert len(rules["script-src"]) == 3
    assert made.attribute("i", "id", "ab" * 32, "id")


def test_a_static_page_has_no_script_and_the_first_rows() -> None:
    made = page(report("x", STATIC_ROWS + 5), None)
    assert "script" not in {tag for tag, _ in made.elements}
    policy = made.attribute("meta", "http-equiv", "Content-Security-Policy", "content")
    assert "script-src" not in policy
    assert "".join(made.text).count("off port") == STATIC_ROWS
    assert f"{STATIC_ROWS:,} of {STATIC_ROWS + 12:,} services" in "".join(made.text)
    assert " 12 are left out." in "".join(made.text)


def test_the_rows_are_json_that_gives_the_text_back() -> None:
    made = page(report(HOSTILE))
    charts, rows = (json.loads(text) for kind, text in made.raw if kind == "application/json")
    assert rows == [[HOSTILE, 80, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1]] * 3
    assert [chart["kind"] for chart in charts] == ["bars", "line"]
    assert charts[0]["labels"] == [HOSTILE, "b"]


@given(st.text(min_size=1))
def test_any_text_gives_the_same_elements(text: str) -> None:
    text = re.sub("[\ud800-\udfff\r]", "", text) or "x"
    document = "".join(write(report(text), PLOTLY))
    assert [tag for tag, _ in Page(document).elements] == [tag for tag, _ in page(report("x")).elements]
    document.encode()


def test_a_run_is_told_from_its_metadata() -> None:
    good = metadata(
        times={"seconds": 3725.0, "start": "2026-11-22T09:26:01.000Z"},
        packets={"sent": 1000, "received": 10, "retransmits": 10, "drops": 3, "ignored": {"late_rst": 4}},
        pace={"inputs_per_second": 5.0},
        warnings=["a ring was full"],
    )
    section = health(good, "scan.metadata.json")
    tiles = {tile.name: tile for part in section.parts if isinstance(part, Tiles) for tile in part.tiles}
    assert tiles["how it ended"].value == "done"
    assert tiles["duration"].value == "1 h 02 min"
    assert tiles["dropped by the kernel"] == Tile(
        "3", "dropped by the kernel", "a full ring loses answers", "warn"
    )
    assert tiles["sent again"].value == "1.0%"
    ledger = next(part for part in section.parts if isinstance(part, Bars))
    assert (ledger.labels, ledger.values) == (("recorded",), (10,))
    assert "Both sides agree" in ledger.rest
    assert Paragraph("a ring was full", "warn") in section.parts
    nothing = health(None).parts[0]
    assert isinstance(nothing, Paragraph)
    assert "--metadata-file" in nothing.text


@pytest.mark.parametrize("junk", [None, 1, -1, 1e400, "x", [], [[]], {}, {"sent": "x", "fates": [1]}, True])
def test_metadata_may_hold_anything(junk: object) -> None:
    made = dict.fromkeys(
        (*metadata(), "times", "packets", "pace", "processes", "warnings", "host", "network"), junk
    )
    Page("".join(write(Report("t", "s", (), (health(made),), ServiceTable()), None)))


def test_labels_of_static_bars_have_room_beside_their_bars() -> None:
    for labels in (("a", "b"), ("a much longer label than would fit beside a bar", "b"), ()):
        drawn = Page(svg.bars(Bars("t", labels, tuple(range(len(labels))))))
        texts = [float(found["x"] or 0) for tag, found in drawn.elements if found.get("class") == "label"]
        bars = [float(found["x"] or 0) for tag, found in drawn.elements if tag == "rect"]
        longest = max((min(len(label), 26) for label in labels), default=0)
        assert all(7 * longest < text < bar for text, bar in zip(texts, bars, strict=True))
        assert "".join(drawn.text).count("…") == (1 if longest == 26 else 0)
