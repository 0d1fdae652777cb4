"""Who holds a lock on a file, by what the kernel says of other processes."""

from __future__ import annotations

import fcntl
from pathlib import Path

from coordinator.files.holders import holders
from tests.oddnames import oddly_named


def test_a_holder_may_have_any_name(tmp_path: Path) -> None:
    with (tmp_path / "found.json").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with oddly_named(file.fileno()) as process:
            found = {one.pid: one for one in holders(file.fileno())}
    assert found[process.pid].writes
    assert found[process.pid].name.startswith("caf")
