"""`coordinator.commands.main` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import subprocess

import pytest

from tests import ROOT, forking


@pytest.mark.root
def test_a_guard_with_one_dash() -> None:
    """In a network of its own, so that nothing here is touched."""
    lzr = " ".join(forking.MODULE)
    script = f"cd {ROOT} && {lzr} guard on -sourceIP 192.0.2.7 -source-port 40000-40010"
    script += f" && {lzr} guard status && {lzr} guard off"
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "192.0.2.7, ports 40000-40010" in done.stdout
