"""What `lzr guard` takes for ports."""

from __future__ import annotations

import pytest

from coordinator.commands import guard
from coordinator.guard.firewall import GuardError


@pytest.mark.parametrize("text", ["", "x", "1-x", "-5", "9" * 5000, f"1-{'9' * 5000}"])
def test_what_is_no_range_is_a_sentence(text: str) -> None:
    with pytest.raises(GuardError, match="is not a range of source ports"):
        guard._ports(text)


def test_a_range() -> None:
    assert [guard._ports(text) for text in ("80", "1024-65535")] == [(80, 80), (1024, 65535)]
