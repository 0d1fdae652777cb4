"""What `lzr fleet up` and `down` refuse before a box is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.fleet.engine import ssh
from lzr.exitstatus import MISTAKE
from tests import madefleet


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--ssh", "ssh '"], "--ssh: ssh ' is no command: no closing quotation"),
        (["--ssh", ""], "--ssh needs a command"),
        (["--remote-lzr", "sudo \\"], "is no command: no escaped character"),
        (["--remote-lzr= "], "--remote-lzr needs a command"),
    ],
)
def test_a_command_that_is_none_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    plan = madefleet.written(tmp_path / "plan.toml")
    assert ssh.down([str(plan), *words]) == MISTAKE
    assert sentence in capsys.readouterr().err
