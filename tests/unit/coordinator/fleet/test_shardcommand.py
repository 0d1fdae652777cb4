"""What `lzr fleet shard` says, and where, of what it has found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coordinator.fleet import boxruns, lockfile, shardcommand
from coordinator.fleet.boxscan import Outcome
from tests.unit.coordinator.fleet.test_rundirectory import there


@pytest.mark.parametrize(
    ("status", "words", "out", "err"),
    [
        (0, [], "it ends\n", ""),
        (2, [], "it ends\n", ""),
        (0, ["--quiet"], "", ""),
        (1, ["--quiet"], "", ""),  # called again, it goes on
        (3, ["--quiet"], "", ""),
        (2, ["--quiet"], "", "lzr fleet shard: it ends\n"),  # cron would call it for ever, and nobody know
    ],
)
def test_quiet_leaves_only_mistakes(
    status: int, words: list[str], out: str, err: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    plan = str(tmp_path / "plan.lock.json")
    lockfile.write(plan, there(tmp_path))
    found = Outcome("ended", status, "it ends", 0, 0)
    monkeypatch.setattr(boxruns, "attend", lambda *_, **__: found)
    assert shardcommand.main([plan, "--box", "fra1", *words]) == status
    said = capsys.readouterr()
    assert (said.out, said.err) == (out, err)
    assert shardcommand.main([plan, "--box", "fra1", "--json"]) == status
    assert json.loads(capsys.readouterr().out)["sentence"] == "it ends"
