"""`lzr.options.hints` on a real system: what is mistyped puts no guard up."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests import ROOT
from tests.lab.net import wait_for


@pytest.mark.root
@pytest.mark.parametrize("word", ["help", "version"])
def test_they_put_no_guard_up(word: str, tmp_path: Path) -> None:
    """Neither the shell script that comes first nor the program."""
    seen = tmp_path / "nft"
    seen.write_text(f"#!/bin/sh\ntouch {tmp_path}/called\n")
    seen.chmod(0o755)
    (tmp_path / "lzr-run").write_text("#!/bin/sh\necho ran\n")
    (tmp_path / "lzr-run").chmod(0o755)
    script = tmp_path / "lzr"
    script.write_text((ROOT / "bin/lzr").read_text())
    script.chmod(0o755)
    environ = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [script, word], env=environ, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "ran\n"
    assert not (tmp_path / "called").exists()
    subprocess.run([script, "-q"], env=environ, capture_output=True, check=True, timeout=120)
    wait_for((tmp_path / "called").exists, "nft, which is not waited for; else no guard would be seen here")
