"""What `lzr guard` takes for ports, and when there was nothing to take away."""

from __future__ import annotations

from unittest import mock

import pytest

from coordinator.commands import guard
from coordinator.guard.firewall import GuardError, Standing
from tests.commandline import in_process
from tests.rows import every_row


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


@every_row(
    [
        ("on --source-ip=", "'' is not a source address"),
        ("on --source-ip nosuch", "'nosuch' is not a source address"),
        ("on --source-ip 192.0.2.1,", "'' is not a source address"),
        ("off --source-ip=", "'' is not a source address"),
        ("off --source-port=", "'' is not a range of source ports"),
        ("off --interface lo", "--interface is not for lzr guard off"),
        ("off --guard output", "--guard is not for lzr guard off"),
        ("status --source-ip 192.0.2.1", "--source-ip is not for lzr guard status"),
        ("status -s 80", "--source-port is not for lzr guard status"),
    ]
)
def test_nothing_that_is_given_is_left_aside(line: str, sentence: str) -> None:
    """`off --source-ip=$NOTHING` would take all away; where a wide guard stands `on` looks at nothing."""
    wide = Standing("lzr_manual_32768_61000", "nft")
    wide.wide = True
    standing = mock.patch.object(guard.guard, "standing", return_value=[wide])
    with standing, mock.patch.object(guard, "_off"), mock.patch.object(guard.guard, "put_up"):
        done = in_process("guard", *line.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
