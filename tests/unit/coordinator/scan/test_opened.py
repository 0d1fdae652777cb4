"""What a scan opens before it sends anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.monitor.log import open_log
from coordinator.scan.opened import _blocklist
from lzr.errors import UsageError
from lzr.options.parse import parse


@pytest.mark.parametrize("text", ["", "# nobody\n\n   # yet\n"])
def test_lists_without_an_entry(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A blocklist that blocks nobody is said; an allowlist that allows nobody is a mistake."""
    path = tmp_path / "list"
    path.write_text(text)
    for options, said in (
        (parse(["-b", str(path)]), True),
        (parse(["-b", "/dev/null"]), True),
        (parse([]), False),
    ):
        with open_log(options) as log:
            _blocklist(options, log)
        assert ("names no network: nothing is blocked" in capsys.readouterr().err) is said
        with (
            open_log(options) as log,
            pytest.raises(UsageError, match="allows nobody"),
        ):
            _blocklist(options.replace(allowlist_file=str(path)), log)
        capsys.readouterr()
