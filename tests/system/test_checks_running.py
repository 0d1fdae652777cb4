"""`coordinator.doctor.checks` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coordinator.doctor import facts
from coordinator.processes.users import User


@pytest.mark.root
def test_what_is_closed_to_a_user_is_found_by_name(open_path: Path) -> None:
    nobody = User("nobody", 65534, 65534)
    private = open_path / "private"
    package = private / "lzr"
    package.mkdir(parents=True)
    module = package / "x.py"
    module.write_text("")
    assert facts.closed_to(nobody, [package, module]) == ""
    private.chmod(0o700)
    assert facts.closed_to(nobody, [package]) == str(private)
    os.chown(private, 65534, 65534)
    assert facts.closed_to(nobody, [package]) == ""
    private.chmod(0o755)
    module.chmod(0o600)
    assert facts.closed_to(nobody, [package, module]) == str(module)
    assert facts.closed_to(User("root", 0, 0), [module]) == ""
    assert facts.closed_to(nobody, [package / "gone"]) == str(package / "gone")
