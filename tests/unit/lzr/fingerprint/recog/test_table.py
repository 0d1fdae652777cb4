"""Which fingerprint a text is: the table's first that matches, found by few tries."""

from __future__ import annotations

import json
import re

from lzr.fingerprint.recog.data import TABLES
from lzr.fingerprint.recog.table import LONGEST, MOST_TRIED, Table
from tests.recogexamples import examples, table
from tests.rows import every_row


def made(*rows: list[object]) -> Table:
    return Table("\n".join(map(json.dumps, rows)))


def test_each_example_of_recog_finds_its_own_fingerprint() -> None:
    missed = [e for e in examples() if (found := table(e.table).match(e.text)) is None or found[0] != e.row]
    assert len(examples()) > 4000
    assert len(missed) <= 0.003 * len(examples()), [(e.table, e.row, e.text[:60]) for e in missed]


def test_the_words_beside_a_pattern_rule_no_match_out() -> None:
    for example in examples():
        row = table(example.table).rows[example.row]
        if re.search(row.pattern.encode("ascii"), example.text) and len(example.text) <= row.limit:
            assert example.row in table(example.table).tried(example.text), example


def test_the_first_row_that_matches_counts_and_the_case_of_its_words_does_not() -> None:
    rows = made(
        ["(?i)^alpha ([0-9]+)$", 99, ["alpha "], [], {"service.version": 1}],
        ["(?i)alpha", 99, [], ["alpha"], {"service.product": "second"}],
    )
    number, found = rows.match(b"ALPHA 12") or (-1, None)
    assert number == 0
    assert found is not None
    assert found[1] == b"12"
    assert (rows.match(b"an Alpha") or (-1,))[0] == 1
    assert rows.match(b"beta") is None


def test_a_text_beyond_a_rows_limit_is_not_tried() -> None:
    rows = made(["a*b", 8, [], ["b"], {}])
    assert rows.match(b"aaab") is not None
    assert rows.match(b"a" * 8 + b"b") is None


@every_row(sorted(TABLES))
def test_no_text_is_tried_on_more_than_a_few_patterns(name: str) -> None:
    """Not even one that holds a word of everything."""
    asked = table(name)
    tried = []
    for number in range(len(asked.rows)):
        asked._compiled[number] = lambda text, number=number: tried.append(number)  # type: ignore[misc]
    try:
        starts = [row.starts[0] for row in asked.rows if row.starts] or [b""]
        words = b" ".join(dict.fromkeys(word for row in asked.rows for word in row.holds))
        for start in starts[:: max(1, len(starts) // 20)]:
            tried.clear()
            assert asked.match((start + b" " + words)[:LONGEST]) is None
            assert len(tried) <= MOST_TRIED
    finally:
        asked._compiled.clear()
