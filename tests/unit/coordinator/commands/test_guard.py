"""What `lzr guard` takes for ports, and when there was nothing to take away."""

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


@pytest.mark.parametrize(("left_behind", "status"), [(["lzr_4026531836_9488_1_1"], 0), ([], 1)])
def test_off_counts_what_a_killed_scan_has_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], left_behind: list[str], status: int
) -> None:
    monkeypatch.setattr(guard.guard, "standing", list)
    monkeypatch.setattr(guard.guard, "clean", lambda: left_behind)
    assert guard._off([], None) == status
    assert ("there was no guard" in capsys.readouterr().err) is bool(status)
