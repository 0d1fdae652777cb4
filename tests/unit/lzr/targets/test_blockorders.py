"""Orders to block: read back as they were written, and nothing else is taken for one."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.targets.blockorders import as_line, of_lines, together

ORDER = {"networks": ["192.0.2.0/24", "2001:db8::/64"], "reason": "ticket 42", "by": "ada", "at": 1.5}


def test_they_read_back() -> None:
    assert of_lines(as_line(ORDER) * 2) == [ORDER, ORDER]
    assert of_lines(b'{"networks": ["192.0.2.7"]}\n') == [
        {"networks": ["192.0.2.7"], "reason": "", "by": "", "at": 0.0}
    ]
    assert of_lines(b"") == []


def test_a_line_that_was_cut_off_is_left_out() -> None:
    for cut in range(1, len(as_line(ORDER)) - 1):
        assert of_lines(as_line(ORDER) + as_line(ORDER)[:cut] + b"\n" + as_line(ORDER)) == [ORDER, ORDER]
    assert of_lines(as_line(ORDER) + b'{"order": "0", "box": "fra1", "at": 3}\n') == [ORDER]
    assert of_lines(as_line(ORDER) + b" \r\n" + bytes(4096)) == [ORDER], "a host that lost its power"


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b'{"networks": "192.0.2.1"}',
        b'{"networks": []}',
        b'{"networks": ["no net"]}',
        b"7",
        b"192.0.2.0/24",
        b"# a blocklist",
    ],
)
def test_what_is_none_is_said(line: bytes) -> None:
    with pytest.raises(ValueError, match="line 2 is no order"):
        of_lines(as_line(ORDER) + line + b"\n")


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_said(coding: str) -> None:
    """Of which only some lines would be orders."""
    text = (as_line(ORDER) * 3).decode()
    with pytest.raises(ValueError, match=r"it is UTF-16 text.*save it as UTF-8"):
        of_lines(text.encode(coding))


@given(st.binary(max_size=60))
def test_whatever_a_file_holds(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert of_lines(b"".join(map(as_line, of_lines(data)))) == of_lines(data)


def test_an_order_that_was_told_too_is_one() -> None:
    told: dict[str, Any] = {**ORDER, "at": 9.0}
    assert together([told], [ORDER]) == [told]
    other = {**ORDER, "networks": ["192.0.2.7"]}
    assert together([told], [ORDER, other]) == [told, other]
