"""What `lzr fleet start` takes for a port and for seconds."""

from __future__ import annotations

import pytest

from coordinator.fleet.engine import startcommand
from lzr.errors import UsageError


@pytest.mark.parametrize("text", ["0", "65536", "00080999999", "9" * 7000, "-1", "x", "", "٣"])
def test_what_is_no_port_is_a_mistake(text: str) -> None:
    with pytest.raises(UsageError, match="needs a port"):
        startcommand._port(text)
    assert startcommand._port("65535") == 65535


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "x", ""])
def test_what_are_no_seconds_is_a_mistake(text: str) -> None:
    with pytest.raises(UsageError, match="needs seconds"):
        startcommand._seconds(text)
