"""Tables in one test: every row is tried, and all that are wrong are named.

A parameter of pytest costs milliseconds a row, in each process of `make unit`: too much for hundreds of rows.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest

LETTERS = 300
"""Of the name of a wrong row, and of what it says; the first is told whole."""


def every_row(
    rows: Iterable[Any], called: Callable[[Any], str] = repr
) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Makes a test of one row the test of all of `rows`.

    A row that is a plain tuple is the arguments, anything else the one argument. `called` names a row in
    what a failure says. After a row that fails come the others: an AssertionError names all that did, each
    with what it said, and has the exception of the first as its cause. No rows, and a row that is skipped,
    fail.
    """
    table = list(rows)

    def of_all(test: Callable[..., None]) -> Callable[[], None]:
        @functools.wraps(test)
        def tried() -> None:
            __tracebackhide__ = True
            wrong: list[tuple[object, BaseException]] = []
            for row in table:
                try:
                    test(*row) if type(row) is tuple else test(row)
                except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:
                    wrong.append((row, error))
            assert table, "a table without rows"
            if wrong:
                told = "\n".join(f"{short(called(row))}: {short(said(error))}" for row, error in wrong)
                raise AssertionError(f"{len(wrong)} of {len(table)} rows:\n{told}") from wrong[0][1]

        tried.__signature__ = inspect.Signature()  # type: ignore[attr-defined] # no fixtures
        return tried

    return of_all


def said(error: BaseException) -> str:
    """What an exception says, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def short(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}…"
