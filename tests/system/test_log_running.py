"""`coordinator.monitor.log` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.monitor.log import open_log
from lzr.options.table import Options


@pytest.mark.root
def test_the_file_belongs_to_who_called_sudo(tmp_path: Path) -> None:
    path = tmp_path / "lzr.log"
    with open_log(Options(log_file=str(path)), invoker=(1234, 4321)):
        pass
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)
