"""A table in one test: every row is tried, and all that are wrong are named."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rows import every_row


def test_all_wrong_rows_are_named_with_what_they_say() -> None:
    tried = []

    def small(number: int, text: str) -> None:
        tried.append(text)
        assert number < 10, f"{number} is large"

    rows = [(1, "a"), (70, "b"), (2, "c"), (80, "d")]
    with pytest.raises(AssertionError) as wrong:
        every_row(rows, lambda row: row[1])(small)()
    assert tried == ["a", "b", "c", "d"]
    head, *lines = str(wrong.value).split("\n")
    assert head == "2 of 4 rows:"
    assert [line.split("is large")[0] for line in lines] == [
        "b: AssertionError: 70 ",
        "d: AssertionError: 80 ",
    ]
    assert str(wrong.value.__cause__).startswith("70 is large")
    every_row(rows[::2])(small)()


def raising(row: Any) -> None:
    if row == "skip":
        pytest.skip("not here")
    if row == "fail":
        pytest.fail("wrong")
    if row == "raises":
        with pytest.raises(KeyError):
            pass
    if row == "error":
        raise OSError(2, "gone")


@pytest.mark.parametrize("row", ["skip", "fail", "raises", "error"])
def test_whatever_a_row_ends_with_but_a_return_is_wrong(row: str) -> None:
    with pytest.raises(AssertionError, match=rf"^1 of 2 rows:\n'{row}': \w+: "):
        every_row(["good", row])(raising)()


def test_a_table_without_rows_is_wrong() -> None:
    with pytest.raises(AssertionError, match="without rows"):
        every_row([])(raising)()


def test_what_is_long_is_cut() -> None:
    with pytest.raises(AssertionError) as wrong:
        every_row(["x" * 9999])(pytest.fail)()
    assert len(str(wrong.value)) < 1000


@pytest.mark.usefixtures("tmp_path")
@every_row([1, 2])
def test_it_is_a_test_like_any_other(row: int) -> None:
    assert row in (1, 2)
