"""The fingerprints as packaged: their licence is there, and none takes long over what a stranger sends."""

from __future__ import annotations

import re

import pytest

from fingerprints import steps
from fingerprints.regular import plain_pattern
from lzr.fingerprint.recog import data
from lzr.fingerprint.recog.table import LONGEST
from tests import ROOT
from tests.effort import QUICK
from tests.recogexamples import table
from tests.rows import every_row

EVERY = 188 if QUICK else 47
"""Of the patterns that no length is forbidden to, which are many, one in so many is counted."""

OF_SHORTER = 16 if QUICK else 1
"""Of those with a shorter limit."""


def test_the_licence_lies_beside_the_data() -> None:
    licence = (ROOT / "lzr/fingerprint/recog/LICENSE").read_text()
    assert "Rapid7" in licence
    assert "Redistributions in binary form must reproduce" in licence
    assert "BSD-2-Clause" in (data.__doc__ or "")
    assert "rapid7/recog" in (ROOT / "NOTICE").read_text()


def test_each_row_is_whole() -> None:
    for name in data.TABLES:
        for row in table(name).rows:
            pattern = re.compile(row.pattern.encode("ascii"))
            groups = {value for value in row.says.values() if isinstance(value, int)}
            assert groups <= set(range(1, pattern.groups + 1)), row
            assert 0 < row.limit <= LONGEST
            assert all(word == word.lower() for word in (*row.starts, *row.holds))


@every_row(sorted(data.TABLES))
def test_no_pattern_takes_many_steps_over_a_text_of_its_limit(name: str) -> None:
    """Steps, not seconds. Some of the originals take 10^8."""
    rows = table(name).rows
    usual = max(row.limit for row in rows)
    for number, row in enumerate(rows):
        if number % (EVERY if row.limit == usual else OF_SHORTER):
            continue
        counter = steps.Counter(row.pattern)
        for text in steps.hostile(counter, row.limit):
            counter.steps(text, steps.MOST)  # raises TooMany


def test_the_counter_counts_what_backtracks() -> None:
    evil, tame = steps.Counter(r"^(?:a+)+$"), steps.Counter(r"^a++$")
    with pytest.raises(steps.TooMany):
        evil.steps(b"a" * 30 + b"!", 100_000)
    assert tame.steps(b"a" * 30 + b"!", 100_000) < 100
    assert steps.limit(r"^[^ ]+\.[^ ]+\.[^ ]+\.[^ ]+ end$", 0) < 100
    assert steps.limit(r"^[^ .]+\.[^ .]+\.[^ .]+\.[^ ]+ end$", 0) == steps.SIZES[0]


@pytest.mark.parametrize(
    ("pattern", "groups", "plain"),
    [
        (r"^([^ ]+) FTP (\d+)$", [2], r"(?s)^[^ ]++ FTP ([\d]++)$"),
        (r"^Foo/(\S+).*$", [1], r"(?s)^Foo/([\S]++)"),
        (r"^(a|b)(?i)c", [], r"(?is)^[ab]c"),
        (r"^x[0-9]*5", [], r"(?s)^x[0-9]*5"),
    ],
)
def test_a_pattern_is_made_plain(pattern: str, groups: list[int], plain: str) -> None:
    assert plain_pattern(pattern, "", groups, lines=False).text == plain
