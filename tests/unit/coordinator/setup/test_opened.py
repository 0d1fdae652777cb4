"""What a scan opens before it sends anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.files.filereader import FileReader
from coordinator.input.networklists import policy
from coordinator.monitor.log import open_log
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
            policy(options, FileReader(), warn=log.warn)
        assert ("names no network: nothing is blocked" in capsys.readouterr().err) is said
        with (
            open_log(options) as log,
            pytest.raises(UsageError, match="allows nobody"),
        ):
            policy(options.replace(allowlist_file=(str(path),)), FileReader(), warn=log.warn)
        capsys.readouterr()
