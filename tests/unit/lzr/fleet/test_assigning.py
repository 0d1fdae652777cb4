"""When a box may lose its shards, and what is said of it beforehand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lzr.errors import UsageError
from lzr.fleet.assigning import check, consequences
from tests.unit.lzr.fleet.test_lock import made


@pytest.mark.parametrize(
    ("standing", "force", "reason", "sentence"),
    [
        (["running"], False, "why", "fra1 is scanning: end that first"),
        (["done", "running"], False, "", "fra1 is scanning"),
        ([None], False, "why", "nobody can tell from here whether fra1 is scanning"),
        ([None], True, "", "--force needs a --reason"),
        (["interrupted"], True, " ", "--force needs a --reason"),
        (["interrupted"], False, "x" * 201, "one line of at most 200"),
        (["interrupted"], False, "a\nb", "one line of at most 200"),
    ],
)
def test_it_may_not(standing: list[str | None], force: bool, reason: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        check("fra1", standing, force=force, reason=reason)


def test_it_may() -> None:
    check("fra1", ["interrupted", "done", "failed"], force=False, reason="")
    check("fra1", [None, "running"], force=True, reason="burnt down")


def test_what_is_said_beforehand() -> None:
    before = made()
    after = before.assigned("fra1", ["ams1"], "")
    assert consequences(before, after, "fra1", None) == [
        "fra1 gives up shards 0-42, which it has scanned from 198.51.100.10",
        "ams1 scans shards 0-42 from their beginning, from 203.0.113.0/30",
        "up to 671 targets may be asked a second time, from another address",
    ]
    assert consequences(before, after, "fra1", 500)[-1].startswith("about 335 targets")
    swept = replace(before, input_lines=None)
    assert consequences(swept, after, "fra1", None)[-1].startswith("all targets of 43 of 64 shards")
    assert consequences(swept, after, "fra1", 500)[-1].startswith("about 500 targets")
