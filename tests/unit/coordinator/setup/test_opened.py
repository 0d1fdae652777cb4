"""What a scan opens before it sends anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.checkpoint.checkpoint import Checkpoint
from coordinator.checkpoint.saved import Saved
from coordinator.files.filereader import FileReader
from coordinator.input.networklists import policy
from coordinator.monitor.log import open_log
from coordinator.setup.opened import _as_begun
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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"handshakes": ("nonsense",)}, "is not a handshake"),
        ({"priority_fingerprint": ("nonsense",)}, "is not a fingerprint"),
        ({"output_fields": ("nonsense",)}, "nonsense"),
        ({"shards": 3, "shard": "9"}, "--shard 9"),
    ],
)
def test_what_a_checkpoint_says_is_looked_at_as_a_command_line_is(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    options = parse(["-sendSYNs"])
    assert _as_begun(Checkpoint(tmp_path, options, Saved(options)), None) == options
    hostile = options.replace(**changes)
    with pytest.raises(UsageError, match=said):
        _as_begun(Checkpoint(tmp_path, hostile, Saved(hostile)), None)
