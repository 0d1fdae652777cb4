"""What children print reaches the user as harmless text, and not without end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from coordinator.processes.childoutput import ChildOutput

pytestmark = pytest.mark.attack


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def printed(shown: list[str]) -> Iterator[ChildOutput]:
    found = ChildOutput(shown.append, most=5)
    yield found
    found.handed_over()
    found.close()


def test_lines_are_passed_on_as_they_are(printed: ChildOutput, shown: list[str]) -> None:
    os.write(printed.theirs, b"Traceback\n  File x\nand the beg")
    printed.read()
    assert shown == ["Traceback", "  File x"]
    os.write(printed.theirs, b"inning\n")
    printed.read()
    assert shown[2:] == ["and the beginning"]


def test_escapes_reach_no_terminal(printed: ChildOutput, shown: list[str]) -> None:
    os.write(printed.theirs, b"\x1b]0;owned\x07\x9b2J\r\n")
    printed.read()
    assert shown == ["\\x1b]0;owned\\x07\\xc2\\x9b2J\\r"]


def test_a_flood_is_cut(printed: ChildOutput, shown: list[str]) -> None:
    for _ in range(3):
        os.write(printed.theirs, b"more\n" * 1000)
        printed.read()
    assert shown == ["more"] * 5 + ["lzr: the workers print more than that; the rest is not shown"]


def test_a_line_without_end_takes_no_memory(printed: ChildOutput, shown: list[str]) -> None:
    for _ in range(3):
        os.write(printed.theirs, b"x" * 20_000)
        printed.read()
    assert [len(line) for line in shown] == [4000] * 3


def test_what_comes_while_the_screen_is_taken_is_told_later(shown: list[str]) -> None:
    taken = True
    printed = ChildOutput(shown.append, lambda: taken)
    os.write(printed.theirs, b"a reason\n" + b"more\n" * 1000)
    printed.read()
    assert not shown
    taken = False
    printed.read()
    assert shown == ["a reason"] + ["more"] * 199
    printed.handed_over()
    printed.close()


def test_the_last_line_needs_no_end(shown: list[str]) -> None:
    printed = ChildOutput(shown.append)
    os.write(printed.theirs, b"killed in the mid")
    printed.handed_over()
    printed.close()
    assert shown == ["killed in the mid"]


def test_where_lines_go_may_be_said_after_some_have_come(shown: list[str]) -> None:
    printed = ChildOutput(lambda _: None)
    os.write(printed.theirs, b"early\n")
    printed.pass_to(shown.append)
    printed.read()
    assert shown == ["early"]
    printed.handed_over()
    printed.close()
