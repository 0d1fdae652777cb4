"""Matchers at the edges of what they look at."""

from __future__ import annotations

import pytest

from lzr.protocols import BY_NAME
from tests.rows import every_row
from tests.unit.lzr.protocols.turns import NOT, YES


@every_row(NOT)
def test_look_alikes_are_refused(name: str, data: bytes) -> None:
    match = BY_NAME[name].match
    assert match is not None
    assert not match(data)


@pytest.mark.parametrize(("name", "data"), YES)
def test_what_is_right_is_taken(name: str, data: bytes) -> None:
    match = BY_NAME[name].match
    assert match is not None
    assert match(data)
