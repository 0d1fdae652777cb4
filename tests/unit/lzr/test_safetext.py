"""No byte of a stranger reaches a terminal unescaped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.safetext import line, plain, printable

pytestmark = pytest.mark.attack


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"220 ftp ready\r\n", r"220 ftp ready\r\n"),
        (b"\x1b[2J\x1b]0;t\x07", r"\x1b[2J\x1b]0;t\x07"),
        (b"\x9b31m", r"\x9b31m"),
        ("\u202eabc".encode(), r"\xe2\x80\xaeabc"),
        (b"[bold]x[/]", "[bold]x[/]"),
        (b"\x00\t\x7f", r"\x00\t\x7f"),
        (b"", ""),
    ],
)
def test_as_it_is_shown(data: bytes, shown: str) -> None:
    assert printable(data, 80) == shown


def test_cut_to_the_width_with_a_mark_and_never_inside_an_escape() -> None:
    assert printable(b"abcdef", 6) == "abcdef"
    assert printable(b"abcdefg", 6) == "abcde…"
    assert printable(b"abc\x1bdef", 6) == "abc…"
    assert printable(b"abcdefg", 6, mark="~") == "abcde~"
    assert printable(b"abc", 1) == "…"
    assert printable(b"abc", 0) == ""


def test_text_too() -> None:
    assert plain("näme\x1b\ud800", 40) == r"n\xc3\xa4me\x1b\ud800"


@given(st.binary(max_size=300), st.integers(0, 120))
def test_any_bytes(data: bytes, width: int) -> None:
    text = printable(data, width, mark="~")
    assert len(text) <= width
    assert all(" " <= character <= "~" for character in text)


@given(st.text(max_size=100), st.integers(0, 120))
def test_any_text(text: str, width: int) -> None:
    shown = plain(text, width, mark="~")
    assert len(shown) <= width
    assert all(" " <= character <= "~" for character in shown)


def test_a_byte_of_a_name_that_is_no_utf8_is_shown_as_one() -> None:
    assert line("caf\udce9\ud800") == "caf\\xe9\\ud800"
